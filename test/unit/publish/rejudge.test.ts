import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { JUDGE_DEFAULTS } from '../../../src/detect/verdict.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { makeRejudge } from '../../../src/publish/rejudge.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { approve } from '../../../src/respond/approve-baseline.ts';
import { learn } from '../../../src/respond/learn-baseline.ts';
import { storedProfiles } from '../../../src/respond/stored-profiles.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { randomOf } from '../../support/flights.ts';
import { bytesOf, overwrite } from '../../support/forge.ts';
import { ORDER_SCHEMA, TOPIC, TestLedger, never, partition } from '../../support/ledger.ts';

const log = partition(0);
let offset = 0;

/** Orders that look alike: amounts around 20, four cities. */
function orders(count: number, seed: number, amount = 1): string[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, () =>
    JSON.stringify({
      id: offset++,
      amount: Math.round(100 * amount * (10 + 20 * random())) / 100,
      city: ['Basel', 'Bern', 'Chur', 'Genf'][Math.floor(4 * random())],
    }),
  );
}

describe('judging stored batches again', () => {
  let test: TestLedger;
  let store: CountingStore;
  let baseline: string;
  let rejudge: Rejudge;
  const learnedFrom: LoggedBatch[] = [];
  const context = () => ({ ...test.ledger, settings: JUDGE_DEFAULTS });

  beforeAll(async () => {
    store = new CountingStore(new MemoryStore());
    test = await TestLedger.open({ store, prepared: false });
    await test.pinSchema();
    for (let i = 0; i < 10; i++)
      learnedFrom.push(await test.commit(log, { verdict: 'no-baseline', values: orders(600, i) }));
    await test.publisher().publish(never);
    const profiles = await storedProfiles(test.ledger, 'main', TOPIC, ['held']);
    expect(profiles).toHaveLength(10);
    const learned = await learn(test.ledger, TOPIC, profiles, { ...test.person(), signer: test.keys.publisher }, never);
    expect(learned).toMatchObject({ topic: TOPIC, batches: 10, records: 6_000 });
    baseline = await approve(test.ledger, TOPIC, undefined, test.person(), never);
    expect(baseline).toBe(learned.baseline);
  });

  beforeEach(() => {
    rejudge = makeRejudge(context());
  });

  it('lets the batches in that a first baseline was learned from', async () => {
    const publisher = test.publisher(rejudge);
    const report = await publisher.publish(never);
    expect(report.published).toBeGreaterThanOrEqual(9);
    expect(report.published + report.held).toBe(10);
    expect(Object.values(await test.standings('batches')).every((standing) => standing === 'clean')).toBe(true);
  });

  it('finds the copy of a batch that a first baseline was learned from, however it is asked', async () => {
    const offsetBefore = offset;
    offset = 0;
    const copy = await test.commit(log, { verdict: 'no-baseline', values: orders(600, 0) });
    offset = offsetBefore;
    const original = learnedFrom[0]!;
    for (const batches of [
      [original, copy],
      [copy, original],
    ])
      expect(await makeRejudge(context())(TOPIC, batches, 'each', baseline, never)).toMatchObject({
        clean: [original],
        suspect: [copy],
      });
    // Also once the original is decided.
    expect(await rejudge(TOPIC, [original], 'each', baseline, never)).toMatchObject({ clean: [original] });
    expect(await rejudge(TOPIC, [copy], 'each', baseline, never)).toMatchObject({ suspect: [copy] });
  });

  it('says of each by itself what is clean, what is suspect, and leaves the rest open', async () => {
    const clean = await test.commit(log, { verdict: 'failed', values: orders(600, 100) });
    const poisoned = await test.commit(log, { verdict: 'failed', values: orders(600, 101, 10) });
    const small = await test.commit(log, { verdict: 'failed', values: orders(20, 102) });
    const judged = (await rejudge(TOPIC, [clean, poisoned, small], 'each', baseline, never))!;
    expect(judged.clean).toEqual([clean]);
    expect(judged.suspect).toEqual([poisoned]);
    const evidence = JSON.parse((await bytesOf(store, test.ledger.layout.judgement(judged.evidence))).toString()) as {
      as: string;
      batches: { digest: string; judgement: number }[];
      judgements: { outcome: string; baseline: string }[];
    };
    expect(evidence.as).toBe('each');
    expect(evidence.batches.map(({ digest, judgement }) => [digest, evidence.judgements[judgement]!.outcome])).toEqual([
      [clean.digest, 'clean'],
      [poisoned.digest, 'suspect'],
      [small.digest, 'undecided'],
    ]);
    expect(new Set(evidence.judgements.map((each) => each.baseline))).toEqual(new Set([baseline]));
  });

  it('gives the same evidence for the same question, on any machine', async () => {
    const batch = await test.commit(log, { verdict: 'failed', values: orders(600, 110) });
    const [one, other] = [
      await rejudge(TOPIC, [batch], 'each', baseline, never),
      await makeRejudge(context())(TOPIC, [batch], 'each', baseline, never),
    ];
    expect(one!.evidence).toBe(other!.evidence);
  });

  it('judges small batches together once they are enough', async () => {
    const parts: LoggedBatch[] = [];
    for (let i = 0; i < 6; i++) parts.push(await test.commit(log, { verdict: 'small', values: orders(100, 200 + i) }));
    expect(await rejudge(TOPIC, parts.slice(0, 4), 'union', baseline, never)).toBeNull();
    expect(await rejudge(TOPIC, parts, 'union', baseline, never)).toMatchObject({ clean: parts, suspect: [] });
    const poison: LoggedBatch[] = [];
    for (let i = 0; i < 6; i++)
      poison.push(await test.commit(log, { verdict: 'small', values: orders(100, 300 + i, 10) }));
    expect(await rejudge(TOPIC, poison, 'union', baseline, never)).toMatchObject({ clean: [], suspect: poison });
  });

  it('joins what was too small when there was no baseline, but not what can be judged by itself', async () => {
    const parts: LoggedBatch[] = [];
    for (let i = 0; i < 6; i++)
      parts.push(await test.commit(log, { verdict: i % 2 ? 'small' : 'no-baseline', values: orders(100, 700 + i) }));
    const poisoned = await test.commit(log, { verdict: 'no-baseline', values: orders(600, 710, 10) });
    expect(await rejudge(TOPIC, [...parts, poisoned], 'union', baseline, never)).toMatchObject({
      clean: parts,
      suspect: [poisoned],
    });
  });

  it('never joins batches of two schemas: each kind is judged by itself', async () => {
    const parts: LoggedBatch[] = [];
    for (let i = 0; i < 6; i++) parts.push(await test.commit(log, { verdict: 'small', values: orders(100, 400 + i) }));
    const other = await withOtherSchema(await test.commit(log, { verdict: 'small', values: orders(100, 410) }));
    expect(await rejudge(TOPIC, [...parts, other], 'union', baseline, never)).toMatchObject({
      clean: parts,
      suspect: [],
    });
  });

  it('reads nothing when it is asked again what it could not decide', async () => {
    const small = await test.commit(log, { verdict: 'small', values: orders(20, 500) });
    expect(await rejudge(TOPIC, [small], 'union', baseline, never)).toBeNull();
    const before = store.reads();
    expect(await rejudge(TOPIC, [small], 'union', baseline, never)).toBeNull();
    expect(store.reads()).toBe(before);
    const more = await test.commit(log, { verdict: 'small', values: orders(600, 501) });
    expect(await rejudge(TOPIC, [small, more], 'union', baseline, never)).not.toBeNull();
  });

  it('reads nothing again either when it is asked of several groups in each round, and new ones come', async () => {
    const groups: LoggedBatch[][] = [];
    for (let group = 0; group < 3; group++) {
      const batches: LoggedBatch[] = [];
      for (let i = 0; i < 2; i++)
        batches.push(await test.commit(log, { verdict: 'no-baseline', values: orders(20, 520 + 2 * group + i) }));
      groups.push(batches);
    }
    const ask = async (): Promise<void> => {
      for (const group of groups) expect(await rejudge(TOPIC, group, 'each', baseline, never)).toBeNull();
    };
    await ask();
    store.reset();
    await ask();
    // Batches move from group to group when one before them is decided.
    groups.splice(0, 2, [groups[0]![1]!, groups[1]![0]!], [groups[1]![1]!]);
    await ask();
    expect(store.reads()).toBe(0);
    const later = await test.commit(log, { verdict: 'no-baseline', values: orders(600, 530) });
    store.reset();
    const judged = await rejudge(TOPIC, [...groups[2]!, later], 'each', baseline, never);
    expect(judged).toMatchObject({ clean: [later], suspect: [] });
    // Its evidence; what says so is only written.
    expect(store.reads()).toBe(1);
  });

  it('judges anew under another baseline what it could not decide under one', async () => {
    const small = await test.commit(log, { verdict: 'no-baseline', values: orders(20, 540) });
    expect(await rejudge(TOPIC, [small], 'each', baseline, never)).toBeNull();
    const published = await storedProfiles(test.ledger, 'main', TOPIC, ['published']);
    const actor = { ...test.person(), signer: test.keys.publisher };
    const other = (await learn(test.ledger, TOPIC, published.slice(1), actor, never)).baseline;
    expect(other).not.toBe(baseline);
    store.reset();
    expect(await rejudge(TOPIC, [small], 'each', other, never)).toBeNull();
    // The other baseline only: the profile is known.
    expect(store.reads()).toBe(1);
  });

  it('reads the evidence of a batch once to judge it by itself and then with others', async () => {
    const parts: LoggedBatch[] = [];
    for (let i = 0; i < 6; i++)
      parts.push(await test.commit(log, { verdict: 'no-baseline', values: orders(100, 550 + i) }));
    const few = parts.slice(0, 4);
    store.reset();
    expect(await rejudge(TOPIC, few, 'each', baseline, never)).toBeNull();
    expect(store.reads()).toBe(5);
    expect(await rejudge(TOPIC, few, 'union', baseline, never)).toBeNull();
    expect(await rejudge(TOPIC, parts, 'union', baseline, never)).toMatchObject({ clean: parts, suspect: [] });
    // The baseline, and each of the six.
    expect(store.reads()).toBe(7);
    expect((await makeRejudge(context())(TOPIC, parts, 'union', baseline, never))!.evidence).toBe(
      (await rejudge(TOPIC, parts, 'union', baseline, never))!.evidence,
    );
  });

  it('stops at evidence or a baseline that was changed', async () => {
    const batch = await test.commit(log, { verdict: 'failed', values: orders(600, 600) });
    const { key } = batch.entry.evidence;
    const own = await bytesOf(store, key);
    await overwrite(store, key, Buffer.concat([own.subarray(0, -1), Buffer.from(' ')]));
    await expect(rejudge(TOPIC, [batch], 'each', baseline, never)).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      object: key,
    });
    await overwrite(store, key, own);
    const stored = test.ledger.layout.baseline(baseline);
    const bytes = await bytesOf(store, stored);
    await overwrite(store, stored, bytes.subarray(1));
    await expect(makeRejudge(context())(TOPIC, [batch], 'each', baseline, never)).rejects.toMatchObject({
      object: stored,
    });
    await overwrite(store, stored, bytes);
  });

  /** The same batch as if its profile had been made under another schema: its evidence is changed and named anew. */
  async function withOtherSchema(batch: LoggedBatch): Promise<LoggedBatch> {
    const text = (await bytesOf(store, batch.entry.evidence.key)).toString('utf8');
    const schema = /"schema":"([0-9a-f]{64})"/.exec(text)![1]!;
    const bytes = Buffer.from(text.replace(schema, 'f'.repeat(64)), 'utf8');
    const evidence = { key: `${batch.entry.evidence.key}x`, sha256: sha256Hex(bytes), bytes: bytes.length };
    await store.create(evidence.key, bytes);
    return { ...batch, entry: { ...batch.entry, evidence } };
  }
});

describe('learning a baseline', () => {
  it('is refused without batches to learn from', async () => {
    const test = await TestLedger.open();
    await test.commit(log);
    await test.publisher().publish(never);
    await expect(storedProfiles(test.ledger, 'main', TOPIC, ['held'])).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(storedProfiles(test.ledger, 'main', 'returns', ['published'])).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await storedProfiles(test.ledger, 'main', TOPIC, ['published'])).toHaveLength(1);
  });

  it('is refused when all batches are of another schema than the pinned one', async () => {
    const test = await TestLedger.open();
    await test.commit(log);
    await test.publisher().publish(never);
    const profiles = await storedProfiles(test.ledger, 'main', TOPIC, ['published']);
    await test.pinSchema(TOPIC, { ...ORDER_SCHEMA, columns: ORDER_SCHEMA.columns.slice(1) });
    await expect(learn(test.ledger, TOPIC, profiles, test.person(), never)).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  it('puts nothing in force that was not learned, or cannot be told apart', async () => {
    const test = await TestLedger.open();
    const first = (await test.ledger.control.head()).state.baselines[TOPIC]!;
    await expect(approve(test.ledger, TOPIC, undefined, test.person(), never)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(approve(test.ledger, TOPIC, 'ffffff', test.person(), never)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await test.approveBaseline('second');
    expect(await approve(test.ledger, TOPIC, first.slice(0, 8), test.person(), never)).toBe(first);
    await expect(approve(test.ledger, TOPIC, '', test.person(), never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
