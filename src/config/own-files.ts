import type { Dirent } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';

import { globSync, isDynamicPattern, type GlobOptions } from 'tinyglobby';

import type { ConfigFault } from '../errors.ts';
import type { Config } from './schema.ts';
import { SoundParts } from './sound.ts';

/** With more of them, comparing could take time without end. */
const WILDCARDS_MAX = 10;
/** Below stateFolder: what this machine has seen of the store. */
const MARKS = 'marks';
const WILDCARD = /[*?[{(]|[+@!]\(/;

/** Files and folders of a pipeline itself, as absolute paths. */
export interface OwnPaths {
  readonly files: readonly string[];
  /** Each with the files that lie directly in it. */
  readonly keyFolders: readonly string[];
  /** Each with all that is below it. */
  readonly folders: readonly string[];
}

/**
 * What must not be read as data, wherever the paths of a source lead by the time that they are looked up. Other files beside
 * a key count too, and other pipelines of the store, but not where the configuration itself is among them.
 * @param path absolute path of the configuration file.
 */
export function ownPaths(config: Config, path: string, sound = new SoundParts([])): OwnPaths {
  const folder = dirname(path);
  const keys = [...keyFiles(config, sound)].map((file) => resolve(folder, file));
  const files = [...keys, ...(sound.has('/trust') ? [resolve(folder, config.trust)] : []), path];
  const [wholes, parts]: [string[], string[]] = [[], []];
  const store = storeFolder(config, sound);
  if (store !== null) {
    wholes.push(resolve(folder, store));
    if (sound.has('/pipeline')) parts.push(resolve(folder, store, config.pipeline));
  }
  if (sound.has('/stateFolder')) {
    wholes.push(resolve(folder, config.stateFolder));
    parts.push(resolve(folder, config.stateFolder, MARKS));
  }
  const isApart = (each: string): boolean => !path.startsWith(withEnd(each));
  return {
    files,
    keyFolders: [...new Set(keys.map((file) => dirname(file)).filter(isApart))],
    folders: [...new Set([...wholes.filter(isApart), ...parts])],
  };
}

/**
 * Paths of a source that take in what belongs to the pipeline itself. Private keys would be stored as records for everyone
 * who reads the store, and each run would read what the one before has stored.
 * @param path absolute path of the configuration file. Links are not followed.
 */
export function checkOwnFiles(config: Config, path: string, sound: SoundParts): ConfigFault[] {
  if (!sound.has('/source/files') || config.source.files === null) return [];
  const base = dirname(path);
  const own = ownPaths(config, path, sound);
  const files = [...own.files, ...keptFiles(config, sound).map((file) => resolve(base, file))];
  return sound.itemsOf('/source/files/paths', config.source.files.paths).flatMap(({ at, item }) => {
    const taken = fileWithin(item, base, files) ?? folderAround(item, base, own);
    if (taken === undefined) return [];
    const name = relative(base, taken).split(sep).join('/');
    return [
      {
        path: at,
        message: `takes in ${JSON.stringify(name)}, which belongs to this pipeline itself; wanted a folder of the data’s own, or a pattern such as data/*.ndjson`,
      },
    ];
  });
}

/** The folder of a pipeline itself in which a path lies, or that it is: nothing else may be written there. @param path absolute */
export function ownFolderAround(path: string, { folders, keyFolders }: OwnPaths): string | undefined {
  return [...folders, ...keyFolders].find((folder) => withEnd(path).startsWith(withEnd(folder)));
}

/**
 * The path or pattern of a source that would take in what is pulled into a folder; undefined if none would.
 * @param folder absolute; links are not followed. @param path absolute path of the configuration file.
 */
export function sourceAround(folder: string, { source }: Config, path: string): string | undefined {
  if (source.files === null) return undefined;
  const pulled = [join(folder, source.files.topic, '0', '0-00000000.parquet')];
  return source.files.paths.find((item) => item !== '-' && fileWithin(item, dirname(path), pulled) !== undefined);
}

function* keyFiles({ keys }: Config, sound: SoundParts): Generator<string> {
  for (const name of ['ingest', 'publisher', 'approver'] as const) {
    const path = keys[name];
    if (path !== null && sound.has(`/keys/${name}`)) yield path;
  }
}

/** Null where the store is no folder. */
function storeFolder({ store }: Config, sound: SoundParts): string | null {
  return sound.has('/store/url') && !store.url.startsWith('s3://') ? store.url : null;
}

/** A few files of the store and of the state that stand for all. */
function keptFiles(config: Config, sound: SoundParts): string[] {
  const store = storeFolder(config, sound);
  const pipeline = sound.has('/pipeline') ? config.pipeline : 'p';
  const stored = ['log/t/0/00000000000000000000', 'data/t/0/0-1.parquet', 'evidence/t/0/0-1.json'];
  return [
    ...(store === null ? [] : stored.map((name) => join(store, pipeline, name))),
    ...(sound.has('/stateFolder') ? [join(config.stateFolder, MARKS, '0.json')] : []),
  ];
}

/** The first of `files` that a path or pattern of a source leads to; a file or folder may have the name of a pattern. */
function fileWithin(item: string, base: string, files: readonly string[]): string | undefined {
  const given = resolve(base, item);
  const below = withEnd(given);
  const named = files.find((file) => file === given || (file.startsWith(below) && !isHidden(file.slice(given.length))));
  return named ?? filesMatching(item, base, files)[0];
}

/** The folder of the pipeline in which all lies that a path or pattern of a source could lead to. */
function folderAround(item: string, base: string, { folders, keyFolders }: OwnPaths): string | undefined {
  const given = resolve(base, item);
  const first = given.search(WILDCARD);
  const fixed = first === -1 ? given : dirname(`${given.slice(0, first)}x`);
  const isFlat = first !== -1 && !given.slice(first).includes(sep) && !given.includes('**');
  const own = folders.find((folder) => withEnd(fixed).startsWith(withEnd(folder)));
  return own ?? (isFlat ? keyFolders.find((folder) => folder === fixed) : undefined);
}

/**
 * Those of `files` that a pattern matches, in their order, found by what will look them up in earnest: it is shown a disk on
 * which there is nothing else.
 */
function filesMatching(pattern: string, base: string, files: readonly string[]): readonly string[] {
  if (!isDynamicPattern(pattern) || (pattern.match(/[*?+@!({]+/g) ?? []).length > WILDCARDS_MAX) return [];
  const names = new Map<string, Map<string, boolean>>();
  for (const file of files)
    for (let at = file; dirname(at) !== at; at = dirname(at)) {
      const above = names.get(dirname(at)) ?? new Map<string, boolean>();
      names.set(dirname(at), above.set(basename(at), at === file));
    }
  const readdirSync = (path: string): Partial<Dirent>[] =>
    [...(names.get(resolve(path)) ?? [])].map(([name, isFile]) => ({
      name,
      isFile: () => isFile,
      isDirectory: () => !isFile,
      isSymbolicLink: () => false,
    }));
  // The type wants all overloads of the real one; this is the call that is made.
  const fs = { readdirSync } as unknown as NonNullable<GlobOptions['fs']>;
  // As in find-files.ts; a test holds the two together.
  const options = { cwd: base, absolute: true, onlyFiles: true, dot: false, expandDirectories: false, fs };
  try {
    const found = new Set(globSync(pattern.replace(/(?<!^)\/{2,}/g, '/'), options).map((path) => resolve(path)));
    return files.filter((file) => found.has(file));
  } catch (error) {
    // The matcher's, of a pattern that nothing could match.
    if (error instanceof TypeError) return [];
    throw error;
  }
}

function withEnd(folder: string): string {
  return folder.endsWith(sep) ? folder : folder + sep;
}

/** Names that begin with a dot are left out by folders and patterns. */
function isHidden(path: string): boolean {
  return path.includes(`${sep}.`);
}
