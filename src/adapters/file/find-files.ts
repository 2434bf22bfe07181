import { stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';

import { escapePath, glob, isDynamicPattern } from 'tinyglobby';

import { ConfigError } from '../../errors.ts';

/** One file of a file source. */
export interface SourceFile {
  /** Path relative to the base folder with `/` between parts: the id of its partition. */
  readonly id: string;
  /** Absolute path; null for standard input. */
  readonly path: string | null;
}

const STDIN = '-';

/**
 * Expands files, folders (all files below them) and globs, sorted by relative path (code units), each once.
 * @param base folder that relative paths start from and ids are relative to.
 * @param stdinId partition id of standard input; each run reads another stream, so it must be new.
 * @throws ConfigError CONFIG_INVALID for a path that does not exist (matrix C2); a glob may match nothing
 */
export async function findFiles(paths: readonly string[], base: string, stdinId: string): Promise<SourceFile[]> {
  const files = new Map<string, SourceFile>();
  const faults: { path: string; message: string }[] = [];
  for (const [i, given] of paths.entries()) {
    if (given === STDIN) {
      files.set(stdinId, { id: stdinId, path: null });
      continue;
    }
    const found = await expand(given, base);
    if (found === null)
      faults.push({
        path: `/source/files/paths/${i}`,
        message: `names "${given}", which does not exist below ${base}`,
      });
    for (const path of found ?? []) {
      const id = relative(base, path).split(sep).join('/');
      files.set(id, { id, path });
    }
  }
  if (faults.length > 0) throw new ConfigError('CONFIG_INVALID', 'Cannot read files: some paths do not exist', faults);
  return [...files.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function expand(given: string, base: string): Promise<string[] | null> {
  const path = isAbsolute(given) ? given : resolve(base, given);
  const found = await stat(path).catch(() => null);
  if (found?.isFile() === true) return [path];
  const options = { cwd: base, absolute: true, onlyFiles: true, dot: false };
  if (found?.isDirectory() === true) return glob(`${escapePath(path.split(sep).join('/'))}/**`, options);
  return isDynamicPattern(given) ? glob(given, options) : null;
}
