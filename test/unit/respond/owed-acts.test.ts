import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { nextSeq, type ControlHead } from '../../../src/ledger/control-log.ts';
import type { AlertCause } from '../../../src/respond/alert-cause.ts';
import { NOTHING_SETTLED, OwedActs } from '../../../src/respond/owed-acts.ts';
import type { LedgerContext } from '../../../src/respond/ledger-context.ts';
import { causeOf, finder, openDesk, RecordingChannel } from '../../support/alert-desk.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';

const ledgerOf = (read: (seq: number) => Promise<unknown>): LedgerContext =>
  ({ control: { read } }) as unknown as LedgerContext;

describe('the acts that people are told of', () => {
  let store: CountingStore;
  let test: TestLedger;
  /** Appends acts: holds and resumes, or what nobody is told of. */
  const act = async (count: number, as: 'told' | 'silent' = 'told'): Promise<void> => {
    for (let i = 0; i < count; i++)
      await test.act(
        as === 'told'
          ? { kind: i % 2 === 0 ? 'hold' : 'resume', by: 'a person', ref: 'main', reason: 'r' }
          : { kind: 'learn', by: 'p', topic: 'orders', baseline: 'f'.repeat(64), reason: 'r' },
      );
  };
  const seqsOf = (causes: readonly AlertCause[]): number[] =>
    causes.flatMap((cause) => (cause.about === 'control' ? [cause.seq] : []));
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
  const end = async (): Promise<number> => nextSeq(await test.ledger.control.head());
  beforeEach(async () => {
    store = new CountingStore(new MemoryStore());
    test = await TestLedger.open({ store, prepared: false });
  });

  it('are all told, however many there are between two looks', async () => {
    const finding = finder(test.reopened());
    await finding.find();
    await act(300);
    expect(seqsOf(await finding.find())).toEqual(range(0, 300));
  });

  it('are owed until they are settled, whatever comes after them, to a process that goes on and to one that starts', async () => {
    await act(2);
    const alive = finder(test.reopened());
    expect(seqsOf(await alive.find())).toEqual([0, 1]);
    await act(201, 'silent');
    expect(seqsOf(await alive.find())).toEqual([0, 1]);
    expect(seqsOf(await finder(test.reopened()).find())).toEqual([0, 1]);
  });

  it('are told the newest first and a part at a time, and all in the end, although no more than a bound are owed', async () => {
    // Three thousand and two hundred acts, then nine thousand entries that nobody is told of.
    let length = 12_200;
    const kindOf = (seq: number): string => (seq < 3_200 || seq >= 12_200 ? 'hold' : 'publish');
    const read = async (seq: number) => ({ entry: { kind: kindOf(seq), seq }, digest: `d${seq}` });
    const acts = new OwedActs(ledgerOf(read), NOTHING_SETTLED);
    const look = async (): Promise<readonly AlertCause[]> =>
      acts.find({ newest: await read(length - 1) } as unknown as ControlHead);
    expect(await look()).toEqual([]);
    for (let i = 0; i < 3; i++) await look();
    // No channel takes them.
    const owed = seqsOf(await look());
    expect([owed.length < 3_100, owed.at(-1), acts.hasMore]).toEqual([true, 3_199, false]);
    expect(acts.progress).toMatchObject({ next: 12_200, unsettled: [{ from: 0, to: 3_200 }] });
    length = 12_202;
    const told = [...(await look())];
    expect(seqsOf(told).slice(-2)).toEqual([12_200, 12_201]);
    for (let found: readonly AlertCause[] = told; found.length > 0; told.push(...found)) {
      acts.settle(new Set(found));
      found = await look();
    }
    expect([...new Set(seqsOf(told))].toSorted((x, y) => x - y)).toEqual([...range(0, 3_200), 12_200, 12_201]);
    expect([acts.progress, acts.hasMore]).toEqual([{ next: 12_202, unsettled: [] }, false]);
  });

  it('are told although an older entry is lost or altered, and so is what batches tell', async () => {
    await act(3);
    const suspect = await test.commit(partition(0), { verdict: 'suspect' });
    await store.delete(test.ledger.layout.controlEntry(0));
    await store.put(test.ledger.layout.controlEntry(1), Buffer.from('{}'));
    const found = await finder(test.reopened()).find();
    expect(found).toEqual([expect.objectContaining({ seq: 2 }), causeOf(suspect)]);
  });

  it('are told once they are put back, where they were lost or altered', async () => {
    await act(3);
    const acts = new OwedActs(test.reopened(), NOTHING_SETTLED);
    const key = test.ledger.layout.controlEntry(1);
    const bytes = (await test.store.get(key, 1_000_000))!;
    const head = await test.ledger.control.head();
    await test.store.put(key, Buffer.from('{}'));
    expect(seqsOf(await acts.find(head))).toEqual([0, 2]);
    acts.settle(new Set(await acts.find(head)));
    expect(acts.progress).toEqual({ next: 3, unsettled: [{ from: 1, to: 2 }] });
    await test.store.put(key, bytes);
    expect(seqsOf(await new OwedActs(test.reopened(), acts.progress).find(head))).toEqual([1]);
    await act(1);
    expect(seqsOf(await acts.find(await test.ledger.control.head()))).toEqual([1, 3]);
  });

  it('keep what was read of them, whatever is owed and wherever a process stops', async () => {
    const owed = new Set([100, 8_000, 19_000]);
    let reads = 0;
    const read = async (seq: number) => {
      reads++;
      return { entry: { kind: owed.has(seq) ? 'hold' : 'publish', seq }, digest: `d${seq}` };
    };
    const head = { newest: await read(19_999) } as unknown as ControlHead;
    let progress = NOTHING_SETTLED;
    const found = new Set<number>();
    for (let starts = 0; starts < 6; starts++) {
      const acts = new OwedActs(ledgerOf(read), progress);
      for (const seq of seqsOf(await acts.find(head))) found.add(seq);
      progress = acts.progress;
    }
    expect([...found].toSorted((x, y) => x - y)).toEqual([...owed]);
    expect(reads).toBeLessThan(20_050);
    expect(progress).toEqual({ next: 20_000, unsettled: [...owed].map((seq) => ({ from: seq, to: seq + 1 })) });
  });

  it('cost one GET an entry that is new, sixteen at once, and none after', async () => {
    await act(500, 'silent');
    const finding = finder(test.reopened());
    store.reset();
    await finding.find();
    expect(store.reads('control')).toBeLessThan(505);
    expect(store.readsAtOnce).toBeLessThanOrEqual(16);
    store.reset();
    await finding.find();
    expect(store.reads('control')).toBe(1);
  });

  describe('and were told', () => {
    const start = async (...names: string[]) => {
      const channels = names.map((name) => new RecordingChannel(name));
      const ledger = test.reopened();
      const { desk, queue } = await openDesk(ledger, channels);
      const finding = finder(ledger);
      store.reset();
      await desk.catchUp(finding, never);
      await queue.drain();
      const reads = store.reads('control');
      await desk.catchUp(finding, never);
      return { told: channels.map(({ delivered }) => delivered.map(({ subject }) => subject)), reads };
    };

    it('are not looked for again by a process that starts, but for the newest', async () => {
      await act(4);
      await act(300, 'silent');
      expect(await start('hook')).toMatchObject({ told: [['control/0', 'control/1', 'control/2', 'control/3']] });
      await act(2);
      const { told, reads } = await start('hook');
      expect(told).toEqual([['control/304', 'control/305']]);
      expect(reads).toBeLessThan(20);
    });

    it('cost a process nothing that has no channels', async () => {
      await act(2);
      expect((await start()).reads).toBe(0);
      expect(store.reads('control')).toBe(0);
    });

    it('are looked for by a process that starts from where the one before it was stopped', async () => {
      const channels = [new RecordingChannel('hook')];
      await act(5_000, 'silent');
      const reads = async (): Promise<number> => {
        const ledger = test.reopened();
        const { desk } = await openDesk(ledger, channels);
        store.reset();
        await desk.catchUp(finder(ledger), AbortSignal.abort());
        return store.reads('control');
      };
      expect(await reads()).toBeGreaterThan(4_000);
      expect(await reads()).toBeLessThan(1_000);
      expect(await reads()).toBeLessThan(100);
    });

    it('are told all to a channel that is new', async () => {
      await act(2);
      await act(300, 'silent');
      await start('hook');
      expect((await start('hook', 'pager')).told).toEqual([[], ['control/0', 'control/1']]);
    });

    it('are looked for from the first one on where the note of them is lost, or none', async () => {
      await act(2);
      await act(300, 'silent');
      await start('hook');
      const key = test.ledger.layout.toldHint();
      for (const text of [
        '',
        '{}',
        ...['-1,"unsettled":[]', '99999,"unsettled":[]', '9,"unsettled":[{"from":3,"to":1}]'].map(
          (next) => `{"channels":["hook"],"next":${next}}`,
        ),
      ]) {
        await store.put(key, Buffer.from(text));
        expect((await start('hook')).told, text).toEqual([[]]);
      }
      await store.delete(key);
      const { reads } = await start('hook');
      expect(reads).toBeGreaterThan(300);
      expect(await end()).toBe(302);
    });
  });
});
