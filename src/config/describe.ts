import type { ConfigFault } from '../errors.ts';
import type { SchemaNode } from './nodes.ts';

const SHOWN_MAX = 60;
const REFERENCE = /\$\{/;

/**
 * A value as it was found, for a message. Texts that were referenced, that are secrets, or that stand where no text
 * belongs are only described: they may be secrets in the wrong place.
 * @param raw the value as it stands in the file, references not replaced.
 */
export function describeFound(node: SchemaNode | undefined, raw: unknown): string {
  if (raw === undefined) return 'missing';
  if (Array.isArray(raw)) return 'a list';
  if (typeof raw === 'object' && raw !== null) return 'a group of keys';
  if (typeof raw !== 'string') return JSON.stringify(raw);
  if (raw === '') return 'empty';
  if (!mayShow(node) || REFERENCE.test(raw)) return 'a text';
  return raw.length > SHOWN_MAX ? `a text of ${raw.length} characters` : JSON.stringify(raw);
}

/** Describes what stands at a JSON pointer, as {@link describeFound} does. */
export type Shown = (path: string) => string;

/** Names that must differ: a fault for each that was there before. */
export function repeatedIn(
  names: readonly { readonly at: string; readonly name: string }[],
  shown: Shown,
): ConfigFault[] {
  const seen = new Set<string>();
  return names.flatMap(({ at, name }) => {
    if (seen.has(name)) return [{ path: at, message: `is ${shown(at)} for the second time` }];
    seen.add(name);
    return [];
  });
}

/** What a node takes, for a message. */
export function describeWanted(node: SchemaNode): string {
  if (node.anyOf !== undefined) return node.anyOf.map(describeWanted).join(' or ');
  if (node.enum !== undefined) return `one of ${node.enum.map(quoteOdd).join(', ')}`;
  switch (node.type) {
    case 'object':
      return 'a group of keys';
    case 'array':
      return 'a list';
    case 'null':
      return 'null';
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number${describeRange(node)}`;
    case 'number':
      return `a number${describeRange(node)}`;
    case 'string':
    case undefined:
    default:
      return `a text${describeForm(node)}`;
  }
}

/** ` One of a, b.` for documentation; empty if anything goes. */
export function describeChoices(node: SchemaNode): string {
  return node.enum === undefined ? '' : ` One of ${node.enum.map(quoteOdd).join(', ')}.`;
}

function mayShow(node: SchemaNode | undefined): boolean {
  if (node === undefined || node.writeOnly === true) return false;
  if (node.anyOf !== undefined) {
    // Where a text may stand, it is that text's own node that says whether it is a secret.
    const texts = node.anyOf.filter(({ type }) => type === 'string');
    return (texts.length > 0 ? texts : node.anyOf).every((member) => member.type === 'null' || mayShow(member));
  }
  return node.enum !== undefined || (node.type !== 'object' && node.type !== 'array');
}

function describeRange({ minimum, exclusiveMinimum, maximum = Number.MAX_SAFE_INTEGER }: SchemaNode): string {
  const isOpen = maximum === Number.MAX_SAFE_INTEGER;
  if (minimum !== undefined) return isOpen ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}${isOpen ? '' : ` and at most ${maximum}`}`;
  return isOpen ? '' : ` of at most ${maximum}`;
}

/** ` like "x"` for a text that must have a form. */
function describeForm({ pattern, examples = [] }: SchemaNode): string {
  if (pattern === undefined) return '';
  const example = examples.find((each) => new RegExp(pattern, 'u').test(String(each)));
  return example === undefined ? ` that matches ${pattern}` : ` like ${JSON.stringify(example)}`;
}

function quoteOdd(text: string): string {
  return /^[\w-]+$/.test(text) ? text : JSON.stringify(text);
}
