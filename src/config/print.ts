import { ConfigSchema } from './schema.ts';

interface Node {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly patternProperties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly enum?: readonly string[];
}

const NO_DEFAULT: Readonly<Record<string, unknown>> = { pipeline: 'my-pipeline', deployment: '0123456789abcdef' };

/** The JSON Schema of the configuration file, for editors. */
export function printJsonSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Headgate configuration',
    ...(structuredClone(ConfigSchema) as object),
  };
  return `${JSON.stringify(withoutRequiredDefaults(schema), null, 2)}\n`;
}

/** A configuration with every key at its default, each with its meaning; optional parts are commented out. */
export function printDefaults(): string {
  const head = [
    '# Every key of headgate.yaml, its default and its meaning. Generated from src/config/schema.ts (npm run generate).',
    '# Texts may hold ${NAME} (environment) and ${file:PATH}; secrets belong there. Relative paths start from this file.',
    '',
  ];
  return `${[...head, ...printGroup(ConfigSchema as unknown as Node, '')].join('\n')}\n`;
}

function printGroup(group: Node, indent: string): string[] {
  return Object.entries(group.properties ?? {}).flatMap(([name, node]) => printKey(name, node, indent));
}

function printKey(name: string, node: Node, indent: string): string[] {
  const comment = `${indent}# ${describe(node)}`;
  if (node.type === 'object' && node.properties !== undefined && node.default !== undefined)
    return [comment, `${indent}${name}:`, ...printGroup(node, `${indent}  `)];
  const value = node.default === undefined ? (NO_DEFAULT[name] ?? null) : node.default;
  const lines = [comment, `${indent}${name}: ${JSON.stringify(value)}`];
  const inner =
    node.anyOf?.find(({ type }) => type === 'object') ??
    (node.items?.type === 'object' ? node.items : Object.values(node.patternProperties ?? {})[0]);
  return inner?.properties === undefined ? lines : [...lines, ...printExample(inner, indent, node.items !== undefined)];
}

/** What an optional group or an item of a list looks like, commented out. */
function printExample(inner: Node, indent: string, isItem: boolean): string[] {
  const lines = Object.entries(inner.properties ?? {}).flatMap(([name, node]) => {
    const required = (inner.required ?? []).includes(name) && node.default === undefined;
    const nested = node.anyOf?.find(({ type }) => type === 'object') ?? (node.type === 'object' ? node : undefined);
    const fallback = node.default === undefined ? '…' : JSON.stringify(node.default);
    const text =
      node.enum === undefined
        ? (node.description ?? '')
        : `${node.description ?? ''} One of ${node.enum.join(', ')}.`.trim();
    const own = `${name}: ${fallback}${text === '' ? '' : `  # ${text}`}${required ? ' Required.' : ''}`;
    return [
      own,
      ...(nested?.properties === undefined
        ? []
        : printExample(nested, '', false).map((line) => line.replace(/^# {3}/, '  '))),
    ];
  });
  return lines.map((line, i) => `${indent}#   ${isItem ? (i === 0 ? '- ' : '  ') : ''}${line}`);
}

function describe(node: Node): string {
  const choices = node.enum ?? [];
  return `${node.description ?? ''}${choices.length === 0 ? '' : ` One of ${choices.join(', ')}.`}`;
}

/** A key with a default need not be given. */
function withoutRequiredDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRequiredDefaults);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, withoutRequiredDefaults(inner)]),
  ) as Record<string, unknown>;
  const properties = copy['properties'] as Record<string, Node> | undefined;
  if (properties !== undefined && Array.isArray(copy['required']))
    copy['required'] = (copy['required'] as string[]).filter((name) => properties[name]?.default === undefined);
  return copy;
}
