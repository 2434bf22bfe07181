import { appendFile, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { orders, TestPipeline } from '../support/pipeline.ts';

const FILES = ['--files', 'data-*.ndjson', '--pipeline', 'shop'];
const SMALL = 'batch: { recordsMax: 1000 }';

interface RunReport {
  readonly records: number;
  readonly batches: number;
  readonly clean: number;
  readonly suspect: number;
  readonly undecided: number;
  readonly deadLetters: number;
  readonly snapshot: string | null;
  readonly halted: readonly { readonly code: string; readonly message: string; readonly next: number }[];
}

/** A pipeline with a baseline in force and 12 clean batches published. */
async function published(settings = SMALL): Promise<TestPipeline> {
  const pipeline = await TestPipeline.open(FILES, settings);
  await pipeline.write('data-1.ndjson', orders(12_000));
  await pipeline.json('run', '--once');
  await pipeline.json('baseline', 'learn', '--held');
  await pipeline.json('baseline', 'approve');
  await pipeline.json('publish', '--once');
  return pipeline;
}

describe('headgate on files', () => {
  it('goes the whole way of the README: held, learned, approved, published, gated, pulled', async () => {
    const pipeline = await TestPipeline.open(FILES, SMALL);
    await pipeline.write('data-1.ndjson', orders(12_000));
    const first = await pipeline.json<RunReport>('run', '--once');
    expect(first).toMatchObject({ records: 12_000, batches: 12, clean: 0, suspect: 0, undecided: 12, deadLetters: 0 });
    expect((await pipeline.run('gate')).code).toBe(1);
    await pipeline.json('baseline', 'learn', '--held');
    await pipeline.json('baseline', 'approve');
    const { snapshot } = await pipeline.json<RunReport>('publish', '--once');
    expect(snapshot).toMatch(/^[0-9a-f]{64}$/);
    expect((await pipeline.run('gate')).code).toBe(0);
    expect(await pipeline.json('pull', 'main', 'out')).toMatchObject({ records: 12_000, files: 12, downloaded: 12 });
    expect((await readdir(join(pipeline.folder, 'out', 'shop'))).length).toBe(1);
    expect(await pipeline.json('verify', '--deep')).toMatchObject({ ok: true, problems: [], records: 12_000 });
  }, 60_000);

  it('resumes where it stopped: a second run reads nothing, growth is read once', async () => {
    const pipeline = await published();
    expect(await pipeline.json<RunReport>('run', '--once')).toMatchObject({ records: 0, batches: 0 });
    await appendFile(
      join(pipeline.folder, 'data-1.ndjson'),
      orders(1_000, 50_000)
        .map((order) => `${JSON.stringify(order)}\n`)
        .join(''),
    );
    expect(await pipeline.json<RunReport>('run', '--once')).toMatchObject({ records: 1_000, batches: 1, clean: 1 });
    expect(await pipeline.json('verify', '--deep')).toMatchObject({ ok: true, records: 13_000 });
  }, 60_000);

  it('halts a file whose ingested part has changed, with exit code 5 and the reason', async () => {
    const pipeline = await published();
    const path = join(pipeline.folder, 'data-1.ndjson');
    await writeFile(path, (await readFile(path, 'utf8')).replace('Basel', 'Besel'));
    const { code, stdout } = await pipeline.run('run', '--once', '--json');
    expect(code).toBe(5);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ halted: [{ code: 'SOURCE_CHANGED' }] });
  }, 60_000);

  it('quarantines a poisoned file, shows why, releases it by a signed decision', async () => {
    const pipeline = await published();
    await pipeline.write(
      'data-2.ndjson',
      orders(1_000, 90_000).map((order, i) => (i % 12 === 0 ? { ...order, amount: order.amount * 10 } : order)),
    );
    expect(await pipeline.json<RunReport>('run', '--once')).toMatchObject({ clean: 0, suspect: 1 });
    const { held } = await pipeline.json<{ held: { digest: string; standing: string }[] }>('quarantine', 'list');
    expect(held).toHaveLength(1);
    const { stdout } = await pipeline.run('quarantine', 'show', held[0]!.digest.slice(0, 10));
    expect(stdout).toContain('"amount"');
    await pipeline.json('quarantine', 'release', held[0]!.digest, '--reason', 'sale week');
    await pipeline.json('publish', '--once');
    expect(await pipeline.json('status')).toMatchObject({ records: 13_000, held: 0 });
    expect(await pipeline.json('verify', '--deep')).toMatchObject({ ok: true });
    expect((await pipeline.run('log')).stdout).toContain('sale week');
  }, 60_000);

  it('publishes everything in observe mode, warns at the gate, and enforces from one command on', async () => {
    const pipeline = await published();
    expect((await pipeline.run('mode', 'observe')).code).toBe(0);
    const poison = (first: number) => orders(1_000, first).map((order) => ({ ...order, amount: 9_999 }));
    await pipeline.write('data-2.ndjson', poison(91_000));
    expect(await pipeline.json<RunReport>('run', '--once')).toMatchObject({ suspect: 1 });
    expect(await pipeline.json('status')).toMatchObject({ records: 13_000, held: 0, mode: 'observe' });
    const gate = await pipeline.run('gate');
    expect(gate.code).toBe(0);
    expect(gate.stdout).toContain('observe mode');
    await pipeline.run('mode', 'enforce');
    await pipeline.write('data-3.ndjson', poison(92_000));
    await pipeline.json('run', '--once');
    expect(await pipeline.json('status')).toMatchObject({ records: 13_000, held: 1, mode: 'enforce' });
  }, 60_000);

  it('halts a partition whose rule says so until a signed resume', async () => {
    const pipeline = await TestPipeline.open(FILES, `${SMALL}\n`);
    await pipeline.configure(
      'topicDefaults: { rules: [{ rule: range, column: amount, max: 1000, action: halt, name: sane amounts }] }\nbatch: { recordsMax: 1000 }',
    );
    const [bad] = orders(1);
    await pipeline.write('data-1.ndjson', [...orders(999), { ...bad, amount: 5_000 }, ...orders(500, 2_000)]);
    const first = await pipeline.run('run', '--once', '--json');
    expect(first.code).toBe(5);
    const [, offset] = /headgate quarantine show file\/shop\/data-1\.ndjson@(\d+)/.exec(first.stdout) ?? [];
    const shown = await pipeline.run('quarantine', 'show', `file/shop/data-1.ndjson@${offset}`);
    expect(shown.stdout).toContain('sane amounts');
    const second = await pipeline.run('run', '--once', '--json');
    const halts = [first, second].map(
      ({ stdout }) => (JSON.parse(stdout.trim().split('\n').at(-1)!) as RunReport).halted,
    );
    // One text and one offset for one halt: they make the id of its alert.
    expect(halts[1]).toEqual(halts[0]);
    expect(second.code).toBe(5);
    const unknown = await pipeline.run('resume', '--reason', 'sender mended', '--ref', 'nope');
    expect([unknown.code, unknown.stderr]).toEqual([
      (await pipeline.run('hold', '--reason', 'sender mended', '--ref', 'nope')).code,
      expect.stringContaining('Cannot find ref "nope": published refs are main'),
    ]);
    await pipeline.json('resume', '--reason', 'sender mended');
    expect(await pipeline.json<RunReport>('run', '--once')).toMatchObject({ records: 500 });
    expect(await pipeline.json('verify', '--deep')).toMatchObject({ ok: true, records: 1_500 });
  }, 60_000);

  it('keeps records that do not decode as dead letters, and every record a leaf', async () => {
    const pipeline = await TestPipeline.open(FILES, SMALL);
    await pipeline.write('data-1.ndjson', orders(600));
    await pipeline.json('run', '--once');
    const lines = orders(700).map((order) => JSON.stringify(order));
    lines.splice(100, 0, '{"id": 1', '', '{"id":"x","amount":1,"amount":2}', '{"id":"x","amount":"not a number"}');
    await writeFile(join(pipeline.folder, 'data-2.ndjson'), `${lines.join('\n')}\n`);
    expect(await pipeline.json<RunReport>('run', '--once')).toMatchObject({ records: 704, deadLetters: 4 });
    expect(await pipeline.json('verify', '--deep')).toMatchObject({ ok: true, records: 1_304 });
  }, 60_000);

  it('reads standard input', async () => {
    const pipeline = await TestPipeline.open(['--files', '-', '--pipeline', 'piped'], '');
    const input = orders(800)
      .map((order) => `${JSON.stringify(order)}\n`)
      .join('');
    const { code, stdout } = await pipeline.pipe(input, 'run', '--once', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout.trim())).toMatchObject({ records: 800 });
  }, 60_000);

  it('finds a flipped bit, names the object, and exits with 2 from verify and pull', async () => {
    const pipeline = await published();
    const root = join(pipeline.folder, 'store', 'shop', 'data');
    const name = (await readdir(root, { recursive: true })).find((each) => each.endsWith('.parquet'))!;
    const bytes = await readFile(join(root, name));
    bytes[1_000]! ^= 4;
    await writeFile(join(root, name), bytes);
    const { code, stdout } = await pipeline.run('verify', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, problems: [{ object: `shop/data/${name}` }] });
    expect((await pipeline.run('pull', 'main', 'out')).code).toBe(2);
  }, 60_000);

  it('answers usage faults with 64, configuration faults with 78, and JSON also then', async () => {
    const pipeline = await TestPipeline.open(FILES, 'bacth: {}');
    expect((await pipeline.run('status', '--nonsense')).code).toBe(64);
    const { code, stdout } = await pipeline.run('status', '--json');
    expect(code).toBe(78);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      error: {
        code: 'CONFIG_INVALID',
        faults: [{ path: '/bacth', message: expect.stringContaining('did you mean "batch"') as string }],
      },
    });
    expect((await pipeline.run('--help')).code).toBe(0);
  }, 60_000);

  it('stops at SIGTERM after committing what it has read', async () => {
    const pipeline = await TestPipeline.open(FILES, 'batch: { recordsMax: 1000, ageMaxMs: 600000 }');
    await pipeline.write('data-1.ndjson', orders(2_500));
    const running = pipeline.start('run');
    await expect
      .poll(async () => (await pipeline.json<{ logs: { next: number }[] }>('status')).logs[0]?.next ?? 0, {
        timeout: 20_000,
      })
      .toBe(2_000);
    running.process.kill('SIGTERM');
    expect((await running.done).code).toBe(0);
    expect(await pipeline.json<{ logs: { next: number }[] }>('status')).toMatchObject({ logs: [{ next: 2_500 }] });
  }, 60_000);
});
