import { createHash } from 'node:crypto';
import { constants, createReadStream, type Stats } from 'node:fs';
import { lstat, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';

import { HeadgateError, RequestError, UnavailableError } from '../../errors.ts';
import type { FileContent, PullTarget } from '../../ports/pull-target.ts';
import { codeOf, isAbsent, isCode } from './file-errors.ts';
import { makeFolders, syncFolder } from './folders.ts';
import { foreignData } from './foreign-data.ts';

const LOOKS_AT_ONCE = 8;

/** A folder on a disk of this machine; it is made with the first file. */
export class DiskTarget implements PullTarget {
  readonly location: string;
  /** Folders in which names have changed since the last sync. */
  readonly #touched = new Set<string>();

  /** @param folder absolute path; a link to a folder is followed, since its owner has named it. */
  constructor(folder: string) {
    this.location = folder;
  }

  locate(path: string): string {
    return join(this.location, path);
  }

  async folderAbove(paths: readonly string[]): Promise<string | null> {
    // What is not there yet leads nowhere else.
    const realOf = (path: string): Promise<string> => realpath(path).catch(() => path);
    for (let at = await realOf(this.location); dirname(at) !== at;) {
      at = await realOf(dirname(at));
      for (const path of paths) if ((await lstat(join(at, path)).catch(() => null)) !== null) return at;
    }
    return null;
  }

  async assertFolders(paths: Iterable<string>): Promise<void> {
    const parents = new Set<string>();
    for (const path of paths)
      for (let at = posix.dirname(path); at !== '.' && !parents.has(at); at = posix.dirname(at)) parents.add(at);
    const all = [...parents];
    const why = await whyNoFolder(this.location);
    if (why !== null) throw unusable(this.location, why);
    await this.#guarded(async () => {
      for (let from = 0; from < all.length; from += LOOKS_AT_ONCE)
        await Promise.all(all.slice(from, from + LOOKS_AT_ONCE).map((parent) => this.#assertFolder(parent)));
    }, 'read');
  }

  async #assertFolder(folder: string): Promise<void> {
    const path = this.locate(folder);
    const present = await statOf(path);
    if (present === null || present.isDirectory()) return;
    throw conflict(
      'write below',
      path,
      present.isSymbolicLink() ? 'it is a link that leads elsewhere' : 'it is no folder',
    );
  }

  compare(path: string, { bytes, sha256 }: FileContent): Promise<'same' | 'other' | 'folder' | 'absent'> {
    return this.#guarded(async () => {
      const present = await statOf(this.locate(path));
      if (present === null) return 'absent';
      if (present.isDirectory()) return 'folder';
      const isSame = present.isFile() && present.size === bytes && (await sha256OfFile(this.locate(path))) === sha256;
      return isSame ? 'same' : 'other';
    }, 'read');
  }

  read(path: string, bytesMax: number): Promise<string | null> {
    return this.#guarded(() => readPlain(this.locate(path), bytesMax), 'read');
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#guarded(
      () =>
        readdir(this.locate(folder)).catch((cause: unknown) => {
          if (isCode(cause, 'ENOENT')) return [];
          throw cause;
        }),
      'read',
    );
  }

  write(path: string, bytes: Uint8Array): Promise<void> {
    return this.#guarded(() => writeNew(this.locate(path), bytes));
  }

  replace(path: string, bytes: Uint8Array): Promise<void> {
    return this.#guarded(async () => {
      const temporary = this.locate(`${path}.part`);
      await writeNew(temporary, bytes);
      await moveFile(temporary, this.locate(path));
      await syncNames(dirname(temporary));
    });
  }

  move(from: string, to: string): Promise<void> {
    return this.#guarded(async () => {
      await makeFolders(dirname(this.locate(to)));
      await this.assertFolders([to]);
      await moveFile(this.locate(from), this.locate(to));
      // Folders that were just made are names in those above them.
      for (let at = posix.dirname(to); at !== '.'; at = posix.dirname(at)) this.#touched.add(at);
      this.#touched.add('.');
    });
  }

  remove(path: string): Promise<boolean> {
    return this.#guarded(async () => {
      // Also of what is not there: who removed it may not have made that last.
      this.#touched.add(posix.dirname(path));
      const present = await statOf(this.locate(path));
      if (present?.isDirectory() === true) throw conflict('remove', this.locate(path), 'it is a folder');
      await rm(this.locate(path), { force: true });
      return present !== null;
    });
  }

  removeAll(path: string): Promise<void> {
    return this.#guarded(async () => {
      this.#touched.add(posix.dirname(path));
      await rm(this.locate(path), { recursive: true, force: true });
    });
  }

  sync(): Promise<void> {
    return this.#guarded(async () => {
      for (const folder of this.#touched) await syncNames(this.locate(folder));
      this.#touched.clear();
    });
  }

  async *foreignData(ours: ReadonlySet<string>, ownFolder: string): AsyncGenerator<string> {
    try {
      yield* foreignData(this.location, ours, ownFolder);
    } catch (error) {
      throw await targetError(this.location, error, 'read');
    }
  }

  async #guarded<Result>(work: () => Promise<Result>, act: Act = 'write'): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw await targetError(this.location, error, act);
    }
  }
}

/** The error for what a pull has not written and will not touch. */
function conflict(act: string, path: string, why: string, cause?: unknown): RequestError {
  return new RequestError('PULL_CONFLICT', `Cannot ${act} "${path}": ${why} (mend: pull into an empty folder)`, {
    cause,
  });
}

/** What is there itself, be it a link; null for nothing. */
async function statOf(path: string): Promise<Stats | null> {
  return lstat(path).catch((cause: unknown) => {
    // A file where a folder should be: assertFolders names it.
    if (isAbsent(cause)) return null;
    throw cause;
  });
}

/** The text of a plain file; null when there is nothing. Whatever else is there is neither followed nor waited for. */
async function readPlain(path: string, bytesMax: number): Promise<string | null> {
  const present = await lstat(path).catch((cause: unknown) => {
    // Below a file is no place for ours, so that ENOTDIR is an error.
    if (isCode(cause, 'ENOENT')) return null;
    throw cause;
  });
  if (present === null) return null;
  assertPlain(path, present);
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  // Something else may have taken its place since. Windows has neither flag.
  const file = await open(path, O_RDONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0)).catch((cause: unknown) => {
    if (isCode(cause, 'ELOOP')) throw conflict('read', path, 'it is a link', cause);
    throw cause;
  });
  try {
    const opened = await file.stat();
    assertPlain(path, opened);
    if (opened.size > bytesMax)
      throw conflict('read', path, `it has ${opened.size} bytes, at most ${bytesMax} are allowed`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function assertPlain(path: string, found: Stats): void {
  if (found.isFile()) return;
  const other = found.isSymbolicLink() ? 'a link' : found.isDirectory() ? 'a folder' : 'no file';
  throw conflict('read', path, `it is ${other}`);
}

/** Writes a file anew and to disk, never through a link that was put there. */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const present = await statOf(path);
  if (present?.isDirectory() === true) throw conflict('write', path, 'a folder is in the way');
  // What an interrupted pull has left, or a link: removing it leaves alone what a link leads to.
  if (present === null) await makeFolders(dirname(path));
  else await rm(path, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  // Windows has no O_NOFOLLOW; O_EXCL alone refuses whatever has the name.
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0)).catch((cause: unknown) => {
    if (!isCode(cause, 'EEXIST')) throw cause;
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

async function moveFile(from: string, to: string): Promise<void> {
  await rename(from, to).catch((cause: unknown) => {
    if (isCode(cause, 'EISDIR')) throw conflict('write', to, 'a folder is in the way', cause);
    if (!isCode(cause, 'ENOENT')) throw cause;
    throw conflict('write', to, 'another pull is writing into this folder', cause);
  });
}

/** Windows does not let a folder be opened: there the system decides when names are on disk. A folder may be gone again. */
async function syncNames(folder: string): Promise<void> {
  await syncFolder(folder).catch((cause: unknown) => {
    if (!['EPERM', 'EISDIR', 'EACCES', 'ENOENT'].includes(codeOf(cause))) throw cause;
  });
}

const ELSEWHERE = 'pull into a folder on a disk of this machine';
const TROUBLE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full (mend: make room; what was verified is kept, the same command goes on from there)',
  EDQUOT: 'the quota is used up (mend: make room; what was verified is kept, the same command goes on from there)',
  EROFS: `the file system is read-only (mend: mount it for writing, or ${ELSEWHERE})`,
  EACCES: `this user may not write there (mend: let this user write there, or ${ELSEWHERE})`,
  EPERM: `this user may not write there (mend: let this user write there, or ${ELSEWHERE})`,
  ENOENT: 'something in it was removed meanwhile (mend: run the same command again)',
  ENOTDIR: `it lies below something that is no folder (mend: ${ELSEWHERE})`,
};

/** What was done to the folder when it failed: the file system has one code for both. */
type Act = 'read' | 'write';

/** What the file system has against the folder, as an error for people; our own errors stay as they are. */
async function targetError(folder: string, error: unknown, act: Act): Promise<unknown> {
  if (error instanceof HeadgateError || !(error instanceof Error && 'code' in error && 'syscall' in error))
    return error;
  const code = codeOf(error);
  const { path = folder } = error as NodeJS.ErrnoException;
  const general =
    act === 'read' && (code === 'EACCES' || code === 'EPERM')
      ? `this user may not read "${path}" (mend: let this user read it, or pull into another folder)`
      : code === 'ENOENT' && error.syscall === 'mkdir'
        ? `no folder can be made in "${dirname(path)}" (mend: ${ELSEWHERE})`
        : (TROUBLE[code] ?? `${error.message} (mend: ${ELSEWHERE})`);
  return unusable(folder, (await whyNoFolder(folder)) ?? general, error);
}

function unusable(folder: string, why: string, cause?: unknown): UnavailableError {
  return new UnavailableError('TARGET_UNUSABLE', `Cannot pull into "${folder}": ${why}`, { cause });
}

/** What keeps the path from being a folder, with the way out; null if it is one, or nothing is known against it. */
async function whyNoFolder(path: string): Promise<string | null> {
  try {
    return (await stat(path)).isDirectory() ? null : `"${path}" is no folder (mend: ${ELSEWHERE})`;
  } catch (error) {
    if (isCode(error, 'ELOOP')) return `its links go round in a circle (mend: ${ELSEWHERE})`;
    if (isCode(error, 'ENAMETOOLONG')) return 'its name is longer than the disk allows (mend: pull into a shorter one)';
    if (!isAbsent(error)) return null;
  }
  if ((await lstat(path).catch(() => null)) !== null)
    return `it leads through the link "${path}", and that leads nowhere (mend: remove the link, or make the folder that it names)`;
  return dirname(path) === path ? null : whyNoFolder(dirname(path));
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}
