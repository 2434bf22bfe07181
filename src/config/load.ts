import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { Value } from 'typebox/value';

import { ConfigError, type ConfigFault } from '../errors.ts';
import { sha256Hex } from '../record/sha256.ts';
import { checkShape } from './check-shape.ts';
import { complete, isGroup } from './complete.ts';
import { describeFound } from './describe.ts';
import { checkMeaning } from './meaning.ts';
import type { SchemaNode } from './nodes.ts';
import { checkOwnFiles } from './own-files.ts';
import { parseYaml } from './parse-yaml.ts';
import { resolveReferences, type ReferenceContext } from './references.ts';
import { ConfigSchema, type Config } from './schema.ts';
import { SoundParts } from './sound.ts';

/** A configuration as it was read: checked, complete, references replaced. */
export interface LoadedConfig {
  readonly config: Config;
  /** Folder that relative paths in it start from. */
  readonly folder: string;
  readonly path: string;
  /** SHA-256 of the settings that decide what happens to records, before references were replaced; signed in every entry. */
  readonly digest: string;
  /** Why there is no passphrase: only whoever opens an encrypted key needs one. */
  readonly passphraseFault?: ConfigFault;
}

const PASSPHRASE = '/keys/passphrase';

/**
 * Reads and checks a configuration file.
 * @param environment what `${NAME}` refers to.
 * @throws ConfigError CONFIG_NOT_FOUND, or CONFIG_INVALID with every fault at once (matrix C2, C3, G1–G6, G11, G13); no
 * message holds a secret.
 */
export async function loadConfig(path: string, environment: ReferenceContext['environment']): Promise<LoadedConfig> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(path, cause);
  });
  return parseConfig(text, resolve(path), environment);
}

/**
 * The same from text.
 * @param path names it in messages, and gives the folder of relative paths.
 * @throws ConfigError CONFIG_INVALID
 */
export function parseConfig(text: string, path: string, environment: ReferenceContext['environment']): LoadedConfig {
  const folder = dirname(path);
  const schema = ConfigSchema as unknown as SchemaNode;
  const raw = complete(schema, parseYaml(text, path));
  const faults: ConfigFault[] = [];
  const resolved = resolveReferences(raw, { folder, environment, faults });
  const passphraseFault = faults.find((fault) => fault.path === PASSPHRASE);
  const isAsked = new Set(faults.map((fault) => fault.path));
  // A reference that leads nowhere has been told of; what is left in its place is no other fault.
  faults.push(...checkShape(schema, resolved, raw).filter((fault) => !isAsked.has(fault.path)));
  if (faults.length === 0 && !Value.Check(ConfigSchema, resolved))
    faults.push({ path: '/', message: 'does not match the schema' });
  const [config, sound] = [resolved as Config, new SoundParts(faults)];
  faults.push(...checkMeaning(config, sound, (at) => describeAt(schema, raw, at)));
  faults.push(...checkOwnFiles(config, path, sound));
  if (faults.some((fault) => fault !== passphraseFault))
    throw new ConfigError(
      'CONFIG_INVALID',
      `Cannot use configuration "${path}": it has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}`,
      faults,
    );
  const loaded = { config, folder, path, digest: configDigest(raw as Config) };
  return passphraseFault === undefined ? loaded : { ...loaded, passphraseFault };
}

/** Of what decides how records are read, judged and published; where they come from and who is told is left out. */
function configDigest({ pipeline, mode, source, topicDefaults, topics, batch, judge }: Config): string {
  const { files } = source;
  const read = files === null ? null : { format: files.format, csv: files.csv };
  const text = JSON.stringify({ pipeline, mode, read, topicDefaults, topics, batch, judge }, inOrder);
  return sha256Hex(Buffer.from(text, 'utf8'));
}

/** Keys in code unit order, so that moving lines in the file changes nothing. */
function inOrder(_: string, value: unknown): unknown {
  return isGroup(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
}

/** What stands at a JSON pointer, as a message may show it. */
function describeAt(schema: SchemaNode, raw: unknown, path: string): string {
  let node: SchemaNode | undefined = schema;
  let value = raw;
  for (const part of path.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    const inner: SchemaNode | undefined = node?.anyOf?.find(({ type }) => type !== 'null') ?? node;
    node = inner?.properties?.[key] ?? inner?.items ?? Object.values(inner?.patternProperties ?? {})[0];
    value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
  }
  return describeFound(node, value);
}

function unreadable(path: string, cause: NodeJS.ErrnoException): ConfigError {
  if (cause.code === 'ENOENT')
    return new ConfigError(
      'CONFIG_NOT_FOUND',
      `Cannot read configuration "${path}": it does not exist (mend: headgate init, or --config FILE)`,
      [],
      { cause },
    );
  const why = cause.code === 'EISDIR' ? 'it is a folder, wanted a file' : `it cannot be read (${cause.code ?? '?'})`;
  return new ConfigError('CONFIG_INVALID', `Cannot read configuration "${path}": ${why}`, [], { cause });
}
