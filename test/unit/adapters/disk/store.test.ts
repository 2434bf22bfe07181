import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { DiskStore } from '../../../../src/adapters/disk/store.ts';
import { UncertainError } from '../../../../src/errors.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

/** Folders whose fsync is counted, and fails as often as planned. */
const fsync = vi.hoisted(() => ({ failures: 0, synced: [] as string[] }));
/** What the next calls of the file system fail with, by the call. */
const planned = vi.hoisted(() => ({ open: '', link: '', mkdir: '', rename: '', rm: '' }));

vi.mock('node:fs/promises', async (load) => {
  const real = await load<typeof import('node:fs/promises')>();
  const failure = (code: string, path: unknown): Error => Object.assign(new Error(`${code}: planned`), { code, path });
  const link: typeof real.link = async (path, to) => {
    if (planned.link !== '') throw failure(planned.link, path);
    await real.link(path, to);
  };
  const makeFolder = async (...args: Parameters<typeof real.mkdir>): Promise<string | undefined> => {
    if (planned.mkdir !== '') throw failure(planned.mkdir, args[0]);
    return real.mkdir(...args);
  };
  const open: typeof real.open = async (path, ...rest) => {
    if (planned.open !== '' && rest[0] === 'wx') throw failure(planned.open, path);
    const file = await real.open(path, ...rest);
    if (!(await file.stat()).isDirectory()) return file;
    const sync = file.sync.bind(file);
    file.sync = async () => {
      if (fsync.failures-- > 0) throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
      await sync();
      fsync.synced.push(String(path));
    };
    return file;
  };
  const rename: typeof real.rename = async (path, to) => {
    if (planned.rename !== '') throw failure(planned.rename, path);
    await real.rename(path, to);
  };
  const remove: typeof real.rm = async (path, options) => {
    if (planned.rm !== '') throw failure(planned.rm, path);
    await real.rm(path, options);
  };
  return { ...real, link, mkdir: makeFolder, open, rename, rm: remove };
});

describe('a store on disk', () => {
  it('waits for nothing that is no file, and reads no folder', async () => {
    execFileSync('mkfifo', [join(folder, 'a', 'pipe')]);
    await mkdir(join(folder, 'a', 'folder'));
    await symlink('/dev/zero', join(folder, 'a', 'zeros'));
    for (const key of ['a/pipe', 'a/zeros'])
      await expect(store.get(key, 10)).rejects.toMatchObject({ code: 'OBJECT_MISSING', object: key });
    expect(await store.get('a/folder', 10)).toBeNull();
  });

  let folder: string;
  let store: DiskStore;

  beforeEach(async () => {
    folder = await temporaryFolder();
    store = await DiskStore.open(folder);
    await store.create('a/first', Buffer.from('1'));
    fsync.synced.length = 0;
    fsync.failures = 0;
  });

  afterEach(() => {
    fsync.failures = 0;
  });

  describe('whose folder could not be synced', () => {
    it('does not know whether the object is there, and syncs the folder before it says that it exists', async () => {
      fsync.failures = 1;
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toBeInstanceOf(UncertainError);
      expect(fsync.synced).toEqual([]);
      expect(await store.create('a/key', Buffer.from('x'))).toBe('exists');
      expect(fsync.synced).toEqual([join(folder, 'a')]);
    });

    it('does not know it the next time either, when the folder cannot be synced again', async () => {
      fsync.failures = 2;
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toBeInstanceOf(UncertainError);
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toMatchObject({ code: 'STORE_UNCERTAIN' });
      expect(await store.create('a/key', Buffer.from('x'))).toBe('exists');
    });
  });

  describe('that cannot be used says why and what to do:', () => {
    const mend = (why: string, first: string): object => ({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(
        new RegExp(`${why} \\([A-Z]+\\) \\(mend: ${first}set store.url to a folder that this process may write to`),
      ) as string,
    });

    afterEach(() => {
      Object.assign(planned, { open: '', link: '', mkdir: '', rename: '', rm: '' });
    });

    it('a file stands in its place, or above it', async () => {
      const path = join(folder, 'file');
      await writeFile(path, '');
      for (const at of [path, join(path, 'store')])
        await expect(DiskStore.open(at)).rejects.toMatchObject(
          mend(`Cannot open store "${at}": a file stands where a folder is wanted`, 'move that file away, or '),
        );
    });

    it.each([
      ['EROFS', 'its file system is read-only', 'mount it for writing, or '],
      ['ENOSPC', 'its disk is full', 'free space there, or '],
      ['EDQUOT', 'the disk quota of this user is used up', 'free space there, or raise the quota, or '],
    ])('%s', async (code, why, first) => {
      planned.open = code;
      const expected = mend(`Cannot write "a/key" in store "${folder}": ${why}`, first);
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toMatchObject(expected);
      await expect(store.put('a/key', Buffer.from('x'))).rejects.toMatchObject(expected);
      planned.open = '';
      expect(await store.create('a/key', Buffer.from('x'))).toBe('created');
    });

    it.each(['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])('its file system has no hard links (%s)', async (code) => {
      planned.link = code;
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toMatchObject(
        mend(`Cannot create "a/key" in store "${folder}": its file system has no hard links`, ''),
      );
      expect(await readdir(join(folder, '.tmp'))).toEqual([]);
    });

    it('it turned read-only after the bytes were written, so that they cannot be removed either', async () => {
      Object.assign(planned, { link: 'EROFS', rename: 'EROFS', rm: 'EROFS' });
      const refused = (verb: string): object =>
        mend(`Cannot ${verb} "a/key" in store "${folder}": its file system is read-only`, 'mount it for writing, or ');
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toMatchObject(refused('create'));
      await expect(store.put('a/key', Buffer.from('x'))).rejects.toMatchObject(refused('write'));
      planned.link = 'EEXIST';
      expect(await store.create('a/first', Buffer.from('x'))).toBe('exists');
      planned.link = 'EIO';
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toBeInstanceOf(UncertainError);
    });

    it('anything else, in the words of the file system', async () => {
      planned.open = 'EMFILE';
      await expect(store.create('a/key', Buffer.from('x'))).rejects.toMatchObject({
        message: expect.stringContaining('EMFILE: planned (mend: set store.url') as string,
      });
    });

    it('it was removed while it was in use', async () => {
      await rm(folder, { recursive: true });
      await expect(store.create('b/key', Buffer.from('x'))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    });
  });

  describe('that is only read', () => {
    it('needs no right to write, and leaves nothing behind', async () => {
      await store.create('b/second', Buffer.from('2'));
      await rm(join(folder, '.tmp'), { recursive: true });
      Object.assign(planned, { mkdir: 'EROFS', open: 'EROFS' });
      try {
        const reader = await DiskStore.open(folder);
        expect((await reader.get('a/first', 9))?.toString()).toBe('1');
        expect((await reader.stat('b/second'))?.bytes).toBe(1);
        expect((await reader.list('', { limit: 9 })).objects.map(({ key }) => key)).toEqual(['a/first', 'b/second']);
        expect(await reader.get('c/third', 9)).toBeNull();
        await expect(reader.create('c/third', Buffer.from(''))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      } finally {
        Object.assign(planned, { mkdir: '', open: '' });
      }
      expect((await readdir(folder)).toSorted()).toEqual(['a', 'b']);
    });

    it('is empty where there is no folder yet; the first write makes it', async () => {
      const nowhere = join(folder, 'not', 'yet');
      const reader = await DiskStore.open(nowhere);
      expect(await reader.list('', { limit: 9 })).toEqual({ objects: [], next: null });
      expect(await reader.get('a', 9)).toBeNull();
      expect(await readdir(folder)).not.toContain('not');
      expect(await reader.create('a', Buffer.from('1'))).toBe('created');
      expect((await readdir(nowhere)).toSorted()).toEqual(['.tmp', 'a']);
    });

    it('is rid of temporary files of a day ago by the first write, and keeps younger ones', async () => {
      const [old, young] = ['old', 'young'].map((name) => join(folder, '.tmp', name));
      for (const path of [old!, young!]) await writeFile(path, '');
      const dayAgo = new Date(Date.now() - 90_000_000);
      await utimes(old!, dayAgo, dayAgo);
      const next = await DiskStore.open(folder);
      expect((await readdir(join(folder, '.tmp'))).toSorted()).toEqual(['old', 'young']);
      await next.create('b', Buffer.from(''));
      expect(await readdir(join(folder, '.tmp'))).toEqual(['young']);
    });

    it('leaves alone the locks of runs that have lasted for longer than a day', async () => {
      const lock = join(folder, '.tmp', 'run.lock');
      const server = createServer().listen(lock);
      await once(server, 'listening');
      const dayAgo = new Date(Date.now() - 90_000_000);
      await utimes(lock, dayAgo, dayAgo);
      await (await DiskStore.open(folder)).create('b', Buffer.from(''));
      expect(await readdir(join(folder, '.tmp'))).toEqual(['run.lock']);
      server.close();
    });
  });

  describe('lists', () => {
    const all = async (prefix: string, limit: number, from?: string): Promise<string[]> => {
      const keys: string[] = [];
      for (let startAfter = from; ;) {
        const page = await store.list(prefix, { limit, ...(startAfter === undefined ? {} : { startAfter }) });
        keys.push(...page.objects.map(({ key }) => key));
        if (page.next === null) return keys;
        startAfter = page.next;
      }
    };

    it('the first keys behind thousands of folders that hold nothing', async () => {
      for (let i = 0; i < 2_500; i++) await mkdir(join(folder, 'a', `empty-${String(i).padStart(5, '0')}`));
      await writeFile(join(folder, 'a', 'last'), '');
      expect(await all('a/', 1, 'a/empty')).toEqual(['a/first', 'a/last']);
      expect(await all('a/', 10)).toEqual(['a/first', 'a/last']);
    });

    it('a folder of more keys than one pass keeps, in pages of any size', async () => {
      const keys = Array.from({ length: 3_100 }, (_, i) => `a/${String((i * 7_919) % 3_100).padStart(5, '0')}`);
      await Promise.all(keys.map((key) => writeFile(join(folder, key), '')));
      const sorted = [...keys, 'a/first'].toSorted();
      for (const limit of [37, 1_000, 1_001, 5_000]) expect(await all('a/', limit)).toEqual(sorted);
      expect(await all('a/', 1, 'a/03095')).toEqual(sorted.slice(3_096));
      expect((await store.list('a/', { limit: 1, startAfter: 'a/first' })).objects).toEqual([]);
    });

    it('what a sorted list of all keys would give, for any tree and any start', async () => {
      const part = fc.stringMatching(/^[a-c!.0]{1,2}$/).filter((text) => !/^\.+$/.test(text));
      const key = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
      await fc.assert(
        fc.asyncProperty(
          fc.array(key, { maxLength: 20 }),
          key,
          fc.integer({ min: 1, max: 4 }),
          async (keys, from, limit) => {
            folder = await temporaryFolder();
            store = await DiskStore.open(folder);
            const made: string[] = [];
            for (const each of new Set(keys)) {
              // A key may lie where another has a folder.
              const outcome = await store.create(each, Buffer.from('')).catch(() => null);
              if (outcome === 'created') made.push(each);
            }
            const sorted = made.toSorted();
            expect(await all('', limit)).toEqual(sorted);
            expect(await all('', limit, from)).toEqual(sorted.filter((each) => each > from));
          },
        ),
        { numRuns: 60 },
      );
    });
  });
});
