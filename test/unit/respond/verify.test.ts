import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { DiskState } from '../../../src/adapters/disk/local-state.ts';
import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import type { ControlAct } from '../../../src/ledger/control-entry.ts';
import { applyAct, encodeState, stateDigest, type ControlState } from '../../../src/ledger/control-state.ts';
import type { BatchEntry } from '../../../src/ledger/partition-entry.ts';
import { encodeSnapshot, formatBatchLine, formatHeadLine, type Snapshot } from '../../../src/ledger/snapshot.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { formatLogId } from '../../../src/record/log-id.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { Marks } from '../../../src/respond/marks.ts';
import { resume, rollback } from '../../../src/respond/refs.ts';
import { verifyPipeline, type VerifyReport } from '../../../src/respond/verify.ts';
import { bytesOf, overwrite, signControlEntry, signPartitionEntry, swap } from '../../support/forge.ts';
import { TOPIC, TestLedger, keysOf, never, partition } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);
const verify = (test: TestLedger, deep = true): Promise<VerifyReport> =>
  verifyPipeline(test.reopened(), { deep, format: parquetFormat, signal: never });
const named = ({ problems }: VerifyReport): string[] => problems.map(({ object }) => object);

/** Says that small batches together, and all batches by themselves, are clean. */
function allClean(test: () => TestLedger): Rejudge {
  return async (_topic, batches, as, baseline) =>
    storeRejudgement(test().ledger, { as, batches, baseline, outcomeOf: () => 'clean' });
}

/**
 * A store that holds every kind of object: all kinds of partition entries and control entries, dead letters, quarantined,
 * released and condemned files, judgements, baselines, schemas, snapshots that were left behind, hints, a receipt, a probe.
 */
async function everything(): Promise<TestLedger> {
  const test: TestLedger = await TestLedger.open();
  const rejudge = allClean(() => test);
  const publisher = test.publisher(rejudge);
  const publish = () => publisher.publish(never);
  await test.commit(a, { values: ['{"id":1,"amount":2.5,"city":"Zürich"}', 'no json', '{"id":2}'] });
  const suspect = await test.commit(a, { verdict: 'suspect' });
  await test.commit(b, { values: ['only', 'dead', 'letters'] });
  await publish();
  await test.decide(suspect, 'released');
  await test.commit(b, { verdict: 'small' });
  await publish();
  const left = await publishBadBatchAndGoBack(test, publish, rejudge);
  const writer = await test.newWriter(b, { writer: 'successor' });
  const { next } = await writer.claim({ next: 0, label: null }, never);
  await writer.commit({ kind: 'gap', start: next, end: next + 5, reason: 'retention' }, never);
  await test.commit(b, {}, writer);
  await test.decide(left, 'condemned');
  await publish();
  const { store, layout } = test.ledger;
  await store.put(layout.receipt('batch-1', 'hook'), Buffer.from('{}'));
  await store.put(layout.probeRecord(), Buffer.from('{}'));
  return test;
}

async function publishBadBatchAndGoBack(
  test: TestLedger,
  publish: () => Promise<unknown>,
  rejudge: Rejudge,
): Promise<LoggedBatch> {
  const back = (await test.ledger.control.head()).state.refs['main']!;
  const bad = await test.commit(a);
  await publish();
  await rollback(test.ledger, 'main', back, test.person(), never);
  await resume(test.ledger, 'main', test.person(), rejudge, test.keys.publisher, never);
  await publish();
  return bad;
}

/** A store with the same objects, so that each attack begins from the whole. */
async function copyOf(test: TestLedger): Promise<MemoryStore> {
  const copy = new MemoryStore();
  for (const key of await keysOf(test.store)) await copy.put(key, await bytesOf(test.store, key));
  return copy;
}

/** Objects that no reader believes: they may be changed, lost or forged without anybody being deceived. */
const EXCEPTED: readonly [pattern: RegExp, why: string][] = [
  [/^shop\/hint\//, 'hints only say where to look first; a lie costs time, a full walk finds what they hide'],
  [/^shop\/receipts\//, 'a receipt only keeps an alert from being sent again'],
  [/^shop\/probe\//, 'the record of a probe only makes the next probe shorter'],
];

describe('verifying a store that holds every kind of object', () => {
  let test: TestLedger;
  let keys: string[];

  beforeAll(async () => {
    test = await everything();
    keys = (await keysOf(test.store)).filter((key) => !EXCEPTED.some(([pattern]) => pattern.test(key)));
  });

  /** The report on a copy of the store after an attack. */
  async function after(attack: (store: MemoryStore) => Promise<void>, deep = true): Promise<VerifyReport> {
    const store = await copyOf(test);
    await attack(store);
    return verifyPipeline(test.reopened(store), { deep, format: parquetFormat, signal: never });
  }

  /** The newest control entry: behind it lies nothing, and nothing in the store names it. */
  const newest = (): string => keys.findLast((key) => key.startsWith(test.ledger.layout.control()))!;

  it('finds nothing wrong, and has read each object that matters', async () => {
    const report = await verify(test);
    expect(report).toMatchObject({ ok: true, complete: true, problems: [], logs: 2, deep: true });
    const kinds = new Set(keys.map((key) => key.split('/')[1]));
    expect([...kinds].toSorted((left, right) => String(left).localeCompare(String(right)))).toEqual([
      'baselines',
      'control',
      'data',
      'dead-letters',
      'evidence',
      'log',
      'pages',
      'quarantine',
      'schemas',
      'snapshots',
      'states',
    ]);
    const acts = [];
    for await (const { entry } of test.ledger.control.walk()) acts.push(entry.kind);
    expect(new Set(acts)).toEqual(
      new Set(['schema', 'learn', 'approve', 'publish', 'decision', 'verdict', 'rollback', 'resume']),
    );
  });

  it('finds a changed byte in any object and names the object (M1, M21)', async () => {
    for (const key of keys) {
      const bytes = await bytesOf(test.store, key);
      for (const at of new Set([0, bytes.length >> 1, bytes.length - 1])) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= 0x01;
        const report = await after((store) => overwrite(store, key, changed), false);
        expect(named(report), `${key} at ${at}`).toContain(key);
      }
    }
  });

  it('finds any object that is missing and names it, but for the newest control entry, which only a mark can miss (M3, M22)', async () => {
    for (const key of keys) {
      const report = await after((store) => store.delete(key), false);
      if (key === newest()) expect(report.ok).toBe(true);
      else expect(named(report), key).toContain(key);
    }
  });

  it('finds any object that is cut short and names it', async () => {
    for (const key of keys) {
      const bytes = await bytesOf(test.store, key);
      for (const length of [0, bytes.length - 1]) {
        const report = await after((store) => overwrite(store, key, bytes.subarray(0, length)), false);
        expect(named(report), `${key} cut to ${length}`).toContain(key);
      }
    }
  });

  it('finds two objects of a kind that are swapped and names one of them (M2)', async () => {
    const kindOf = (key: string): string => key.split('/')[1]!;
    for (const [i, key] of keys.entries()) {
      const other = keys.slice(i + 1).find((each) => kindOf(each) === kindOf(key));
      if (other === undefined) continue;
      const report = await after((store) => swap(store, key, other), false);
      const found = named(report);
      expect(found.includes(key) || found.includes(other), `${key} and ${other}`).toBe(true);
    }
  });

  it('finds a slot or control entry that is repeated at the end of its log, or anywhere in another one (M5, M6)', async () => {
    const { layout } = test.ledger;
    const entries = keys.filter((key) => /^shop\/(log|control)\//.test(key));
    for (const key of entries) {
      const targets = [layout.slot(a, 99), layout.slot(partition(7), 0), layout.controlEntry(99)];
      const ends = [a, b].map((log) =>
        layout.slot(log, keys.filter((each) => each.startsWith(layout.log(log))).length),
      );
      const end = layout.controlEntry(keys.filter((each) => each.startsWith(layout.control())).length);
      for (const target of [...targets, ...ends, end]) {
        const report = await after(async (store) => overwrite(store, target, await bytesOf(test.store, key)), false);
        // Behind a hole the hole is named: the slot that must be there if this one is.
        expect(report.ok, `${key} repeated as ${target}`).toBe(false);
      }
    }
  });

  it('does not care for hints, receipts and probes', async () => {
    const others = (await keysOf(test.store)).filter((key) => !keys.includes(key));
    expect(others.map((key) => key.split('/')[1])).toEqual(expect.arrayContaining(['hint', 'receipts', 'probe']));
    for (const key of others) {
      expect((await after((store) => store.delete(key), false)).ok, key).toBe(true);
      expect((await after((store) => store.put(key, Buffer.from('lie')), false)).ok, key).toBe(true);
    }
  });

  it('names what lies among the entries and can be none', async () => {
    const { layout } = test.ledger;
    const strays = [`${layout.control()}desktop.ini`, `${layout.log(a)}desktop.ini`, `${layout.slot(a, 0)}.bak`];
    const { problems } = await after(async (store) => {
      for (const key of strays) await store.put(key, Buffer.from('x'));
    });
    expect(problems.map(({ object }) => object).toSorted()).toEqual(strays.toSorted());
    expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['SLOT_INVALID']));
  });

  it('finds a store that shows an older past by its mark (M4, R7)', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'headgate-marks-'));
    const marks = new Marks(new DiskState(folder), 'memory:', 'shop');
    await marks.check(test.ledger.control, await test.ledger.control.head());
    const store = await copyOf(test);
    await store.delete(newest());
    const { control } = test.reopened(store);
    await expect(marks.check(control, await control.head())).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' });
  });

  it('names a whole log that is gone, and a control log whose end is gone although batches were written after reading it', async () => {
    const gone = await after(async (store) => {
      for (const key of keys) if (key.startsWith(test.ledger.layout.log(b))) await store.delete(key);
    });
    expect(named(gone)).toContain(test.ledger.layout.slot(b, 0));
    const cut = await after(async (store) => {
      for (const key of keys)
        if (key.startsWith(test.ledger.layout.control()) && key > test.ledger.layout.controlEntry(2))
          await store.delete(key);
    });
    expect(named(cut)).toContain(test.ledger.layout.controlEntry(3));
  });

  it('goes on after a problem: each of several is named', async () => {
    const victims = [a, b]
      .map((log) => test.ledger.layout.slot(log, 0))
      .concat(keys.filter((key) => /^shop\/(states|pages)\//.test(key)));
    const report = await after(async (store) => {
      for (const key of victims) await store.put(key, Buffer.from('broken'));
    });
    for (const key of victims) expect(named(report)).toContain(key);
  });

  it('says that it was interrupted', async () => {
    const report = await verifyPipeline(test.reopened(), {
      deep: true,
      format: parquetFormat,
      signal: AbortSignal.abort(),
    });
    expect(report).toMatchObject({ ok: false, complete: false, problems: [] });
  });
});

/** What a key could sign that has been stolen: each statement is valid by itself and contradicts the rest. */
describe('verifying what a stolen key has signed', () => {
  let test: TestLedger;
  let batch: LoggedBatch;

  beforeEach(async () => {
    test = await open();
    batch = await test.ledger.logs.readBatch({
      log: formatLogId(a),
      slot: 1,
      digest: (await test.ledger.logs.read(a, 1))!.digest,
    });
  });

  /** One clean batch that is published, and a suspect one. */
  async function open(): Promise<TestLedger> {
    const opened = await TestLedger.open();
    await opened.commit(a);
    await opened.commit(a, { verdict: 'suspect' });
    await opened.publisher().publish(never);
    return opened;
  }

  const listsOf = ({ batches, held, heads, records, bytes }: Snapshot) => ({ batches, held, heads, records, bytes });

  const problem = (object: string, why: RegExp) =>
    expect.objectContaining({ object, reason: expect.stringMatching(why) as string }) as unknown;

  /** Replaces the newest entry of log a. */
  async function replaceNewest(change: Partial<BatchEntry>): Promise<string> {
    const { logs, layout } = test.ledger;
    const { entry } = (await logs.read(a, 2))!;
    await overwrite(
      test.store,
      layout.slot(a, 2),
      await signPartitionEntry({ ...(entry as BatchEntry), ...change }, test.keys.ingest),
    );
    return layout.slot(a, 2);
  }

  /** Appends an entry whose state is what the thief says. */
  async function appendAct(
    act: ControlAct,
    stateOf: (state: ControlState) => ControlState = (state) => state,
  ): Promise<string> {
    const { control, layout, store } = test.ledger;
    const { newest, state } = await control.head();
    const seq = newest!.entry.seq + 1;
    const next = stateOf(applyAct(state, act, seq));
    await store.create(layout.state(stateDigest(next)), encodeState(next));
    const place = {
      pipeline: 'shop',
      seq,
      previous: newest!.digest,
      time: newest!.entry.time,
      state: stateDigest(next),
    };
    const signer = ['publish', 'verdict'].includes(act.kind) ? test.keys.publisher : test.keys.approver;
    await store.create(layout.controlEntry(seq), await signControlEntry({ ...act, ...place }, signer));
    return layout.controlEntry(seq);
  }

  /** Publishes a snapshot of the thief's making on top of the newest one. */
  async function publishForged(change: (snapshot: Snapshot) => Snapshot | Promise<Snapshot>): Promise<string> {
    const { control, store, layout } = test.ledger;
    const { state, newest } = await control.head();
    const parent = state.refs['main']!;
    const base = { ...(await test.snapshot()), parent, controlSeq: newest!.entry.seq };
    const bytes = encodeSnapshot(await change(base));
    const snapshot = sha256Hex(bytes);
    await store.create(layout.snapshot(snapshot), bytes);
    await appendAct({ kind: 'publish', by: 'thief', ref: 'main', parent, snapshot });
    return layout.snapshot(snapshot);
  }

  it('finds a state that does not follow from the entries before it', async () => {
    const key = await appendAct({ kind: 'hold', by: 'thief', ref: 'beta', reason: 'r' }, (state) => ({
      ...state,
      refs: { main: 'f'.repeat(64) },
    }));
    expect((await verify(test)).problems).toContainEqual(problem(key, /state it names does not follow/));
  });

  it('finds a publish in spite of a hold, or from somewhere else (R3)', async () => {
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'wait' });
    const snapshot = (await test.ledger.control.head()).state.refs['main']!;
    const key = await appendAct({ kind: 'publish', by: 'thief', ref: 'main', parent: snapshot, snapshot });
    expect((await verify(test)).problems).toContainEqual(problem(key, /on hold since/));
    test = await open();
    const other = await appendAct({ kind: 'publish', by: 'thief', ref: 'main', parent: null, snapshot });
    expect((await verify(test)).problems).toContainEqual(problem(other, /builds on snapshot none/));
  });

  it.each<[string, (first: string, newest: string) => { to: string; baselines?: Record<string, string> }, RegExp]>([
    ['to what is no ancestor (R3)', () => ({ to: 'f'.repeat(64) }), /not an ancestor/],
    ['to itself (R4)', (_, newest) => ({ to: newest }), /where the ref is/],
    ['with other baselines', (first) => ({ to: first, baselines: { [TOPIC]: 'f'.repeat(64) } }), /other baselines/],
  ])('finds a rollback %s', async (_, target, why) => {
    const refs = async (): Promise<string> => (await test.ledger.control.head()).state.refs['main']!;
    const first = await refs();
    await test.commit(a);
    await test.publisher().publish(never);
    const from = await refs();
    const { baselines } = await test.snapshot();
    const key = await appendAct({
      kind: 'rollback',
      by: 'thief',
      ref: 'main',
      from,
      baselines,
      reason: 'r',
      ...target(first, from),
    });
    expect((await verify(test)).problems).toContainEqual(problem(key, why));
  });

  it('finds a snapshot that publishes what nobody judged clean or released (R2)', async () => {
    const { snapshots } = test.ledger;
    const key = await publishForged(async (snapshot) => {
      const held = await snapshots.find(snapshot.held, [formatLogId(a), 2]);
      const line = JSON.stringify([
        formatLogId(a),
        2,
        4,
        2,
        0,
        held!.digest,
        2,
        2,
        held!.data!.sha256,
        held!.data!.bytes,
        'clean',
      ]);
      const batches = await snapshots.update(snapshot.batches, [{ key: [formatLogId(a), 2], line }], never);
      const none = await snapshots.update(snapshot.held, [{ key: [formatLogId(a), 2], line: null }], never);
      await test.store.create(
        test.ledger.layout.data('data', { log: a, epoch: 0, start: 2, end: 4 }, held!.data!.sha256),
        Buffer.from('x'),
      );
      return {
        ...snapshot,
        batches: batches as never,
        held: none as never,
        records: snapshot.records + 2,
        bytes: snapshot.bytes + held!.data!.bytes,
      };
    });
    expect((await verify(test)).problems).toContainEqual(problem(key, /neither judged clean nor released by then/));
  });

  it.each<[string, (snapshot: Snapshot) => Snapshot | Promise<Snapshot>, RegExp]>([
    [
      'leaves a batch out',
      async (snapshot) => {
        const batches = await test.ledger.snapshots.update(
          snapshot.batches,
          [{ key: [formatLogId(a), 0], line: null }],
          never,
        );
        return { ...snapshot, batches: batches as never, records: 0, bytes: 0 };
      },
      /without listing its batch/,
    ],
    ['counts other records', (snapshot) => ({ ...snapshot, records: snapshot.records + 1 }), /its batches have 2/],
    ['counts other bytes', (snapshot) => ({ ...snapshot, bytes: 1 }), /in 1 bytes/],
    ['states other baselines', (snapshot) => ({ ...snapshot, baselines: {} }), /not those that were in force/],
    ['states another parent', (snapshot) => ({ ...snapshot, parent: null }), /it is not what/],
    ['states another control entry', (snapshot) => ({ ...snapshot, controlSeq: 0 }), /it is not what/],
    [
      'states another root',
      (snapshot) => ({ ...snapshot, batches: { ...snapshot.batches, root: 'a'.repeat(64) } }),
      /roots of the pages/,
    ],
    [
      'counts other batches',
      (snapshot) => ({ ...snapshot, batches: { ...snapshot.batches, count: 9 } }),
      /it says 9 batches/,
    ],
    [
      'covers other heads',
      (snapshot) => ({
        ...snapshot,
        heads: { ...snapshot.heads, count: 0, pages: [], root: sha256Hex(Buffer.alloc(0)) },
      }),
      /its heads cover 0/,
    ],
  ])('finds a snapshot that %s', async (_, change, why) => {
    const key = await publishForged(change);
    expect((await verify(test)).problems).toContainEqual(problem(key, why));
  });

  it('finds a snapshot of the past that published a condemned batch, whatever came after it', async () => {
    const sound = await test.snapshot();
    await test.decide(batch, 'condemned');
    await test.publisher().publish(never);
    const cleaned = await test.snapshot();
    const key = await publishForged((snapshot) => ({ ...snapshot, ...listsOf(sound) }));
    await publishForged((snapshot) => ({ ...snapshot, ...listsOf(cleaned) }));
    expect((await verify(test)).problems).toContainEqual(problem(key, /neither judged clean nor released by then/));
  });

  it('finds a condemned batch that is still published', async () => {
    await test.decide(batch, 'condemned');
    const key = await publishForged((snapshot) => snapshot);
    expect((await verify(test)).problems).toContainEqual(problem(key, /is condemned/));
  });

  it('finds a decision or verdict on a batch that does not exist, and an approval of what was not learned', async () => {
    const ghost = { log: formatLogId(a), slot: 2, digest: 'f'.repeat(64) };
    const acts: [ControlAct, RegExp][] = [
      [{ kind: 'decision', by: 'thief', batch: ghost, outcome: 'released', reason: 'r' }, /which is another entry/],
      [{ kind: 'approve', by: 'thief', topic: TOPIC, baseline: 'f'.repeat(64), reason: 'r' }, /was not learned before/],
    ];
    for (const [act, why] of acts) {
      test = await open();
      const key = await appendAct(act);
      expect((await verify(test)).problems).toContainEqual(problem(key, why));
    }
  });

  it('blames the slot that is gone, not the entry that speaks of it', async () => {
    const { layout } = test.ledger;
    const decided = await test.commit(a, { verdict: 'suspect' });
    const { key } = await test.decide(decided, 'condemned');
    await test.store.delete(layout.slot(a, decided.entry.slot));
    const { problems } = await verify(test);
    expect(problems).toContainEqual(problem(layout.slot(a, decided.entry.slot), /missing although control entry/));
    expect(problems.map(({ object }) => object)).not.toContain(key);
  });

  it('does not call a slot missing that lies behind one which cannot be read', async () => {
    const { layout } = test.ledger;
    const decided = await test.commit(a, { verdict: 'suspect' });
    await test.decide(decided, 'condemned');
    await overwrite(test.store, layout.slot(a, 0), Buffer.from('{}'));
    const { problems } = await verify(test);
    expect(problems.map(({ object }) => object)).toContain(layout.slot(a, 0));
    expect(problems.map(({ object }) => object)).not.toContain(layout.slot(a, decided.entry.slot));
  });

  it('finds a batch of a schema that was never pinned, or judged by a baseline that was never approved', async () => {
    const schema = await replaceNewest({ schema: 'f'.repeat(64) });
    expect((await verify(test)).problems).toContainEqual(problem(schema, /never pinned/));
    const judged = await replaceNewest({ baseline: 'f'.repeat(64) });
    expect((await verify(test)).problems).toContainEqual(problem(judged, /never approved/));
  });

  it('finds leaves, roots and counts that do not belong to the records (M16, M17)', async () => {
    const cases: [Partial<BatchEntry>, RegExp][] = [
      [{ root: batch.entry.root }, /its root is/],
      [{ data: batch.entry.data }, /does not belong|says that it is|outside/],
    ];
    for (const [change, why] of cases) {
      await replaceNewest(change);
      const { problems } = await verify(test);
      expect(
        problems.some(({ code, reason }) => code === 'ROOT_MISMATCH' && why.test(reason)),
        String(why),
      ).toBe(true);
    }
    expect((await verify(test, false)).problems.some(({ code }) => code === 'ROOT_MISMATCH')).toBe(false);
  });

  it('finds times that cannot be true (M29)', async () => {
    const late = await replaceNewest({ time: '9999-12-31T23:59:59.999Z' });
    expect((await verify(test)).problems).toContainEqual(problem(late, /more than a day ahead/));
    const impossible = await replaceNewest({ time: '2026-13-45T99:99:99.999Z' });
    expect((await verify(test)).problems).toContainEqual(problem(impossible, /does not exist/));
    const old = await replaceNewest({ time: '1970-01-01T00:00:00.000Z' });
    expect((await verify(test)).problems).not.toContainEqual(problem(old, /time/));
  });

  it('tells of entries that are dated ahead, and calls them no tampering once a person has acted under a right clock', async () => {
    const late = await replaceNewest({ time: '9999-12-31T23:59:59.999Z' });
    expect((await verify(test)).problems).toContainEqual(problem(late, /more than a day ahead/));
    await test.act({ kind: 'hold', by: 'Ada', ref: 'main', reason: 'a wrong clock' });
    const { problems, warnings } = await verify(test);
    expect(problems).not.toContainEqual(problem(late, /more than a day ahead/));
    expect(warnings).toEqual([expect.stringMatching(/^1 entry is dated .*Ada has acted since .*"a wrong clock"/)]);
  });

  it('finds a batch that follows a halt that nobody has resumed', async () => {
    const halting = await test.commit(b, { verdict: 'suspect', halts: true });
    await test.act({ kind: 'hold', by: 'a person', ref: 'beta', reason: 'something else happens' });
    const head = (await test.ledger.logs.head(b))!;
    const { controlSeq } = halting.entry;
    const next = {
      ...batch.entry,
      ...b,
      slot: 2,
      previous: head.digest,
      start: 2,
      end: 4,
      controlSeq: controlSeq + 1,
      writer: head.writer,
    };
    const key = test.ledger.layout.slot(b, 2);
    await test.store.create(key, await signPartitionEntry(next, test.keys.ingest));
    expect((await verify(test)).problems).toContainEqual(problem(key, /nobody has resumed it/));
  });
});

describe('verifying after a rollback', () => {
  it('finds a batch that was published again on a release that the rollback had voided', async () => {
    const test = await TestLedger.open();
    await test.commit(b);
    const publisher = test.publisher();
    await publisher.publish(never);
    const target = (await test.ledger.control.head()).state.refs['main']!;
    const batch = await test.commit(a, { verdict: 'suspect' });
    await test.decide(batch, 'released');
    await publisher.publish(never);
    const line = await test.ledger.snapshots.find((await test.snapshot()).batches, [formatLogId(a), 0]);
    await rollback(test.ledger, 'main', target, test.person(), never);
    const undecided: Rejudge = async () => null;
    await resume(test.ledger, 'main', test.person(), undecided, test.keys.publisher, never);
    expect((await verify(test)).ok).toBe(true);
    const { control, snapshots, store, layout } = test.ledger;
    const { newest } = await control.head();
    const base = await test.snapshot();
    const batches = await snapshots.update(
      base.batches,
      [{ key: [line!.log, line!.start], line: formatBatchLine(line!) }],
      never,
    );
    const head = formatHeadLine({ log: line!.log, slot: 1, digest: batch.digest, next: 2 });
    const heads = await snapshots.update(base.heads, [{ key: [line!.log, 0], line: head }], never);
    const forged = encodeSnapshot({
      ...base,
      parent: target,
      controlSeq: newest!.entry.seq,
      batches: batches as never,
      heads: heads as never,
      records: base.records + 2,
      bytes: base.bytes + line!.data!.bytes,
    });
    await store.create(layout.snapshot(sha256Hex(forged)), forged);
    await test.act({ kind: 'publish', by: 'thief', ref: 'main', parent: target, snapshot: sha256Hex(forged) });
    expect((await verify(test)).problems).toEqual([
      expect.objectContaining({
        object: layout.snapshot(sha256Hex(forged)),
        reason: expect.stringMatching(/neither judged clean nor released by then/) as string,
      }),
    ]);
  });
});
