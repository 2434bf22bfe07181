import { readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';

import { glob, isDynamicPattern } from 'tinyglobby';

import type { ConfigFault } from '../../errors.ts';
import { isMissing } from './file-trouble.ts';

/** One file of a file source. */
export interface SourceFile {
  /** Path relative to the base folder with `/` between parts: the id of its partition. */
  readonly id: string;
  /** Absolute path; null for standard input. */
  readonly path: string | null;
}

/** What the configured paths name now. */
export interface FoundFiles {
  /** Sorted by id (code units), each file once. */
  readonly files: readonly SourceFile[];
  /** Paths that name nothing or cannot be looked at (matrix C2, C3); a glob may match nothing. */
  readonly faults: readonly ConfigFault[];
}

const STDIN = '-';
/** Where a name is not UTF-8, Node puts this, and the file cannot be opened by it. */
const REPLACEMENT = '\ufffd';
const LOOKS_AT_ONCE = 64;

/**
 * Expands files, folders (all files below them but hidden ones) and globs, as often as it is asked. A file that is found
 * under several names, because of links, is read under one: that by which it was found before, or the shortest.
 * Trust: names are hostile: they may hold any character, and are never joined into a key unescaped.
 */
export class FileFinder {
  readonly #paths: readonly string[];
  readonly #base: string;
  readonly #stdinId: string;
  /** Real path of every path that was found, so that links are followed once. */
  readonly #targets = new Map<string, string>();
  readonly #known = new Set<string>();

  /**
   * @param base folder that relative paths start from and ids are relative to.
   * @param stdinId partition id of standard input; each run reads another stream, so it must be new.
   */
  constructor(paths: readonly string[], base: string, stdinId: string) {
    this.#paths = paths;
    this.#base = base;
    this.#stdinId = stdinId;
  }

  /** What the paths name now. */
  async find(): Promise<FoundFiles> {
    const found = new Set<string>();
    const faults: ConfigFault[] = [];
    for (const [i, given] of this.#paths.entries()) {
      if (given === STDIN) continue;
      const blame = (message: string): void => void faults.push({ path: `/source/files/paths/${i}`, message });
      for (const path of await expand(given, this.#base, blame)) found.add(path);
    }
    const files = await this.#withoutAliases([...found], (path) =>
      faults.push({ path: '/source/files/paths', message: `find "${path}", whose name is not UTF-8` }),
    );
    if (this.#paths.includes(STDIN)) files.push({ id: this.#stdinId, path: null });
    for (const { id } of files) this.#known.add(id);
    return { files: files.sort((a, b) => (a.id < b.id ? -1 : 1)), faults };
  }

  /** Drops what is gone by now, and all names of a file but one. */
  async #withoutAliases(paths: readonly string[], blame: (path: string) => void): Promise<SourceFile[]> {
    for (let at = 0; at < paths.length; at += LOOKS_AT_ONCE)
      await Promise.all(paths.slice(at, at + LOOKS_AT_ONCE).map((path) => this.#follow(path, blame)));
    const byTarget = new Map<string, SourceFile>();
    for (const path of paths) {
      const target = this.#targets.get(path);
      if (target === undefined) continue;
      const file = { id: relative(this.#base, path).split(sep).join('/'), path };
      const other = byTarget.get(target);
      if (other === undefined || this.#isBetter(file.id, other.id)) byTarget.set(target, file);
    }
    return [...byTarget.values()];
  }

  async #follow(path: string, blame: (path: string) => void): Promise<void> {
    if (this.#targets.has(path)) return;
    try {
      this.#targets.set(path, await realpath(path));
    } catch (cause) {
      if (!isMissing(cause)) this.#targets.set(path, path);
      else if (path.includes(REPLACEMENT)) blame(path);
    }
  }

  #isBetter(id: string, other: string): boolean {
    const rank = (each: string): number => (this.#known.has(each) ? 0 : each.length);
    return rank(id) < rank(other) || (rank(id) === rank(other) && id < other);
  }
}

async function expand(given: string, base: string, blame: (message: string) => void): Promise<string[]> {
  const path = isAbsolute(given) ? given : resolve(base, given);
  const found = await stat(path).catch(() => null);
  if (found?.isFile() === true) return [resolve(path)];
  if (found?.isDirectory() === true) return walk(resolve(path), blame);
  if (found !== null) {
    blame(`names "${given}", which is neither a file nor a folder (a pipe is read as standard input, "-")`);
  } else if (isDynamicPattern(given)) {
    return glob(given, { cwd: base, absolute: true, onlyFiles: true, dot: false, expandDirectories: false });
  } else {
    blame(`names "${given}", which does not exist below ${base}`);
  }
  return [];
}

/** All files below a folder. Links to folders come last, and not twice, so that circles end. */
async function walk(folder: string, blame: (message: string) => void): Promise<string[]> {
  const files: string[] = [];
  const visited = new Set<string>();
  const direct = [folder];
  const linked: string[] = [];
  for (let next = direct.pop(); next !== undefined; next = direct.pop() ?? linked.shift()) {
    const real = await realpath(next).catch(() => null);
    if (real === null || visited.has(real)) continue;
    visited.add(real);
    const entries = await readdir(next, { withFileTypes: true }).catch((cause: Error) => {
      blame(`cannot look into the folder "${next}": ${cause.message}`);
      return [];
    });
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = join(next, entry.name);
      const target = entry.isSymbolicLink() ? await stat(path).catch(() => null) : entry;
      if (target?.isFile() === true) files.push(path);
      else if (target?.isDirectory() === true) (entry.isSymbolicLink() ? linked : direct).push(path);
    }
  }
  return files;
}
