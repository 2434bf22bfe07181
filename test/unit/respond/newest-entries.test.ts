import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { newestEntries } from '../../../src/respond/newest-entries.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { overwrite, signPartitionEntry, bytesOf } from '../../support/forge.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';

const a = partition(0);

describe('the newest entries of a partition log', () => {
  let store: CountingStore;
  let test: TestLedger;
  const slots = async (limit = 20): Promise<number[]> =>
    (await newestEntries(test.reopened(), a, limit)).map(({ entry }) => entry.slot);
  /** `count` slots: a claim and batches. */
  const fill = async (count: number): Promise<void> => {
    await (await test.writer(a)).claim({ next: 0, label: null }, never);
    for (let slot = 1; slot < count; slot++) await test.commit(a);
  };

  beforeEach(async () => {
    store = new CountingStore(new MemoryStore());
    test = await TestLedger.open({ store });
  });

  it('are none where there is no log', async () => {
    expect(await slots()).toEqual([]);
  });

  it.each([1, 2, 3, 8, 9])('are all, newest first, when there are only %i', async (count) => {
    await fill(count);
    expect(await slots()).toEqual(Array.from({ length: count }, (_, i) => count - 1 - i));
    expect(await slots(1)).toEqual([count - 1]);
  });

  it('are found without walking a long log, whatever the hint says', async () => {
    await fill(100);
    for (const hint of [null, '{"slot":90}', '{"slot":99}', '{"slot":1000000}', '{"slot":-1}', '{', 'null', '7']) {
      if (hint === null) await store.delete(test.ledger.layout.headHint(a));
      else await store.put(test.ledger.layout.headHint(a), Buffer.from(hint));
      store.reset();
      expect(await slots(), String(hint)).toEqual(Array.from({ length: 20 }, (_, i) => 99 - i));
      if (hint !== null) expect(store.reads('log') + store.looks('log'), hint).toBeLessThan(50);
    }
  });

  it('meet a hole, and an entry that is not the one that follows', async () => {
    for (let i = 0; i < 5; i++) await test.commit(a);
    const { layout } = test.ledger;
    const key = layout.slot(a, 4);
    const { entry } = (await test.ledger.logs.read(a, 4))!;
    const own = await bytesOf(store, key);
    await overwrite(
      store,
      key,
      await signPartitionEntry({ ...entry, time: '2001-01-01T00:00:00.000Z' }, test.keys.ingest),
    );
    await expect(slots()).rejects.toMatchObject({ code: 'CHAIN_BROKEN', object: key });
    await store.delete(key);
    await expect(slots()).rejects.toMatchObject({ code: 'SLOT_MISSING', object: key });
    await overwrite(store, key, own);
    expect(await slots()).toEqual([5, 4, 3, 2, 1, 0]);
  });
});
