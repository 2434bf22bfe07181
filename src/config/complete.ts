import type { SchemaNode } from './nodes.ts';

/**
 * A copy of `value` with the defaults of everything that must be there and is not. What may be absent stays so: the
 * entries of `topics` name only what differs from topicDefaults. A value of a wrong shape is kept for the checker.
 */
export function complete(node: SchemaNode, value: unknown): unknown {
  if (node.anyOf !== undefined) {
    const member = node.anyOf.find(({ type }) => type === (Array.isArray(value) ? 'array' : typeof value));
    return member === undefined ? value : complete(member, value);
  }
  if (Array.isArray(value)) return value.map((item) => (node.items === undefined ? item : complete(node.items, item)));
  // A group whose keys are all commented out is null in YAML.
  if (value === null && node.type === 'object' && node.default !== undefined) return complete(node, {});
  if (!isGroup(value)) return value;
  const { properties = {}, patternProperties = {}, required = [] } = node;
  const entry = Object.values(patternProperties)[0];
  const given = Object.entries(value).map(([key, inner]) => {
    const child = Object.hasOwn(properties, key) ? properties[key] : entry;
    return [key, child === undefined ? inner : complete(child, inner)];
  });
  const missing = required
    .filter((key) => !Object.hasOwn(value, key) && properties[key]?.default !== undefined)
    .map((key) => [key, complete(properties[key]!, structuredClone(properties[key]!.default))]);
  return Object.fromEntries([...given, ...missing]);
}

/** True for a mapping: neither a list nor null. */
export function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
