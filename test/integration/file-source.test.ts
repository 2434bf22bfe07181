import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { FileSource, type FileSourceOptions } from '../../src/adapters/file/file-source.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import type { ReadRequest, ReadResult } from '../../src/ports/record-source.ts';
import { formatLogId } from '../../src/record/log-id.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/* The file source at sizes that matter, on a real file system. */

const MIB = 1_048_576;
const { signal } = new AbortController();
let base: string;

beforeEach(async () => {
  base = await temporaryFolder();
});

async function joined(options: Partial<FileSourceOptions> = {}): Promise<FileSource> {
  const stdin = { stdinId: 'stdin-1', openStdin: () => process.stdin };
  const source = new FileSource({
    topic: 't',
    paths: ['.'],
    base,
    format: 'ndjson',
    once: true,
    clock: systemClock,
    ...stdin,
    ...options,
  });
  await source.join();
  return source;
}

/** Polls until every partition has ended; `each` sees what came. */
async function readToEnd(
  source: FileSource,
  each: (results: readonly ReadResult[]) => void | Promise<void>,
): Promise<number> {
  const next = new Map<string, ReadRequest>();
  for (const log of source.assignment()!.logs) {
    await source.restore(log, 0, null);
    next.set(formatLogId(log), { log, offset: 0, recordsMax: 10_000, bytesMax: 64 * MIB });
  }
  let records = 0;
  while (next.size > 0) {
    const results = await source.poll([...next.values()], 100, signal);
    for (const result of results) {
      const name = formatLogId(result.log);
      if (result.kind === 'halt') throw result.error;
      if (result.kind === 'records') {
        records += result.chunk.count;
        next.set(name, { ...next.get(name)!, offset: result.chunk.nextOffset });
      } else if (result.ended) {
        next.delete(name);
      }
    }
    await each(results);
  }
  return records;
}

const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length;

describe('a file source', () => {
  it('reads 5,000 small files with few of them open, and little memory', { timeout: 60_000 }, async () => {
    const line = `${JSON.stringify({ text: 'x'.repeat(500) })}\n`;
    for (let at = 0; at < 5_000; at += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, i) => writeFile(join(base, `${at + i}.ndjson`), line.repeat(4))),
      );
    }
    const source = await joined();
    const openBefore = await openFiles();
    let openMost = 0;
    let memoryMost = 0;
    const memoryBefore = process.memoryUsage().rss;
    const records = await readToEnd(source, async () => {
      openMost = Math.max(openMost, await openFiles());
      memoryMost = Math.max(memoryMost, process.memoryUsage().rss);
    });
    expect(records).toBe(20_000);
    expect(openMost - openBefore).toBeLessThan(80);
    expect((memoryMost - memoryBefore) / MIB).toBeLessThan(150);
    expect(await openFiles()).toBeLessThanOrEqual(openBefore);
    await source[Symbol.asyncDispose]();
  });

  it('keeps few files open when many are read side by side', { timeout: 60_000 }, async () => {
    const text = `${'x'.repeat(99)}\n`.repeat(100);
    await Promise.all(Array.from({ length: 200 }, (_, i) => writeFile(join(base, `${i}.ndjson`), text)));
    const source = await joined({ readBytes: 1_000 });
    const openBefore = await openFiles();
    const offsets = new Map(source.assignment()!.logs.map((log) => [log, 0]));
    let openMost = 0;
    for (let round = 0; round < 4; round++) {
      for (const [log, offset] of offsets) {
        const [result] = await source.poll([{ log, offset, recordsMax: 5, bytesMax: MIB }], 10, signal);
        expect(result).toMatchObject({ kind: 'records', chunk: { from: offset, count: 5 } });
        offsets.set(log, offset + 5);
        openMost = Math.max(openMost, await openFiles());
      }
    }
    expect(openMost - openBefore).toBeLessThan(80);
    await source[Symbol.asyncDispose]();
    expect(await openFiles()).toBeLessThanOrEqual(openBefore);
  });

  it('hands out a line of 100 MB whole, in time linear in its length', { timeout: 60_000 }, async () => {
    const file = await open(join(base, 'large.ndjson'), 'w');
    await file.write('before\n');
    const part = Buffer.alloc(MIB, 0x78);
    for (let i = 0; i < 100; i++) await file.write(part);
    await file.write('\nafter\n');
    await file.close();
    const source = await joined();
    const lengths: number[] = [];
    const begin = process.cpuUsage();
    await readToEnd(source, (results) => {
      for (const result of results) if (result.kind === 'records') lengths.push(...result.chunk.valueLengths);
    });
    const { user, system } = process.cpuUsage(begin);
    expect(lengths).toEqual([6, 100 * MIB, 5]);
    expect((user + system) / 1_000_000).toBeLessThan(10);
    await source[Symbol.asyncDispose]();
  });
});
