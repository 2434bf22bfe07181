import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { describe, expect, it } from 'vitest';

import { Layout } from '../../src/ledger/layout.ts';
import { parseLogId } from '../../src/record/log-id.ts';
import type { CommandOutput } from '../support/cli.ts';
import { orders, TestPipeline } from '../support/pipeline.ts';

const FILES = ['--files', 'data-*.ndjson', '--pipeline', 'shop'];
const SMALL = 'batch: { recordsMax: 1000 }';

interface Status {
  readonly store: string;
  readonly halts: readonly {
    readonly log: string;
    readonly code: string;
    readonly since: string;
    readonly wayOut: string;
    readonly source: string;
  }[];
  readonly logs: readonly { readonly log: string; readonly halted: string | null }[];
}

/** A pipeline with alerts that has read a file, and that file's text before and after a change that halts its partition. */
async function readWithAlerts() {
  const pipeline = await TestPipeline.open(FILES, `${SMALL}\nalerts: [{ name: console, type: console }]`);
  await pipeline.write('data-1.ndjson', orders(1_000));
  await pipeline.json('run', '--once');
  const path = join(pipeline.folder, 'data-1.ndjson');
  const own = await readFile(path, 'utf8');
  return { pipeline, path, own, changed: own.replace('o-', 'x-') };
}

/** Ids of the alerts of halts that a command has sent. */
function haltAlerts({ stdout, stderr }: Pick<CommandOutput, 'stdout' | 'stderr'>): readonly string[] {
  return `${stdout}${stderr}`.match(/(?<="id":")halt-\w+/g) ?? [];
}

describe('headgate status', () => {
  it('shows a partition that halted in an earlier process, and no longer once it is read on', async () => {
    const pipeline = await TestPipeline.open(FILES, SMALL);
    for (const name of ['data-1.ndjson', 'data-2.ndjson']) await pipeline.write(name, orders(1_000));
    await pipeline.json('run', '--once');
    const path = join(pipeline.folder, 'data-1.ndjson');
    const own = await readFile(path, 'utf8');
    await writeFile(path, own.replace('o-', 'x-'));
    expect((await pipeline.run('run', '--once')).code).toBe(5);
    const { halts, logs } = await pipeline.json<Status>('status');
    expect(halts).toMatchObject([{ log: 'file/shop/data-1.ndjson', code: 'SOURCE_CHANGED', source: 'process' }]);
    expect(halts[0]!.wayOut).toMatch(/^restore the file/);
    expect(logs.map(({ halted }) => halted)).toEqual(['SOURCE_CHANGED', null]);
    const { stdout } = await pipeline.run('status');
    expect(stdout).toMatch(/2 logs, 1 HALTED\n/);
    expect(stdout).toMatch(/HALTED {2}file\/shop\/data-1\.ndjson \(SOURCE_CHANGED\) since \d{4}-.*; way out: restore/);
    expect((await pipeline.run('run', '--once')).code).toBe(5);
    expect((await pipeline.json<Status>('status')).halts).toEqual(halts);
    await writeFile(path, own);
    expect((await pipeline.run('run', '--once')).code).toBe(0);
    expect((await pipeline.json<Status>('status')).halts).toEqual([]);
    expect((await pipeline.run('status')).stdout).toContain('2 logs, none known to have halted');
  }, 60_000);

  it('shows a file that halted and was renamed or removed until the next run has found that out', async () => {
    const pipeline = await TestPipeline.open(FILES, SMALL);
    const names = ['data-1.ndjson', 'data-2.ndjson'];
    for (const name of names) await pipeline.write(name, orders(1_000));
    await pipeline.json('run', '--once');
    for (const name of names) await pipeline.write(name, orders(1_000, 5_000));
    expect((await pipeline.run('run', '--once')).code).toBe(5);
    await rename(join(pipeline.folder, 'data-1.ndjson'), join(pipeline.folder, 'old.ndjson'));
    expect((await pipeline.json<Status>('status')).halts).toHaveLength(2);
    const { code, stderr } = await pipeline.run('run', '--once');
    expect([code, stderr]).toEqual([5, expect.stringContaining('file/shop/data-1.ndjson had halted and is not there')]);
    expect((await pipeline.json<Status>('status')).halts).toMatchObject([{ log: 'file/shop/data-2.ndjson' }]);
    await rm(join(pipeline.folder, 'data-2.ndjson'));
    expect((await pipeline.run('run', '--once')).code).toBe(0);
    expect((await pipeline.json<Status>('status')).halts).toEqual([]);
  }, 60_000);

  it('goes with one alert a halt: none when the process is started again, another when it comes again', async () => {
    const { pipeline, path, own, changed } = await readWithAlerts();
    const alerts: (readonly string[])[] = [];
    const since: string[] = [];
    for (const text of [changed, changed, own, changed, changed]) {
      await writeFile(path, text);
      const { stdout, stderr } = await pipeline.run('run', '--once');
      alerts.push(haltAlerts({ stdout, stderr }));
      since.push((await pipeline.json<Status>('status')).halts[0]?.since ?? 'none');
    }
    expect(alerts.map(({ length }) => length)).toEqual([1, 0, 0, 1, 0]);
    expect(alerts[3]).not.toEqual(alerts[0]);
    expect(since).toEqual([since[0], since[0], 'none', since[3], since[3]]);
    expect(since[3]).not.toBe(since[0]);
  }, 60_000);

  it('goes with one alert a halt also where a worker apart sends it, and no queue joins the two', async () => {
    const { pipeline, path, changed } = await readWithAlerts();
    await writeFile(path, changed);
    const ingest = await pipeline.run('ingest', '--once');
    expect([ingest.code, ingest.stderr]).toEqual([5, expect.not.stringContaining('"id":"halt-')]);
    const alerts: (readonly string[])[] = [];
    for (let i = 0; i < 2; i++) {
      const { code, stdout, stderr } = await pipeline.run('worker', '--once');
      expect(code).toBe(0);
      alerts.push(haltAlerts({ stdout, stderr }));
    }
    expect(alerts.map(({ length }) => length)).toEqual([1, 0]);
  }, 60_000);

  it('shows a partition that a rule has halted, and the command that leads out', async () => {
    const rule = 'rules: [{ rule: range, column: amount, max: 50, action: halt }]';
    const pipeline = await TestPipeline.open(FILES, SMALL, { npm_lifecycle_event: 'npx' });
    await pipeline.configure(`topicDefaults: { ${rule} }`);
    await pipeline.write('data-1.ndjson', orders(1_000));
    const { code, stderr } = await pipeline.run('run', '--once');
    expect([code, stderr]).toEqual([5, expect.stringContaining('(way out: npx headgate resume --reason TEXT)')]);
    expect((await pipeline.run('status')).stdout).toContain('way out: npx headgate resume --reason TEXT\n');
    const { halts, store } = await pipeline.json<Status>('status');
    expect(halts).toMatchObject([{ code: 'RULE', source: 'log', wayOut: 'headgate resume --reason TEXT' }]);
    // Anyone who can write to the store can note something else of it.
    const [{ log, since }] = halts as [Status['halts'][number]];
    const path = join(resolve(pipeline.folder, store), new Layout('shop').haltHint(parseLogId(log)!));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, JSON.stringify({ halt: { log, code: 'GAP', message: '', next: 1e6, since } }));
    const forged = await pipeline.json<Status>('status');
    expect(forged.halts.map(({ source }) => source)).toEqual(['log', 'process']);
    expect(forged.logs).toMatchObject([{ halted: 'RULE', haltedByRule: true }]);
  }, 60_000);
});

describe('headgate baseline learn', () => {
  it('leaves out a batch of which nothing decoded, says so, and joins held and published batches', async () => {
    const pipeline = await TestPipeline.open(FILES, SMALL);
    await writeFile(join(pipeline.folder, 'data-0.ndjson'), 'no json\n'.repeat(10));
    await pipeline.json('run', '--once');
    await pipeline.write('data-1.ndjson', orders(9_000));
    await pipeline.json('run', '--once');
    const { code, stdout } = await pipeline.run('baseline', 'learn', '--held');
    expect([code, stdout]).toEqual([0, expect.stringContaining('left out: 1 batch of which no record decoded')]);
    await pipeline.json('baseline', 'approve');
    await pipeline.json('publish', '--once');
    await rm(join(pipeline.folder, 'data-0.ndjson'));
    expect((await pipeline.run('baseline', 'learn', '--held')).code).toBe(64);
    expect(await pipeline.json('baseline', 'learn', '--held', '--published')).toMatchObject({ batches: 9, skipped: 0 });
  }, 60_000);
});
