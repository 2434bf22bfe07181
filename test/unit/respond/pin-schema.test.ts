import { beforeEach, describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import { JUDGE_DEFAULTS } from '../../../src/detect/verdict.ts';
import { applyAct, stateDigest } from '../../../src/ledger/control-state.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import { makeRejudge } from '../../../src/publish/rejudge.ts';
import { schemaDigest, type Schema } from '../../../src/record/schema.ts';
import { approve } from '../../../src/respond/approve-baseline.ts';
import { learn } from '../../../src/respond/learn-baseline.ts';
import { storedProfiles } from '../../../src/respond/stored-profiles.ts';
import { pinSchema } from '../../../src/respond/pin-schema.ts';
import { resume, rollback } from '../../../src/respond/refs.ts';
import { verifyPipeline, type VerifyReport } from '../../../src/respond/verify.ts';
import { randomOf } from '../../support/flights.ts';
import { overwrite, signControlEntry } from '../../support/forge.ts';
import { ORDER_SCHEMA, TOPIC, TestLedger, never, partition } from '../../support/ledger.ts';

const log = partition(0);
const was = schemaDigest(ORDER_SCHEMA);
const wider: Schema = {
  ...ORDER_SCHEMA,
  columns: [...ORDER_SCHEMA.columns, { name: 'note', path: ['note'], type: 'string' }],
};

/** Orders that look alike. */
function orders(seed: number): string[] {
  const random = randomOf(seed);
  return Array.from({ length: 600 }, (_, i) =>
    JSON.stringify({ id: 600 * seed + i, amount: Math.round(1_000 * random()) / 100, city: 'Bern' }),
  );
}

describe('replacing a pinned schema', () => {
  let test: TestLedger;
  const state = async () => (await test.reopened().control.head()).state;
  const verify = (): Promise<VerifyReport> =>
    verifyPipeline(test.reopened(), { deep: true, format: parquetFormat, signal: never });
  const pin = (schema: Schema, seen: string | null = was) =>
    pinSchema(test.ledger, TOPIC, schema, seen, test.person('a new column'), never);

  beforeEach(async () => {
    test = await TestLedger.open();
  });

  it('takes the baseline and the candidate of that topic out of force, and of no other', async () => {
    await test.pinSchema('returns');
    const other = await test.approveBaseline('of returns', 'returns');
    const first = (await state()).baselines[TOPIC]!;
    await test.act({ kind: 'learn', by: 'p', topic: TOPIC, baseline: 'c'.repeat(64), reason: 'r' });
    expect(await pin(wider)).toEqual({ schema: schemaDigest(wider), replaced: was, baseline: first });
    expect(await state()).toMatchObject({
      schemas: { [TOPIC]: schemaDigest(wider), returns: was },
      baselines: { returns: other },
      candidates: {},
      repinned: { [TOPIC]: 7 },
    });
  });

  it('is refused when another was pinned since the person looked', async () => {
    await pin(wider);
    await expect(pin({ ...wider, columns: wider.columns.slice(1) })).rejects.toThrow('was pinned meanwhile');
  });

  it('is a person’s act: no machine’s key signs it', async () => {
    const act = { kind: 'schema', by: 'i', topic: TOPIC, schema: schemaDigest(wider), reason: 'r' } as const;
    for (const role of ['ingest', 'publisher'] as const)
      await expect(test.act(act, role)).rejects.toMatchObject({ code: 'TRUST_INVALID' });
    expect((await state()).schemas).toEqual({ [TOPIC]: was });
  });

  it('is believed of no machine’s key, neither by who follows the log nor by verify', async () => {
    const follower = test.reopened();
    const { newest, state: before } = await follower.control.head();
    await pin(wider);
    const seq = newest!.entry.seq + 1;
    const { entry, key } = (await test.reopened().control.read(seq))!;
    await overwrite(test.store, key, await signControlEntry(entry, test.keys.ingest));
    expect(stateDigest(applyAct(before, entry, seq))).toBe(entry.state);
    await expect(follower.control.head()).rejects.toMatchObject({ code: 'STATEMENT_INVALID', object: key });
    const { ok, problems } = await verify();
    expect({ ok, objects: problems.map(({ object }) => object) }).toEqual({ ok: false, objects: [key] });
  });

  it('is refused to pin the same schema once more, which would only end the baseline', async () => {
    await expect(test.pinSchema(TOPIC, ORDER_SCHEMA)).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('lets what was committed clean since the last publish be published, and all of it still verifies', async () => {
    const first = await test.commit(log);
    await test.publisher().publish(never);
    const batch = await test.commit(log);
    await pin(wider);
    expect(await test.publisher().publish(never)).toMatchObject({ published: 1, held: 0 });
    expect(await test.standings('batches')).toEqual({ [first.digest]: 'clean', [batch.digest]: 'clean' });
    expect((await test.snapshot()).baselines).toEqual({});
    expect(await verify()).toMatchObject({ ok: true, problems: [] });
  });

  it('leaves what no publish has seen under the baseline to a person', async () => {
    const batch = await test.commit(log);
    await pin(wider);
    expect(await test.publisher().publish(never)).toMatchObject({ published: 0, held: 1 });
    expect(await test.standings('held')).toEqual({ [batch.digest]: 'failed' });
    expect(await verify()).toMatchObject({ ok: true, problems: [] });
  });

  it('keeps older baselines out of force when the ref goes back behind it', async () => {
    await test.commit(log);
    const publisher = test.publisher();
    await publisher.publish(never);
    const back = (await state()).refs['main']!;
    const old = (await state()).baselines[TOPIC]!;
    await test.commit(log);
    await publisher.publish(never);
    await pin(wider);
    await rollback(test.ledger, 'main', back, test.person(), never);
    expect(await state()).toMatchObject({
      refs: { main: back },
      baselines: {},
      schemas: { [TOPIC]: schemaDigest(wider) },
    });
    await expect(approve(test.ledger, TOPIC, old.slice(0, 12), test.person(), never)).rejects.toThrow(
      'none that was learned under the pinned schema begins with',
    );
    expect(await verify()).toMatchObject({ ok: true, problems: [] });
    // What lies beyond cannot be judged: a person decides.
    const judgedByNone = makeRejudge({ ...test.ledger, settings: JUDGE_DEFAULTS });
    await expect(resume(test.ledger, 'main', test.person(), judgedByNone, test.keys.publisher, never)).rejects.toThrow(
      'would enter the dataset without a decision',
    );
  });

  it('lets a rollback to a snapshot under the new schema bring its baseline back', async () => {
    await pin(wider);
    const second = await test.approveBaseline('second');
    await test.commit(log);
    const publisher = test.publisher();
    await publisher.publish(never);
    const back = (await state()).refs['main']!;
    await test.approveBaseline('third');
    await test.commit(log);
    await publisher.publish(never);
    await rollback(test.ledger, 'main', back, test.person(), never);
    expect((await state()).baselines).toEqual({ [TOPIC]: second });
    expect(await verify()).toMatchObject({ ok: true, problems: [] });
  });

  it('is seen by verify when a baseline of the old schema is put in force by hand', async () => {
    const old = (await state()).baselines[TOPIC]!;
    await pin(wider);
    const { key } = await test.act({ kind: 'approve', by: 'x', topic: TOPIC, baseline: old, reason: 'r' });
    const { problems } = await verify();
    expect(problems).toMatchObject([{ object: key, code: 'CHAIN_BROKEN' }]);
  });
});

describe('batches of two schemas', () => {
  let test: TestLedger;
  const held: LoggedBatch[] = [];

  beforeEach(async () => {
    test = await TestLedger.open({ prepared: false });
    await test.pinSchema();
    held.length = 0;
    for (let i = 0; i < 3; i++) held.push(await test.commit(log, { verdict: 'no-baseline', values: orders(i) }));
    await test.publisher().publish(never);
  });

  it('are not learned from together: those of the old one are left out', async () => {
    const profiles = await storedProfiles(test.ledger, 'main', TOPIC, ['held']);
    await test.pinSchema(TOPIC, wider);
    const newer = profiles.slice(1).map((profile) => ({ ...profile, schema: schemaDigest(wider) }));
    const learned = await learn(test.ledger, TOPIC, [profiles[0]!, ...newer], test.person(), never);
    expect(learned).toMatchObject({ batches: 2, otherSchema: 1 });
    await expect(learn(test.ledger, TOPIC, profiles, test.person(), never)).rejects.toThrow(
      /all 3 batches were read by another schema .* \(mend: headgate baseline learn --files/,
    );
  });

  it('are not judged by each other’s baseline: what waits stays held', async () => {
    const profiles = await storedProfiles(test.ledger, 'main', TOPIC, ['held']);
    await test.pinSchema(TOPIC, wider);
    const newer = profiles.map((profile) => ({ ...profile, schema: schemaDigest(wider) }));
    await learn(test.ledger, TOPIC, newer, test.person(), never);
    const baseline = await approve(test.ledger, TOPIC, undefined, test.person(), never);
    const rejudge = makeRejudge({ ...test.ledger, settings: JUDGE_DEFAULTS });
    for (const as of ['each', 'union'] as const) expect(await rejudge(TOPIC, held, as, baseline, never)).toBeNull();
    const publisher = test.publisher(rejudge);
    expect(await publisher.publish(never)).toMatchObject({ published: 0, held: 3 });
    // One that was begun under the old schema and comes after the new baseline: a person decides.
    const late = await test.commit(log, { values: orders(9), baseline: 'a'.repeat(64) });
    expect(await publisher.publish(never)).toMatchObject({ published: 0, held: 4 });
    expect(await test.standings('held')).toMatchObject({ [late.digest]: 'failed' });
  });
});
