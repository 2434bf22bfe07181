import { type Column, escapePath, type Schema } from '../../record/schema.ts';
import { hashBytes, slotOf } from './byte-hash.ts';
import { FIELD_KINDS } from './field-kinds.ts';
import { checkSchema, invalid } from './schema-check.ts';

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const SPACE = 0x20;
/** Node of the record itself. */
export const ROOT = 0;

interface TreeNode {
  readonly path: readonly string[];
  readonly children: Map<string, TreeField>;
}

type TreeField = { readonly column: number } | { readonly node: TreeNode };

const PLANS = new WeakMap<Schema, JsonPlan>();

/**
 * The plan of `schema`, made once: every batch has a decoder of its own.
 * @throws {RequestError} REQUEST_INVALID if the schema is unusable, or a path is both a value and an object.
 */
export function planOf(schema: Schema): JsonPlan {
  const known = PLANS.get(schema);
  if (known !== undefined) return known;
  const plan = new JsonPlan(schema);
  PLANS.set(schema, plan);
  return plan;
}

/**
 * The objects and fields that a schema expects, as flat arrays: node 0 is the record, fields `[fieldStarts[n],
 * fieldStarts[n + 1])` are those of node n in schema order. Read-only after construction.
 */
export class JsonPlan {
  readonly nodeCount: number;
  readonly fieldCount: number;
  readonly fieldStarts: Int32Array;
  /** 1 for a node, and for a field, that is the value of a key `constructor`. */
  readonly constructorNodes: Uint8Array;
  readonly constructorFields: Uint8Array;
  /** Path of each node. */
  readonly paths: readonly (readonly string[])[];
  /** One of {@link FIELD_KINDS} per field. */
  readonly kinds: Uint8Array;
  /** Column of a field with a value, node of a field with an object. */
  readonly targets: Int32Array;
  /** Key bytes of all fields back to back. */
  readonly keyBytes: Uint8Array;
  readonly keyStarts: Int32Array;
  /** Length of each key; −1 for a key that never stands in JSON as it is, because it holds a character that is escaped. */
  readonly plainLengths: Int32Array;
  readonly #slots: Int32Array;
  readonly #hashes: Int32Array;
  readonly #parents: Int32Array;

  /** @throws {RequestError} REQUEST_INVALID if the schema is unusable, or a path is both a value and an object. */
  constructor(schema: Schema) {
    checkSchema(schema, 'json');
    const nodes = listNodes(buildTree(schema.columns));
    const fields = nodes.flatMap((node, parent) => [...node.children].map(([key, field]) => ({ key, field, parent })));
    const nodeIndex = new Map(nodes.map((node, index) => [node, index]));
    const keys = fields.map(({ key }) => new TextEncoder().encode(key));

    this.nodeCount = nodes.length;
    this.fieldCount = fields.length;
    this.paths = nodes.map((node) => node.path);
    this.constructorNodes = Uint8Array.from(nodes, (node) => (node.path.at(-1) === 'constructor' ? 1 : 0));
    this.constructorFields = Uint8Array.from(fields, ({ key }) => (key === 'constructor' ? 1 : 0));
    this.fieldStarts = runningTotal(nodes.map((node) => node.children.size));
    this.#parents = Int32Array.from(fields, ({ parent }) => parent);
    this.kinds = Uint8Array.from(fields, ({ field }) =>
      'node' in field ? FIELD_KINDS.object : FIELD_KINDS[schema.columns[field.column]!.type],
    );
    this.targets = Int32Array.from(fields, ({ field }) =>
      'node' in field ? nodeIndex.get(field.node)! : field.column,
    );
    this.keyStarts = runningTotal(keys.map((key) => key.length));
    this.keyBytes = new Uint8Array(this.keyStarts[keys.length]!);
    for (const [field, key] of keys.entries()) this.keyBytes.set(key, this.keyStarts[field]);
    this.plainLengths = Int32Array.from(keys, (key) => (key.some(isEscaped) ? -1 : key.length));
    this.#hashes = Int32Array.from(keys, (key) => hashBytes(key, 0, key.length));
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * fields.length + 2)));
    this.#fillSlots();
  }

  /** Field of node `parent` whose key is `bytes[start, end)`, or −1. @param hash `hashBytes` of the key. */
  find(parent: number, bytes: Uint8Array, start: number, end: number, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = slotOf(parent, hash) & mask; ; slot = (slot + 1) & mask) {
      const field = this.#slots[slot]! - 1;
      if (field < 0) return -1;
      if (this.#hashes[field] === hash && this.#parents[field] === parent && this.#equals(field, bytes, start, end)) {
        return field;
      }
    }
  }

  /** Escaped path of the unknown field `key` of node `parent`. */
  describe(parent: number, key: string): string {
    return escapePath([...this.paths[parent]!, key]);
  }

  #equals(field: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.keyStarts[field]!;
    const length = end - start;
    if (this.keyStarts[field + 1]! - from !== length) return false;
    for (let i = 0; i < length; i++) if (this.keyBytes[from + i] !== bytes[start + i]) return false;
    return true;
  }

  #fillSlots(): void {
    const mask = this.#slots.length - 1;
    for (let field = 0; field < this.fieldCount; field++) {
      let slot = slotOf(this.#parents[field]!, this.#hashes[field]!) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = field + 1;
    }
  }
}

function buildTree(columns: readonly Column[]): TreeNode {
  const root: TreeNode = { path: [], children: new Map() };
  for (const [index, column] of columns.entries()) {
    let node = root;
    for (const segment of column.path.slice(0, -1)) node = childNode(node, segment, column);
    const key = column.path.at(-1)!;
    if (node.children.has(key)) throw invalid(column, 'another column lies inside of it');
    node.children.set(key, { column: index });
  }
  return root;
}

function childNode(node: TreeNode, segment: string, column: Column): TreeNode {
  const known = node.children.get(segment);
  if (known === undefined) {
    const child: TreeNode = { path: [...node.path, segment], children: new Map() };
    node.children.set(segment, { node: child });
    return child;
  }
  if (!('node' in known)) throw invalid(column, 'it lies inside of another column');
  return known.node;
}

/** The root, then all nodes level by level. */
function listNodes(root: TreeNode): TreeNode[] {
  const nodes = [root];
  for (const node of nodes) for (const field of node.children.values()) if ('node' in field) nodes.push(field.node);
  return nodes;
}

function runningTotal(counts: readonly number[]): Int32Array {
  const totals = new Int32Array(counts.length + 1);
  for (const [index, count] of counts.entries()) totals[index + 1] = totals[index]! + count;
  return totals;
}

function isEscaped(byte: number): boolean {
  return byte < SPACE || byte === QUOTE || byte === BACKSLASH;
}
