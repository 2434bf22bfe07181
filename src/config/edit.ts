import { randomBytes } from 'node:crypto';
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { parseDocument } from 'yaml';

/**
 * Sets one top-level key of a configuration file, keeping its comments and order, and its mode and owner: it may hold
 * secrets. The file is replaced as a whole, and is on disk when this returns; of a link, the file that it leads to.
 * @throws {Error} of the file system, after which the file is as it was.
 */
export async function setTopLevelKey(path: string, key: string, value: string): Promise<void> {
  const target = await realpath(path);
  const document = parseDocument(await readFile(target, 'utf8'));
  document.set(key, value);
  const temporary = `${target}.${randomBytes(6).toString('hex')}.part`;
  try {
    await writeLike(temporary, document.toString({ lineWidth: 0 }), target);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(target));
}

/** Writes a new file with the owner and mode of another; nobody else can read it meanwhile. */
async function writeLike(path: string, text: string, model: string): Promise<void> {
  const { mode, uid, gid } = await stat(model);
  const file = await open(path, 'wx', 0o600);
  try {
    const own = await file.stat();
    if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid);
    await file.chmod(mode & 0o7777);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a rename last through a loss of power, where folders can be opened (not on Windows). */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
