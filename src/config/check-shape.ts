import type { ConfigFault } from '../errors.ts';
import { isGroup } from './complete.ts';
import { describeFound, describeWanted } from './describe.ts';
import type { SchemaNode } from './nodes.ts';
import { suggest } from '../record/suggest.ts';

/** How the message of a key that nobody knows begins; it may be another key, misspelt. */
export const UNKNOWN_KEY = 'unknown key';

/** Where a check stands, and what it adds to. */
interface Place {
  /** JSON pointer (RFC 6901). */
  readonly path: string;
  /** The value as it stands in the file. */
  readonly raw: unknown;
  readonly faults: ConfigFault[];
}

/**
 * Every fault of a value against its schema, in words: where, what was found, what is wanted. Written by hand because the
 * library stops after a few faults, names alternatives one by one, and prints what may be a secret.
 * @param raw the same value before references were replaced.
 */
export function checkShape(schema: SchemaNode, value: unknown, raw: unknown): ConfigFault[] {
  const faults: ConfigFault[] = [];
  check(schema, value, { path: '', raw, faults });
  return faults;
}

/** A JSON pointer one key or index deeper. */
export function pointer(path: string, key: string | number): string {
  return `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function check(node: SchemaNode, value: unknown, place: Place): void {
  const { anyOf } = node;
  if (anyOf !== undefined) {
    const member = anyOf.find((each) => isOfType(each, value));
    return member === undefined ? wrong(node, place) : check(member, value, place);
  }
  if (node.enum !== undefined) return checkEnum(node, value, place);
  if (!isOfType(node, value)) return wrong(node, place);
  if (isGroup(value)) checkGroup(node, value, place);
  else if (Array.isArray(value)) checkList(node, value, place);
  else if (typeof value === 'string') checkText(node, value, place);
  else if (typeof value === 'number') checkNumber(node, value, place);
}

function checkGroup(node: SchemaNode, value: Readonly<Record<string, unknown>>, place: Place): void {
  const { properties = {}, patternProperties = {}, required = [] } = node;
  const entry = Object.entries(patternProperties)[0];
  const at = (key: string): Place => ({ ...place, path: pointer(place.path, key), raw: childOf(place.raw, key) });
  for (const [key, inner] of Object.entries(value)) {
    const child = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (child !== undefined) check(child, inner, at(key));
    else if (entry !== undefined && new RegExp(entry[0], 'u').test(key)) check(entry[1], inner, at(key));
    else place.faults.push({ path: at(key).path, message: `${UNKNOWN_KEY}${suggest(key, Object.keys(properties))}` });
  }
  for (const key of required) {
    const child = properties[key]!;
    if (!Object.hasOwn(value, key))
      place.faults.push({ path: at(key).path, message: `is missing, wanted ${describeWanted(child)}` });
  }
}

function checkList(node: SchemaNode, value: readonly unknown[], place: Place): void {
  const { items, minItems = 0, maxItems = Infinity } = node;
  if (value.length < minItems) fault(place, `is empty, wanted at least ${minItems === 1 ? 'one entry' : minItems}`);
  if (value.length > maxItems) fault(place, `has ${value.length} entries, at most ${maxItems} are allowed`);
  if (items === undefined) return;
  for (const [i, item] of value.entries())
    check(items, item, { ...place, path: pointer(place.path, i), raw: childOf(place.raw, String(i)) });
}

function checkEnum(node: SchemaNode, value: unknown, place: Place): void {
  if (node.enum!.includes(value as string)) return;
  const near = typeof place.raw === 'string' ? suggest(place.raw, node.enum!) : '';
  fault(place, `is ${describeFound(node, place.raw)}, wanted ${describeWanted(node)}${near}`);
}

function checkText(node: SchemaNode, value: string, place: Place): void {
  const { minLength = 0, maxLength = Infinity, pattern } = node;
  // Characters as JSON Schema counts them: code points.
  const length = Array.from(value).length;
  if (length > maxLength) fault(place, `has ${length} characters, at most ${maxLength} are allowed`);
  else if (length < minLength || (pattern !== undefined && !new RegExp(pattern, 'u').test(value))) wrong(node, place);
}

function checkNumber(node: SchemaNode, value: number, place: Place): void {
  const { minimum = -Infinity, exclusiveMinimum = -Infinity, maximum = Infinity } = node;
  if (!Number.isFinite(value) || value < minimum || value <= exclusiveMinimum || value > maximum) wrong(node, place);
}

function isOfType(node: SchemaNode, value: unknown): boolean {
  switch (node.type) {
    case 'object':
      return isGroup(value);
    case 'array':
      return Array.isArray(value);
    case 'null':
      return value === null;
    case 'integer':
      return Number.isInteger(value);
    case undefined:
      return node.enum?.includes(value as string) === true;
    case 'string':
    case 'number':
    case 'boolean':
    default:
      return typeof value === node.type;
  }
}

function wrong(node: SchemaNode, place: Place): void {
  fault(place, `is ${describeFound(node, place.raw)}, wanted ${describeWanted(node)}`);
}

function fault({ path, faults }: Place, message: string): void {
  faults.push({ path: path === '' ? '/' : path, message });
}

function childOf(raw: unknown, key: string): unknown {
  return typeof raw === 'object' && raw !== null && Object.hasOwn(raw, key)
    ? (raw as Readonly<Record<string, unknown>>)[key]
    : undefined;
}
