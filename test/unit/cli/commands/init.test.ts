import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { runHere } from '../../../support/in-process.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

describe('headgate init', () => {
  let folder: string;
  const init = () => runHere(folder, 'init', '.', '--files', 'a.ndjson', '--pipeline', 'shop');
  const ignored = async (): Promise<string[]> => (await readFile(join(folder, '.gitignore'), 'utf8')).split('\n');

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  it('writes a configuration, a trust root and private keys that no version control sees', async () => {
    expect((await init()).code).toBe(0);
    expect((await readdir(folder)).toSorted()).toEqual(['.gitignore', 'headgate.yaml', 'keys', 'trust.json']);
    expect(await ignored()).toEqual(['keys/', '.headgate/', 'store/', '']);
    expect((await stat(join(folder, 'keys', 'approver.pem'))).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['the keys', ['headgate.yaml', 'trust.json']],
    ['one key', ['headgate.yaml', 'trust.json', 'keys/publisher.pem', 'keys/approver.pem']],
    ['the keys and the trust root', ['headgate.yaml']],
  ])('names all that is left of an init that was cut off after %s, and goes on once it is removed', async (_, lost) => {
    await init();
    for (const path of lost) await rm(join(folder, path));
    const before = await readdir(folder, { recursive: true });
    const { code, stderr } = await init();
    expect(code).toBe(64);
    expect(await readdir(folder, { recursive: true })).toEqual(before);
    const all = ['headgate.yaml', 'trust.json', 'keys/ingest.pem', 'keys/publisher.pem', 'keys/approver.pem'];
    const left = all.filter((path) => !lost.includes(path)).map((path) => join(folder, path));
    expect(stderr).toContain(`remove ${left.map((path) => `"${path}"`).join(', ')}`);
    expect(stderr).toContain('cut off');
    for (const path of left) await rm(path);
    expect((await init()).code).toBe(0);
  });

  it('does not call a finished one cut off', async () => {
    await init();
    const { code, stderr } = await init();
    expect(code).toBe(64);
    expect(stderr).toContain('exist already');
    expect(stderr).not.toContain('cut off');
  });

  it('keeps keys from version control before there are any', async () => {
    await mkdir(join(folder, '.gitignore'));
    await expect(init()).rejects.toThrow(/EISDIR/);
    expect(await readdir(join(folder, 'keys'))).toEqual([]);
  });

  it('adds its lines behind a last line that has no end', async () => {
    await writeFile(join(folder, '.gitignore'), 'node_modules');
    await init();
    expect(await ignored()).toEqual(['node_modules', 'keys/', '.headgate/', 'store/', '']);
  });
});
