import type { JsonPlan } from './json-plan.ts';
import type { JsonReader } from './json-reader.ts';

/** Unknown fields that are counted by name. */
export const EXTRA_NAMES_MAX = 100;
/** Power of two, sparse enough that a lookup ends at once. */
const SLOTS = 512;
/** Where all other unknown fields are counted. */
export const EXTRA_REST = '…';

interface KnownName {
  readonly node: number;
  readonly key: Uint8Array;
  readonly path: string;
  rows: number;
}

/**
 * Counts rows by the unknown fields they have: the first 100 names, and under `…` the rows with any other or with a
 * field of that very name.
 */
export class ExtraFields {
  readonly #plan: JsonPlan;
  #names: KnownName[] = [];
  readonly #slots = new Uint8Array(SLOTS);
  #restRows = 0;

  constructor(plan: JsonPlan) {
    this.#plan = plan;
  }

  /** Counts the record that `reader` has just read to its end. */
  count(reader: JsonReader): void {
    const { keys, text } = reader;
    let rest = false;
    for (let entry = 0; entry < keys.size; entry++) {
      const node = keys.scope(entry);
      // Scopes past the plan's nodes are objects inside of values that were skipped.
      if (node >= this.#plan.nodeCount) continue;
      const at = keys.start(entry);
      const name =
        at < 0
          ? this.#find(node, text.scratch, ~at, keys.length(entry), keys.hash(entry))
          : this.#find(node, text.bytes, at, keys.length(entry), keys.hash(entry));
      if (name === undefined) rest = true;
      else name.rows++;
    }
    if (rest) this.#restRows++;
  }

  /** The counts so far, in order of first appearance; starts from nothing. */
  take(): ReadonlyMap<string, number> {
    const counts = new Map(this.#names.map(({ path, rows }) => [path, rows]));
    if (this.#restRows > 0) counts.set(EXTRA_REST, this.#restRows);
    this.#names = [];
    this.#slots.fill(0);
    this.#restRows = 0;
    return counts;
  }

  #find(node: number, source: Uint8Array, start: number, length: number, hash: number): KnownName | undefined {
    const mixed = hash ^ (hash >>> 15) ^ node;
    let slot = mixed & (SLOTS - 1);
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & (SLOTS - 1)) {
      const name = this.#names[this.#slots[slot]! - 1]!;
      if (name.node === node && isSame(name.key, source, start, length)) return name;
    }
    if (this.#names.length === EXTRA_NAMES_MAX) return undefined;
    const key = source.slice(start, start + length);
    const path = this.#plan.describe(node, Buffer.from(key).toString('utf8'));
    if (path === EXTRA_REST) return undefined;
    const added = { node, key, path, rows: 0 };
    this.#names.push(added);
    this.#slots[slot] = this.#names.length;
    return added;
  }
}

function isSame(key: Uint8Array, source: Uint8Array, start: number, length: number): boolean {
  if (key.length !== length) return false;
  for (let i = 0; i < length; i++) if (key[i] !== source[start + i]) return false;
  return true;
}
