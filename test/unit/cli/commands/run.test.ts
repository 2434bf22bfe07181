import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it, vi } from 'vitest';

import { IntegrityError } from '../../../../src/errors.ts';
import { AlertDesk } from '../../../../src/respond/alerts.ts';
import { openFolder, runHere, runUntil } from '../../../support/in-process.ts';
import { LeapingClock } from '../../../support/leaping-clock.ts';
import { never, partition, type TestLedger } from '../../../support/ledger.ts';

vi.mock('../../../../src/compose/ledger.ts', async (original) => ({
  ...(await original<typeof import('../../../../src/compose/ledger.ts')>()),
  openKey: (_loaded: unknown, _trust: unknown, name: 'ingest' | 'publisher') => Promise.resolve(test.keys[name]),
}));

// In a second instead of five minutes.
vi.mock('../../../../src/cli/commands/patience.ts', async (original) => {
  const { Patience } = await original<typeof import('../../../../src/cli/commands/patience.ts')>();
  return {
    Patience: class extends Patience {
      constructor(options: ConstructorParameters<typeof Patience>[0]) {
        super({ ...options, stalledMs: 1_000 });
      }
    },
  };
});

const a = partition(0);
const b = partition(1);

interface Result {
  readonly snapshot: string;
  readonly damaged: readonly { readonly log: string; readonly code: string; readonly message: string }[];
}

let test: TestLedger;

describe('where a slot of one log is lost', () => {
  let folder: string;
  const slot = (number: number): string => test.ledger.layout.slot(a, number);
  const lastOf = (stdout: string): Result => JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;

  beforeEach(async () => {
    ({ folder, test } = await openFolder({ prepared: false }));
    await test.pinSchema();
    await test.commit(a);
    await test.publisher().publish(never);
    for (let i = 0; i < 3; i++) await test.commit(a);
  });

  it('tells it once, publishes all else, and ends with 2', async () => {
    const other = await test.commit(b);
    await test.store.delete(slot(3));
    const { code, stdout, stderr } = await runHere(folder, 'publish', '--once', '--json');
    expect(code).toBe(2);
    expect(lastOf(stdout)).toMatchObject({
      snapshot: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      damaged: [
        { log: 'test/orders/0', code: 'SLOT_MISSING', message: expect.stringContaining('slot 3 is missing') as string },
      ],
    });
    expect(stderr.match(/test\/orders\/0 is published before it is mended \(SLOT_MISSING\)/g)).toHaveLength(1);
    expect(Object.keys(await test.standings('batches'))).toContain(other.digest);
  });

  it('reads and publishes what comes meanwhile, with alerts', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await test.publisher().publish(never);
    for (const lost of [held.entry.slot, 1]) await test.store.delete(slot(lost));
    const orders = Array.from({ length: 3 }, (_, i) => JSON.stringify({ id: i, amount: 1, city: 'Bern' }));
    await writeFile(join(folder, 'data.ndjson'), `${orders.join('\n')}\n`);
    const { code, stdout } = await runHere(folder, 'run', '--once', '--json');
    expect([code, lastOf(stdout)]).toEqual([
      2,
      expect.objectContaining({
        records: 3,
        batches: 1,
        halted: [],
        damaged: [expect.objectContaining({ log: 'test/orders/0' })],
      }),
    ]);
  });

  it('names none where nothing is lost', async () => {
    const { code, stdout } = await runHere(folder, 'publish', '--once', '--json');
    expect([code, lastOf(stdout).damaged]).toEqual([0, []]);
  });
});

describe('a ref on hold', () => {
  it('is told of by a run, whose batches wait behind it', async () => {
    const { folder, test: held } = await openFolder({ prepared: false });
    test = held;
    await test.pinSchema();
    await test.commit(a);
    await test.publisher().publish(never);
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'looking' });
    await test.commit(a);
    const json = await runHere(folder, 'publish', '--once', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ onHold: true });
    expect((await runHere(folder, 'publish', '--once')).stdout).toContain(
      '"main" is on hold: nothing that was read since',
    );
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'seen' });
    expect(JSON.parse((await runHere(folder, 'publish', '--once', '--json')).stdout)).toMatchObject({ onHold: false });
  });
});

describe('where the store takes nothing any more', () => {
  let folder: string;

  beforeEach(async () => {
    ({ folder, test } = await openFolder({ prepared: false }));
    await test.pinSchema();
    await writeFile(join(folder, 'data.ndjson'), `${JSON.stringify({ id: 1, amount: 1, city: 'Bern' })}\n`);
    // A file in the place of a folder refuses root, too.
    const pipeline = join(folder, 'store', test.trust.document.pipeline);
    await rm(join(pipeline, 'evidence'), { recursive: true, force: true });
    await writeFile(join(pipeline, 'evidence'), '');
  });

  it('a one-pass run gives up with 4, and leaves all to the next one', async () => {
    const { code, stdout } = await runHere(folder, 'run', '--once', '--json');
    expect(code).toBe(4);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({
      ok: false,
      error: {
        code: 'STORE_UNAVAILABLE',
        message: expect.stringMatching(
          /this one-pass run gives up; .* a file stands where a folder is wanted/,
        ) as string,
      },
    });
    await rm(join(folder, 'store', test.trust.document.pipeline, 'evidence'));
    const next = await runHere(folder, 'run', '--once', '--json');
    expect([next.code, JSON.parse(next.stdout)]).toEqual([0, expect.objectContaining({ records: 1 })]);
  });

  it('a service goes on trying, and ends at once when it is told to', async () => {
    const stop = new AbortController();
    const running = runUntil(stop.signal, folder, 'run', '--json');
    let isDone = false;
    void running.then(() => (isDone = true));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(isDone).toBe(false);
    const stoppedMs = performance.now();
    stop.abort();
    const { code, stdout } = await running;
    expect(performance.now() - stoppedMs).toBeLessThan(5_000);
    expect([code, stdout]).toEqual([4, expect.stringContaining('Stopped while the store could not be used') as string]);
  });
});

describe('where alerts cannot be found because of a damaged entry', () => {
  it.each([[['run', '--once']], [['run']]])('%j tells it, reads and publishes', async (args) => {
    const opened = await openFolder({ prepared: false });
    test = opened.test;
    await test.pinSchema();
    await writeFile(join(opened.folder, 'data.ndjson'), `${JSON.stringify({ id: 1, amount: 1, city: 'Bern' })}\n`);
    const damage = new IntegrityError('CHAIN_BROKEN', 'control/7', 'Cannot read "control/7": planned');
    const desk = vi.spyOn(AlertDesk.prototype, 'catchUp').mockRejectedValue(damage);
    const stop = new AbortController();
    const running = runUntil(stop.signal, opened.folder, ...args, '--json');
    // A service is to outlive it.
    if (args.length === 1) setTimeout(() => stop.abort(), 1_000);
    const { code, stdout, stderr } = await running;
    expect(desk).toHaveBeenCalled();
    desk.mockRestore();
    expect(stderr).toContain('alerts: Cannot read "control/7": planned (the next run tells what is owed)');
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({ records: 1, snapshot: expect.stringMatching(/^[0-9a-f]{64}$/) as string }),
    ]);
  });
});

describe('a run whose clock is not that of the newest entry', () => {
  it.each([
    [10, true],
    [4, false],
  ])('is told once (%i minutes ahead: %s)', async (minutes, isTold) => {
    const opened = await openFolder({ prepared: false, clock: new LeapingClock(Date.now() + minutes * 60_000) });
    test = opened.test;
    await test.pinSchema();
    await test.commit(a);
    const { stderr } = await runHere(opened.folder, 'publish', '--once');
    expect(
      stderr.match(/warning: the newest control entry is dated .* ahead of this machine's clock/g) ?? [],
    ).toHaveLength(isTold ? 1 : 0);
  });
});
