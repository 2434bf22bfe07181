import { execFileSync } from 'node:child_process';
import { link, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { DiskTarget } from '../../../../src/adapters/disk/pull-target.ts';
import { sha256Hex } from '../../../../src/record/sha256.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

/** What writing a file fails with, names that this user may not read, and the folders whose names were made durable. */
const planned = vi.hoisted(() => ({ write: '', unreadable: [] as string[], synced: [] as string[] }));

vi.mock('node:fs/promises', async (load) => {
  const real = await load<typeof import('node:fs/promises')>();
  const assertReadable = (path: unknown, syscall: string): void => {
    if (!planned.unreadable.includes(basename(String(path)))) return;
    throw Object.assign(new Error('EACCES: planned'), { code: 'EACCES', syscall, path });
  };
  const opendir = (async (path: string) => {
    assertReadable(path, 'opendir');
    return real.opendir(path);
  }) as typeof real.opendir;
  const open: typeof real.open = async (path, ...rest) => {
    assertReadable(path, 'open');
    const file = await real.open(path, ...rest);
    if (typeof rest[0] === 'number' && planned.write !== '') {
      const code = planned.write;
      file.writeFile = () => Promise.reject(Object.assign(new Error(`${code}: write`), { code, syscall: 'write' }));
    }
    if ((await file.stat()).isDirectory()) planned.synced.push(String(path));
    return file;
  };
  return { ...real, open, opendir };
});

describe('the folder that a pull fills', () => {
  let folder: string;
  let target: DiskTarget;
  const of = (text: string) => ({ bytes: Buffer.byteLength(text), sha256: sha256Hex(Buffer.from(text)) });
  const foreign = async (...ours: string[]): Promise<string[]> => {
    const found: string[] = [];
    for await (const path of target.foreignData(new Set(ours), '.own')) found.push(path);
    return found.toSorted();
  };

  beforeEach(async () => {
    folder = join(await temporaryFolder(), 'some', 'folder');
    target = new DiskTarget(folder);
    planned.synced = [];
  });

  afterEach(() => {
    planned.write = '';
    planned.unreadable = [];
  });

  it('is not there before something is written, and is then like one that is empty', async () => {
    expect(await target.read('a/b', 9)).toBeNull();
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
    expect(await target.read('g/h', 9)).toBe('y');
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

  it('passes over its own folder at the top but for what readers find there by its name, and over no other', async () => {
    for (const path of [
      '.own/staging/x.part',
      '.own/part',
      'a/.own/b',
      '.own.parquet',
      '.own/a.parquet',
      '.own/b/c.pq',
    ])
      await target.write(path, Buffer.from('PAR1'));
    await symlink('..', join(folder, '.own/link'));
    expect(await foreign()).toEqual(['.own.parquet', '.own/a.parquet', '.own/b/c.pq', '.own/link', 'a/.own/b']);
  });

  it.runIf(process.platform === 'linux')(
    'tells data from ours by the file, not by a spelling that is nearly the same',
    async () => {
      await target.write('Orders/a.parquet', Buffer.from('x'));
      await target.write('orders/a.parquet', Buffer.from('x'));
      await link(join(folder, 'orders', 'a.parquet'), join(folder, 'orders', 'A.parquet'));
      expect(await foreign('orders/a.parquet')).toEqual(['Orders/a.parquet']);
      expect(await foreign('orders/a.parquet', 'ORDERS/a.parquet')).toEqual(['Orders/a.parquet']);
    },
  );

  it('compares many foreign files with many of ours in a time that grows with their sum', async () => {
    let lowered = 0;
    const lower = vi.spyOn(String.prototype, 'toLowerCase').mockImplementation(function (this: string) {
      lowered++;
      return this.toLocaleLowerCase('en');
    });
    try {
      for (let i = 0; i < 50; i++) await target.write(`theirs/${i}.parquet`, Buffer.from('x'));
      const ours = Array.from({ length: 50 }, (_, i) => `mine/x/${i}.parquet`);
      expect(await foreign(...ours)).toHaveLength(50);
    } finally {
      lower.mockRestore();
    }
    expect(lowered).toBeLessThan(300);
  });

  it('passes over folders and files that this user may not read: no reader of this user can', async () => {
    await target.write('lost+found/a.parquet', Buffer.from('x'));
    await target.write('sealed', Buffer.from('PAR1'));
    await target.write('open/b.parquet', Buffer.from('x'));
    planned.unreadable = ['lost+found', 'sealed'];
    expect(await foreign()).toEqual(['open/b.parquet']);
  });

  it('names what this user may not read and must', async () => {
    await target.write('a', Buffer.from('x'));
    const refusal = (path: string): object => ({
      code: 'TARGET_UNUSABLE',
      message: `Cannot pull into "${folder}": this user may not read "${path}" (mend: let this user read it, or pull into another folder)`,
    });
    planned.unreadable = ['a'];
    await expect(target.read('a', 9)).rejects.toMatchObject(refusal(join(folder, 'a')));
    planned.unreadable = ['folder'];
    await expect(foreign()).rejects.toMatchObject(refusal(folder));
  });

  it('reads plain files only, and waits for nothing else that has their name', async () => {
    await target.write('file', Buffer.from('x'));
    await symlink(join(folder, 'file'), join(folder, 'link'));
    await mkdir(join(folder, 'sub'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    for (const [path, why] of [
      ['link', 'it is a link'],
      ['sub', 'it is a folder'],
      ['pipe', 'it is no file'],
    ] as const)
      await expect(target.read(path, 9)).rejects.toMatchObject({
        code: 'PULL_CONFLICT',
        message: `Cannot read "${join(folder, path)}": ${why} (mend: pull into an empty folder)`,
      });
  });

  it('reads a file up to its cap, and not one byte more', async () => {
    await target.write('file', Buffer.from('123'));
    expect(await target.read('file', 3)).toBe('123');
    await expect(target.read('file', 2)).rejects.toMatchObject({
      code: 'PULL_CONFLICT',
      message: `Cannot read "${join(folder, 'file')}": it has 3 bytes, at most 2 are allowed (mend: pull into an empty folder)`,
    });
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
      message:
        'Cannot pull into "/proc/headgate/out": no folder can be made in "/proc" (mend: pull into a folder on a disk of this machine)',
    });
  });

  it.each([
    ['a link that leads nowhere', 'link', 'it leads through the link "BASE/link", and that leads nowhere'],
    ['a folder below such a link', 'link/a/b', 'it leads through the link "BASE/link", and that leads nowhere'],
    ['a link to itself', 'circle', 'its links go round in a circle'],
    ['a file', 'file', '"BASE/file" is no folder'],
    ['a link to a file', 'to-file', '"BASE/to-file" is no folder'],
    ['a folder below a file', 'file/a/b', '"BASE/file" is no folder'],
    ['a name that is too long', 'x'.repeat(300), 'its name is longer than the disk allows'],
  ])('is refused before anything else if it is %s, with the way out', async (_, path, why) => {
    const base = join(folder, '..');
    await mkdir(base);
    await writeFile(join(base, 'file'), 'a file');
    await symlink('nowhere', join(base, 'link'));
    await symlink('circle', join(base, 'circle'));
    await symlink('file', join(base, 'to-file'));
    const other = new DiskTarget(join(base, path));
    const message = `Cannot pull into "${join(base, path)}": ${why.replace('BASE', base)} (mend: `;
    await expect(other.assertFolders([])).rejects.toMatchObject({
      name: 'UnavailableError',
      code: 'TARGET_UNUSABLE',
      message: expect.stringContaining(message) as string,
    });
    await expect(other.write('a', Buffer.from('x'))).rejects.toMatchObject({
      code: 'TARGET_UNUSABLE',
      message: expect.not.stringMatching(/ENOENT|EEXIST|ENOTDIR/) as string,
    });
  });

  it('may be a link to a folder', async () => {
    await mkdir(folder, { recursive: true });
    await symlink(folder, `${folder}-link`);
    const other = new DiskTarget(`${folder}-link/below`);
    await other.assertFolders(['a/b']);
    await other.write('a/b', Buffer.from('x'));
    expect(await target.list('below/a')).toEqual(['b']);
  });
});
