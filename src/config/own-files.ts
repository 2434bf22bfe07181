import { dirname, join, relative, resolve, sep } from 'node:path';

import type { ConfigFault } from '../errors.ts';
import type { Config } from './schema.ts';
import { SoundParts } from './sound.ts';

/** With more of them, comparing could take time without end. */
const WILDCARDS_MAX = 10;
const WILDCARD = /[*?[{(]/;

/** Files and folders of a pipeline itself, as absolute paths. */
export interface OwnPaths {
  readonly files: readonly string[];
  /** Each with all that is below it. */
  readonly folders: readonly string[];
}

/**
 * What must not be read as data, wherever the paths of a source lead by the time that they are looked up. Other files of a
 * folder with keys count too, and other pipelines of the store, but not where the configuration itself is among them.
 * @param path absolute path of the configuration file.
 */
export function ownPaths(config: Config, path: string, sound = new SoundParts([])): OwnPaths {
  const folder = dirname(path);
  const keys = [...keyFiles(config, sound)].map((file) => resolve(folder, file));
  const files = [...keys, ...(sound.has('/trust') ? [resolve(folder, config.trust)] : []), path];
  const store = storeFolder(config, sound);
  const whole = [...keys.map((file) => dirname(file)), ...(store === null ? [] : [resolve(folder, store)])];
  const part = store === null || !sound.has('/pipeline') ? [] : [resolve(folder, store, config.pipeline)];
  return { files, folders: [...new Set([...whole.filter((each) => !path.startsWith(withEnd(each))), ...part])] };
}

/**
 * Paths of a source that take in what belongs to the pipeline itself. Private keys would be stored as records for everyone
 * who reads the store, and each run would read what the one before has stored.
 * @param path absolute path of the configuration file. Links are not followed.
 */
export function checkOwnFiles(config: Config, path: string, sound: SoundParts): ConfigFault[] {
  if (!sound.has('/source/files') || config.source.files === null) return [];
  const folder = resolve(path, '..');
  const { files, folders } = ownPaths(config, path, sound);
  const own = [...files, ...storedFiles(config, sound).map((file) => resolve(folder, file))];
  return sound.itemsOf('/source/files/paths', config.source.files.paths).flatMap(({ at, item }) => {
    const given = resolve(folder, item);
    const taken =
      own.find((file) => takesIn(given, file)) ?? folders.find((each) => fixedPart(given).startsWith(withEnd(each)));
    if (taken === undefined) return [];
    const name = relative(folder, taken).split(sep).join('/');
    return [
      {
        path: at,
        message: `takes in ${JSON.stringify(name)}, which belongs to this pipeline itself; wanted a folder of the data’s own, or a pattern such as data/*.ndjson`,
      },
    ];
  });
}

function* keyFiles({ keys }: Config, sound: SoundParts): Generator<string> {
  for (const name of ['ingest', 'publisher', 'approver'] as const) if (sound.has(`/keys/${name}`)) yield keys[name];
}

/** Null where the store is no folder. */
function storeFolder({ store }: Config, sound: SoundParts): string | null {
  return sound.has('/store/url') && !store.url.startsWith('s3://') ? store.url : null;
}

/** A few files of the store that stand for all. */
function storedFiles(config: Config, sound: SoundParts): string[] {
  const store = storeFolder(config, sound);
  if (store === null) return [];
  const pipeline = sound.has('/pipeline') ? config.pipeline : 'p';
  return ['log/t/0/00000000000000000000', 'data/t/0/0-1.parquet', 'evidence/t/0/0-1.json'].map((name) =>
    join(store, pipeline, name),
  );
}

/** The part of a path or pattern in which there is no wildcard, up to and with the last folder. @param given absolute. */
function fixedPart(given: string): string {
  const first = given.search(WILDCARD);
  return first === -1 ? withEnd(given) : given.slice(0, given.lastIndexOf(sep, first) + 1);
}

/** True when a path or pattern of a source leads to a file. @param given absolute. */
function takesIn(given: string, file: string): boolean {
  const first = given.search(WILDCARD);
  if (first === -1) return given === file || (file.startsWith(withEnd(given)) && !isHidden(file.slice(given.length)));
  const end = given.lastIndexOf(sep, first) + 1;
  if (!file.startsWith(given.slice(0, end)) || isHidden(file.slice(end - 1))) return false;
  const pattern = toRegExp(given.slice(end));
  return pattern?.test(file.slice(end)) === true;
}

function withEnd(folder: string): string {
  return folder.endsWith(sep) ? folder : folder + sep;
}

/** Names that begin with a dot are left out by folders and patterns. */
function isHidden(path: string): boolean {
  return path.includes(`${sep}.`);
}

const PARTS: Readonly<Record<string, string>> = {
  '**/': '(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
  '?': '[^/]',
  '{': '(?:',
  '}': ')',
  ',': '|',
};

/** The usual globs; null for one that is out of the ordinary. */
function toRegExp(pattern: string): RegExp | null {
  if ((pattern.match(/[*?]+/g) ?? []).length > WILDCARDS_MAX) return null;
  const text = pattern
    .split(sep)
    .join('/')
    .replace(/\*\*\/|\*+|[?{},.+^$()|[\]\\]/g, (part) => PARTS[part] ?? (part === '.' ? String.raw`\.` : part));
  try {
    return new RegExp(`^${text}$`, 'u');
  } catch {
    return null;
  }
}
