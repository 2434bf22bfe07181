import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { DiskStore } from '../../../src/adapters/disk/store.ts';
import { openSource, openSourceAlone } from '../../../src/compose/source.ts';
import { parseConfig, type LoadedConfig } from '../../../src/config/load.ts';
import type { RecordSource } from '../../../src/ports/record-source.ts';
import { FILES } from '../config/configuration.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  await writeFile(join(folder, 'a.ndjson'), '{}\n');
});

function load(stateFolder: string, store = './store'): LoadedConfig {
  const text = `${FILES}\nstateFolder: ${stateFolder}\nstore: { url: '${store}' }`;
  return parseConfig(text, join(folder, 'headgate.yaml'), {});
}

function open(loaded: LoadedConfig): Promise<RecordSource> {
  return openSourceAlone(loaded, true, () => undefined);
}

describe('the files of a pipeline', () => {
  it('are read by one run at a time into a store on disk, whatever else differs and however the store is named', async () => {
    await mkdir(join(folder, 'disk/store'), { recursive: true });
    await symlink('disk', join(folder, 'link'));
    await using first = await open(load('./state-1', './disk/store'));
    expect(first).toBeDefined();
    for (const store of ['./disk/store', './disk/../disk/store/', './link/store'])
      await expect(open(load('./state-2', store))).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    await using other = await open(load('./state-1', './store'));
    expect(other).toBeDefined();
  });

  it('are locked inside the store, where no key lies and where nothing is left behind', async () => {
    const locks = (): Promise<string[]> => readdir(join(folder, 'store/.tmp'));
    await using store = await DiskStore.open(join(folder, 'store'));
    const source = await open(load('./state'));
    expect(await locks()).toEqual([expect.stringMatching(/\.lock$/)]);
    expect(await store.list('', { limit: 9 })).toEqual({ objects: [], next: null });
    await source[Symbol.asyncDispose]();
    expect(await locks()).toEqual([]);
    expect(await readdir(join(folder, 'state'))).toEqual([]);
  });

  it('are locked in the folder for the state where the store is no folder', async () => {
    await using first = await open(load('./state', 's3://bucket'));
    expect(first).toBeDefined();
    expect(await readdir(join(folder, 'state'))).toEqual([expect.stringMatching(/\.lock$/)]);
    await expect(open(load('./state', 's3://bucket'))).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
  });

  it('are looked at without a lock, and without a store being made', async () => {
    await using source = await openSource(load('./state'), true, () => undefined);
    await source.join();
    expect(await readdir(folder)).toEqual(['a.ndjson']);
  });

  it('are read where the store cannot be written to: that is told by what writes', async () => {
    await writeFile(join(folder, 'store'), 'no folder');
    await using source = await open(load('./state'));
    expect(source).toBeDefined();
  });
});
