import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { isCode } from './file-errors.ts';

/**
 * Makes the folder and those above it; one that exists is fine. Not mkdir's own `recursive`: it never ends where a folder
 * exists that takes no other in, such as /proc.
 * @param mode of the folder itself, if it is made.
 * @throws {Error} of the file system
 */
export async function makeFolders(path: string, mode = 0o777): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(path, mode).catch(async (cause: unknown) => {
      if (!isCode(cause, 'EEXIST') || !(await stat(path)).isDirectory()) throw cause;
    });
  try {
    await make();
  } catch (cause) {
    if (!isCode(cause, 'ENOENT') || dirname(path) === path) throw cause;
    await makeFolders(dirname(path));
    await make();
  }
}

/** Makes the names in a folder last through a loss of power. @throws {Error} of the file system */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
