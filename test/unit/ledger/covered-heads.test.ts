import { beforeEach, describe, expect, it } from 'vitest';

import { UnavailableError } from '../../../src/errors.ts';
import { CoveredHeads } from '../../../src/ledger/covered-heads.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { never, partition, TestLedger } from '../../support/ledger.ts';

const a = partition(0);
const b = partition(1);

describe('how far published snapshots cover a log', () => {
  let test: TestLedger;
  const open = (store?: ObjectStore): CoveredHeads => {
    const { control, snapshots } = test.reopened(store);
    return new CoveredHeads(control, snapshots);
  };
  const publish = async (ref = 'main'): Promise<string> =>
    (await test.publisher(undefined, test.ledger, ref).publish(never)).snapshot!;

  beforeEach(async () => {
    test = await TestLedger.open();
  });

  it('is nothing before the first publish, and for a log that came later', async () => {
    const covered = open();
    expect(await covered.of(a)).toBeNull();
    await test.commit(a);
    expect(await covered.of(a)).toBeNull();
    await publish();
    expect(await covered.of(b)).toBeNull();
  });

  it('follows what is published', async () => {
    const covered = open();
    for (const slot of [1, 2]) {
      const { digest } = await test.commit(a);
      const snapshot = await publish();
      const next = 2 * slot;
      for (const each of [covered, open()])
        expect(await each.of(a)).toEqual({ log: 'test/orders/0', slot, digest, next, snapshot });
    }
  });

  it('is as far as the snapshot that covers most: that of any ref, or one that a rollback left behind', async () => {
    await test.commit(a);
    const first = await publish();
    await test.commit(a);
    await test.commit(b);
    const second = await publish();
    const baselines = (await test.ledger.control.head()).state.baselines;
    const act = { by: 'a person', ref: 'main', reason: 'poison' } as const;
    await test.act({ kind: 'rollback', ...act, from: second, to: first, baselines });
    for (let i = 0; i < 5; i++) await test.pinSchema(`topic ${i}`);
    expect(await open().of(a)).toMatchObject({ slot: 2, snapshot: second });
    await test.commit(a);
    const third = await publish('other');
    expect(await open().of(a)).toMatchObject({ slot: 3, snapshot: third });
    expect(await open().of(b)).toMatchObject({ slot: 1 });
  });

  it('is never less than before, whatever is published after rollbacks', async () => {
    const rollback = async (from: string, to: string): Promise<void> => {
      const baselines = (await test.ledger.control.head()).state.baselines;
      const act = { by: 'a person', ref: 'main', reason: 'poison' } as const;
      await test.act({ kind: 'rollback', ...act, from, to, baselines });
      await test.act({ kind: 'resume', ...act });
    };
    const running = open();
    await test.commit(a);
    const first = await publish();
    await test.commit(a);
    const second = await publish();
    await rollback(second, first);
    // What was left behind is lost: the next snapshot covers less of this log, and more of another.
    await test.store.delete(test.ledger.layout.slot(a, 2));
    await test.commit(b);
    const third = await publish();
    for (const each of [running, open()]) {
      expect(await each.of(a)).toMatchObject({ slot: 2, snapshot: second });
      expect(await each.of(b)).toMatchObject({ slot: 1, snapshot: third });
    }
    await rollback(third, first);
    await rollback(first, second);
    for (const each of [running, open()]) {
      expect(await each.of(a)).toMatchObject({ slot: 2 });
      expect(await each.of(b)).toMatchObject({ slot: 1 });
    }
  });

  it('reads each new snapshot once, and of those before it none that another one follows on', async () => {
    const store = new CountingStore(test.store);
    const running = open(store);
    for (let i = 0; i < 5; i++) {
      await test.commit(a);
      await publish();
      await running.of(a);
      store.reset();
      expect(await running.of(a)).toMatchObject({ slot: i + 1 });
      expect(store.reads()).toBe(1);
    }
    // The hint, the newest entry, its state, a snapshot and its page of heads.
    expect(await open(store).of(a)).toMatchObject({ slot: 5 });
    expect(store.reads()).toBeLessThanOrEqual(6);
  });

  it('costs one read when nothing is new, however many ask', async () => {
    await test.commit(a);
    await publish();
    for (let i = 0; i < 20; i++) await test.approveBaseline(`later ${i}`);
    const store = new CountingStore(test.store);
    const covered = open(store);
    await covered.of(a);
    store.reset();
    for (let i = 0; i < 10; i++) await covered.of(i % 2 === 0 ? a : b);
    expect(store.reads()).toBe(10);
    await test.approveBaseline('one more');
    store.reset();
    await covered.of(a);
    // Two entries and the end of the log.
    expect(store.reads()).toBe(3);
  });

  it('takes nothing from a snapshot that a rollback left behind and that was deleted, but misses one that a ref names', async () => {
    await test.commit(a);
    const first = await publish();
    await test.commit(a);
    const second = await publish();
    const act = { by: 'a person', ref: 'main', reason: 'poison' } as const;
    await test.act({ kind: 'rollback', ...act, from: second, to: first, baselines: {} });
    await test.store.delete(test.ledger.layout.snapshot(second));
    expect(await open().of(a)).toMatchObject({ slot: 1, snapshot: first });
    await test.store.delete(test.ledger.layout.snapshot(first));
    await expect(open().of(a)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
  });

  it('is asked for again when it could not be read', async () => {
    await test.commit(a);
    await publish();
    let isAway = true;
    const store = new (class extends StoreDecorator {
      override get(key: string, bytesMax: number): Promise<Buffer | null> {
        if (!isAway || !key.includes('/pages/')) return super.get(key, bytesMax);
        return Promise.reject(new UnavailableError('STORE_UNAVAILABLE', 'Cannot read: planned fault'));
      }
    })(test.store);
    const covered = open(store);
    const both = await Promise.allSettled([covered.of(a), covered.of(b)]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isAway = false;
    expect(await covered.of(a)).toMatchObject({ slot: 1 });
  });

  it('is not made up: a snapshot that is not what was signed is refused', async () => {
    await test.commit(a);
    const snapshot = await publish();
    await test.store.put(test.ledger.layout.snapshot(snapshot), Buffer.from('{}'));
    await expect(open().of(a)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});
