import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import type { Judgement } from '../../../src/detect/judgement.ts';
import { readEvidence } from '../../../src/ledger/evidence.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Publisher } from '../../../src/publish/publisher.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import type { LogId } from '../../../src/record/log-id.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { FaultyStore } from '../../support/faulty-store.ts';
import { bytesOf, overwrite, signPartitionEntry } from '../../support/forge.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TOPIC, TestLedger, all, keysOf, never, partition } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);
/** Stands for what a verdict entry rests on. */
const EVIDENCE = Buffer.from('evidence');

describe('the publisher', () => {
  let store: FaultyStore;
  let clock: LeapingClock;
  let test: TestLedger;
  let publisher: Publisher;
  const publish = () => publisher.publish(never);
  const entries = async (): Promise<number> => (await all(test.reopened().control.walk())).length;
  const kinds = async (): Promise<string[]> =>
    (await all(test.reopened().control.walk(3))).map(({ entry }) => entry.kind);
  const published = () => test.standings('batches');
  const held = () => test.standings('held');

  beforeEach(async () => {
    store = new FaultyStore(new MemoryStore());
    clock = new LeapingClock();
    test = await TestLedger.open({ store, clock });
    publisher = test.publisher();
  });

  it('writes nothing when nothing was committed', async () => {
    const before = await entries();
    expect(await publish()).toEqual({ snapshot: null, published: 0, held: 0, onHold: false, damaged: [] });
    expect(await entries()).toBe(before);
    expect((await test.ledger.control.head()).state.refs).toEqual({});
  });

  it('writes nothing when nothing is new', async () => {
    await test.commit(a);
    await publish();
    const [before, keys] = [await entries(), await keysOf(store)];
    expect(await publish()).toMatchObject({ snapshot: null, published: 0 });
    expect(await entries()).toBe(before);
    expect(await keysOf(store)).toEqual(keys);
  });

  it('writes nothing when a log has only changed hands', async () => {
    await test.commit(a);
    await publish();
    await (await test.newWriter(a)).claim({ next: 0, label: null }, never);
    expect(await publish()).toMatchObject({ snapshot: null });
    clock.advance(600_000);
    expect(await publish()).toMatchObject({ snapshot: null });
  });

  it('publishes clean batches and holds all others back, each with its standing', async () => {
    const clean = await test.commit(a);
    const suspect = await test.commit(a, { verdict: 'suspect' });
    const failed = await test.commit(b, { verdict: 'failed' });
    expect(await publish()).toMatchObject({ published: 1, held: 2, onHold: false });
    expect(await published()).toEqual({ [clean.digest]: 'clean' });
    expect(await held()).toEqual({ [suspect.digest]: 'suspect', [failed.digest]: 'failed' });
  });

  it('publishes everything in observe mode, with the standing it would have been held for', async () => {
    const observed = [];
    for (const verdict of ['clean', 'suspect', 'small', 'failed', 'no-baseline'] as const) {
      observed.push([(await test.commit(a, { verdict, mode: 'observe' })).digest, verdict]);
    }
    expect(await publish()).toMatchObject({ published: 5, held: 0 });
    expect(await published()).toEqual(Object.fromEntries(observed));
  });

  it('chains snapshots and states in each how far every log was read', async () => {
    await test.commit(a);
    const first = (await publish()).snapshot!;
    await test.commit(b);
    const second = (await publish()).snapshot!;
    const { parent, controlSeq, heads, baselines } = await test.snapshot();
    expect(parent).toBe(first);
    expect((await test.ledger.control.head()).state.refs['main']).toBe(second);
    expect(controlSeq).toBe((await entries()) - 2);
    expect(Object.keys(baselines)).toEqual([TOPIC]);
    const lines = await test.ledger.snapshots.heads(heads);
    expect([...lines.values()].map(({ log, slot, next }) => `${log} ${slot} ${next}`)).toEqual([
      'test/orders/0 1 2',
      'test/orders/1 1 2',
    ]);
  });

  it('counts rows and bytes of what is in the dataset', async () => {
    const mixed = await test.commit(a, { values: ['{"id":1}', 'no json', '{"id":2}'] });
    const dead = await test.commit(a, { values: ['no json'] });
    const suspect = await test.commit(a, { verdict: 'suspect' });
    await publish();
    expect(await test.snapshot()).toMatchObject({ records: 2, bytes: mixed.entry.data!.bytes, batches: { count: 2 } });
    expect(dead.entry.data).toBeNull();
    await test.decide(suspect, 'released');
    await publish();
    expect(await test.snapshot()).toMatchObject({
      records: 4,
      bytes: mixed.entry.data!.bytes + suspect.entry.data!.bytes,
    });
    await test.decide(mixed, 'condemned');
    await publish();
    expect(await test.snapshot()).toMatchObject({ records: 2, bytes: suspect.entry.data!.bytes });
    expect(await published()).toEqual({ [dead.digest]: 'clean', [suspect.digest]: 'released' });
  });

  it('lets a released batch in, with its file where readers look', async () => {
    const batch = await test.commit(a, { verdict: 'suspect' });
    await publish();
    const target = test.ledger.layout.data('data', { log: a, ...batch.entry }, batch.entry.data!.sha256);
    expect(await store.stat(target)).toBeNull();
    await test.decide(batch, 'released');
    expect(await publish()).toMatchObject({ published: 1, held: 0 });
    expect(await published()).toEqual({ [batch.digest]: 'released' });
    expect(sha256Hex(await bytesOf(store, target))).toBe(batch.entry.data!.sha256);
  });

  it('does not let a batch in whose file in quarantine was changed', async () => {
    const batch = await test.commit(a, { verdict: 'suspect' });
    await publish();
    await test.decide(batch, 'released');
    const { key } = batch.entry.data!;
    await overwrite(store, key, Buffer.concat([await bytesOf(store, key), Buffer.from('x')]));
    expect(await publish()).toMatchObject({
      snapshot: null,
      damaged: [{ log: 'test/orders/0', code: 'DIGEST_MISMATCH', message: expect.stringContaining(key) }],
    });
    expect(await held()).toEqual({ [batch.digest]: 'suspect' });
  });

  it('takes a condemned batch out, and lets it back in when it is released again', async () => {
    const batch = await test.commit(a);
    await publish();
    await test.decide(batch, 'condemned');
    expect(await publish()).toMatchObject({ published: 0, held: 1 });
    expect(await held()).toEqual({ [batch.digest]: 'condemned' });
    expect((await test.snapshot()).records).toBe(0);
    await test.decide(batch, 'released');
    expect(await publish()).toMatchObject({ published: 1, held: 0 });
    expect(await published()).toEqual({ [batch.digest]: 'released' });
  });

  it('takes a condemned batch out in observe mode too', async () => {
    const batch = await test.commit(a, { mode: 'observe', verdict: 'suspect' });
    await publish();
    await test.decide(batch, 'condemned');
    await publish();
    expect(await published()).toEqual({});
    expect(await held()).toEqual({ [batch.digest]: 'condemned' });
  });

  it('never publishes a batch that was condemned before it was looked at', async () => {
    const batch = await test.commit(a);
    await test.decide(batch, 'condemned');
    expect(await publish()).toMatchObject({ published: 0, held: 1 });
    expect(await held()).toEqual({ [batch.digest]: 'condemned' });
  });

  it('publishes nothing on hold, and everything after it', async () => {
    const first = await test.commit(a);
    await publish();
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'wait' });
    const second = await test.commit(a);
    const before = await entries();
    expect(await publish()).toEqual({ snapshot: null, published: 0, held: 0, onHold: true, damaged: [] });
    expect(await entries()).toBe(before);
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'go on' });
    await publish();
    expect(await published()).toEqual({ [first.digest]: 'clean', [second.digest]: 'clean' });
  });

  it.each(['a later entry', 'the data of a clean batch', 'the evidence of a small batch', 'all of its entries'])(
    'names a log on hold as it does when not on hold: %s lost',
    async (what) => {
      await test.commit(a);
      await publish();
      await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'wait' });
      const clean = await test.commit(a);
      const small = await test.commit(a, { verdict: 'small' });
      const { layout } = test.ledger;
      const keys = {
        'a later entry': [layout.slot(a, 2)],
        'the data of a clean batch': [clean.entry.data!.key],
        'the evidence of a small batch': [small.entry.evidence.key],
        'all of its entries': [0, 1, 2, 3].map((slot) => layout.slot(a, slot)),
      }[what]!;
      const bytes = await Promise.all(keys.map((key) => bytesOf(store, key)));
      for (const key of keys) await store.delete(key);
      publisher = test.publisher(() => Promise.resolve(null), test.reopened());
      const damaged = [{ log: 'test/orders/0', code: keys[0]!.includes('/log/') ? 'SLOT_MISSING' : 'OBJECT_MISSING' }];
      for (let round = 0; round < 2; round++)
        expect(await publish()).toMatchObject({ snapshot: null, onHold: true, damaged });
      for (const [i, key] of keys.entries()) await store.put(key, bytes[i]!);
      clock.advance(600_000);
      expect(await publish()).toMatchObject({ onHold: true, damaged: [] });
      await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'go on' });
      expect(await publish()).toMatchObject({ published: 1, held: 1, damaged: [] });
    },
  );

  it('finds batches whose hint was lost by its full walk', async () => {
    await test.commit(a);
    await publish();
    const batch = await test.commit(a);
    const hint = test.ledger.layout.headHint(a);
    await store.delete(hint);
    expect(await publish()).toMatchObject({ snapshot: null });
    clock.advance(599_999);
    expect(await publish()).toMatchObject({ snapshot: null });
    clock.advance(1);
    expect(await publish()).toMatchObject({ published: 1 });
    expect(Object.keys(await published())).toContain(batch.digest);
  });

  it('finds batches of a log that appears later', async () => {
    await publish();
    const batch = await test.commit(b);
    await publish();
    expect(await published()).toEqual({ [batch.digest]: 'clean' });
  });

  it('carries out a decision on a batch that no hint led to: a publish takes up every decision or does not happen', async () => {
    await test.commit(a);
    await publish();
    const batch = await test.commit(a, { verdict: 'suspect' });
    await store.delete(test.ledger.layout.headHint(a));
    await test.decide(batch, 'released');
    await test.commit(b);
    expect(await publish()).toMatchObject({ published: 2 });
    expect(await published()).toMatchObject({ [batch.digest]: 'released' });
  });

  it('takes a condemned batch out although its entry is gone', async () => {
    const [batch, other] = [await test.commit(a), await test.commit(b)];
    await publish();
    await test.decide(batch, 'condemned');
    const slot = test.ledger.layout.slot(a, 1);
    await store.delete(slot);
    expect(await publish()).toMatchObject({ published: 0, held: 1, damaged: [{ code: 'SLOT_MISSING' }] });
    expect(await published()).toEqual({ [other.digest]: 'clean' });
    expect(await held()).toEqual({ [batch.digest]: 'condemned' });
    expect(await test.snapshot()).toMatchObject({ records: other.entry.records, bytes: other.entry.data!.bytes });
    expect(await publish()).toMatchObject({ snapshot: null });
  });

  describe('with a verdict or a decision that cannot be carried out', () => {
    const verdict = async (batch: LoggedBatch): Promise<void> => {
      const baseline = (await test.snapshot()).baselines[TOPIC]!;
      const batches = [{ log: 'test/orders/0', slot: batch.entry.slot, digest: batch.digest }];
      const evidence = await test.ledger.store.create(test.ledger.layout.judgement(sha256Hex(EVIDENCE)), EVIDENCE);
      expect(evidence).toBe('created');
      const outcome = 'suspect';
      await test.act({ kind: 'verdict', by: 'publisher', batches, outcome, baseline, evidence: sha256Hex(EVIDENCE) });
    };
    const verified = async () =>
      (await verifyPipeline(test.reopened(), { deep: false, format: parquetFormat, signal: never })).problems;

    // A batch that was found suspect must not pass for a clean one once its log is mended.
    it.each(['its entry', 'a later entry', 'the data of a later batch'])(
      'publishes the others while %s is lost, and holds the batch once it is back',
      async (what) => {
        await test.commit(a);
        await publish();
        const batch = await test.commit(a);
        const later = await test.commit(a);
        await test.commit(a);
        await verdict(batch);
        const { layout } = test.ledger;
        const lost =
          what === 'its entry'
            ? layout.slot(a, 2)
            : what === 'a later entry'
              ? layout.slot(a, 3)
              : later.entry.data!.key;
        const bytes = await bytesOf(store, lost);
        await store.delete(lost);
        const others = [await test.commit(b)];
        const damaged = [{ log: 'test/orders/0' }];
        expect(await publish()).toMatchObject({ published: 1, held: 0, damaged });
        others.push(await test.commit(b));
        publisher = test.publisher(undefined, test.reopened());
        expect(await publish()).toMatchObject({ published: 1, held: 0, damaged });
        expect((await test.ledger.control.head()).state.verdicts[batch.digest]).toMatchObject({ outcome: 'suspect' });
        await store.put(lost, bytes);
        clock.advance(600_000);
        expect(await publish()).toMatchObject({ published: 2, held: 1, damaged: [] });
        expect(await held()).toEqual({ [batch.digest]: 'suspect' });
        expect(Object.keys(await published())).toEqual(expect.arrayContaining(others.map(({ digest }) => digest)));
        expect((await test.ledger.control.head()).state.verdicts).toEqual({});
        expect(await verified()).toEqual([]);
      },
    );

    it('carries a release out once what it needs is back', async () => {
      const batch = await test.commit(a, { verdict: 'suspect' });
      await publish();
      await test.decide(batch, 'released');
      const { key } = batch.entry.data!;
      const bytes = await bytesOf(store, key);
      await store.delete(key);
      await test.commit(b);
      expect(await publish()).toMatchObject({ published: 1, damaged: [{ code: 'OBJECT_MISSING' }] });
      await store.put(key, bytes);
      clock.advance(600_000);
      expect(await publish()).toMatchObject({ published: 1, damaged: [] });
      expect(await published()).toMatchObject({ [batch.digest]: 'released' });
      expect(await verified()).toEqual([]);
    });
  });

  it('leaves a log where it is that shows another entry than the one its snapshot covers', async () => {
    const batch = await test.commit(a);
    await publish();
    const { pipeline } = batch.entry;
    const other = { ...batch.entry, pipeline, time: '2000-01-01T00:00:00.000Z' };
    const slot = test.ledger.layout.slot(a, 1);
    await overwrite(store, slot, await signPartitionEntry(other, test.keys.ingest));
    await store.put(test.ledger.layout.headHint(a), Buffer.from('moved'));
    expect(await publish()).toMatchObject({
      snapshot: null,
      damaged: [{ log: 'test/orders/0', code: 'CHAIN_BROKEN', message: expect.stringContaining(slot) }],
    });
  });

  it('lets one of two racing publishers win; together they publish each batch once', async () => {
    const committed: LoggedBatch[] = [];
    for (let round = 0; round < 5; round++) {
      committed.push(await test.commit(a), await test.commit(b));
      const others = [test.publisher(undefined, test.reopened()), test.publisher(undefined, test.reopened())];
      const reports = await Promise.all(others.map((each) => each.publish(never)));
      expect(reports.reduce((sum, report) => sum + report.published, 0)).toBe(2);
    }
    expect(Object.keys(await published()).toSorted()).toEqual(committed.map(({ digest }) => digest).toSorted());
    expect(await kinds()).toEqual(Array.from({ length: 5 }, () => 'publish'));
  });

  it('publishes once through lost answers and late writes', async () => {
    await test.commit(a);
    store.creates.push('answer-lost', 'late', 'own-exists', 'refused', 'lost');
    expect(await publish()).toMatchObject({ published: 1 });
    store.creates.length = 0;
    expect(await kinds()).toEqual(['publish']);
  });

  it('starts over when somebody holds the ref between its look and its entry', async () => {
    await test.commit(a);
    await publish();
    await test.commit(a);
    const { control } = test.ledger;
    const append = control.append.bind(control);
    control.append = async (...args) => {
      control.append = append;
      await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'now' });
      return append(...args);
    };
    expect(await publish()).toMatchObject({ snapshot: null, onHold: true });
    expect(await kinds()).toEqual(['publish', 'hold']);
  });

  describe('where a log is damaged', () => {
    const slot = (log: LogId, number: number): string => test.ledger.layout.slot(log, number);
    const take = async (key: string): Promise<Buffer> => {
      const bytes = await bytesOf(store, key);
      await store.delete(key);
      return bytes;
    };

    it.each(['a hole', 'a lost end', 'a squatted slot', 'a lost beginning', 'a squatted beginning'])(
      'leaves it where its head stands, names it, and publishes the others: %s',
      async (what) => {
        await test.commit(a);
        await publish();
        for (let i = 0; i < 3; i++) await test.commit(a);
        const other = await test.commit(b);
        const at = { 'a hole': 3, 'a squatted slot': 3, 'a lost end': 1 }[what] ?? 0;
        const bytes = await take(slot(a, at));
        if (what.startsWith('a squatted')) await store.put(slot(a, at), Buffer.from('{}'));
        // A slot that a snapshot covers and that is not its newest one is not looked at.
        const isSeen = what !== 'a lost beginning';
        publisher = test.publisher(undefined, test.reopened());
        const report = await publish();
        expect(report.damaged).toMatchObject(
          isSeen ? [{ log: 'test/orders/0', message: expect.stringContaining('Cannot') as string }] : [],
        );
        expect(Object.keys(await published())).toContain(other.digest);
        const heads = await test.ledger.snapshots.heads((await test.snapshot()).heads);
        expect(heads.get('test/orders/0')!.slot).toBe(isSeen ? 1 : 4);
        // It is told in each round, at no cost.
        const later = await test.commit(b);
        expect(await publish()).toMatchObject({ published: 1, damaged: report.damaged });
        expect(Object.keys(await published())).toContain(later.digest);
        await store.put(slot(a, at), bytes);
        clock.advance(600_000);
        expect(await publish()).toMatchObject({ published: isSeen ? 3 : 0, damaged: [] });
      },
    );

    it('holds no decision on another log back', async () => {
      const suspects = [await test.commit(a, { verdict: 'suspect' }), await test.commit(b, { verdict: 'suspect' })];
      await publish();
      const beyond = await test.commit(a, { verdict: 'suspect' });
      for (const batch of [...suspects, beyond]) await test.decide(batch, 'released');
      await store.delete(slot(a, 1));
      expect(await publish()).toMatchObject({ published: 1, damaged: [{ log: 'test/orders/0' }] });
      expect(await published()).toEqual({ [suspects[1]!.digest]: 'released' });
    });

    it('waits for no batch that is held in it', async () => {
      publisher = test.publisher(() => Promise.resolve(null));
      await test.commit(a, { verdict: 'small' });
      await publish();
      const other = await test.commit(b);
      await test.commit(a);
      await store.delete(slot(a, 1));
      publisher = test.publisher(() => Promise.resolve(null), test.reopened());
      expect(await publish()).toMatchObject({
        published: 1,
        damaged: [{ log: 'test/orders/0', code: 'SLOT_MISSING' }],
      });
      expect(await published()).toEqual({ [other.digest]: 'clean' });
    });

    it('leaves it out too where the evidence or the data of a batch is what is lost', async () => {
      const rejudge: Rejudge = async (_topic, batches) => {
        for (const batch of batches) await readEvidence(test.ledger, batch);
        return null;
      };
      publisher = test.publisher(rejudge);
      const small = await test.commit(a, { verdict: 'small' });
      const released = await test.commit(b, { verdict: 'suspect' });
      const c = partition(2);
      const evidence = await take(small.entry.evidence.key);
      await test.decide(released, 'released');
      const data = await take(released.entry.data!.key);
      const others = [await test.commit(c)];
      const damaged = [
        { log: 'test/orders/0', code: 'OBJECT_MISSING' },
        { log: 'test/orders/1', code: 'OBJECT_MISSING' },
      ];
      expect(await publish()).toMatchObject({ published: 1, damaged });
      others.push(await test.commit(c));
      expect(await publish()).toMatchObject({ published: 1, damaged });
      await store.put(small.entry.evidence.key, evidence);
      await store.put(released.entry.data!.key, data);
      clock.advance(600_000);
      expect(await publish()).toMatchObject({ published: 1, held: 1, damaged: [] });
      expect(Object.keys(await published()).toSorted()).toEqual(
        [...others, released].map(({ digest }) => digest).toSorted(),
      );
    });

    it('leaves it out where a clean batch has lost its file, or the log all of its entries', async () => {
      await test.commit(a);
      const lost = await test.commit(b);
      const data = await take(lost.entry.data!.key);
      expect(await publish()).toMatchObject({
        published: 1,
        damaged: [{ log: 'test/orders/1', code: 'OBJECT_MISSING' }],
      });
      await store.put(lost.entry.data!.key, data);
      clock.advance(600_000);
      expect(await publish()).toMatchObject({ published: 1, damaged: [] });
      for (let number = 0; number < 2; number++) await take(slot(b, number));
      publisher = test.publisher(undefined, test.reopened());
      await test.commit(a);
      expect(await publish()).toMatchObject({
        published: 1,
        damaged: [
          {
            log: 'test/orders/1',
            code: 'SLOT_MISSING',
            message: expect.stringMatching(/nothing of it is left/) as string,
          },
        ],
      });
    });

    it('still stops at what belongs to no log', async () => {
      await test.commit(a);
      const { snapshot } = await publish();
      await test.commit(a);
      await store.delete(test.ledger.layout.snapshot(snapshot!));
      await expect(publish()).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    });
  });

  describe('with small batches', () => {
    const asked: string[] = [];
    const union =
      (decide: (count: number) => 'clean' | 'suspect' | null): Rejudge =>
      async (topic, batches, as, baseline) => {
        asked.push(`${topic} ${as} ${batches.length}`);
        const outcome = (as === 'union' ? decide(batches.length) : null) ?? 'undecided';
        return storeRejudgement(
          { ...test.ledger, store: store.inner },
          { as, batches, baseline, outcomeOf: () => outcome },
        );
      };

    beforeEach(() => {
      asked.length = 0;
    });

    it('judges them together, held ones and new ones, until they can be judged', async () => {
      publisher = test.publisher(union((count) => (count < 3 ? null : 'clean')));
      const first = await test.commit(a, { verdict: 'small' });
      expect(await publish()).toMatchObject({ published: 0, held: 1 });
      expect(await held()).toEqual({ [first.digest]: 'small' });
      const second = await test.commit(b, { verdict: 'small' });
      await publish();
      const third = await test.commit(a, { verdict: 'small' });
      expect(await publish()).toMatchObject({ published: 3, held: 0 });
      expect(asked).toEqual(['orders union 1', 'orders union 2', 'orders union 3']);
      expect(await published()).toEqual({ [first.digest]: 'clean', [second.digest]: 'clean', [third.digest]: 'clean' });
      expect(await kinds()).toEqual(['publish', 'publish', 'verdict', 'publish']);
    });

    it('judges those with them that there was no baseline for, once none can be decided by itself', async () => {
      publisher = test.publisher(union((count) => (count < 3 ? null : 'clean')));
      for (const verdict of ['small', 'no-baseline', 'small'] as const) await test.commit(a, { verdict });
      expect(await publish()).toMatchObject({ published: 3, held: 0 });
      expect(asked).toEqual(['orders each 1', 'orders union 3']);
    });

    it('holds them for good when together they are suspect', async () => {
      publisher = test.publisher(union(() => 'suspect'));
      const batch = await test.commit(a, { verdict: 'small' });
      expect(await publish()).toMatchObject({ published: 0, held: 1 });
      expect(await held()).toEqual({ [batch.digest]: 'suspect' });
      await test.commit(b);
      await publish();
      expect(asked).toEqual(['orders union 1']);
    });

    it('lets a person’s decision on one of them count, whatever the union says', async () => {
      publisher = test.publisher(union((count) => (count < 2 ? null : 'suspect')));
      const first = await test.commit(a, { verdict: 'small' });
      await publish();
      await test.decide(first, 'released');
      const second = await test.commit(a, { verdict: 'small' });
      await publish();
      expect(await published()).toEqual({ [first.digest]: 'released' });
      expect(await held()).toEqual({ [second.digest]: 'small' });
    });

    it('judges topics apart, and leaves those without a baseline alone', async () => {
      await test.pinSchema('returns');
      publisher = test.publisher(union((count) => (count < 2 ? null : 'clean')));
      await test.commit(a, { verdict: 'small' });
      await test.commit(partition(0, 'returns'), { verdict: 'small' });
      expect(await publish()).toMatchObject({ published: 0, held: 2 });
      expect(asked).toEqual(['orders union 1']);
    });

    it('names no more batches in one verdict entry than fit it, and gets through all of them', async () => {
      publisher = test.publisher(union(() => 'clean'));
      const long = { cluster: 'x'.repeat(2_000), topic: TOPIC, partition: '0' };
      for (let i = 0; i < 80; i++) await test.commit(long, { verdict: 'small', values: ['{"id":1}'] });
      expect(await publish()).toMatchObject({ published: 80, held: 0 });
      expect(await kinds()).toEqual(['verdict', 'verdict', 'publish']);
    });
  });

  describe('with batches that were judged by no baseline or by another one', () => {
    /** Judges as planned; undecided without a plan. */
    const each: Rejudge = async (_topic, batches, as, baseline) => {
      if (as === 'union') return null;
      const outcomeOf = ({ digest }: LoggedBatch) => truth.get(digest) ?? 'undecided';
      return storeRejudgement({ ...test.ledger, store: store.inner }, { as, batches, baseline, outcomeOf });
    };
    const truth = new Map<string, Judgement['outcome']>();
    const commit = async (
      as: Judgement['outcome'],
      batch: Parameters<TestLedger['commit']>[1],
      log = a,
    ): Promise<LoggedBatch> => {
      const committed = await test.commit(log, batch);
      truth.set(committed.digest, as);
      return committed;
    };

    beforeEach(async () => {
      truth.clear();
      publisher = test.publisher(each);
    });

    it('holds batches for want of a baseline and judges each once there is one', async () => {
      test = await TestLedger.open({ store: new FaultyStore(new MemoryStore()), clock, prepared: false });
      await test.pinSchema();
      store = test.store as FaultyStore;
      publisher = test.publisher(each);
      const good = await commit('clean', { verdict: 'no-baseline' });
      const bad = await commit('suspect', { verdict: 'no-baseline' });
      const unclear = await commit('undecided', { verdict: 'no-baseline' });
      expect(await publish()).toMatchObject({ published: 0, held: 3 });
      expect(await publish()).toMatchObject({ snapshot: null });
      await test.approveBaseline('first');
      expect(await publish()).toMatchObject({ published: 1, held: 2 });
      expect(await published()).toEqual({ [good.digest]: 'clean' });
      expect(await held()).toEqual({ [bad.digest]: 'suspect', [unclear.digest]: 'no-baseline' });
      expect(await publish()).toMatchObject({ snapshot: null });
    });

    it('judges a clean batch again when its baseline was no longer in force at the last publish', async () => {
      await commit('clean', {});
      await publish();
      const old = (await test.ledger.control.head()).state.baselines[TOPIC]!;
      await test.approveBaseline('second');
      await commit('clean', {});
      await publish();
      const late = [
        await commit('clean', { baseline: old }),
        await commit('suspect', { baseline: old }),
        await commit('undecided', { baseline: old }),
      ];
      expect(await publish()).toMatchObject({ published: 1 });
      expect(await held()).toEqual({ [late[1]!.digest]: 'suspect', [late[2]!.digest]: 'failed' });
      expect((await published())[late[0]!.digest]).toBe('clean');
    });

    it('takes a clean batch as it is when its baseline was still in force at the last publish', async () => {
      await commit('clean', {});
      await publish();
      const old = (await test.ledger.control.head()).state.baselines[TOPIC]!;
      await test.approveBaseline('second');
      const batch = await commit('suspect', { baseline: old });
      await publish();
      expect((await published())[batch.digest]).toBe('clean');
    });
  });
});
