import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { FileSource } from '../../../src/adapters/file/file-source.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import { systemClock } from '../../../src/adapters/system/clock.ts';
import { HISTORY_MAX } from '../../../src/detect/baseline/calibrate.ts';
import type { Profile } from '../../../src/detect/profile.ts';
import { compileRules } from '../../../src/detect/rules.ts';
import { createJsonDecoder } from '../../../src/ingest/decode/json-decoder.ts';
import { profileSource, type HistoryBatch } from '../../../src/ingest/profile-source.ts';
import type { TopicContext } from '../../../src/ingest/topic.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Signer } from '../../../src/ports/signer.ts';
import { readEvidence } from '../../../src/ledger/evidence.ts';
import { readBaseline } from '../../../src/publish/rejudge.ts';
import { schemaDigest } from '../../../src/record/schema.ts';
import { approve } from '../../../src/respond/approve-baseline.ts';
import { learn } from '../../../src/respond/learn-baseline.ts';
import { storedProfiles, type LearnFrom, type StoredHistory } from '../../../src/respond/stored-profiles.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { overwrite } from '../../support/forge.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { ORDER_SCHEMA, TOPIC, TestLedger, all, keysOf, never, newSigner, partition } from '../../support/ledger.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const a = partition(0);
const b = partition(1);

describe('a baseline', () => {
  let clock: LeapingClock;
  let test: TestLedger;
  const publish = () => test.publisher(async () => null).publish(never);
  const profilesOf = (batches: readonly LoggedBatch[]): Promise<Profile[]> =>
    Promise.all(batches.map(async (batch) => (await readEvidence(test.ledger, batch)).profile));
  const stored = (from: LearnFrom | readonly LearnFrom[], topic = TOPIC, ref = 'main') =>
    storedProfiles(test.reopened(), ref, topic, [from].flat());
  const learnAs = (profiles: readonly Profile[], signer: Signer = test.keys.publisher, topic = TOPIC) =>
    learn(test.ledger, topic, profiles, { signer, by: 'Ada', reason: 'the first week' }, never);
  const approveAs = (id?: string, signer: Signer = test.keys.approver, topic = TOPIC) =>
    approve(test.ledger, topic, id, { signer, by: 'Ada', reason: 'looks right' }, never);
  const state = async () => (await test.reopened().control.head()).state;
  const kinds = async (): Promise<string[]> =>
    (await all(test.reopened().control.walk())).map(({ entry }) => entry.kind);
  const missing = (why: RegExp) => ({ code: 'NOT_FOUND', message: expect.stringMatching(why) as string });
  const refused = (why: RegExp) => ({ code: 'REQUEST_INVALID', message: expect.stringMatching(why) as string });

  beforeEach(async () => {
    clock = new LeapingClock();
    test = await TestLedger.open({ clock, prepared: false });
    await test.pinSchema();
  });

  describe('is learned from what is held', () => {
    it('for want of one, and from nothing that is held for another reason', async () => {
      const waiting = [
        await test.commit(a, { verdict: 'no-baseline' }),
        await test.commit(a, { verdict: 'no-baseline' }),
      ];
      for (const verdict of ['suspect', 'failed', 'small', 'clean'] as const) await test.commit(a, { verdict });
      await publish();
      expect(await stored('held')).toEqual(await profilesOf(waiting));
    });

    it('of that topic alone', async () => {
      await test.pinSchema('returns');
      const mine = await test.commit(a, { verdict: 'no-baseline' });
      const other = await test.commit(partition(0, 'returns'), { verdict: 'no-baseline' });
      await publish();
      expect(await stored('held')).toEqual(await profilesOf([mine]));
      expect(await stored('held', 'returns')).toEqual(await profilesOf([other]));
    });

    it('as long as it is held: what a person has decided on is no longer', async () => {
      const waiting = await test.commit(a, { verdict: 'no-baseline' });
      const condemned = await test.commit(a, { verdict: 'no-baseline' });
      await publish();
      await test.decide(condemned, 'condemned');
      await publish();
      expect(await stored('held')).toEqual(await profilesOf([waiting]));
    });
  });

  describe('is learned from what is published', () => {
    it('whether it was judged clean, released, or let through in observe mode', async () => {
      await test.approveBaseline('first');
      const clean = await test.commit(a);
      const released = await test.commit(a, { verdict: 'suspect' });
      await test.commit(a, { verdict: 'suspect' });
      const observed = await test.commit(a, { verdict: 'no-baseline', mode: 'observe' });
      await publish();
      await test.decide(released, 'released');
      await publish();
      expect(await stored('published')).toEqual(await profilesOf([clean, released, observed]));
    });

    it('but not from what observe mode let through as suspect, unless a person says that it has come to stay', async () => {
      await test.approveBaseline('first');
      const clean = await test.commit(a, { mode: 'observe' });
      const suspect = await test.commit(a, { verdict: 'suspect', mode: 'observe' });
      const failed = await test.commit(a, { verdict: 'failed', mode: 'observe' });
      await publish();
      expect(await stored('published')).toEqual(await profilesOf([clean]));
      expect(await stored('published-suspect')).toEqual(await profilesOf([clean, suspect, failed]));
    });

    it('takes what is held as suspect, but for what is condemned, only when asked', async () => {
      const clean = await test.commit(a);
      const suspect = await test.commit(a, { verdict: 'suspect' });
      const condemned = await test.commit(a, { verdict: 'suspect' });
      await test.decide(condemned, 'condemned');
      await publish();
      expect(await stored('published')).toEqual(await profilesOf([clean]));
      expect(await stored('held-suspect')).toEqual(await profilesOf([suspect]));
    });
  });

  it('is learned from what is held and what is published together, in the order of commits', async () => {
    await test.approveBaseline('first');
    const commits: { readonly verdict: string; readonly batch: LoggedBatch }[] = [];
    for (const verdict of ['clean', 'no-baseline', 'clean', 'suspect', 'no-baseline'] as const) {
      for (const log of [a, b]) commits.push({ verdict, batch: await test.commit(log, { verdict }) });
      clock.advance(1_000);
    }
    await publish();
    const of = (...verdicts: string[]): Promise<Profile[]> =>
      profilesOf(commits.filter(({ verdict }) => verdicts.includes(verdict)).map(({ batch }) => batch));
    expect(await stored(['held', 'published'])).toEqual(await of('clean', 'no-baseline'));
    expect(await stored(['published', 'held'])).toEqual(await of('clean', 'no-baseline'));
    expect(await stored(['held'])).toEqual(await of('no-baseline'));
    await expect(stored(['held', 'published'], 'returns')).rejects.toMatchObject(
      missing(/has no batches that are held for want of one, and no published batches/),
    );
  });

  it('is learned from the newest of both, wherever most of them lie', async () => {
    await test.approveBaseline('first');
    const commits = [];
    for (let i = 0; i < 2 * HISTORY_MAX + 10; i++) {
      const verdict = i < HISTORY_MAX ? ('no-baseline' as const) : ('clean' as const);
      commits.push(await test.commit(a, { verdict, values: [JSON.stringify({ id: i })] }));
      clock.advance(1_000);
    }
    await publish();
    expect(await stored(['held', 'published'])).toEqual(await profilesOf(commits.slice(-HISTORY_MAX)));
  });

  describe('leaves out batches of which no record decoded', () => {
    const undecodable = async (): Promise<Profile> => {
      const [profile] = await profilesOf([await test.commit(a, { verdict: 'no-baseline', values: ['no json'] })]);
      return { ...profile!, schema: 'e'.repeat(64) };
    };

    it('when they were read under no pinned schema, and says how many', async () => {
      const [profile] = await profilesOf([await test.commit(a, { verdict: 'no-baseline' })]);
      const odd = await undecodable();
      expect(odd.rows).toBe(0);
      expect(await learnAs([odd, profile!, odd])).toMatchObject({ batches: 1, records: 2, skipped: 2 });
      expect(await learnAs([profile!])).toMatchObject({ batches: 1, skipped: 0 });
    });

    it('and refuses when nothing else is there', async () => {
      const odd = await undecodable();
      await expect(learnAs([odd])).rejects.toMatchObject(refused(/no record decoded in the only batch/));
      await expect(learnAs([odd, odd])).rejects.toMatchObject(refused(/no record decoded in any of 2 batches/));
    });
  });

  it('is not learned from copies, which would make copies usual, and says which they are', async () => {
    const values = Array.from({ length: 64 }, (_, id) => JSON.stringify({ id, amount: id % 20, city: 'Basel' }));
    const batches = [];
    for (const each of [values, values, values.slice(1)])
      batches.push(await test.commit(a, { verdict: 'no-baseline', values: each }));
    expect(await learnAs(await profilesOf(batches))).toMatchObject({ batches: 2, copies: 1, copiesAt: [1], older: 0 });
  });

  describe('is learned from batches that are large enough to be judged', () => {
    const commit = (count: number, from = 0) =>
      test.commit(a, {
        verdict: 'no-baseline',
        values: Array.from({ length: count }, (_, i) =>
          JSON.stringify({ id: from + i, amount: i % 20, city: 'Basel' }),
        ),
      });
    const learnFrom = (profiles: readonly Profile[], recordsMin: number) =>
      learn(test.ledger, TOPIC, profiles, { ...test.person(), reason: 'the first week' }, never, { recordsMin });

    it('and from no others, and says how many those are', async () => {
      const batches = [];
      for (let i = 0; i < 8; i++) batches.push(await commit(20, 100 * i), await commit(1, 100 * i + 50));
      expect(await learnFrom(await profilesOf(batches), 20)).toMatchObject({
        batches: 8,
        records: 160,
        small: 8,
        joined: 0,
        onlySmall: false,
      });
    });

    it('or become so together, and looks for replays of each by itself', async () => {
      const profiles = await profilesOf([await commit(64, 0), await commit(64, 100), await commit(64, 200)]);
      const learned = await learnFrom(profiles, 100);
      expect(learned).toMatchObject({ batches: 1, records: 128, small: 1, joined: 2 });
      const { baseline } = await readBaseline(test.ledger, learned.baseline);
      expect(baseline).toMatchObject({ batches: 1, rows: 128, past: { length: 2 } });
    });

    it('or from all of them, and says so', async () => {
      const profiles = await profilesOf([await commit(2), await commit(2, 10)]);
      expect(await learnFrom(profiles, 100)).toMatchObject({ batches: 2, small: 0, onlySmall: true });
    });
  });

  describe('is learned from files', () => {
    it('that are no part of the ledger, batch by batch, with their rules', async () => {
      const folder = await temporaryFolder();
      const lines = Array.from({ length: 250 }, (_, id) => JSON.stringify({ id, amount: id % 20, city: 'Basel' }));
      await writeFile(join(folder, 'orders.ndjson'), `${lines.join('\n')}\n`);
      const before = await keysOf(test.store);
      const profiles = await profileFiles(folder);
      const starts = [0, 100, 200].map((start) => ({ start, isLeftOut: false }));
      expect(told).toMatchObject(starts);
      expect(profiles.map(({ rows }) => rows)).toEqual([100, 100, 50]);
      expect(profiles.map(({ rules }) => rules.map(({ name, violations }) => [name, violations]))).toEqual([
        [['few', 45]],
        [['few', 45]],
        [['few', 18]],
      ]);
      expect(await keysOf(test.store)).toEqual(before);
      const learned = await learnAs(profiles);
      expect(learned).toMatchObject({ topic: TOPIC, batches: 3, records: 250 });
      expect(await approveAs()).toBe(learned.baseline);
      expect((await state()).baselines).toEqual({ [TOPIC]: learned.baseline });
    });

    it('without a last batch of less than half the usual size, and tells of it', async () => {
      const folder = await temporaryFolder();
      const lines = Array.from({ length: 149 }, (_, id) => JSON.stringify({ id, amount: id % 20, city: 'Basel' }));
      await writeFile(join(folder, 'orders.ndjson'), `${lines.join('\n')}\n`);
      expect((await profileFiles(folder)).map(({ rows }) => rows)).toEqual([100]);
      expect(told).toMatchObject([
        { start: 0, records: 100, isLeftOut: false },
        { start: 100, records: 49, isLeftOut: true },
      ]);
    });

    it('and from nothing when they are empty', async () => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, 'orders.ndjson'), '');
      await expect(learnAs(await profileFiles(folder))).rejects.toMatchObject(refused(/from no profiles/));
    });

    let told: HistoryBatch[] = [];

    async function profileFiles(folder: string): Promise<Profile[]> {
      told = [];
      await using source = new FileSource({
        topic: TOPIC,
        paths: ['*.ndjson'],
        base: folder,
        format: 'ndjson',
        once: true,
        clock: systemClock,
        stdinId: 'none',
        openStdin: () => {
          throw new Error('Nothing is to be read from standard input here');
        },
      });
      const rules = compileRules([{ kind: 'range', name: 'few', column: 'amount', max: 10, action: 'quarantine' }]);
      const topic: TopicContext = {
        topic: TOPIC,
        schema: ORDER_SCHEMA,
        schemaSha256: schemaDigest(ORDER_SCHEMA),
        newDecoder: () => createJsonDecoder(ORDER_SCHEMA),
        roles: { label: null, source: null, time: null },
        rules,
        baseline: null,
        controlSeq: -1,
        recordsMax: Infinity,
      };
      const limits = { recordsMax: 100, bytesMax: 1 << 28, recordBytesMax: 1 << 20, recordTimeMaxMs: null };
      return all(
        profileSource(
          source,
          limits,
          7,
          async () => topic,
          never,
          (batch) => told.push(batch),
        ),
      );
    }
  });

  it('is learned in the order of commits, whatever logs they lie in', async () => {
    const commits = [];
    for (const log of [b, a, b, a]) {
      commits.push(await test.commit(log, { verdict: 'no-baseline' }));
      clock.advance(1_000);
    }
    // At one and the same time, the offset decides.
    commits.push(await test.commit(b, { verdict: 'no-baseline' }), await test.commit(b, { verdict: 'no-baseline' }));
    await publish();
    expect(await stored('held')).toEqual(await profilesOf(commits));
  });

  it('is learned from the newest batches when there are more than a history holds', async () => {
    const commits = [];
    for (let i = 0; i < HISTORY_MAX + 3; i++) {
      commits.push(await test.commit(a, { verdict: 'no-baseline', values: [JSON.stringify({ id: i })] }));
      clock.advance(1_000);
    }
    await publish();
    const profiles = await stored('held');
    expect(profiles).toEqual(await profilesOf(commits.slice(3)));
    const learned = await learnAs(profiles);
    expect(learned).toMatchObject({ batches: HISTORY_MAX, records: HISTORY_MAX });
    expect(await learnAs(await profilesOf(commits))).toEqual({ ...learned, older: 3 });
    const told: StoredHistory[] = [];
    await storedProfiles(test.reopened(), 'main', TOPIC, ['held'], { told: (history) => told.push(history) });
    expect(told).toMatchObject([{ older: 3, places: { length: HISTORY_MAX } }]);
    expect(told[0]!.places[0]).toEqual({ place: 'test/orders/0@3', standing: 'held' });
  });

  it('is learned from so many small batches that their unions are as many as a history holds', async () => {
    const sizes = [3, 1, 2];
    const commits = [];
    for (let i = 0; i < 130; i++) {
      const values = Array.from({ length: sizes[i % 3]! }, (_, row) => JSON.stringify({ id: 10 * i + row }));
      commits.push(await test.commit(i % 2 === 0 ? a : b, { verdict: 'no-baseline', values }));
      clock.advance(1_000);
    }
    await publish();
    const learnedFrom = async (recordsMin: number) => {
      const profiles = await storedProfiles(test.reopened(), 'main', TOPIC, ['held'], { recordsMin });
      const { signer, by, reason } = { ...test.person(), reason: 'r' };
      const { batches, records } = await learn(test.ledger, TOPIC, profiles, { signer, by, reason }, never, {
        recordsMin,
      });
      return { read: profiles.length, batches, records };
    };
    expect(await learnedFrom(0)).toEqual({ read: 80, batches: 80, records: 161 });
    // Three of three rows to 40 unions: more than 80 batches are read, and as many as there are.
    expect(await learnedFrom(6)).toMatchObject({ read: 130, batches: 43 });
    // Of these, a third is large enough: small ones are left out.
    expect(await learnedFrom(3)).toMatchObject({ read: 130, batches: 44, records: 132 });
    expect(await learnedFrom(2)).toMatchObject({ batches: 80, records: 200 });
  });

  it('is learned from the batches that were read with the same label and time as the newest', async () => {
    const [old, next] = await profilesOf([
      await test.commit(a, { verdict: 'no-baseline' }),
      await test.commit(a, { verdict: 'no-baseline' }),
    ]);
    const labelled = { ...next!, roles: { label: 'city', source: null, time: null } };
    expect(await learnAs([old!, labelled])).toMatchObject({
      batches: 1,
      otherRoles: 1,
      content: { roles: labelled.roles },
    });
    const sourced = { ...next!, roles: { ...next!.roles, source: 'city' } };
    expect(await learnAs([old!, sourced])).toMatchObject({ batches: 2, otherRoles: 0, older: 0 });
  });

  it('cannot be learned where there is nothing to learn from', async () => {
    await expect(stored('held')).rejects.toMatchObject(missing(/nothing has been published yet/));
    await test.commit(a, { verdict: 'no-baseline' });
    await publish();
    await expect(stored('published')).rejects.toMatchObject(
      missing(/"main" has no published batches that are not suspect/),
    );
    for (const topic of ['returns', 'constructor', '__proto__', ''])
      await expect(stored('held', topic)).rejects.toMatchObject(
        missing(/has no batches that are held for want of one/),
      );
    for (const ref of ['beta', '__proto__'])
      await expect(stored('held', TOPIC, ref)).rejects.toMatchObject(missing(/Cannot find ref/));
    await expect(learnAs([])).rejects.toMatchObject(refused(/from no profiles/));
    expect(await kinds()).toEqual(['schema', 'publish']);
  });

  describe('cannot be learned from damaged batches', () => {
    it('whose evidence was changed or is gone: they are named, and left out once a person says so', async () => {
      const batches: LoggedBatch[] = [];
      for (let i = 0; i < 4; i++) batches.push(await test.commit(a, { verdict: 'no-baseline' }));
      await publish();
      const [, changed, gone, whole] = batches as [LoggedBatch, LoggedBatch, LoggedBatch, LoggedBatch];
      const [key, ids] = [changed.entry.evidence.key, [changed, gone].map(({ digest }) => digest.slice(0, 12))];
      await overwrite(test.store, key, Buffer.from('{}'));
      await test.store.delete(gone.entry.evidence.key);
      await expect(stored('held')).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
        object: key,
        message: expect.stringMatching(
          `^Cannot learn a baseline of "orders" from batch ${ids[0]} \\(test/orders/0@2\\), nor from 1 more: .*its SHA-256 is .* \\(mend: put the evidence back as it was, or leave such batches out: headgate quarantine condemn ${ids.join(' ')} --reason …, then headgate publish --once\\)$`,
        ),
      });
      for (const batch of [changed, gone]) await test.decide(batch, 'condemned');
      await publish();
      expect(await stored('held')).toEqual(await profilesOf([batches[0]!, whole]));
    });

    it('whose entry was changed or is gone', async () => {
      const batch = await test.commit(a, { verdict: 'no-baseline' });
      await publish();
      await test.store.delete(test.ledger.layout.slot(a, batch.entry.slot));
      await expect(stored('held')).rejects.toMatchObject({
        code: 'SLOT_MISSING',
        message: expect.stringMatching(
          `^Cannot learn a baseline of "orders" from batch ${batch.digest.slice(0, 12)} .*slot 1 is missing \\(mend: put the slots of the log back as they were, from a copy of the store`,
        ),
      });
    });
  });

  it('is not learned from batches of another schema than is pinned, nor from two where none is', async () => {
    const [profile] = await profilesOf([await test.commit(a, { verdict: 'no-baseline' })]);
    const other: Profile = { ...profile!, schema: 'f'.repeat(64) };
    await expect(learnAs([other])).rejects.toMatchObject(refused(/is pinned/));
    await expect(learnAs([profile!, other], test.keys.publisher, 'returns')).rejects.toMatchObject(
      refused(/profiles of two schemas/),
    );
    expect(await kinds()).toEqual(['schema']);
    expect(await learnAs([other, profile!])).toMatchObject({ batches: 1, otherSchema: 1 });
  });

  describe('that was learned', () => {
    let profiles: Profile[];

    beforeEach(async () => {
      const batches = [
        await test.commit(a, { verdict: 'no-baseline' }),
        await test.commit(a, { verdict: 'no-baseline' }),
      ];
      profiles = await profilesOf(batches);
      await publish();
    });

    it('is stored under its digest, signed for, and not in force', async () => {
      const learned = await learnAs(profiles);
      const { newest } = await test.reopened().control.head();
      expect(newest!.entry).toMatchObject({
        kind: 'learn',
        by: 'Ada',
        topic: TOPIC,
        baseline: learned.baseline,
        reason: 'the first week',
      });
      expect(learned).toMatchObject({ topic: TOPIC, batches: 2, records: 4 });
      const { baseline } = await readBaseline(test.ledger, learned.baseline);
      expect(baseline).toMatchObject({ batches: 2, rows: 4, schema: schemaDigest(ORDER_SCHEMA) });
      expect((await test.store.stat(test.ledger.layout.baseline(learned.baseline)))!.bytes).toBe(learned.bytes);
      expect(await state()).toMatchObject({ baselines: {}, candidates: { [TOPIC]: learned.baseline } });
    });

    it('is the same whoever learns it again', async () => {
      const one = await learnAs(profiles);
      expect(await learnAs(profiles, test.keys.approver)).toEqual(one);
      expect(await kinds()).toEqual(['schema', 'publish', 'learn', 'learn']);
    });

    it('is not signed for by a key that may not, or by a stranger’s', async () => {
      for (const signer of [test.keys.ingest, test.keys.janitor, newSigner()])
        await expect(learnAs(profiles, signer)).rejects.toMatchObject({ code: 'TRUST_INVALID' });
      expect(await kinds()).toEqual(['schema', 'publish']);
      expect((await state()).candidates).toEqual({});
    });

    it('is not believed when other bytes lie under its digest', async () => {
      const { baseline } = await learnAs(profiles);
      const key = test.ledger.layout.baseline(baseline);
      await overwrite(test.store, key, Buffer.from('{}'));
      await expect(learnAs(profiles)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', object: key });
    });

    it('verifies, from learning to approval', async () => {
      await learnAs(profiles);
      await approveAs();
      const report = await verifyPipeline(test.reopened(), { deep: false, format: parquetFormat, signal: never });
      expect(report.problems).toEqual([]);
    });
  });

  describe('is put in force', () => {
    /** Candidates of the topic, oldest first; the first ones are approved. */
    const candidates = async (names: readonly string[]): Promise<string[]> => {
      const digests = [];
      for (const name of names) digests.push(await test.approveBaseline(name));
      return digests;
    };

    it('by an approver, who signs for it', async () => {
      const [profile] = await profilesOf([await test.commit(a, { verdict: 'no-baseline' })]);
      const { baseline } = await learnAs([profile!]);
      expect(await approveAs()).toBe(baseline);
      const { newest } = await test.reopened().control.head();
      expect(newest!.keyId).toBe(test.keys.approver.keyId);
      expect(newest!.entry).toMatchObject({
        kind: 'approve',
        by: 'Ada',
        topic: TOPIC,
        baseline,
        reason: 'looks right',
      });
      expect(await state()).toMatchObject({ baselines: { [TOPIC]: baseline }, candidates: {} });
    });

    it('once: then none waits any more, and only its digest brings it back', async () => {
      const [profile] = await profilesOf([await test.commit(a, { verdict: 'no-baseline' })]);
      const { baseline } = await learnAs([profile!]);
      await approveAs();
      await expect(approveAs()).rejects.toMatchObject(missing(/none waits for approval/));
      expect(await approveAs(baseline)).toBe(baseline);
      expect((await state()).baselines).toEqual({ [TOPIC]: baseline });
    });

    it('by the first digits of its digest, also an older one again', async () => {
      const [first, second] = await candidates(['first', 'second']);
      expect((await state()).baselines).toEqual({ [TOPIC]: second });
      expect(await approveAs(first!.slice(0, 6))).toBe(first);
      expect((await state()).baselines).toEqual({ [TOPIC]: first });
    });

    it('by no digits that several begin with, or none', async () => {
      const [first, second] = await candidates(['first', 'second']);
      await expect(approveAs('')).rejects.toMatchObject(missing(/Cannot tell which baseline "" is: 2 begin with it/));
      for (const id of ['ffffffff', first!.toUpperCase(), `${first}0`, ` ${first}`, 'learned'])
        await expect(approveAs(id)).rejects.toMatchObject(missing(/none begins with/));
      expect((await state()).baselines).toEqual({ [TOPIC]: second });
    });

    it('for no topic but its own', async () => {
      const [first] = await candidates(['first']);
      for (const topic of ['returns', 'constructor', '__proto__', '']) {
        await expect(approveAs(first, test.keys.approver, topic)).rejects.toMatchObject(missing(/none begins with/));
        await expect(approveAs(undefined, test.keys.approver, topic)).rejects.toMatchObject(missing(/none waits/));
      }
      expect((await state()).baselines).toEqual({ [TOPIC]: first });
    });

    it('by no machine and no stranger', async () => {
      const [profile] = await profilesOf([await test.commit(a, { verdict: 'no-baseline' })]);
      const { baseline } = await learnAs([profile!]);
      const before = await keysOf(test.store);
      for (const signer of [test.keys.publisher, test.keys.ingest, test.keys.janitor, newSigner()])
        await expect(approveAs(baseline, signer)).rejects.toMatchObject({ code: 'TRUST_INVALID' });
      expect(await keysOf(test.store)).toEqual(before);
      expect((await state()).baselines).toEqual({});
    });

    it('topic by topic, whatever they are called', async () => {
      for (const topic of ['constructor', '__proto__']) {
        await test.pinSchema(topic);
        const [profile] = await profilesOf([await test.commit(partition(0, topic), { verdict: 'no-baseline' })]);
        const { baseline } = await learnAs([profile!], test.keys.publisher, topic);
        expect(await approveAs(undefined, test.keys.approver, topic)).toBe(baseline);
        expect((await state()).baselines[topic]).toBe(baseline);
      }
      expect(Object.keys((await state()).baselines)).toEqual(['__proto__', 'constructor']);
      expect((await state()).baselines[TOPIC]).toBeUndefined();
    });
  });
});
