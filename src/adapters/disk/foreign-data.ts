import { constants } from 'node:fs';
import { lstat, open, opendir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';

import { isCode } from './file-errors.ts';

/**
 * Paths of the data below a folder that are not among `ours`.
 *
 * Data is what is Parquet by its name, be it a pipe, or by its first bytes, and a link to such a file or to a folder. A name
 * with a dot before it hides nothing: DuckDB's `**` finds it. In the folder of our own the first bytes do not count: what is
 * in work there has none of these names. Folders and files that this user may not read are passed over, as DuckDB does.
 * @param ours paths with `/` on every system.
 * @param ownFolder name of the folder of our own at the top.
 * @throws {Error} of the file system
 * Cost: reads every folder once, and the first bytes of each file that is not ours.
 */
export async function* foreignData(
  folder: string,
  ours: ReadonlySet<string>,
  ownFolder: string,
): AsyncGenerator<string> {
  let spellings: ReadonlyMap<string, readonly string[]> | null = null;
  for await (const { path, isOwn } of filesBelow(folder, '', ownFolder, false)) {
    if (ours.has(path) || !(await isData(join(folder, path), isOwn))) continue;
    spellings ??= spellingsOf(ours);
    if (!(await isOneOf(folder, path, spellings.get(path.toLowerCase()) ?? []))) yield path;
  }
}

/** @param ownFolder null below the top. @param isOwn whether we are in that folder. */
async function* filesBelow(
  folder: string,
  below: string,
  ownFolder: string | null,
  isOwn: boolean,
): AsyncGenerator<{ readonly path: string; readonly isOwn: boolean }> {
  let entries;
  try {
    entries = await opendir(join(folder, below));
  } catch (error) {
    if (isCode(error, 'ENOENT') || (below !== '' && isForbidden(error))) return;
    throw error;
  }
  for await (const entry of entries) {
    const path = posix.join(below, entry.name);
    if (!entry.isDirectory()) yield { path, isOwn };
    else {
      const isOurs = isOwn || (ownFolder !== null && (await isOneOf(folder, path, [ownFolder])));
      yield* filesBelow(folder, path, null, isOurs);
    }
  }
}

async function isData(path: string, byNameOnly: boolean): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  // A link that leads nowhere stops every reader: no need to stop here.
  if (found === null) return false;
  if (found.isDirectory() || /\.(parquet|parq|pq)$/i.test(path)) return true;
  if (byNameOnly || !found.isFile()) return false;
  try {
    // A pipe that took its place since is not waited for. Windows does not have the flag.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
      return ['PAR1', 'PARE'].includes(buffer.toString('latin1', 0, bytesRead));
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isForbidden(error) || isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function isForbidden(error: unknown): boolean {
  return isCode(error, 'EACCES') || isCode(error, 'EPERM');
}

/** Paths by their lower-case form. */
function spellingsOf(paths: Iterable<string>): ReadonlyMap<string, readonly string[]> {
  const spellings = new Map<string, string[]>();
  for (const path of paths) {
    const lower = path.toLowerCase();
    const same = spellings.get(lower);
    if (same === undefined) spellings.set(lower, [path]);
    else same.push(path);
  }
  return spellings;
}

/** True for one of the names, also on a disk that does not tell upper from lower case and lists it under another spelling. */
async function isOneOf(folder: string, path: string, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    if (name === path) return true;
    if (name.toLowerCase() !== path.toLowerCase()) continue;
    const [one, other] = await Promise.all([name, path].map((each) => lstat(join(folder, each)).catch(() => null)));
    if (one !== null && one?.ino === other?.ino && one?.dev === other?.dev) return true;
  }
  return false;
}
