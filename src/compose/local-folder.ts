import { makeFolders } from '../adapters/disk/folders.ts';

/**
 * Makes a folder of this machine and those above it; one that exists is fine.
 * @param mode who may use it, if it is made; those above get the usual mode.
 * @throws {Error} of the file system
 */
export async function makeLocalFolder(path: string, mode?: number): Promise<void> {
  await makeFolders(path, mode);
}
