import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { Value } from 'typebox/value';
import { parseDocument } from 'yaml';

import { ConfigError, type ConfigFault } from '../errors.ts';
import { sha256Hex } from '../record/sha256.ts';
import { checkMeaning } from './meaning.ts';
import { resolveReferences } from './references.ts';
import { ConfigSchema, type Config } from './schema.ts';
import { suggest } from './suggest.ts';

/** A configuration as it was read: checked, complete, references replaced. */
export interface LoadedConfig {
  readonly config: Config;
  /** Folder that relative paths in it start from. */
  readonly folder: string;
  readonly path: string;
  /** SHA-256 of the settings that decide what happens to records, before references were replaced; signed in every entry. */
  readonly digest: string;
}

/**
 * Reads and checks a configuration file.
 * @throws ConfigError CONFIG_NOT_FOUND, or CONFIG_INVALID with every fault at once (matrix G1–G6, G13)
 */
export async function loadConfig(
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<LoadedConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(
      'CONFIG_NOT_FOUND',
      `Cannot read configuration "${path}" (mend: headgate init, or --config FILE)`,
      [],
      { cause },
    );
  }
  return parseConfig(text, resolve(path), environment);
}

/** The same from text; `path` names it in messages and gives the folder of relative paths. */
export function parseConfig(
  text: string,
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const folder = dirname(path);
  const raw = parseYaml(text, path);
  const faults: ConfigFault[] = [];
  const complete = Value.Default(ConfigSchema, structuredClone(raw));
  const resolved = resolveReferences(Value.Default(ConfigSchema, structuredClone(raw)), folder, environment, faults);
  faults.push(...shapeFaults(resolved));
  if (faults.length === 0) faults.push(...checkMeaning(resolved as Config));
  if (faults.length > 0)
    throw new ConfigError(
      'CONFIG_INVALID',
      `Cannot use configuration "${path}": it has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}`,
      faults,
    );
  return { config: resolved as Config, folder, path, digest: configDigest(complete as Config) };
}

/** Settings of one topic: its own over the defaults. */
export function topicConfig({ topics, topicDefaults }: Config, topic: string): Config['topicDefaults'] {
  return { ...topicDefaults, ...(Object.hasOwn(topics, topic) ? topics[topic] : {}) };
}

function configDigest({ pipeline, mode, topicDefaults, topics, batch, judge }: Config): string {
  return sha256Hex(Buffer.from(JSON.stringify({ pipeline, mode, topicDefaults, topics, batch, judge }), 'utf8'));
}

function parseYaml(text: string, path: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  if (document.errors.length > 0) {
    const faults = document.errors.map((error) => ({
      path: `line ${error.linePos?.[0].line ?? '?'}`,
      message: error.message.split('\n')[0]!,
    }));
    throw new ConfigError('CONFIG_INVALID', `Cannot use configuration "${path}": it is not YAML`, faults);
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new ConfigError('CONFIG_INVALID', `Cannot use configuration "${path}": too many aliases`, [], { cause });
  }
}

/** One fault a cause, in words; the library reports an unknown key twice and a union once per member. */
function shapeFaults(value: unknown): ConfigFault[] {
  const faults = new Map<string, string>();
  for (const { keyword, instancePath, message, params } of Value.Errors(ConfigSchema, value)) {
    const details = params as Record<string, unknown>;
    const path = instancePath || '/';
    const found = describe(valueAt(value, instancePath));
    if (keyword === 'boolean' || keyword === 'anyOf' || (keyword === 'type' && details['type'] === 'null')) continue;
    if (keyword === 'additionalProperties') {
      for (const name of details['additionalProperties'] as string[])
        faults.set(`${instancePath}/${name}`, `unknown key${suggest(name, knownKeys(instancePath))}`);
    } else if (keyword === 'required') {
      for (const name of details['requiredProperties'] as string[]) faults.set(`${instancePath}/${name}`, 'is missing');
    } else if (keyword === 'enum') {
      faults.set(path, `is ${found}, wanted one of ${(details['allowedValues'] as string[]).join(', ')}`);
    } else if (!faults.has(path)) {
      faults.set(path, `is ${found}: ${message}`);
    }
  }
  return [...faults].map(([path, message]) => ({ path, message }));
}

/** Keys that the schema knows at an instance path. */
function knownKeys(instancePath: string): string[] {
  let at: unknown = ConfigSchema;
  for (const segment of instancePath.split('/').slice(1)) at = step(at, segment);
  return Object.keys(objectOf(at)?.properties ?? {});
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly patternProperties?: Readonly<Record<string, unknown>>;
  readonly items?: unknown;
  readonly anyOf?: readonly unknown[];
}

function step(schema: unknown, segment: string): unknown {
  const node = objectOf(schema);
  return node?.properties?.[segment] ?? Object.values(node?.patternProperties ?? {})[0] ?? node?.items;
}

/** The schema itself, or the non-null member of a nullable one. */
function objectOf(schema: unknown): SchemaNode | undefined {
  const node = schema as SchemaNode | undefined;
  return node?.anyOf === undefined
    ? node
    : (node.anyOf.find((member) => 'properties' in (member as object) || 'items' in (member as object)) as
        | SchemaNode
        | undefined);
}

function valueAt(value: unknown, instancePath: string): unknown {
  let at = value;
  for (const segment of instancePath.split('/').slice(1)) at = (at as Record<string, unknown> | undefined)?.[segment];
  return at;
}

/** The found value for a message; texts may be secrets and are only described. */
function describe(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 40 ? `a text of ${value.length} characters` : JSON.stringify(value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'a group';
  return String(value);
}
