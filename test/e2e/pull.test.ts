import { createHash } from 'node:crypto';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { describe, expect, it } from 'vitest';

import { orders, TestPipeline } from '../support/pipeline.ts';

interface CompletionRecord {
  readonly snapshot: string;
  readonly records: number;
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
}

/** A pipeline in observe mode with `batches` batches of a hundred records published. */
async function published(batches: number): Promise<TestPipeline> {
  const pipeline = await TestPipeline.open(
    ['--files', 'data-*.ndjson', '--pipeline', 'shop'],
    'mode: observe\nbatch: { recordsMax: 100 }',
  );
  await pipeline.write('data-1.ndjson', orders(batches * 100));
  await pipeline.json('run', '--once');
  return pipeline;
}

/** What a job reads that looks only at the folder. */
async function visible(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => path.endsWith('.parquet'))
    .toSorted();
}

async function readRecord(folder: string): Promise<CompletionRecord | null> {
  const text = await readFile(join(folder, '.headgate', 'complete.json'), 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as CompletionRecord);
}

/** The promise: a record is there only while the folder holds all that it lists, byte by byte, and no other data. */
async function expectTrueRecord(folder: string): Promise<CompletionRecord | null> {
  const record = await readRecord(folder);
  if (record === null) return null;
  expect(await visible(folder)).toEqual(record.files.map(({ path }) => path).toSorted());
  for (const { path, sha256 } of record.files)
    expect(
      createHash('sha256')
        .update(await readFile(join(folder, path)))
        .digest('hex'),
    ).toBe(sha256);
  return record;
}

/** Waits until `holds`, or until a running pull has ended. */
async function until(child: { readonly exitCode: number | null }, holds: () => Promise<boolean>): Promise<void> {
  while (child.exitCode === null && !(await holds())) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('headgate pull', () => {
  it('shows nothing of a snapshot of which one file is altered, and goes on from what it had once that is mended', async () => {
    const pipeline = await published(20);
    const target = join(pipeline.folder, 'out');
    const data = join(pipeline.folder, 'store', 'shop', 'data');
    const name = (await readdir(data, { recursive: true })).filter((each) => each.endsWith('.parquet')).at(-1)!;
    const own = await readFile(join(data, name));
    const altered = Buffer.from(own);
    altered[100]! ^= 1;
    await writeFile(join(data, name), altered);
    const { code, stdout } = await pipeline.run('pull', 'main', 'out', '--json');
    expect([code, (JSON.parse(stdout) as { error: { object: string } }).error.object]).toEqual([
      2,
      `shop/data/${name}`,
    ]);
    expect(await visible(target)).toEqual([]);
    expect(await readRecord(target)).toBeNull();
    await writeFile(join(data, name), own);
    const report = await pipeline.json<{ downloaded: number; kept: number }>('pull', 'main', 'out');
    expect(report).toMatchObject({ files: 20, records: 2_000, complete: true });
    expect(report.kept).toBeGreaterThan(0);
    expect(await expectTrueRecord(target)).toMatchObject({ records: 2_000 });
  }, 60_000);

  it('names data in the folder that it has not put there, with exit code 64', async () => {
    const pipeline = await published(2);
    await pipeline.json('pull', 'main', 'out');
    const path = join(pipeline.folder, 'out', 'shop', 'yesterday.parquet');
    await writeFile(path, 'PAR1');
    const { code, stderr } = await pipeline.run('pull', 'main', 'out');
    expect([code, stderr]).toEqual([64, expect.stringContaining('"shop/yesterday.parquet"')]);
    expect(await readFile(path, 'utf8')).toBe('PAR1');
    expect(await readRecord(join(pipeline.folder, 'out'))).toBeNull();
    await rm(path);
    expect(await pipeline.json('pull', 'main', 'out')).toMatchObject({ downloaded: 0, complete: true });
  }, 60_000);

  it('killed at any moment, claims nothing that the folder does not hold, and needs no cleaning', async () => {
    const pipeline = await published(60);
    const target = join(pipeline.folder, 'out');
    await pipeline.json('pull', 'main', 'out');
    const first = (await readRecord(target))!.snapshot;
    await pipeline.write('data-2.ndjson', orders(6_000, 100_000));
    await pipeline.json('run', '--once');
    const staging = join(target, '.headgate', 'staging');
    const seen: (string | undefined)[] = [];
    for (let round = 0; round < 14; round++) {
      const running = pipeline.start('pull', round % 4 < 2 ? 'main' : first, 'out');
      // While files are set aside, while they move in, and once it has ended: whatever the machine's speed.
      const phase = round % 7;
      if (phase < 4)
        await until(running.process, async () => (await readdir(staging).catch(() => [])).length > (round * 13) % 61);
      else if (phase < 6) await until(running.process, async () => (await readRecord(target)) === null);
      else await running.done;
      running.process.kill('SIGKILL');
      await running.done;
      seen.push((await expectTrueRecord(target))?.snapshot);
    }
    expect(seen[6]).toBe(first);
    expect(seen[13]).not.toBe(first);
    expect(await pipeline.json('pull', 'main', 'out')).toMatchObject({ files: 120, complete: true });
    expect((await expectTrueRecord(target))!.snapshot).not.toBe(first);
  }, 120_000);
});
