import { lstat, open, opendir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';

import { isCode } from './file-errors.ts';

/**
 * Paths of the data below a folder that are not among `ours`.
 *
 * Data is what is Parquet by its name or its first bytes, and a link to such a file or to a folder. Names that begin with
 * a dot are passed over, as readers do.
 * @param ours paths with `/` on every system.
 * @throws {Error} of the file system
 * Cost: reads every folder once, and the first bytes of each file that is not ours.
 */
export async function* foreignData(folder: string, ours: ReadonlySet<string>): AsyncGenerator<string> {
  for await (const path of filesBelow(folder, ''))
    if (!ours.has(path) && (await isData(join(folder, path))) && !(await isSameFile(folder, path, ours))) yield path;
}

async function* filesBelow(folder: string, below: string): AsyncGenerator<string> {
  let entries;
  try {
    entries = await opendir(join(folder, below));
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  for await (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = posix.join(below, entry.name);
    if (entry.isDirectory()) yield* filesBelow(folder, path);
    else if (entry.isFile() || entry.isSymbolicLink()) yield path;
  }
}

async function isData(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  // A link that leads nowhere stops every reader: no need to stop here.
  if (found === null) return false;
  if (found.isDirectory() || /\.(parquet|parq|pq)$/i.test(path)) return true;
  if (!found.isFile()) return false;
  const handle = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return ['PAR1', 'PARE'].includes(buffer.toString('latin1', 0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** On a disk that does not tell upper from lower case, one of our files may be listed under another spelling. */
async function isSameFile(folder: string, path: string, ours: ReadonlySet<string>): Promise<boolean> {
  const lower = path.toLowerCase();
  for (const own of ours) {
    if (own.length !== path.length || own.toLowerCase() !== lower) continue;
    const [one, other] = await Promise.all([own, path].map((each) => lstat(join(folder, each)).catch(() => null)));
    if (one !== null && one?.ino === other?.ino && one?.dev === other?.dev) return true;
  }
  return false;
}
