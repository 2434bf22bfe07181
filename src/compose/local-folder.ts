import { makeFolders } from '../adapters/disk/folders.ts';
import { DiskTarget } from '../adapters/disk/pull-target.ts';
import type { PullTarget } from '../ports/pull-target.ts';

/**
 * Makes a folder of this machine and those above it; one that exists is fine.
 * @param mode who may use it, if it is made; those above get the usual mode.
 * @throws {Error} of the file system
 */
export async function makeLocalFolder(path: string, mode?: number): Promise<void> {
  await makeFolders(path, mode);
}

/** The folder that a pull fills; nothing is made yet. @param path absolute */
export function openTarget(path: string): PullTarget {
  return new DiskTarget(path);
}
