import { randomUUID } from 'node:crypto';
import { constants, link, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { IntegrityError, UncertainError, UnavailableError } from '../../errors.ts';
import { assertKey, assertPrefix } from '../../ports/object-key.ts';
import type { ListPage, ObjectStat, ObjectStore } from '../../ports/object-store.ts';
import { isAbsent, isCode } from './file-errors.ts';
import { makeFolders, syncFolder } from './folders.ts';
import { listKeys } from './listing.ts';
import { describeTrouble } from './trouble.ts';

const TEMPORARY = '.tmp';

/**
 * Objects as files below one folder: the embedded default.
 *
 * Create-only and durable: the bytes go to a temporary file that is fsynced, `link(2)` gives it the final name or fails
 * if that exists, the folder is fsynced, the temporary name is removed. A crash leaves the whole object or none, and at
 * worst a file in `.tmp`, which a later start removes. Nothing is made before the first write: reading needs no right to write.
 * One folder = one machine: it must be a local file system with hard links.
 */
export class DiskStore implements ObjectStore {
  readonly location: string;
  readonly arbiter = 'machine';
  /** Folders that are there, names synced up to the root, by path. */
  readonly #folders = new Map<string, Promise<void>>();
  /** Makes the folder of temporary files; null before the first write and after one that failed. */
  #prepared: Promise<void> | null = null;

  private constructor(root: string) {
    this.location = root;
  }

  /** Opens the folder `root`, which is made by the first write. @throws UnavailableError if something else is in its place */
  static async open(root: string): Promise<DiskStore> {
    const store = new DiskStore(resolve(root));
    try {
      if (!(await stat(store.location)).isDirectory())
        throw Object.assign(new Error('not a folder'), { code: 'ENOTDIR' });
    } catch (cause) {
      if (!isCode(cause, 'ENOENT')) throw await store.#unavailable('open', null, cause);
    }
    return store;
  }

  /** The folder of a store in which there are no keys: for temporary files, and for sockets of those who use the store. */
  static scratchFolder(root: string): string {
    return join(root, TEMPORARY);
  }

  async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const path = this.#path(key);
    const temporary = await this.#writeTemporary(key, path, bytes);
    try {
      await link(temporary, path);
    } catch (cause) {
      // What link(2) answered counts, not whether the temporary file could be removed: a later start does that.
      await rm(temporary, { force: true }).catch(() => undefined);
      if (isCode(cause, 'EEXIST')) return this.#existing(key, path);
      this.#folders.delete(dirname(path));
      if (REFUSALS.some((code) => isCode(cause, code))) throw await this.#unavailable('create', key, cause);
      throw uncertain(key, cause);
    }
    try {
      await syncFolder(dirname(path));
      await unlink(temporary);
    } catch (cause) {
      throw uncertain(key, cause);
    }
    return 'created';
  }

  /** Whoever made it, perhaps we in an attempt that failed at this very step, may not have made its name durable. */
  async #existing(key: string, path: string): Promise<'exists'> {
    try {
      await syncFolder(dirname(path));
    } catch (cause) {
      throw uncertain(key, cause);
    }
    return 'exists';
  }

  async get(key: string, bytesMax: number): Promise<Buffer | null> {
    const path = this.#path(key);
    let file;
    try {
      // Whatever else lies there is not waited for. Windows has no such flag.
      file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const found = await file.stat();
      if (found.isDirectory()) return null;
      if (!found.isFile()) throw new IntegrityError('OBJECT_MISSING', key, `Cannot read "${key}": it is no file`);
      if (found.size > bytesMax)
        throw new IntegrityError(
          'SIZE_EXCEEDED',
          key,
          `Cannot read "${key}": it has ${found.size} bytes, at most ${bytesMax} are allowed`,
        );
      return await file.readFile();
    } catch (cause) {
      if (cause instanceof IntegrityError) throw cause;
      if (isAbsent(cause) || isCode(cause, 'EISDIR')) return null;
      throw await this.#unavailable('read', key, cause);
    } finally {
      await file?.close();
    }
  }

  async stat(key: string): Promise<ObjectStat | null> {
    const path = this.#path(key);
    try {
      const found = await stat(path);
      return found.isFile() ? { bytes: found.size, uri: pathToFileURL(path).href, versionId: null } : null;
    } catch (cause) {
      if (isAbsent(cause)) return null;
      throw await this.#unavailable('read', key, cause);
    }
  }

  async list(prefix: string, { startAfter = '', limit }: { startAfter?: string; limit: number }): Promise<ListPage> {
    assertPrefix(prefix);
    let keys: string[];
    try {
      keys = await listKeys(this.location, { prefix, startAfter, limit: limit + 1, hidden: TEMPORARY });
    } catch (cause) {
      throw await this.#unavailable('list', prefix, cause);
    }
    const page = keys.slice(0, limit);
    const objects = await Promise.all(page.map(async (key) => ({ key, tag: await tagOf(join(this.location, key)) })));
    return { objects, next: keys.length > limit ? page.at(-1)! : null };
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(key);
    const temporary = await this.#writeTemporary(key, path, bytes);
    try {
      await rename(temporary, path);
      await syncFolder(dirname(path));
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      this.#folders.delete(dirname(path));
      throw await this.#unavailable('write', key, cause);
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    try {
      await rm(path, { force: true });
    } catch (cause) {
      throw await this.#unavailable('delete', key, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #path(key: string): string {
    assertKey(key);
    return join(this.location, key);
  }

  async #writeTemporary(key: string, path: string, bytes: Uint8Array): Promise<string> {
    const temporary = join(DiskStore.scratchFolder(this.location), randomUUID());
    try {
      await this.#prepare();
      await this.#makeFolder(dirname(path));
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (cause) {
      // Below a file there is nothing to remove, and that is an error of its own.
      await rm(temporary, { force: true }).catch(() => undefined);
      throw await this.#unavailable('write', key, cause);
    }
    return temporary;
  }

  #prepare(): Promise<void> {
    this.#prepared ??= (async () => {
      await makeFolders(DiskStore.scratchFolder(this.location));
      await this.#removeOldTemporaries();
    })().catch((cause: unknown) => {
      this.#prepared = null;
      throw cause;
    });
    return this.#prepared;
  }

  /**
   * Makes `folder` and syncs its name, and those of the folders above it, into their parents, or a crash could lose the
   * folder with the object in it. Also where it exists: whoever made it may not have synced it yet.
   */
  #makeFolder(folder: string): Promise<void> {
    let made = this.#folders.get(folder);
    if (made === undefined) {
      made = this.#makeDurable(folder);
      this.#folders.set(folder, made);
      made.catch(() => this.#folders.delete(folder));
    }
    return made;
  }

  async #makeDurable(folder: string): Promise<void> {
    if (folder === this.location) return;
    const parent = dirname(folder);
    await this.#makeFolder(parent);
    await makeFolders(folder);
    await syncFolder(parent);
  }

  /** @param what key or prefix; null for the store as a whole */
  async #unavailable(verb: string, what: string | null, cause: unknown): Promise<UnavailableError> {
    const folder = {
      path: this.location,
      setting: 'store.url',
      wanted: 'this process may write to, on a local file system with hard links',
    };
    const object = what === null ? '' : `"${what}" in `;
    return new UnavailableError(
      'STORE_UNAVAILABLE',
      `Cannot ${verb} ${object}store "${this.location}": ${await describeTrouble(folder, cause)}`,
      { cause },
    );
  }

  async #removeOldTemporaries(): Promise<void> {
    const folder = DiskStore.scratchFolder(this.location);
    const dayAgoMs = Date.now() - 86_400_000;
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      // A socket is the lock of a run, which may last for longer.
      if (found?.isFile() === true && found.mtimeMs < dayAgoMs) await rm(path, { force: true });
    }
  }
}

/** Every write makes a new file, so inode and time tell contents apart. */
async function tagOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? '' : `${found.ino}-${found.mtimeNs}-${found.size}`;
}

/** Answers to link(2) after which nothing was written; after any other one, such as EIO, nobody knows. */
const REFUSALS = [
  'EACCES',
  'EPERM',
  'ENOENT',
  'ENOTDIR',
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EMLINK',
  'ENAMETOOLONG',
  'EXDEV',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
];

function uncertain(key: string, cause: unknown): UncertainError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new UncertainError('STORE_UNCERTAIN', `Cannot tell whether "${key}" was created durably: ${reason}`, {
    cause,
  });
}
