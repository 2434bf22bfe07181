import { readdir as readdirWith, realpath as realpathWith, stat as statWith, type Dirent, type Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';

import { glob, isDynamicPattern, type GlobOptions } from 'tinyglobby';

import type { ConfigFault } from '../../errors.ts';
import { describeName, nameOf, pathOf, spellPath } from './file-names.ts';
import { isMissing } from './file-trouble.ts';
import { realOf, whyOwn, type OwnPlaces } from './own-places.ts';

/** One file of a file source. */
export interface SourceFile {
  /** Path relative to the base folder with `/` between parts: the id of its partition. */
  readonly id: string;
  /** Absolute path; null for standard input. */
  readonly path: string | null;
}

/** A file or folder that the configured paths lead to, and that cannot be read as others are. */
export interface RefusedFile {
  /** Its path as {@link SourceFile.id}; a byte that is not UTF-8 is `\xFF`. */
  readonly id: string;
  readonly why: string;
}

/** What the configured paths name now. */
export interface FoundFiles {
  /** Sorted by id (code units), each file once. */
  readonly files: readonly SourceFile[];
  /** Files and folders that were found and must be named, because nothing of them is among `files`. */
  readonly refused: readonly RefusedFile[];
  /** Paths that name nothing or cannot be looked at (matrix C2, C3); a glob may match nothing. */
  readonly faults: readonly ConfigFault[];
}

const STDIN = '-';
const LOOKS_AT_ONCE = 64;

/** Told of a folder that cannot be looked into. */
type Refuse = (path: string, why: string) => void;

/**
 * Expands files, folders (all files below them but hidden ones) and globs, as often as it is asked. A file that is found
 * under several names, because of links, is read under one: that by which it was found before, or the shortest.
 * Trust: names are hostile: they may hold any character, and are never joined into a key unescaped.
 */
export class FileFinder {
  readonly #paths: readonly string[];
  readonly #base: string;
  readonly #stdinId: string;
  /** Ids that were found the last time. */
  #known: ReadonlySet<string> = new Set();
  /** Where the paths that were found the last time lead; null for one that was gone again. */
  #targets: ReadonlyMap<string, string | null> = new Map();
  readonly #own: OwnPlaces;

  /**
   * @param base folder that relative paths start from and ids are relative to.
   * @param stdinId partition id of standard input; each run reads another stream, so it must be new.
   * @param own what is refused as data; each search looks where it is.
   */
  constructor(paths: readonly string[], base: string, stdinId: string, own: OwnPlaces) {
    this.#paths = paths;
    this.#base = base;
    this.#stdinId = stdinId;
    this.#own = own;
  }

  /** What the paths name now. */
  async find(): Promise<FoundFiles> {
    const found = new Set<string>();
    const faults: ConfigFault[] = [];
    const refused = new Map<string, RefusedFile>();
    const refuse: Refuse = (path, why) => {
      const id = describeName(this.#idOf(path)) || '.';
      refused.set(id, { id, why });
    };
    for (const [i, given] of this.#paths.entries()) {
      if (given === STDIN) continue;
      const blame = (message: string): void => void faults.push({ path: `/source/files/paths/${i}`, message });
      for (const path of await expand(given, this.#base, blame, refuse)) {
        const name = nameOf(path);
        if (name !== null) found.add(name);
        else refuse(path, 'its name is not UTF-8, so that it can be given no partition');
      }
    }
    await this.#own.look();
    const files = await this.#withoutAliases([...found], refuse);
    if (this.#paths.includes(STDIN)) files.push({ id: this.#stdinId, path: null });
    this.#known = new Set(files.map(({ id }) => id));
    return { files: files.sort((a, b) => (a.id < b.id ? -1 : 1)), refused: [...refused.values()], faults };
  }

  #idOf(path: string): string {
    return relative(this.#base, path).split(sep).join('/');
  }

  /** Drops what is gone by now, what belongs to the pipeline itself, and all names of a file but one. */
  async #withoutAliases(paths: readonly string[], refuse: Refuse): Promise<SourceFile[]> {
    await this.#follow(paths);
    const byTarget = new Map<string, SourceFile>();
    const entrances = new Map<string, string>();
    for (const [path, target] of this.#targets) {
      if (target === null) continue;
      const place = await this.#own.placeOf(target);
      if (place !== null) {
        const pulledInto = place.kind === 'pulled' ? this.#own.pulledInto(path) : null;
        refuse(pulledInto === null ? await this.#entranceOf(path, entrances) : spellText(pulledInto), whyOwn(place));
        continue;
      }
      const file = { id: this.#idOf(path), path };
      const other = byTarget.get(target);
      if (other === undefined || this.#isBetter(file.id, other.id)) byTarget.set(target, file);
    }
    return [...byTarget.values()];
  }

  /**
   * The first folder on the way to an own file that is own too, so that it is named once and not with each of its files.
   * @param known entrances by folder. @returns spelled
   */
  async #entranceOf(path: string, known: Map<string, string>): Promise<string> {
    const above = dirname(path);
    if (!known.has(above)) {
      const isOwn = above !== path && (await this.#own.placeOf(await realOf(above))) !== null;
      known.set(above, isOwn ? await this.#entranceOf(above, known) : '');
    }
    return known.get(above) || spellText(path);
  }

  /** Anew whenever a path comes or goes: a file may have become a link to where it went. */
  async #follow(paths: readonly string[]): Promise<void> {
    const before = this.#targets;
    if (paths.length === before.size && paths.every((path) => typeof before.get(path) === 'string')) return;
    const targets = new Map<string, string | null>();
    for (let at = 0; at < paths.length; at += LOOKS_AT_ONCE) {
      const group = paths.slice(at, at + LOOKS_AT_ONCE);
      const found = await Promise.all(group.map(targetOf));
      for (const [i, path] of group.entries()) targets.set(path, found[i]!);
    }
    this.#targets = targets;
  }

  #isBetter(id: string, other: string): boolean {
    const rank = (each: string): number => (this.#known.has(each) ? 0 : each.length);
    return rank(id) < rank(other) || (rank(id) === rank(other) && id < other);
  }
}

/** The real path; null of what is gone, and the path itself where that cannot be told. */
async function targetOf(path: string): Promise<string | null> {
  try {
    return spellPath(await realpath(path, 'buffer'));
  } catch (cause) {
    return isMissing(cause) ? null : path;
  }
}

/** Spelled paths that a configured one leads to. */
async function expand(
  given: string,
  base: string,
  blame: (message: string) => void,
  refuse: Refuse,
): Promise<string[]> {
  const path = isAbsolute(given) ? given : resolve(base, given);
  const found = await stat(path).catch(() => null);
  const spelled = spellText(resolve(path));
  if (found?.isFile() === true) return [spelled];
  if (found?.isDirectory() === true) return walk(spelled, refuse);
  if (found !== null) {
    blame(`names "${given}", which is neither a file nor a folder (a pipe is read as standard input, "-")`);
  } else if (isDynamicPattern(given)) {
    // Two slashes in a row would not match.
    const pattern = given.replace(/(?<!^)\/{2,}/g, '/');
    const options = { cwd: base, absolute: true, onlyFiles: true, dot: false, expandDirectories: false };
    try {
      return await glob(pattern, { ...options, fs: spellingFs(refuse) });
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      blame(`names "${given}", which is no pattern that a file could match`);
    }
  } else {
    blame(`names "${given}", which does not exist below ${base}`);
  }
  return [];
}

function spellText(path: string): string {
  return spellPath(Buffer.from(path, 'utf8'));
}

/** All files below a folder. Links to folders come last, and not twice, so that circles end. */
async function walk(folder: string, refuse: Refuse): Promise<string[]> {
  const files: string[] = [];
  const visited = new Set<string>();
  const direct = [folder];
  const linked: string[] = [];
  for (let next = direct.pop(); next !== undefined; next = direct.pop() ?? linked.shift()) {
    const real = await realpath(pathOf(next), 'buffer').catch(() => null);
    if (real === null || visited.has(spellPath(real))) continue;
    visited.add(spellPath(real));
    for (const entry of await listFolder(next, refuse)) {
      const name = spellPath(entry.name);
      if (name.startsWith('.')) continue;
      const path = join(next, name);
      const target = entry.isSymbolicLink() ? await stat(pathOf(path)).catch(() => null) : entry;
      if (target?.isFile() === true) files.push(path);
      else if (target?.isDirectory() === true) (entry.isSymbolicLink() ? linked : direct).push(path);
    }
  }
  return files;
}

async function listFolder(path: string, refuse: Refuse): Promise<Dirent<Buffer>[]> {
  try {
    return await readdir(pathOf(path), { withFileTypes: true, encoding: 'buffer' });
  } catch (cause) {
    if (!isMissing(cause)) refuse(path, lookFault(cause as Error));
    return [];
  }
}

function lookFault({ message }: Error): string {
  return `the folder cannot be looked into: ${message}`;
}

/** The file system in spelled names, as the glob walks it. A folder that cannot be looked into must not end the walk. */
function spellingFs(refuse: Refuse): NonNullable<GlobOptions['fs']> {
  const list = (path: string, _options: unknown, done: (error: null, entries: unknown[]) => void): void =>
    readdirWith(pathOf(path), { withFileTypes: true, encoding: 'buffer' }, (error, entries) => {
      if (error !== null && !isMissing(error)) refuse(path, lookFault(error));
      done(
        null,
        (error === null ? entries : []).map((entry) => ({
          name: spellPath(entry.name),
          isFile: () => entry.isFile(),
          isDirectory: () => entry.isDirectory(),
          isSymbolicLink: () => entry.isSymbolicLink(),
        })),
      );
    });
  const resolveLinks = (path: string, done: (error: Error | null, real: string) => void): void =>
    realpathWith(pathOf(path), 'buffer', (error, real) => done(error, error === null ? spellPath(real) : ''));
  const look = (path: string, done: (error: Error | null, stats: Stats) => void): void => statWith(pathOf(path), done);
  // The type wants all overloads of the real ones; these are the calls that are made.
  return { readdir: list, realpath: resolveLinks, stat: look } as unknown as NonNullable<GlobOptions['fs']>;
}
