import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { DiskTarget } from '../../../../src/adapters/disk/pull-target.ts';
import { sha256Hex } from '../../../../src/record/sha256.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

/** What writing a file fails with, and the folders whose names were made durable. */
const planned = vi.hoisted(() => ({ write: '', synced: [] as string[] }));

vi.mock('node:fs/promises', async (load) => {
  const real = await load<typeof import('node:fs/promises')>();
  const open: typeof real.open = async (path, ...rest) => {
    const file = await real.open(path, ...rest);
    if (typeof rest[0] === 'number' && planned.write !== '') {
      const code = planned.write;
      file.writeFile = () => Promise.reject(Object.assign(new Error(`${code}: write`), { code, syscall: 'write' }));
    }
    if ((await file.stat()).isDirectory()) planned.synced.push(String(path));
    return file;
  };
  return { ...real, open };
});

describe('the folder that a pull fills', () => {
  let folder: string;
  let target: DiskTarget;
  const of = (text: string) => ({ bytes: Buffer.byteLength(text), sha256: sha256Hex(Buffer.from(text)) });
  const foreign = async (...ours: string[]): Promise<string[]> => {
    const found: string[] = [];
    for await (const path of target.foreignData(new Set(ours))) found.push(path);
    return found.toSorted();
  };

  beforeEach(async () => {
    folder = join(await temporaryFolder(), 'some', 'folder');
    target = new DiskTarget(folder);
    planned.synced = [];
  });

  afterEach(() => {
    planned.write = '';
  });

  it('is not there before something is written, and is then like one that is empty', async () => {
    expect(await target.read('a/b')).toBeNull();
    expect(await target.list('a')).toEqual([]);
    expect(await target.compare('a/b', of(''))).toBe('absent');
    expect(await target.remove('a/b')).toBe(false);
    await target.removeAll('a');
    await target.assertFolders(['a/b']);
    await target.sync();
    expect(await foreign()).toEqual([]);
    expect(await readdir(join(folder, '..', '..'))).toEqual([]);
  });

  it('makes folders as they are needed', async () => {
    await target.write('a/b/c', Buffer.from('x'));
    await target.move('a/b/c', 'd/e/f');
    await target.replace('g/h', Buffer.from('y'));
    expect(await readFile(join(folder, 'd', 'e', 'f'), 'utf8')).toBe('x');
    expect(await target.read('g/h')).toBe('y');
    expect(await target.list('g')).toEqual(['h']);
  });

  it('tells a file that is meant from others byte by byte, and from links to it', async () => {
    await target.write('a', Buffer.from('one'));
    await symlink(join(folder, 'a'), join(folder, 'link'));
    await mkdir(join(folder, 'b'));
    expect(await target.compare('a', of('one'))).toBe('same');
    expect(await target.compare('a', of('two'))).toBe('other');
    expect(await target.compare('link', of('one'))).toBe('other');
    expect(await target.compare('b', of('one'))).toBe('folder');
  });

  it('makes moves and removals last at the next sync: the folders that were made for them, too', async () => {
    await target.write('own/part', Buffer.from('x'));
    await target.move('own/part', 'topic/0/file');
    await target.remove('old/1/file');
    planned.synced = [];
    await target.sync();
    expect(planned.synced.toSorted()).toEqual(['.', 'topic', join('topic', '0')].map((path) => join(folder, path)));
    planned.synced = [];
    await target.sync();
    expect(planned.synced).toEqual([]);
  });

  it('removes files and links, and a folder only where all of it is meant', async () => {
    await writeFile(join(folder, '..', '..', 'precious'), 'a thesis');
    await target.write('a/b', Buffer.from('x'));
    await symlink(join(folder, '..', '..', 'precious'), join(folder, 'link'));
    expect(await target.remove('link')).toBe(true);
    await expect(target.remove('a')).rejects.toMatchObject({ code: 'PULL_CONFLICT' });
    await target.removeAll('a');
    expect(await readdir(folder)).toEqual([]);
    expect(await readFile(join(folder, '..', '..', 'precious'), 'utf8')).toBe('a thesis');
  });

  it('names foreign data by paths with a slash, whatever is between', async () => {
    await target.write('a/ours.parquet', Buffer.from('x'));
    await target.write('a/b/theirs', Buffer.from('PAR1'));
    expect(await foreign('a/ours.parquet')).toEqual(['a/b/theirs']);
    expect(await foreign()).toEqual(['a/b/theirs', 'a/ours.parquet']);
  });

  it.each([
    ['ENOSPC', 'the disk is full (mend: make room;'],
    ['EDQUOT', 'the quota is used up (mend: make room;'],
    ['EROFS', 'the file system is read-only'],
    ['EACCES', 'this user may not write there'],
    ['EIO', 'EIO: write'],
  ])('says what %s means, and leaves no half of a file', async (code, words) => {
    planned.write = code;
    for (const write of ['write', 'replace'] as const)
      await expect(target[write]('a', Buffer.from('x'))).rejects.toMatchObject({
        name: 'UnavailableError',
        code: 'TARGET_UNUSABLE',
        message: expect.stringContaining(`Cannot pull into "${folder}": ${words}`) as string,
      });
    expect(await readdir(folder)).toEqual([]);
  });

  it('ends with an error where no folder can be made, below /proc, too', async () => {
    await expect(new DiskTarget('/proc/headgate/out').write('a/b', Buffer.from('x'))).rejects.toMatchObject({
      code: 'TARGET_UNUSABLE',
    });
  });
});
