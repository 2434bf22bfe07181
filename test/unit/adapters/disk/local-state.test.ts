import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { DiskState } from '../../../../src/adapters/disk/local-state.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

/** Files whose fsync is counted, and fails as often as planned. */
const fsync = vi.hoisted(() => ({ failures: 0, synced: 0 }));

vi.mock('node:fs/promises', async (load) => {
  const real = await load<typeof import('node:fs/promises')>();
  const open: typeof real.open = async (path, ...rest) => {
    const file = await real.open(path, ...rest);
    const sync = file.sync.bind(file);
    file.sync = async () => {
      if (fsync.failures-- > 0) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
      await sync();
      fsync.synced += 1;
    };
    return file;
  };
  return { ...real, open };
});

describe('the state of this machine', () => {
  let folder: string;
  let state: DiskState;
  const unusable = (verb: string, why: RegExp) => ({
    name: 'ConfigError',
    code: 'STATE_UNUSABLE',
    message: expect.stringMatching(
      new RegExp(`folder "[^"]*marks" cannot be ${verb}: ${why.source}.*set stateFolder to a folder`),
    ) as string,
  });

  beforeEach(async () => {
    folder = join(await temporaryFolder(), 'some', 'marks');
    state = new DiskState(folder);
    fsync.failures = 0;
    fsync.synced = 0;
  });

  it('gives back what was written last, and nothing before', async () => {
    expect(await state.read('a.json')).toBeNull();
    await state.write('a.json', 'first');
    await state.write('a.json', 'second');
    expect(await new DiskState(folder).read('a.json')).toBe('second');
    expect(await state.read('b.json')).toBeNull();
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('is on disk before it takes its name: a loss of power leaves the old text or the new one', async () => {
    await state.write('a.json', 'first');
    expect(fsync.synced).toBe(1);
    fsync.failures = 1;
    await expect(state.write('a.json', 'second')).rejects.toMatchObject(
      unusable('written', /its disk is full \(ENOSPC\) \(mend: free space there, or /),
    );
    expect(await state.read('a.json')).toBe('first');
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('can be tried out without leaving anything but its folder behind', async () => {
    await state.assertWritable();
    expect(fsync.synced).toBe(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it('cannot be kept where no folder can be made, even by root', async () => {
    const nowhere = new DiskState('/proc/headgate/marks');
    await expect(nowhere.assertWritable()).rejects.toMatchObject(unusable('written', /ENOENT/));
    await expect(nowhere.write('a.json', '')).rejects.toMatchObject({ code: 'STATE_UNUSABLE' });
    expect(await nowhere.read('a.json')).toBeNull();
  });

  it('cannot be kept where a file stands', async () => {
    await mkdir(join(folder, '..'));
    await writeFile(folder, '');
    const why = /a file stands where a folder is wanted \((EEXIST|ENOTDIR)\) \(mend: move that file away, or /;
    await expect(state.assertWritable()).rejects.toMatchObject(unusable('written', why));
    await expect(state.read('a.json')).rejects.toMatchObject(unusable('read', why));
  });

  it('leaves no temporary file behind when a folder has the name of a text', async () => {
    await mkdir(join(folder, 'a.json'), { recursive: true });
    await expect(state.read('a.json')).rejects.toMatchObject(unusable('read', /EISDIR/));
    await expect(state.write('a.json', 'x')).rejects.toMatchObject({ code: 'STATE_UNUSABLE' });
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('survives many writers at once', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => new DiskState(folder).write('a.json', `text ${i}`)));
    expect(await state.read('a.json')).toMatch(/^text \d+$/);
    expect(await readdir(folder)).toEqual(['a.json']);
  });

  it('names the owner of a folder that belongs to somebody else', async () => {
    await state.assertWritable();
    await chmod(folder, 0o500);
    const { uid } = await stat(folder);
    const asOther = vi.spyOn(process, 'getuid').mockReturnValue(uid + 1);
    const failed = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', path: join(folder, 'x') });
    const { describeTrouble } = await import('../../../../src/adapters/disk/trouble.ts');
    const named = { path: folder, setting: 'stateFolder', wanted: 'is ours' };
    expect(await describeTrouble(named, failed)).toBe(
      `"${folder}" belongs to user ${uid}, this process is user ${uid + 1} (EACCES) (mend: run it as user ${uid}, or as root chown -R ${uid + 1} ${folder}, or set stateFolder to a folder that is ours)`,
    );
    const below = join(folder, 'new one');
    expect(await describeTrouble({ ...named, path: below }, Object.assign(failed, { path: below }))).toContain(
      `"${folder}" belongs to user ${uid}, this process is user ${uid + 1} (EACCES) (mend: run it as user ${uid}, or as root mkdir -p '${below}' && chown -R ${uid + 1} '${below}', or set`,
    );
    asOther.mockRestore();
    expect(await describeTrouble(named, failed)).toBe(
      `"${folder}" may not be used (EACCES) (mend: chmod -R u+rwX ${folder}, or set stateFolder to a folder that is ours)`,
    );
    await chmod(folder, 0o700);
  });
});
