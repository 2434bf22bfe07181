import { isGroup } from './complete.ts';
import { describeChoices } from './describe.ts';
import type { SchemaNode } from './nodes.ts';
import { ConfigSchema } from './schema.ts';

const WIDTH = 110;
const HEAD = `\
yaml-language-server: $schema=./schema.json

Every key of the configuration with its default. Generated from the schema; a valid configuration itself.

\`headgate init\` writes the few keys that you need. Take from here what you want to change; all else may be left
out. Unknown keys are refused. Relative paths start from the folder of the file.

Any text may hold \${NAME}, an environment variable, or \${file:PATH}, the content of a file; that is the place of
secrets. A literal \${ is written $\${.

A "#" without a space behind it turns off a key that is null or empty by default; what it shows is an example.`;

/** A configuration with every key at its default, each with its meaning; what is off by default is commented out. */
export function printDefaults(): string {
  const keys = Object.entries(ConfigSchema.properties).map(([key, node]) => printKey(key, node as SchemaNode));
  return `${[comment(HEAD), ...keys].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** Lines of one key, its comment first. */
function printKey(key: string, node: SchemaNode): string[] {
  const { properties, items, patternProperties } = memberOf(node);
  const isOff = isEmpty(node.default);
  const head = comment(`${node.description ?? ''}${describeChoices(node)}`);
  if (patternProperties !== undefined || items?.type === 'object') {
    const [example] = node.examples ?? memberOf(node).examples ?? [];
    return [...head, ...off([`${key}:`, ...indent(printExample(memberOf(node), example))])];
  }
  if (properties !== undefined) {
    const lines = [`${key}:`, ...indent(printGroup(properties))];
    // The file must be a valid one, so one source is on.
    return [...head, ...(isOff && node.anyOf !== undefined && key !== 'files' ? off(lines) : lines)];
  }
  const value = isOff || node.default === undefined ? exampleOf(node) : node.default;
  const line = [`${key}: ${yaml(value)}${inWords(key, value)}`];
  return [...head, ...(isOff ? off(line) : line)];
}

function printGroup(properties: Readonly<Record<string, SchemaNode>>): string[] {
  return Object.entries(properties).flatMap(([key, node]) => printKey(key, node));
}

/** A list of groups or a map, with its example; keys that the example does not use are off. */
function printExample({ items, patternProperties }: SchemaNode, example: unknown): string[] {
  if (patternProperties !== undefined) return plain(example);
  const [entry] = example as readonly Readonly<Record<string, unknown>>[];
  let isFirst = true;
  return Object.entries(items!.properties!).flatMap(([key, node]) => {
    const isUsed = Object.hasOwn(entry!, key);
    const value = isUsed ? entry![key] : exampleOf(node);
    const line = `${key}: ${yaml(value)}${inWords(key, value)}`;
    const head = indent(comment(`${node.description ?? ''}${describeChoices(node)}`));
    if (!isUsed) return [...head, ...indent(off([line]))];
    const mark = isFirst ? '- ' : '  ';
    isFirst = false;
    return [...head, `${mark}${line}`];
  });
}

/** Lines of a nested value, without comments. */
function plain(value: unknown): string[] {
  if (!isGroup(value)) return [yaml(value)];
  return Object.entries(value).flatMap(([key, inner]) =>
    isGroup(inner) ? [`${key}:`, ...indent(plain(inner))] : [`${key}: ${yaml(inner)}`],
  );
}

/** The node itself, or the one that a nullable node holds. */
function memberOf(node: SchemaNode): SchemaNode {
  return node.anyOf?.find(({ type }) => type !== 'null') ?? node;
}

function exampleOf(node: SchemaNode): unknown {
  return [...(node.examples ?? []), ...(memberOf(node).examples ?? []), ...(node.enum ?? []), null][0];
}

function isEmpty(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

/** A comment of full lines: an empty line parts paragraphs, any other line end of the text is only that of our sources. */
function comment(text: string): string[] {
  return text.split('\n\n').flatMap((paragraph, i) => {
    const lines = wrap(paragraph.replaceAll('\n', ' ')).map((line) => `# ${line}`);
    return i === 0 ? lines : ['#', ...lines];
  });
}

function wrap(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
const off = (lines: readonly string[]): string[] => lines.map((line) => `#${line}`);

/** A large number in a unit that people think in, as a comment behind it; empty where there is none. */
function inWords(key: string, value: unknown): string {
  const units = /ms$/i.test(key) ? DURATIONS : /bytes(max)?$/i.test(key) ? SIZES : [];
  const unit = typeof value === 'number' ? units.find(([, size]) => value >= size && value % size === 0) : undefined;
  return unit === undefined ? '' : ` # ${(value as number) / unit[1]} ${unit[0]}`;
}

const SIZES: readonly (readonly [unit: string, bytes: number])[] = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
];
const DURATIONS: readonly (readonly [unit: string, ms: number])[] = [
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
];

/** A scalar or a list of scalars, on one line. */
function yaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yaml).join(', ')}]`;
  if (typeof value !== 'string') return JSON.stringify(value);
  if (/^(?!(?:true|false|null|yes|no|on|off|y|n)$)[A-Za-z][\w -]*$/i.test(value)) return value;
  return /[\p{Cc}]/u.test(value) ? JSON.stringify(value) : `'${value.replaceAll("'", "''")}'`;
}
