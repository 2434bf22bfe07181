import { join, relative, resolve, sep } from 'node:path';

import type { ConfigFault } from '../errors.ts';
import type { Config } from './schema.ts';
import type { SoundParts } from './sound.ts';

/** With more of them, comparing could take time without end. */
const WILDCARDS_MAX = 10;

/**
 * Paths of a source that take in what belongs to the pipeline itself. Private keys would be stored as records for everyone
 * who reads the store, and each run would read what the one before has stored.
 * @param path absolute path of the configuration file. Links are not followed.
 */
export function checkOwnFiles(config: Config, path: string, sound: SoundParts): ConfigFault[] {
  if (!sound.has('/source/files') || config.source.files === null) return [];
  const folder = resolve(path, '..');
  const own = [...ownFiles(config, path, sound)].map((file) => resolve(folder, file));
  return sound.itemsOf('/source/files/paths', config.source.files.paths).flatMap(({ at, item }) => {
    const taken = own.find((file) => takesIn(resolve(folder, item), file));
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

/** Files that must not be read as data; of the store, a few that stand for all. */
function* ownFiles({ keys, trust, store }: Config, path: string, sound: SoundParts): Generator<string> {
  for (const name of ['ingest', 'publisher', 'approver'] as const) if (sound.has(`/keys/${name}`)) yield keys[name];
  if (sound.has('/trust')) yield trust;
  yield path;
  if (!sound.has('/store/url') || store.url.startsWith('s3://')) return;
  yield join(store.url, 'p/log/t/0/00000000000000000000');
  yield join(store.url, 'p/data/t/0/0-1.parquet');
  yield join(store.url, 'p/evidence/t/0/0-1.json');
}

/** True when a path or pattern of a source leads to a file. @param given absolute. */
function takesIn(given: string, file: string): boolean {
  const first = given.search(/[*?[{(]/);
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
