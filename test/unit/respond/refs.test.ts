import { beforeEach, describe, expect, it } from 'vitest';

import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Publisher } from '../../../src/publish/publisher.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { decide, findBatch } from '../../../src/respond/decisions.ts';
import { diffSnapshots } from '../../../src/respond/diff.ts';
import { currentSnapshot, hold, resolveSnapshot, resume, rollback } from '../../../src/respond/refs.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TOPIC, TestLedger, all, never, partition } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);
const refused = (why: RegExp) => ({ code: 'REQUEST_INVALID', message: expect.stringMatching(why) as string });

describe('acts on a ref', () => {
  let clock: LeapingClock;
  let test: TestLedger;
  let publisher: Publisher;
  let rejudged: string[];
  const truth = new Map<string, 'clean' | 'suspect'>();
  const rejudge: Rejudge = async (_topic, batches, as, baseline) => {
    if (as === 'union') return null;
    rejudged.push(...batches.map(({ digest }) => digest));
    const outcomeOf = ({ digest }: LoggedBatch) => truth.get(digest) ?? 'undecided';
    return storeRejudgement(test.ledger, { as, batches, baseline, outcomeOf });
  };
  const kinds = async (from = 3): Promise<string[]> =>
    (await all(test.reopened().control.walk(from))).map(({ entry }) => entry.kind);
  const main = async (): Promise<string> => currentSnapshot(await test.ledger.control.head(), 'main');
  const back = (to = 'last-clean') => rollback(test.ledger, 'main', to, test.person(), never);
  const goOn = () => resume(test.ledger, 'main', test.person(), rejudge, test.keys.publisher, never);
  const commitAs = async (
    as: 'clean' | 'suspect' | null,
    batch: Parameters<TestLedger['commit']>[1] = {},
    log = a,
  ): Promise<LoggedBatch> => {
    const committed = await test.commit(log, batch);
    if (as !== null) truth.set(committed.digest, as);
    return committed;
  };
  const publish = async (): Promise<string> => {
    await publisher.publish(never);
    return main();
  };

  beforeEach(async () => {
    clock = new LeapingClock();
    test = await TestLedger.open({ clock });
    publisher = test.publisher(rejudge);
    rejudged = [];
    truth.clear();
  });

  describe('hold', () => {
    it('stops a ref, once', async () => {
      await test.commit(a);
      await publish();
      expect(await hold(test.ledger, 'main', test.person(), never)).toEqual({ unchanged: false });
      expect(await hold(test.ledger, 'main', test.person(), never)).toEqual({ unchanged: true });
      expect(await kinds()).toEqual(['publish', 'hold']);
    });

    it('refuses a ref that was never published, and a name that no ref can have (R6)', async () => {
      for (const ref of ['main', 'mian', '../x', '', 'constructor', '__proto__']) {
        await expect(hold(test.ledger, ref, test.person(), never), ref).rejects.toMatchObject({ code: 'NOT_FOUND' });
      }
      expect(await kinds()).toEqual([]);
    });
  });

  describe('rollback', () => {
    it('points the ref at an older snapshot, holds it there, and says what it no longer names', async () => {
      await test.commit(a);
      const first = await publish();
      await test.commit(a, { values: ['{"id":1}', '{"id":2}', '{"id":3}'] });
      await test.commit(b);
      const second = await publish();
      const report = await back(first);
      expect(report).toEqual({
        ref: 'main',
        from: second,
        to: first,
        batchesRemoved: 2,
        recordsRemoved: 5,
        releasesVoided: 0,
        baselines: [],
        unchanged: false,
      });
      const { state } = await test.ledger.control.head();
      expect(state).toMatchObject({ refs: { main: first }, holds: { main: 5 } });
      expect(await publisher.publish(never)).toMatchObject({ snapshot: null, onHold: true });
    });

    it('finds the newest snapshot without a condemned batch', async () => {
      await test.commit(a);
      const first = await publish();
      const bad = await test.commit(a);
      await publish();
      await test.commit(a);
      await publish();
      await decide(test.ledger, 'main', bad.digest, 'condemned', test.person(), never);
      expect(await back()).toMatchObject({ to: first, batchesRemoved: 2 });
    });

    it('only holds the ref when it is clean already, and does that once', async () => {
      await test.commit(a);
      const only = await publish();
      expect(await back()).toMatchObject({ from: only, to: only, unchanged: true, batchesRemoved: 0 });
      expect(await back()).toMatchObject({ unchanged: true });
      expect(await kinds()).toEqual(['publish', 'hold']);
    });

    it('refuses when every snapshot holds a condemned batch', async () => {
      const bad = await test.commit(a);
      await publish();
      await test.decide(bad, 'condemned');
      await expect(back()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    it('puts the baselines of the target in force again', async () => {
      await test.commit(a);
      const first = await publish();
      const { baselines } = await test.snapshot();
      await test.approveBaseline('second');
      await test.commit(a);
      await publish();
      expect((await test.ledger.control.head()).state.baselines).not.toEqual(baselines);
      await back(first);
      expect((await test.ledger.control.head()).state.baselines).toEqual(baselines);
    });

    it('takes a prefix of a snapshot’s id, or a time', async () => {
      await test.commit(a);
      const first = await publish();
      clock.advance(60_000);
      await test.commit(a);
      const second = await publish();
      expect(await back(first.slice(0, 8))).toMatchObject({ to: first });
      await goOnAfter(second);
      const time = new Date(clock.now()).toISOString();
      clock.advance(60_000);
      await test.commit(a);
      await publish();
      expect((await back(time)).to).not.toBe(first);
    });

    const goOnAfter = async (snapshot: string): Promise<void> => {
      for (const { digest } of await newerThan(snapshot)) truth.set(digest, 'clean');
      await goOn();
      await publish();
    };
    const newerThan = async (snapshot: string): Promise<LoggedBatch[]> => {
      const { batches } = await test.ledger.snapshots.read(snapshot);
      const lines = await all(test.ledger.snapshots.batches(batches));
      return Promise.all(lines.map((line) => test.ledger.logs.readBatch(line)));
    };

    it('refuses what is no ancestor: another branch, the future, itself (R3, R4)', async () => {
      await commitAs('clean');
      const first = await publish();
      await commitAs('clean');
      const left = await publish();
      const branchTime = new Date(clock.now()).toISOString();
      clock.advance(60_000);
      await back(first);
      await expect(back(left)).rejects.toMatchObject(refused(/not an ancestor/));
      await goOn();
      await publish();
      await expect(back(left)).rejects.toMatchObject(refused(/not an ancestor/));
      await expect(back(branchTime)).rejects.toMatchObject(refused(/not an ancestor/));
      await expect(back(await main())).rejects.toMatchObject(refused(/names that already/));
      const before = await kinds();
      for (const unknown of ['ffffffff', 'abc', 'nothing', '1969-01-01'])
        await expect(back(unknown)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(rollback(test.ledger, 'beta', 'last-clean', test.person(), never)).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      expect(await kinds()).toEqual(before);
    });

    it('gives a retry the same answer', async () => {
      await test.commit(a);
      const first = await publish();
      await test.commit(a);
      await publish();
      await back(first);
      expect(await back(first)).toMatchObject({ to: first, unchanged: true });
      expect(await kinds()).toEqual(['publish', 'publish', 'rollback']);
    });
  });

  describe('resume', () => {
    it('goes on where the entry of the hold was altered', async () => {
      await test.commit(a);
      await publish();
      await hold(test.ledger, 'main', test.person(), never);
      const { seq } = (await test.ledger.control.head()).newest!.entry;
      await test.decide(await test.commit(b), 'condemned');
      await test.store.put(test.ledger.layout.controlEntry(seq), Buffer.from('{}'));
      await resume(test.reopened(), 'main', test.person(), rejudge, test.keys.publisher, never);
      expect((await test.reopened().control.head()).state.holds).toEqual({});
    });

    it('judges again what lies beyond the target also where the entry of the rollback is lost', async () => {
      await test.commit(a);
      const target = await publish();
      const bad = await commitAs('suspect', {}, b);
      await publish();
      await back(target);
      const { seq } = (await test.ledger.control.head()).newest!.entry;
      await test.decide(await test.commit(a), 'condemned');
      await test.store.delete(test.ledger.layout.controlEntry(seq));
      await resume(test.reopened(), 'main', test.person(), rejudge, test.keys.publisher, never);
      expect(rejudged).toEqual([bad.digest]);
    });

    it('lifts a hold without judging anything', async () => {
      await test.commit(a);
      await publish();
      await hold(test.ledger, 'main', test.person(), never);
      expect(await goOn()).toMatchObject({ rejudged: 0, damaged: [] });
      expect(await kinds()).toEqual(['publish', 'hold', 'resume']);
    });

    it('judges again after a rollback all that lies beyond the target: what is suspect now stays out', async () => {
      await commitAs('clean');
      const first = await publish();
      const good = await commitAs('clean');
      const bad = await commitAs('suspect', {}, b);
      await publish();
      await back(first);
      const later = await commitAs('clean', {}, b);
      expect(await goOn()).toMatchObject({ rejudged: 3, clean: 2, suspect: 1, damaged: [] });
      expect(rejudged.toSorted()).toEqual([good.digest, bad.digest, later.digest].toSorted());
      await publish();
      expect(await test.standings('batches')).toMatchObject({ [good.digest]: 'clean', [later.digest]: 'clean' });
      expect(await test.standings('held')).toEqual({ [bad.digest]: 'suspect' });
    });

    // The hints of these logs have not changed since they were last read: without a fresh look the verdicts would be
    // dropped by the next publish, and the batches come back later on their old verdict.
    it('keeps what is suspect now out although no hint has changed and another log goes on', async () => {
      await commitAs('clean');
      const first = await publish();
      const bad = await commitAs('suspect');
      await publish();
      await back(first);
      await goOn();
      await commitAs('clean', {}, b);
      await publish();
      clock.advance(600_000);
      await publish();
      expect(await test.standings('held')).toEqual({ [bad.digest]: 'suspect' });
    });

    it('finds what was held beyond the target again', async () => {
      await commitAs('clean');
      const first = await publish();
      const failed = await commitAs(null, { verdict: 'failed' });
      await publish();
      await back(first);
      await goOn();
      await publish();
      expect(await test.standings('held')).toEqual({ [failed.digest]: 'failed' });
    });

    it('voids releases that were decided before the rollback', async () => {
      await commitAs('clean');
      const first = await publish();
      await commitAs('clean');
      await publish();
      const held = await commitAs('suspect', { verdict: 'suspect' });
      await decide(test.ledger, 'main', `test/${TOPIC}/0@${held.entry.start}`, 'released', test.person(), never);
      await back(first);
      await goOn();
      await publish();
      expect(await test.standings('held')).toEqual({ [held.digest]: 'suspect' });
    });

    it('refuses while a batch would come back on its old verdict, until a person decides', async () => {
      await commitAs('clean');
      const first = await publish();
      const unclear = await commitAs(null);
      await publish();
      await back(first);
      await expect(goOn()).rejects.toMatchObject(refused(/test\/orders\/0@2/));
      expect((await kinds()).at(-1)).toBe('rollback');
      await decide(test.ledger, 'main', `test/${TOPIC}/0@2`, 'released', test.person(), never);
      expect(await goOn()).toMatchObject({ rejudged: 0, damaged: [] });
      await publish();
      expect(await test.standings('batches')).toMatchObject({ [unclear.digest]: 'released' });
    });

    it('leaves what stays undecided and out of the dataset as it was', async () => {
      await commitAs('clean');
      const first = await publish();
      const small = await commitAs(null, { verdict: 'small' });
      await publish();
      await back(first);
      expect(await goOn()).toMatchObject({ rejudged: 1, damaged: [] });
      await publish();
      expect(await test.standings('held')).toEqual({ [small.digest]: 'small' });
    });

    it('refuses in observe mode too: there everything would come back', async () => {
      await commitAs('clean', { mode: 'observe' });
      const first = await publish();
      await commitAs(null, { mode: 'observe', verdict: 'suspect' });
      await publish();
      await back(first);
      await expect(goOn()).rejects.toMatchObject(refused(/without a decision/));
    });

    it('does not lift a hold that came after it had looked', async () => {
      await commitAs('clean');
      const first = await publish();
      await commitAs('clean');
      await publish();
      await back(first);
      const slow: Rejudge = async (...args) => {
        const { ledger } = test;
        await resume(ledger, 'main', test.person('I looked'), rejudge, test.keys.publisher, never);
        await hold(ledger, 'main', test.person('something else is wrong'), never);
        return rejudge(...args);
      };
      const resuming = resume(test.ledger, 'main', test.person(), slow, test.keys.publisher, never);
      await expect(resuming).rejects.toMatchObject(refused(/meanwhile control entry \d+ holds it/));
      expect((await test.ledger.control.head()).state.holds['main']).toBeDefined();
    });
  });

  describe('decide', () => {
    it('releases and condemns by digest, by its first digits, or by where the batch lies', async () => {
      const held = await test.commit(a, { verdict: 'suspect' });
      const clean = await test.commit(a);
      await publish();
      const by = (id: string, outcome: 'released' | 'condemned') =>
        decide(test.ledger, 'main', id, outcome, test.person(), never);
      expect(await by(held.digest.slice(0, 6), 'released')).toEqual({
        digest: held.digest,
        log: 'test/orders/0',
        slot: 1,
        outcome: 'released',
        unchanged: false,
      });
      expect(await by(clean.digest, 'condemned')).toMatchObject({ digest: clean.digest });
      expect(await by('test/orders/0@3', 'released')).toMatchObject({ digest: clean.digest });
    });

    it('signs nothing that would change nothing, before and after it is carried out', async () => {
      const held = await test.commit(a, { verdict: 'suspect' });
      const clean = await test.commit(a);
      await publish();
      const by = (batch: LoggedBatch, outcome: 'released' | 'condemned') =>
        decide(test.ledger, 'main', batch.digest, outcome, test.person(), never);
      await expect(by(clean, 'released')).rejects.toMatchObject(refused(/needs no release/));
      await by(held, 'released');
      expect(await by(held, 'released')).toMatchObject({ outcome: 'released', unchanged: true });
      await publish();
      expect(await by(held, 'released')).toMatchObject({ outcome: 'released', unchanged: true });
      await by(held, 'condemned');
      await publish();
      expect(await by(held, 'condemned')).toMatchObject({ outcome: 'condemned', unchanged: true });
    });

    it('refuses what it cannot find or tell apart', async () => {
      await test.commit(a);
      await publish();
      for (const id of [
        'abcdef',
        'ab',
        'ABCDEF',
        'f'.repeat(64),
        'test/orders/0@99',
        'test/orders/0@x',
        'test/orders/0@',
        'test/orders/0@0x0',
        'test/orders/0@ 0',
        'no/such/log@0',
        '../@0',
        '@',
      ]) {
        await expect(findBatch(test.ledger, 'main', id), id).rejects.toMatchObject({ code: 'NOT_FOUND' });
      }
    });
  });

  describe('resolveSnapshot', () => {
    it('knows refs, ids and unique prefixes, also of what was left behind', async () => {
      await test.commit(a);
      const first = await publish();
      await test.commit(a);
      const second = await publish();
      await back(first);
      for (const [name, snapshot] of [
        ['main', first],
        [second, second],
        [second.slice(0, 6), second],
      ] as const) {
        expect(await resolveSnapshot(test.ledger, name)).toBe(snapshot);
      }
      for (const name of ['constructor', '__proto__', 'beta', second.slice(0, 5), 'zzzzzz']) {
        await expect(resolveSnapshot(test.ledger, name)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      }
    });
  });

  describe('diffSnapshots', () => {
    it('says what two snapshots have apart', async () => {
      const kept = await test.commit(a);
      const gone = await test.commit(b);
      const first = await publish();
      await test.decide(gone, 'condemned');
      const added = await test.commit(a, { values: ['{"id":1}'] });
      const second = await publish();
      const diff = await diffSnapshots(test.ledger, first, second);
      expect(diff.added.map(({ digest }) => digest)).toEqual([added.digest]);
      expect(diff.removed.map(({ digest }) => digest)).toEqual([gone.digest]);
      expect(diff.recordsDelta).toBe(-1);
      expect(await diffSnapshots(test.ledger, second, first)).toMatchObject({ recordsDelta: 1 });
      expect(await diffSnapshots(test.ledger, first, first)).toMatchObject({ added: [], removed: [], recordsDelta: 0 });
      expect(kept.digest).not.toBe(added.digest);
    });
  });
});
