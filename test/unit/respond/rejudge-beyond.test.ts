import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import type { ControlAct } from '../../../src/ledger/control-entry.ts';
import type { ControlHead } from '../../../src/ledger/control-log.ts';
import { EMPTY_STATE } from '../../../src/ledger/control-state.ts';
import { recordOf } from '../../../src/ledger/named-records.ts';
import type { BatchEntry, Mode } from '../../../src/ledger/partition-entry.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { emptySnapshot } from '../../../src/ledger/snapshot.ts';
import type { Publisher } from '../../../src/publish/publisher.ts';
import { refOf, type Rejudge } from '../../../src/publish/reconsider.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { rejudgeBeyond, verdictsOn } from '../../../src/respond/rejudge-beyond.ts';
import { rollback } from '../../../src/respond/refs.ts';
import { TOPIC, TestLedger, never, partition, type TestVerdict } from '../../support/ledger.ts';

const a = partition(0);
const b = partition(1);

describe('batches beyond a snapshot', () => {
  let test: TestLedger;
  let publisher: Publisher;
  const publish = async (): Promise<string> => {
    await publisher.publish(never);
    return (await test.ledger.control.head()).state.refs['main']!;
  };
  const allClean: Rejudge = async (_topic, clean) => ({ clean, suspect: [], evidence: sha256Hex(Buffer.from('')) });
  const beyond = async (snapshot: string | null, lost: readonly unknown[] = []): Promise<string[]> => {
    const ledger = test.reopened();
    const base = snapshot === null ? emptySnapshot('shop') : await ledger.snapshots.read(snapshot);
    const head = await ledger.control.head();
    const { batches, damaged } = await rejudgeBeyond(ledger, base, head, null, { rejudge: allClean, by: 'Ada' }, never);
    expect(damaged).toMatchObject(lost);
    return batches.map(({ digest }) => digest);
  };

  beforeEach(async () => {
    test = await TestLedger.open();
    publisher = test.publisher();
  });

  it('are all batches, before anything is published', async () => {
    expect(await beyond(null)).toEqual([]);
    const batches = [await test.commit(a), await test.commit(a, { verdict: 'suspect' }), await test.commit(b)];
    expect(await beyond(null)).toEqual(batches.map(({ digest }) => digest));
  });

  it('are none when the snapshot covers every log', async () => {
    await test.commit(a);
    await test.commit(b, { verdict: 'suspect' });
    expect(await beyond(await publish())).toEqual([]);
  });

  it('are those past its heads, log by log, and all of a log that it does not know', async () => {
    await test.commit(a);
    const first = await publish();
    const later = await test.commit(a);
    const second = await publish();
    const newest = await test.commit(a);
    const unknown = await test.commit(b);
    expect(await beyond(second)).toEqual([newest.digest, unknown.digest]);
    expect(await beyond(first)).toEqual([later.digest, newest.digest, unknown.digest]);
  });

  it('are not claims: a log that only changed hands has none', async () => {
    await test.commit(a);
    const only = await publish();
    await (await test.newWriter(a)).claim({ next: 0, label: null }, never);
    expect(await beyond(only)).toEqual([]);
  });

  it('leave out what is decided: condemned at any time, released since the rollback', async () => {
    await test.commit(b);
    const target = await publish();
    const condemned = await test.commit(a);
    const releasedBefore = await test.commit(a, { verdict: 'suspect' });
    const releasedSince = await test.commit(a, { verdict: 'suspect' });
    const plain = await test.commit(a);
    await test.decide(condemned, 'condemned');
    await test.decide(releasedBefore, 'released');
    await publish();
    await rollback(test.ledger, 'main', target, test.person(), never);
    await test.decide(releasedSince, 'released');
    expect(await beyond(target)).toEqual([releasedBefore.digest, plain.digest]);
  });

  it('are not looked for behind a head that the log does not have, and that log is named', async () => {
    await test.commit(a);
    const only = await publish();
    const other = await test.commit(b);
    await test.commit(a);
    await test.store.delete(test.ledger.layout.slot(a, 1));
    expect(await beyond(only, [{ log: 'test/orders/0', code: 'SLOT_MISSING' }])).toEqual([other.digest]);
  });
});

describe('verdicts on batches beyond a snapshot', () => {
  const BASELINE = 'ab'.repeat(32);
  const head = (baselines: Readonly<Record<string, string>>): ControlHead => ({
    newest: null,
    state: { ...EMPTY_STATE, baselines: recordOf(Object.entries(baselines)) },
  });
  const inForce = head({ [TOPIC]: BASELINE });
  /** What the real ledger would hold, as far as anyone looks at it here. */
  const batch = (
    index: number,
    verdict: Exclude<TestVerdict, 'released'> = 'clean',
    { topic = TOPIC, mode = 'enforce' }: { readonly topic?: string; readonly mode?: Mode } = {},
  ): LoggedBatch => {
    const decided = verdict === 'clean' || verdict === 'suspect';
    const entry = {
      slot: index + 1,
      start: 2 * index,
      mode,
      verdict: decided ? verdict : 'undecided',
      undecided: decided ? null : verdict,
    } as unknown as BatchEntry;
    return { log: partition(0, topic), entry, digest: sha256Hex(Buffer.from(`${topic} ${index}`)) };
  };

  interface Question {
    readonly topic: string;
    readonly digests: readonly string[];
    readonly as: string;
    readonly baseline: string;
  }
  let asked: Question[];
  /** Judges as the table says; what is not in it stays undecided. */
  const judgeBy =
    (truth: ReadonlyMap<string, 'clean' | 'suspect'>): Rejudge =>
    async (topic, batches, as, baseline) => {
      asked.push({ topic, digests: batches.map(({ digest }) => digest), as, baseline });
      const of = (outcome: string) => batches.filter(({ digest }) => truth.get(digest) === outcome);
      const [clean, suspect] = [of('clean'), of('suspect')];
      return clean.length + suspect.length === 0 ? null : { clean, suspect, evidence: sha256Hex(Buffer.from(topic)) };
    };
  const truthOf = (batches: readonly LoggedBatch[], outcome: 'clean' | 'suspect') =>
    new Map(batches.map(({ digest }) => [digest, outcome] as const));
  const verdicts = (batches: readonly LoggedBatch[], rejudge: Rejudge, at = inForce): Promise<ControlAct[]> =>
    verdictsOn(batches, at, rejudge, 'Ada', never);

  beforeEach(() => {
    asked = [];
  });

  it('are none, and nobody is asked, when there are no batches', async () => {
    expect(await verdicts([], judgeBy(new Map()))).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('name each batch under what it was found to be, by the baseline in force, for the one who resumes', async () => {
    const [one, two, three] = [batch(0), batch(1, 'suspect'), batch(2, 'no-baseline')];
    const truth = new Map([...truthOf([one, three], 'clean'), ...truthOf([two], 'suspect')]);
    const evidence = sha256Hex(Buffer.from(TOPIC));
    expect(await verdicts([one, two, three], judgeBy(truth))).toEqual([
      {
        kind: 'verdict',
        by: 'Ada',
        batches: [refOf(one), refOf(three)],
        outcome: 'clean',
        baseline: BASELINE,
        evidence,
      },
      { kind: 'verdict', by: 'Ada', batches: [refOf(two)], outcome: 'suspect', baseline: BASELINE, evidence },
    ]);
    expect(asked).toEqual([
      { topic: TOPIC, digests: [one, two, three].map(({ digest }) => digest), as: 'each', baseline: BASELINE },
    ]);
  });

  it('are asked for topic by topic, each by its own baseline', async () => {
    const topics = ['orders', 'returns', '__proto__'];
    const batches = topics.flatMap((topic) => [batch(0, 'clean', { topic }), batch(1, 'clean', { topic })]);
    const mixed = [0, 2, 4, 1, 3, 5].map((i) => batches[i]!);
    const baselines = recordOf(topics.map((topic, i) => [topic, String(i).repeat(64)] as const));
    const acts = await verdicts(mixed, judgeBy(truthOf(batches, 'clean')), head(baselines));
    expect(asked.map(({ topic, baseline }) => [topic, baseline])).toEqual(
      topics.map((topic, i) => [topic, String(i).repeat(64)]),
    );
    expect(acts).toHaveLength(3);
    for (const [i, act] of acts.entries())
      expect(act).toMatchObject({
        batches: batches.slice(2 * i, 2 * i + 2).map(refOf),
        baseline: String(i).repeat(64),
      });
  });

  it('come in entries that are small enough to be written, and miss no batch', async () => {
    const batches = Array.from({ length: 1_203 }, (_, i) => batch(i));
    const acts = await verdicts(batches, judgeBy(truthOf(batches, 'clean')));
    expect(acts.flatMap((act) => (act.kind === 'verdict' ? act.batches : []))).toEqual(batches.map(refOf));
    expect(Math.max(...acts.map((act) => (act.kind === 'verdict' ? act.batches.length : 0)))).toBeLessThanOrEqual(
      1_000,
    );
    expect(acts.length).toBeGreaterThan(1);
  });

  it('pass the signal on, so that a long look can be called off', async () => {
    const stop = new AbortController();
    const seen: AbortSignal[] = [];
    const listening: Rejudge = async (_topic, _batches, _as, _baseline, signal) => {
      seen.push(signal);
      return null;
    };
    await verdictsOn([batch(0, 'suspect')], inForce, listening, 'Ada', stop.signal);
    expect(seen).toEqual([stop.signal]);
  });

  it('are not made up when the evidence cannot be read', async () => {
    const broken: Rejudge = () => Promise.reject(new Error('cannot be read'));
    await expect(verdicts([batch(0)], broken)).rejects.toThrow('cannot be read');
  });

  it.each(['suspect', 'failed', 'small', 'no-baseline'] as const)(
    'leave a batch as it was that stays undecided and out of the dataset: %s',
    async (verdict) => {
      expect(await verdicts([batch(0, verdict)], judgeBy(new Map()))).toEqual([]);
    },
  );

  it('are refused while a clean batch stays undecided, for it would come back on its old verdict', async () => {
    const [judged, undecided] = [batch(0), batch(1)];
    await expect(verdicts([judged, undecided], judgeBy(truthOf([judged], 'clean')))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(/1 batch.* cannot be judged again .* among them test\/orders\/0@2 /) as string,
    });
  });

  it.each(['clean', 'suspect', 'failed', 'small', 'no-baseline'] as const)(
    'are refused while any batch of observe mode stays undecided, for all of them come back: %s',
    async (verdict) => {
      const observed = batch(0, verdict, { mode: 'observe' });
      await expect(verdicts([observed], judgeBy(new Map()))).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    },
  );

  it('are refused without a baseline in force, and nobody is asked', async () => {
    await expect(verdicts([batch(0)], judgeBy(truthOf([batch(0)], 'clean')), head({}))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    expect(await verdicts([batch(0, 'no-baseline')], judgeBy(new Map()), head({ returns: BASELINE }))).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('are refused while a batch stays undecided that an overtaken resume has called clean, by a baseline of then', async () => {
    const suspect = batch(0, 'suspect');
    const { log, slot, digest } = refOf(suspect);
    const verdictsOf = (outcome: 'clean' | 'suspect'): ControlHead => ({
      ...inForce,
      state: { ...inForce.state, verdicts: recordOf([[digest, { outcome, seq: 1, log, slot }]]) },
    });
    await expect(verdicts([suspect], judgeBy(new Map()), verdictsOf('clean'))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    expect(await verdicts([suspect], judgeBy(new Map()), verdictsOf('suspect'))).toEqual([]);
    expect(await verdicts([suspect], judgeBy(truthOf([suspect], 'suspect')), verdictsOf('clean'))).toMatchObject([
      { outcome: 'suspect' },
    ]);
  });

  it('name ten of the batches that need a decision, and say how many there are', async () => {
    const batches = Array.from({ length: 30 }, (_, i) => batch(i));
    const error: unknown = await verdicts(batches, judgeBy(new Map())).catch((thrown: unknown) => thrown);
    const { message } = error as Error;
    expect(message).toContain('30 batches');
    expect(message.match(/test\/orders\/0@\d+/g)).toEqual(
      batches.slice(0, 10).map(({ entry }) => `test/orders/0@${entry.start}`),
    );
  });

  it('cover every batch exactly once, or none enters the dataset undecided', async () => {
    const given = fc.array(
      fc.record({
        verdict: fc.constantFrom('clean', 'suspect', 'failed', 'small', 'no-baseline'),
        truth: fc.constantFrom('clean', 'suspect', undefined),
        mode: fc.constantFrom('enforce', 'observe'),
        topic: fc.constantFrom('orders', 'returns', 'unknown'),
      }),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(given, async (rows) => {
        const batches = rows.map(({ verdict, ...rest }, i) => batch(i, verdict, rest));
        const known = (topic: string): boolean => topic !== 'unknown';
        const truth = new Map(
          rows.flatMap((row, i) => (row.truth === undefined ? [] : [[batches[i]!.digest, row.truth] as const])),
        );
        const judging = verdicts(batches, judgeBy(truth), head({ orders: BASELINE, returns: BASELINE }));
        const isUndecided = (row: (typeof rows)[number]) => row.truth === undefined || !known(row.topic);
        const stuck = rows.filter((row) => isUndecided(row) && (row.verdict === 'clean' || row.mode === 'observe'));
        if (stuck.length > 0) {
          await expect(judging).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
          return;
        }
        const named = (await judging).flatMap((act) =>
          act.kind === 'verdict' ? act.batches.map(({ digest }) => `${digest} ${act.outcome}`) : [],
        );
        const wanted = rows.flatMap((row, i) => (isUndecided(row) ? [] : [`${batches[i]!.digest} ${row.truth}`]));
        expect(named.toSorted()).toEqual(wanted.toSorted());
      }),
    );
  });
});
