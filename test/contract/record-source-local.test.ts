import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { FileSource } from '../../src/adapters/file/file-source.ts';
import { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import { MemorySource } from '../../src/adapters/memory/source.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { recordSourceContract, type SourceFixture } from './record-source.ts';

recordSourceContract('memory', async () => {
  const broker = new MemoryBroker();
  const log = broker.create('topic', 0);
  return {
    log,
    append: async (values) =>
      broker.append(
        log,
        values.map((value) => ({ value: Buffer.from(value) })),
      ),
    open: async () => new MemorySource(broker, systemClock),
  };
});

recordSourceContract('files, newline-delimited JSON', () => fileFixture('ndjson', '', 64));
recordSourceContract('files, read in one piece', () => fileFixture('ndjson', '', 1_048_576));
recordSourceContract('files, CSV', () => fileFixture('csv', 'a|b\r\n', 100));

async function fileFixture(format: 'ndjson' | 'csv', head: string, readBytes: number): Promise<SourceFixture> {
  const base = await mkdtemp(join(tmpdir(), 'headgate-test-'));
  onTestFinished(() => rm(base, { recursive: true, force: true }));
  const file = join(base, 'a.txt');
  await writeFile(file, head);
  return {
    log: { cluster: 'file', topic: 'files', partition: 'a.txt' },
    append: (values) => appendFile(file, values.map((value) => `${value}${format === 'csv' ? '\r\n' : '\n'}`).join('')),
    open: async () =>
      new FileSource({
        topic: 'files',
        paths: ['.'],
        base,
        format,
        delimiter: '|',
        once: false,
        clock: systemClock,
        stdinId: 'stdin',
        openStdin: () => process.stdin,
        readBytes,
      }),
  };
}
