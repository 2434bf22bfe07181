import { createHash } from 'node:crypto';
import { constants, createReadStream, type Stats } from 'node:fs';
import { lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { HeadgateError, RequestError, UnavailableError } from '../../errors.ts';
import { eachLimited } from '../../ledger/each-limited.ts';

/** Where a pull keeps what is its own, below the target folder; no topic's folder begins with a dot. */
export const OWN_FOLDER = '.headgate';

const LOOKS_AT_ONCE = 8;

/** The error for what a pull has not written and will not touch. */
export function conflict(act: string, path: string, why: string, cause?: unknown): RequestError {
  const message = `Cannot ${act} "${path}": ${why} (mend: pull into an empty folder)`;
  return new RequestError('PULL_CONFLICT', message, { cause });
}

/** What is there itself, be it a link; null for nothing. */
export async function statOf(path: string): Promise<Stats | null> {
  return lstat(path).catch((error: unknown) => {
    // A file where a folder should be: assertFolders names it.
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return null;
    throw error;
  });
}

/** True when a real file of this size and content is there, not a link to one. */
export async function holds(path: string, { bytes, sha256 }: { readonly bytes: number; readonly sha256: string }) {
  const present = await statOf(path);
  return present?.isFile() === true && present.size === bytes && (await sha256OfFile(path)) === sha256;
}

/** Refuses paths that do not lie in real folders all the way down from `folder`. @throws RequestError PULL_CONFLICT */
export async function assertFolders(folder: string, paths: Iterable<string>): Promise<void> {
  const parents = new Set<string>();
  for (const path of paths)
    for (let at = dirname(path); at !== '.' && !parents.has(at); at = dirname(at)) parents.add(at);
  await eachLimited(parents, LOOKS_AT_ONCE, async (parent) => {
    const path = join(folder, parent);
    const present = await statOf(path);
    if (present === null || present.isDirectory()) return;
    const what = present.isSymbolicLink() ? 'it is a link that leads elsewhere' : 'it is no folder';
    throw conflict('write below', path, what);
  });
}

/** Writes a file of our own anew and to disk, never through a link that was put there. @throws RequestError PULL_CONFLICT */
export async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const present = await statOf(path);
  if (present?.isDirectory() === true) throw conflict('write', path, 'a folder is in the way');
  // What an interrupted pull has left, or a link: removing it leaves alone what a link leads to.
  if (present !== null) await rm(path, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  // Windows has no O_NOFOLLOW; O_EXCL alone refuses whatever has the name.
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0)).catch((cause: unknown) => {
    if (codeOf(cause) !== 'EEXIST') throw cause;
    throw conflict('write', path, 'another pull is writing into this folder', cause);
  });
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } catch (error) {
    // On a full disk, half a file would only take the room that the next try needs.
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** Replaces a file of our own: the old content is there until the new one is on disk. */
export async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.part`;
  await writeNew(temporary, bytes);
  await move(temporary, path);
  await syncFolder(dirname(path));
}

/** @throws RequestError PULL_CONFLICT when another pull has taken the file away */
export async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch((cause: unknown) => {
    if (codeOf(cause) === 'EISDIR') throw conflict('write', to, 'a folder is in the way', cause);
    if (codeOf(cause) !== 'ENOENT') throw cause;
    throw conflict('write', to, 'another pull is writing into this folder', cause);
  });
}

/** Makes the names in a folder survive a power cut. Windows does not let a folder be opened: there the system decides. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    if (['EPERM', 'EISDIR', 'EACCES'].includes(codeOf(error))) return null;
    throw error;
  });
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

/** The file system's name of an error, such as ENOENT; empty where it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

const TROUBLE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full (mend: make room; what was verified is kept, the same command goes on from there)',
  EDQUOT: 'the quota is used up (mend: make room; what was verified is kept, the same command goes on from there)',
  EROFS: 'the file system is read-only',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  ENOTDIR: 'it is no folder, or lies below something that is none',
};

/** What the file system has against the target folder, as an error for people; our own errors stay as they are. */
export function targetError(folder: string, error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof HeadgateError || code === '' || !(error instanceof Error && 'syscall' in error)) return error;
  const why = TROUBLE[code] ?? error.message;
  return new UnavailableError('TARGET_UNUSABLE', `Cannot pull into "${folder}": ${why}`, { cause: error });
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}
