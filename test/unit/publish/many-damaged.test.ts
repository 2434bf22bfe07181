import { describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { readEvidence } from '../../../src/ledger/evidence.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { resume, rollback } from '../../../src/respond/refs.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { TestLedger, never, partition, type TestVerdict } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const GOOD = partition('good');
const COUNTS = [10, 20, 40];

describe('what many damaged logs cost', () => {
  const rejudgeOf =
    (test: TestLedger): Rejudge =>
    async (_topic, batches, as, baseline) => {
      for (const batch of batches) await readEvidence(test.ledger, batch);
      return storeRejudgement(test.ledger, { as, batches, baseline, outcomeOf: () => 'clean' });
    };
  const open = async (): Promise<{ readonly test: TestLedger; readonly store: CountingStore }> => {
    const store = new CountingStore(new MemoryStore());
    return { test: await TestLedger.open({ store }), store };
  };
  const commitAll = async (test: TestLedger, count: number, verdict: TestVerdict = 'clean'): Promise<LoggedBatch[]> => {
    const all: LoggedBatch[] = [];
    for (let i = 0; i < count; i++) all.push(await test.commit(partition(i), { verdict }));
    return all;
  };
  const alter = async (store: CountingStore, { key, bytes }: { readonly key: string; readonly bytes: number }) =>
    store.put(key, Buffer.alloc(bytes, 'x'));
  /** Reads for each damaged log, which may not grow with their number. */
  const expectLinear = (reads: readonly number[]): void => {
    const each = reads.map((count, i) => count / COUNTS[i]!);
    expect(each.at(-1)!, `reads: ${reads.join(', ')}`).toBeLessThan(each[0]! * 1.2);
  };

  it.each(['lost', 'altered'])('a resume grows with their number alone: evidence %s', async (how) => {
    const reads: number[] = [];
    for (const count of COUNTS) {
      const { test, store } = await open();
      await test.commit(GOOD);
      const first = (await test.publisher().publish(never)).snapshot!;
      const all = await commitAll(test, count);
      // As many sound ones, which are looked at first.
      for (let i = 0; i < count; i++) await test.commit({ ...partition(i), cluster: 'a' });
      await test.publisher().publish(never);
      await rollback(test.ledger, 'main', first, test.person(), never);
      for (const { entry } of all)
        await (how === 'lost' ? store.delete(entry.evidence.key) : alter(store, entry.evidence));
      store.reset();
      const report = await resume(test.ledger, 'main', test.person(), rejudgeOf(test), test.keys.publisher, never);
      expect(report.damaged).toHaveLength(count);
      expect(report).toMatchObject({ rejudged: count, clean: count });
      reads.push(store.reads());
    }
    expectLinear(reads);
  });

  it.each<[string, TestVerdict, (test: TestLedger, batch: LoggedBatch) => Promise<void>]>([
    ['data lost', 'clean', ({ store }, { entry }) => store.delete(entry.data!.key)],
    ['evidence lost', 'small', ({ store }, { entry }) => store.delete(entry.evidence.key)],
    ['evidence altered', 'small', ({ store }, { entry }) => alter(store as CountingStore, entry.evidence)],
    [
      'released, and data altered',
      'suspect',
      async (test, batch) => {
        await test.decide(batch, 'released');
        await alter(test.store as CountingStore, batch.entry.data!);
      },
    ],
  ])('a publish does too: %s', async (_what, verdict, damage) => {
    const reads: number[] = [];
    for (const count of COUNTS) {
      const { test, store } = await open();
      for (const batch of await commitAll(test, count, verdict)) await damage(test, batch);
      await test.commit(GOOD);
      store.reset();
      const report = await test.publisher(rejudgeOf(test), test.reopened()).publish(never);
      expect(report).toMatchObject({ published: 1, onHold: false });
      expect(report.damaged).toHaveLength(count);
      reads.push(store.reads('log') + store.reads('evidence') + store.reads('quarantine') + store.looks());
    }
    expectLinear(reads);
  });

  it.each<[string, TestVerdict]>([
    ['held for being small', 'small'],
    ['released since', 'suspect'],
  ])('so does one whose held batches have lost their entries: %s', async (_what, verdict) => {
    const reads: number[] = [];
    for (const count of COUNTS) {
      const { test, store } = await open();
      const nothing: Rejudge = () => Promise.resolve(null);
      const all = await commitAll(test, count, verdict);
      await test.publisher(nothing).publish(never);
      // Another one follows, so that the log is read on from behind the one that is lost.
      await commitAll(test, count);
      await test.publisher(nothing).publish(never);
      for (const batch of all) {
        if (verdict === 'suspect') await test.decide(batch, 'released');
        await store.delete(test.ledger.layout.slot(batch.log, batch.entry.slot));
      }
      await test.commit(GOOD);
      store.reset();
      const report = await test.publisher(nothing, test.reopened()).publish(never);
      expect(report).toMatchObject({ published: 1 });
      expect(report.damaged).toHaveLength(count);
      reads.push(store.reads('log'));
    }
    expectLinear(reads);
  });

  it('ends where a folder holds too much to tell whether there is a log in it: that passes for one', async () => {
    const { test, store } = await open();
    await test.commit(GOOD);
    const folder = test.ledger.layout.log(partition('a'));
    const first = test.ledger.layout.firstSlot(folder);
    for (let i = 0; i < 3_000; i++) await store.put(first.slice(0, -4) + String(i).padStart(4, '0'), Buffer.from('x'));
    for (let i = 0; i < 3_000; i++) await store.put(`${folder}-${i}`, Buffer.from('x'));
    store.reset();
    const report = await test.publisher().publish(never);
    expect(report).toMatchObject({ published: 1, damaged: [{ code: 'SLOT_INVALID', log: 'test/orders/a' }] });
    expect(store.reads()).toBeLessThan(1_100);
    expect(report.damaged[0]!.message).toContain(folder);
  });

  it('is told where they are more than a publish can name', async () => {
    const { test, store } = await open();
    const long = 'x'.repeat(4_000);
    const all: LoggedBatch[] = [];
    for (let i = 0; i < 34; i++)
      all.push(await test.commit({ ...partition(i), cluster: long }, { verdict: 'suspect' }));
    for (const batch of all) {
      await test.decide(batch, 'released');
      await store.delete(batch.entry.data!.key);
    }
    await test.commit(GOOD);
    const publish = () => test.publisher().publish(never);
    await expect(publish()).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(/^Cannot publish "main": 34 damaged logs .*can also be condemned/) as string,
    });
    await test.decide(all[0]!, 'condemned');
    await test.decide(all[1]!, 'condemned');
    expect(await publish()).toMatchObject({ published: 1 });
  });
});
