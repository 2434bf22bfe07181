import { beforeEach, describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { gate, type GateReport } from '../../../src/respond/gate.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { bytesOf, overwrite, signPartitionEntry } from '../../support/forge.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';

const a = partition(0);
const HOUR_MS = 3_600_000;

describe('the gate', () => {
  let clock: LeapingClock;
  let test: TestLedger;
  let batch: LoggedBatch;
  const ask = (maxAgeMs: number | null = null, ref = 'main'): Promise<GateReport> =>
    gate(test.reopened(), { ref, maxAgeMs, signal: never });
  const dataKey = (): string => test.ledger.layout.data('data', { log: a, ...batch.entry }, batch.entry.data!.sha256);
  const problem = (object: string, code: string) => expect.objectContaining({ object, code }) as unknown;

  beforeEach(async () => {
    clock = new LeapingClock();
    test = await TestLedger.open({ clock });
    batch = await test.commit(a);
    await test.publisher().publish(never);
  });

  it('passes a ref whose batches are clean', async () => {
    const { newest } = await test.ledger.control.head();
    expect(await ask()).toEqual({
      verdict: 'pass',
      ref: 'main',
      snapshot: (await test.ledger.control.head()).state.refs['main'],
      records: 2,
      deadLetters: 0,
      batches: 1,
      held: 0,
      observed: {},
      reasons: [],
      warnings: [],
      problems: [],
      newestTime: newest!.entry.time,
    });
  });

  it('passes released batches, and tells how many are held back', async () => {
    const held = await test.commit(a, { verdict: 'suspect' });
    await test.commit(a, { verdict: 'failed' });
    await test.publisher().publish(never);
    await test.decide(held, 'released');
    await test.publisher().publish(never);
    expect(await ask()).toMatchObject({ verdict: 'pass', batches: 2, held: 1, warnings: ['batches held back: 1'] });
  });

  it('passes what observe mode let through, with a warning', async () => {
    for (const verdict of ['suspect', 'no-baseline', 'no-baseline', 'small', 'failed'] as const)
      await test.commit(a, { mode: 'observe', verdict });
    await test.publisher().publish(never);
    expect(await ask()).toMatchObject({
      verdict: 'pass',
      observed: { suspect: 1, 'no-baseline': 2, small: 1, failed: 1 },
      warnings: [
        'let through in observe mode without a clean verdict: 5 of 6 batches (1 suspect, 1 that could not be judged, 1 too small to be judged, 2 without a baseline; headgate quarantine list --published names them)',
      ],
    });
  });

  it('refuses a ref on hold, one that was never published, one without records', async () => {
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'wait' });
    expect(await ask()).toMatchObject({ verdict: 'refused', reasons: ['"main" is on hold since control entry 4'] });
    for (const ref of ['beta', 'constructor', '__proto__']) {
      expect(await ask(null, ref)).toMatchObject({
        verdict: 'refused',
        snapshot: null,
        reasons: [`"${ref}" was never published`],
      });
    }
    const empty = await TestLedger.open();
    await empty.commit(a, { values: ['no json'] });
    await empty.publisher().publish(never);
    expect(await gate(empty.ledger, { ref: 'main', maxAgeMs: null, signal: never })).toMatchObject({
      verdict: 'refused',
      reasons: ['the snapshot holds no records'],
    });
  });

  it('refuses as soon as a batch in it is condemned, before the publisher has taken it out', async () => {
    await test.decide(batch, 'condemned');
    expect(await ask()).toMatchObject({
      verdict: 'refused',
      reasons: [expect.stringMatching(/was condemned by control entry 4/)],
    });
    await test.commit(a);
    await test.publisher().publish(never);
    expect(await ask()).toMatchObject({ verdict: 'pass', held: 1 });
  });

  describe('asked for a snapshot', () => {
    const publish = async (): Promise<string> => {
      await test.commit(a);
      await test.publisher().publish(never);
      return (await test.ledger.control.head()).state.refs['main']!;
    };

    it('passes what the ref named earlier, and says that it is not the newest', async () => {
      const first = (await test.ledger.control.head()).state.refs['main']!;
      const second = await publish();
      for (const name of [first, first.slice(0, 6)])
        expect(await ask(null, name)).toMatchObject({
          verdict: 'pass',
          ref: 'main',
          snapshot: first,
          batches: 1,
          warnings: [`not the newest: "main" names ${second.slice(0, 12)} now`],
        });
      expect(await ask(null, second)).toMatchObject({ verdict: 'pass', snapshot: second, warnings: [] });
    });

    it('refuses it once a batch in it is condemned, though the ref has long left it out', async () => {
      const first = (await test.ledger.control.head()).state.refs['main']!;
      await test.decide(batch, 'condemned');
      await publish();
      expect(await ask()).toMatchObject({ verdict: 'pass' });
      expect(await ask(null, first)).toMatchObject({
        verdict: 'refused',
        reasons: [expect.stringMatching(/was condemned by control entry 4/)],
      });
    });

    it('refuses it while its ref is on hold', async () => {
      const first = (await test.ledger.control.head()).state.refs['main']!;
      await publish();
      await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'wait' });
      expect(await ask(null, first)).toMatchObject({
        verdict: 'refused',
        reasons: ['"main" is on hold since control entry 5'],
      });
    });

    it('refuses it once a rollback has left it behind, also when the ref has grown another way since', async () => {
      const first = (await test.ledger.control.head()).state.refs['main']!;
      const left = await publish();
      const { baselines } = (await test.ledger.control.head()).state;
      const act = { kind: 'rollback', by: 'a person', ref: 'main', from: left, to: first, reason: 'poison' } as const;
      await test.act({ ...act, baselines });
      await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'go on' });
      const behind = {
        verdict: 'refused',
        reasons: [`a rollback of "main" has left snapshot ${left.slice(0, 12)} behind`],
      };
      expect(await ask(null, left)).toMatchObject(behind);
      expect(await ask(null, first)).toMatchObject({ verdict: 'pass', snapshot: first, warnings: [] });
      const grown = await publish();
      expect(await ask(null, left)).toMatchObject(behind);
      for (const name of [first, grown])
        expect(await ask(null, name)).toMatchObject({ verdict: 'pass', snapshot: name });
    });

    it('refuses one that was stored and never published', async () => {
      const { snapshots } = test.ledger;
      const stray = await snapshots.write({ ...(await test.snapshot()), controlSeq: 1 }, never);
      for (const name of [stray, stray.slice(0, 6)])
        expect(await ask(null, name)).toMatchObject({ verdict: 'refused', snapshot: null });
    });
  });

  it('does not pass what it was stopped from checking', async () => {
    const stopped = AbortSignal.abort();
    expect(await gate(test.reopened(), { ref: 'main', maxAgeMs: null, signal: stopped })).toMatchObject({
      verdict: 'refused',
      reasons: ['it was interrupted before everything was checked'],
    });
  });

  it('says stale when nobody has written for too long (R8)', async () => {
    clock.advance(25 * HOUR_MS);
    expect(await ask(24 * HOUR_MS)).toMatchObject({
      verdict: 'stale',
      reasons: [expect.stringMatching(/90000 s old, at most 86400 s/)],
    });
    expect(await ask(26 * HOUR_MS)).toMatchObject({ verdict: 'pass' });
    expect(await ask()).toMatchObject({ verdict: 'pass' });
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'wait' });
    clock.advance(25 * HOUR_MS);
    expect(await ask(24 * HOUR_MS)).toMatchObject({ verdict: 'refused' });
  });

  it('does not take an entry from the future for a fresh one (M29)', async () => {
    clock.advance(2 * 24 * HOUR_MS);
    await test.act({ kind: 'hold', by: 'a person', ref: 'beta', reason: 'wait' });
    clock.advance(-2 * 24 * HOUR_MS);
    expect(await ask(HOUR_MS)).toMatchObject({
      verdict: 'tampered',
      problems: [problem(test.ledger.layout.controlEntry(4), 'CHAIN_BROKEN')],
    });
  });

  it('does not take one for fresh that is dated more than five minutes ahead, and says so, as verify does', async () => {
    const askAhead = async (aheadMs: number) => {
      clock.advance(aheadMs);
      await test.act({ kind: 'hold', by: 'a person', ref: 'beta', reason: 'wait' });
      clock.advance(-aheadMs);
      const options = { deep: false, format: parquetFormat, signal: never };
      return [await ask(HOUR_MS), await ask(), await verifyPipeline(test.reopened(), options)] as const;
    };
    const [fresh, plain, verified] = await askAhead(5 * 60_000);
    expect([fresh.verdict, plain.warnings, verified.warnings]).toEqual(['pass', [], []]);
    const [stale, warned, noted] = await askAhead(23 * HOUR_MS);
    const ahead = expect.stringMatching(
      /^the newest control entry is dated .*, 1380 min ahead of this machine's clock: /,
    );
    expect(stale).toMatchObject({ verdict: 'stale', reasons: [ahead], problems: [] });
    expect(warned).toMatchObject({ verdict: 'pass', reasons: [], warnings: [ahead] });
    expect(noted).toMatchObject({ ok: true, warnings: [ahead] });
  });

  it('reads each list page once, and finds counts that its snapshot has wrong', async () => {
    for (let i = 0; i < 3; i++) await test.commit(partition(i));
    await test.publisher().publish(never);
    const store = new CountingStore(test.store);
    await gate(test.reopened(store), { ref: 'main', maxAgeMs: null, signal: never });
    expect(store.reads('pages')).toBe((await test.snapshot()).batches.pages.length);
    const current = async (): Promise<string> => (await test.ledger.control.head()).state.refs['main']!;
    const honest = await test.snapshot();
    for (const [wrong, reason] of [
      [{ ...honest, records: honest.records + 1 }, /it says 9 records in \d+ bytes, its batches have 8 in/],
      [{ ...honest, batches: { ...honest.batches, count: 5 } }, /it says 5 batches, its pages have 4/],
      [{ ...honest, batches: { ...honest.batches, root: 'f'.repeat(64) } }, /roots of the pages of "batches"/],
    ] as const) {
      const snapshot = await test.ledger.snapshots.write({ ...wrong, parent: await current() }, never);
      await test.act({ kind: 'publish', by: 'publisher', ref: 'main', parent: await current(), snapshot });
      expect(await ask()).toMatchObject({
        verdict: 'tampered',
        problems: [{ object: test.ledger.layout.snapshot(snapshot), reason: expect.stringMatching(reason) as string }],
      });
    }
  });

  it('finds a page, a snapshot, a state or an entry that was changed', async () => {
    const { layout } = test.ledger;
    const { newest, state } = await test.ledger.control.head();
    const keys = [
      layout.page((await test.snapshot()).batches.pages[0]!.sha256),
      layout.snapshot(state.refs['main']!),
      layout.state(newest!.entry.state),
      newest!.key,
      layout.slot(a, 1),
    ];
    for (const key of keys) {
      const own = await bytesOf(test.store, key);
      const changed = Buffer.from(own);
      changed[changed.length >> 1]! ^= 1;
      await overwrite(test.store, key, changed);
      expect(await ask(), key).toMatchObject({ verdict: 'tampered', problems: [{ object: key }] });
      await overwrite(test.store, key, own);
    }
  });

  it('finds a data file that is missing or has another size', async () => {
    const own = await bytesOf(test.store, dataKey());
    await overwrite(test.store, dataKey(), own.subarray(1));
    expect(await ask()).toMatchObject({ verdict: 'tampered', problems: [problem(dataKey(), 'OBJECT_MISSING')] });
    await test.store.delete(dataKey());
    expect(await ask()).toMatchObject({ verdict: 'tampered', problems: [problem(dataKey(), 'OBJECT_MISSING')] });
  });

  it('finds another entry in the slot of a batch', async () => {
    const key = test.ledger.layout.slot(a, 1);
    await overwrite(
      test.store,
      key,
      await signPartitionEntry({ ...batch.entry, config: 'f'.repeat(64) }, test.keys.ingest),
    );
    expect(await ask()).toMatchObject({ verdict: 'tampered', problems: [problem(key, 'CHAIN_BROKEN')] });
  });
});
