import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll } from 'vitest';

import { DiskStore } from '../../src/adapters/disk/store.ts';
import { MemoryStore } from '../../src/adapters/memory/store.ts';
import { objectStoreContract } from './object-store.ts';

const folders: string[] = [];

afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

objectStoreContract('memory', async () => {
  const store = new MemoryStore();
  return { open: async () => store, keepsVersions: false, plant: null };
});

objectStoreContract('disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headgate-store-'));
  folders.push(folder);
  return {
    open: () => DiskStore.open(folder),
    keepsVersions: false,
    async plant(key, bytes) {
      const path = join(folder, key);
      await mkdir(key.endsWith('/') ? path : dirname(path), { recursive: true });
      if (!key.endsWith('/')) await writeFile(path, bytes);
    },
  };
});
