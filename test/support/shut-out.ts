import { chmod, chown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

/* Commands that meet what they may not write. Root may write everything, so it becomes another user; whoever else runs the
   tests stays who they are, and modes shut them out. */

const isRoot = process.getuid?.() === 0;

/** What is run as {@link plainUser} is another user than the one that owns what tests make. */
export const isOtherUser = isRoot;

/** User to run commands as: one that no machine names, where that can be chosen; undefined = who runs the tests. */
export const plainUser: number | undefined = isRoot ? 54_321 : undefined;

/** Gives files and folders to {@link plainUser}, as deep as they go. */
export async function giveAway(...paths: readonly string[]): Promise<void> {
  if (plainUser === undefined) return;
  for (const path of paths) for await (const each of everyPath(path)) await chown(each, plainUser, plainUser);
}

/** Lets {@link plainUser} read a folder and all that is in it, and change nothing; undone when the test has finished. */
export async function shutOut(folder: string): Promise<void> {
  const modes = new Map<string, number>();
  for await (const path of everyPath(folder)) modes.set(path, (await lstat(path)).mode & 0o777);
  onTestFinished(async () => {
    for (const [path, mode] of modes) await chmod(path, mode);
  });
  for (const [path, mode] of modes) await chmod(path, (mode & 0o100) === 0 ? 0o444 : 0o555);
}

/** Lets everyone look into folders that were made for their owner alone, as temporary ones are. */
export async function letThrough(...folders: readonly string[]): Promise<void> {
  for (const folder of folders) await chmod(folder, 0o755);
}

async function* everyPath(path: string): AsyncGenerator<string> {
  yield path;
  if (!(await lstat(path)).isDirectory()) return;
  for (const name of await readdir(path)) yield* everyPath(join(path, name));
}

/** What a command says of a folder that {@link plainUser} may not write to, as the source of a regular expression. */
export function describeShutOut(): string {
  return isRoot
    ? `belongs to user 0, this process is user ${plainUser} \\(EACCES\\) \\(mend: run it as user 0, or as root (mkdir -p \\S+ && )?chown -R ${plainUser} `
    : 'may not be used \\(EACCES\\) \\(mend: chmod -R u\\+rwX ';
}
