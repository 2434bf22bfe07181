import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DiskStore } from '../../src/adapters/disk/store.ts';
import { MemoryStore } from '../../src/adapters/memory/store.ts';
import { objectStoreContract } from './object-store.ts';

objectStoreContract('memory', async () => new MemoryStore());
objectStoreContract('disk', async () => DiskStore.open(await mkdtemp(join(tmpdir(), 'headgate-store-'))));
