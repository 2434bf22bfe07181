import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { findPublished } from '../../../src/respond/published.ts';
import { newestFirst } from '../../../src/ledger/newest-first.ts';
import { resolveSnapshot, rollback } from '../../../src/respond/refs.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { bytesOf, overwrite, signControlEntry } from '../../support/forge.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TestLedger, all, never, partition } from '../../support/ledger.ts';

const a = partition(0);
const HOUR_MS = 3_600_000;

describe('a search in the control log', () => {
  let clock: LeapingClock;
  let store: CountingStore;
  let test: TestLedger;
  const publish = async (): Promise<string> => {
    await test.commit(a);
    await test.publisher().publish(never);
    return (await test.ledger.control.head()).state.refs['main']!;
  };
  const act = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++)
      await test.act({ kind: i % 2 === 0 ? 'hold' : 'resume', by: 'a person', ref: 'beta', reason: 'r' });
  };
  const readsOf = async (work: () => Promise<unknown>): Promise<number> => {
    await test.ledger.control.head();
    store.reset();
    await work();
    return store.reads('control');
  };

  beforeEach(async () => {
    clock = new LeapingClock();
    store = new CountingStore(new MemoryStore());
    test = await TestLedger.open({ store, clock });
  });

  it.each([0, 1, 2, 3, 70])('gives every entry once, newest first (%i more)', async (count) => {
    await act(count);
    const forward = await all(test.ledger.control.walk());
    const backward = await all(newestFirst(test.ledger.control, await test.ledger.control.head()));
    expect(backward).toEqual(forward.toReversed());
    const none = await TestLedger.open({ prepared: false });
    expect(await all(newestFirst(none.ledger.control, await none.ledger.control.head()))).toEqual([]);
  });

  it('meets an entry that is missing, or that is not the one the next one names', async () => {
    await act(6);
    const head = await test.ledger.control.head();
    const search = () => all(newestFirst(test.ledger.control, head));
    const key = test.ledger.layout.controlEntry(4);
    const own = await bytesOf(store, key);
    const { entry } = (await test.ledger.control.read(4))!;
    await overwrite(store, key, await signControlEntry({ ...entry, by: 'another' }, test.keys.approver));
    await expect(search()).rejects.toMatchObject({ code: 'CHAIN_BROKEN', object: key });
    await store.delete(key);
    await expect(search()).rejects.toMatchObject({ code: 'SLOT_MISSING' });
    await overwrite(store, key, own);
    expect(await search()).toHaveLength(9);
  });

  it('reads no more of a long history than what lies between: a snapshot, a prefix of it, or a time', async () => {
    await act(200);
    const first = await publish();
    const time = new Date(clock.now()).toISOString();
    clock.advance(HOUR_MS);
    await publish();
    for (const name of [first, first.slice(0, 6)])
      expect(await readsOf(() => resolveSnapshot(test.ledger, name)), name).toBeLessThan(10);
    for (const target of [first, first.slice(0, 6), time]) {
      const reads = await readsOf(() => rollback(test.ledger, 'main', target, test.person(), never));
      expect(reads, target).toBeLessThan(12);
      await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'go on' });
      await publish();
    }
  });

  it('finds a snapshot whatever else the store holds or hides', async () => {
    const first = await publish();
    await publish();
    const head = await test.ledger.control.head();
    const find = (name: string) => findPublished(test.reopened(), head, name);
    const expected = { snapshot: first, seq: 3, ref: 'main', isInLine: true };
    const { layout } = test.ledger;
    const prefix = first.slice(0, 6);
    await store.put(layout.snapshot(`${prefix}${'0'.repeat(58)}`), Buffer.from('planted'));
    expect(await find(prefix)).toEqual(expected);
    for (let i = 0; i < 20; i++)
      await store.put(layout.snapshot(`${prefix}${String(i).padStart(58, '0')}`), Buffer.from('x'));
    expect(await find(prefix)).toEqual(expected);
    await store.delete(layout.snapshot(first));
    expect(await find(prefix)).toEqual(expected);
    expect(await find(first)).toEqual(expected);
  });

  it('is not led astray by one author whose clock is wrong', async () => {
    await publish();
    const second = await publish();
    // A person whose clock runs two hours ahead acts on another ref; the publisher then goes on with the right time.
    clock.advance(2 * HOUR_MS);
    await test.act({ kind: 'hold', by: 'a person', ref: 'beta', reason: 'r' });
    clock.advance(-2 * HOUR_MS);
    const third = await publish();
    const time = new Date(clock.now()).toISOString();
    clock.advance(HOUR_MS);
    await publish();
    expect(await rollback(test.ledger, 'main', time, test.person(), never)).toMatchObject({ to: third });
    expect(second).not.toBe(third);
  });

  it('passes over a move whose time is too late, and goes on', async () => {
    clock.advance(2 * HOUR_MS);
    await publish();
    clock.advance(-2 * HOUR_MS);
    const second = await publish();
    const time = new Date(clock.now()).toISOString();
    clock.advance(HOUR_MS);
    await publish();
    expect(await rollback(test.ledger, 'main', time, test.person(), never)).toMatchObject({ to: second });
  });
});
