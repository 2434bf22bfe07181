import { chmod, lstat, mkdir, readFile, readdir, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { setTopLevelKey } from '../../../src/config/edit.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

describe('a change of one key', () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    path = join(folder, 'headgate.yaml');
    await writeFile(path, '# mine\npipeline: shop # of fruit\nmode: enforce\n\nstore: { url: ./store }\n');
  });

  it('keeps comments, order and all other keys', async () => {
    await setTopLevelKey(path, 'mode', 'observe');
    expect(await readFile(path, 'utf8')).toBe(
      '# mine\npipeline: shop # of fruit\nmode: observe\n\nstore: { url: ./store }\n',
    );
    expect(await readdir(folder)).toEqual(['headgate.yaml']);
  });

  it.each([0o600, 0o640, 0o644, 0o660])('keeps the mode of the file, which may hold secrets (%o)', async (mode) => {
    await chmod(path, mode);
    await setTopLevelKey(path, 'mode', 'observe');
    expect((await stat(path)).mode & 0o777).toBe(mode);
  });

  it('changes the file that a link leads to, and keeps the link', async () => {
    const link = join(folder, 'current.yaml');
    await symlink('headgate.yaml', link);
    await setTopLevelKey(link, 'mode', 'observe');
    expect(await readlink(link)).toBe('headgate.yaml');
    expect(await readFile(path, 'utf8')).toContain('mode: observe');
  });

  it('writes through nothing that lies beside it', async () => {
    const precious = join(folder, 'precious');
    await writeFile(precious, 'a thesis');
    await symlink(precious, `${path}.part`);
    await setTopLevelKey(path, 'mode', 'observe');
    expect(await readFile(precious, 'utf8')).toBe('a thesis');
    expect((await lstat(path)).isFile()).toBe(true);
  });

  it('leaves nothing behind when it cannot be made', async () => {
    const inTheWay = join(folder, 'folder');
    await mkdir(inTheWay);
    await expect(setTopLevelKey(inTheWay, 'mode', 'observe')).rejects.toThrow(/EISDIR/);
    expect(await readdir(folder)).toEqual(['folder', 'headgate.yaml']);
  });
});
