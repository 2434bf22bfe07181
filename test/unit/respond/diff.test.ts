import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { EMPTY_SEQUENCE, type SequenceChange } from '../../../src/ledger/sequence.ts';
import {
  emptySnapshot,
  formatBatchLine,
  type BatchLine,
  type Snapshot,
  type Standing,
} from '../../../src/ledger/snapshot.ts';
import type { Publisher } from '../../../src/publish/publisher.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { diffSnapshots } from '../../../src/respond/diff.ts';
import { resume, rollback } from '../../../src/respond/refs.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';

const a = partition(0);
const b = partition(1);

/** Remembers which objects were read. */
class WatchedStore extends StoreDecorator {
  readonly reads = new Set<string>();

  override get(key: string, bytesMax: number): Promise<Buffer | null> {
    this.reads.add(key);
    return super.get(key, bytesMax);
  }
}

describe('what two snapshots have apart', () => {
  let store: WatchedStore;
  let test: TestLedger;
  let publisher: Publisher;
  const publish = async (): Promise<string> => {
    await publisher.publish(never);
    return (await test.ledger.control.head()).state.refs['main']!;
  };
  const diff = (from: string, to: string) => diffSnapshots(test.reopened(), from, to);
  const digests = (lines: readonly BatchLine[]): string[] => lines.map(({ digest }) => digest);

  beforeEach(async () => {
    store = new WatchedStore(new MemoryStore());
    test = await TestLedger.open({ store });
    publisher = test.publisher();
  });

  it('is nothing between a snapshot and itself', async () => {
    await test.commit(a);
    const only = await publish();
    expect(await diff(only, only)).toEqual({ from: only, to: only, added: [], removed: [], recordsDelta: 0 });
  });

  it('is each batch that was added or removed, with all that its line says, and the records between them', async () => {
    const kept = await test.commit(a);
    const gone = await test.commit(b, { values: ['{"id":1}', '{"id":2}', 'no json'] });
    const first = await publish();
    await test.decide(gone, 'condemned');
    const added = await test.commit(a, { values: ['{"id":3}'] });
    const second = await publish();
    const lineOf = ({ entry, digest }: typeof gone, log: string, rows: number): BatchLine => ({
      log,
      start: entry.start,
      end: entry.end,
      slot: entry.slot,
      epoch: entry.epoch,
      digest,
      records: entry.records,
      rows,
      data: { sha256: entry.data!.sha256, bytes: entry.data!.bytes },
      standing: 'clean',
    });
    const forward = await diff(first, second);
    expect(forward).toEqual({
      from: first,
      to: second,
      added: [lineOf(added, 'test/orders/0', 1)],
      removed: [lineOf(gone, 'test/orders/1', 2)],
      recordsDelta: -1,
    });
    const back = await diff(second, first);
    expect(back).toEqual({ from: second, to: first, added: forward.removed, removed: forward.added, recordsDelta: 1 });
    expect(digests([...forward.added, ...forward.removed])).not.toContain(kept.digest);
  });

  it('is nothing about batches that are only held, or held for another reason', async () => {
    await test.commit(a);
    const first = await publish();
    const held = await test.commit(a, { verdict: 'suspect' });
    const second = await publish();
    expect(await diff(first, second)).toMatchObject({ added: [], removed: [], recordsDelta: 0 });
    await test.decide(held, 'condemned');
    const third = await publish();
    expect(third).not.toBe(second);
    expect(await diff(second, third)).toMatchObject({ added: [], removed: [], recordsDelta: 0 });
    await test.decide(held, 'released');
    expect(digests((await diff(third, await publish())).added)).toEqual([held.digest]);
  });

  it('is nothing for a batch that both have, on other grounds', async () => {
    await test.commit(b);
    const first = await publish();
    const clean = await test.commit(a);
    const judged = await publish();
    await rollback(test.ledger, 'main', first, test.person(), never);
    await test.decide(clean, 'released');
    await resume(test.ledger, 'main', test.person(), async () => null, test.keys.publisher, never);
    const released = await publish();
    expect(await test.standings('batches')).toMatchObject({ [clean.digest]: 'released' });
    expect(await diff(judged, released)).toMatchObject({ added: [], removed: [], recordsDelta: 0 });
  });

  it('is told of two branches of a history, and of snapshots of two refs that share no ancestor', async () => {
    await test.commit(a);
    const first = await publish();
    const left = await test.commit(a);
    const second = await publish();
    await rollback(test.ledger, 'main', first, test.person(), never);
    await test.decide(left, 'condemned');
    await resume(test.ledger, 'main', test.person(), async () => null, test.keys.publisher, never);
    const right = await test.commit(b);
    const branch = await publish();
    const branches = await diff(second, branch);
    expect([digests(branches.removed), digests(branches.added)]).toEqual([[left.digest], [right.digest]]);
    expect(branches.recordsDelta).toBe(0);
    await test.publisher(undefined, test.ledger, 'beta').publish(never);
    const { main, beta } = (await test.ledger.control.head()).state.refs;
    expect((await test.snapshot('beta')).parent).toBeNull();
    expect(beta).not.toBe(main);
    expect(await diff(main!, beta!)).toMatchObject({ added: [], removed: [], recordsDelta: 0 });
  });

  it('cannot be told of a snapshot that is unknown, or not what its name says', async () => {
    await test.commit(a);
    const known = await publish();
    const unknown = 'f'.repeat(64);
    for (const [from, to] of [
      [known, unknown],
      [unknown, known],
    ] as const) {
      await expect(diff(from, to)).rejects.toMatchObject({
        code: 'OBJECT_MISSING',
        object: test.ledger.layout.snapshot(unknown),
      });
    }
    await test.commit(a);
    const second = await publish();
    const { batches } = await test.ledger.snapshots.read(second);
    const page = test.ledger.layout.page(batches.pages[0]!.sha256);
    await store.put(page, Buffer.from('[]\n'));
    await expect(diff(known, second)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', object: page });
    await store.put(test.ledger.layout.snapshot(second), Buffer.from('{}'));
    await expect(diff(known, second)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  describe('of any size', () => {
    const line = (index: number, version: number, standing: Standing = 'clean'): BatchLine => ({
      log: `test/orders/${index % 7}`,
      start: 2 * index,
      end: 2 * index + 2,
      slot: index,
      epoch: 0,
      digest: sha256Hex(Buffer.from(`${index} ${version}`)),
      records: 2,
      rows: 1 + (index % 3),
      data: null,
      standing,
    });
    const change = (each: BatchLine): SequenceChange => ({ key: [each.log, each.start], line: formatBatchLine(each) });
    /** Stores a snapshot of these batches, made in one go. */
    const snapshotOf = async (lines: readonly BatchLine[]): Promise<string> => {
      const { snapshots } = test.ledger;
      const batches = (await snapshots.update(EMPTY_SEQUENCE, lines.map(change), never)) as Snapshot['batches'];
      const records = lines.reduce((sum, { rows }) => sum + rows, 0);
      return snapshots.write({ ...emptySnapshot('shop'), batches, records }, never);
    };
    const pagesOf = async (snapshot: string): Promise<string[]> =>
      (await test.ledger.snapshots.read(snapshot)).batches.pages.map(({ sha256 }) => test.ledger.layout.page(sha256));

    it('reads no page that both have', async () => {
      const lines = Array.from({ length: 9_000 }, (_, i) => line(i, 0));
      const older = await snapshotOf(lines);
      const newer = await snapshotOf([...lines.slice(0, 4_000), ...lines.slice(4_001), line(9_000, 0)]);
      const [before, after] = [new Set(await pagesOf(older)), new Set(await pagesOf(newer))];
      const shared = [...before].filter((page) => after.has(page));
      expect(shared.length).toBeGreaterThan(3);
      store.reads.clear();
      const found = await diff(older, newer);
      expect([found.removed, found.added]).toEqual([[lines[4_000]], [line(9_000, 0)]]);
      expect(shared.filter((page) => store.reads.has(page))).toEqual([]);
    });

    it('is exactly the difference of their batches, in both directions', async () => {
      const indexes = fc.uniqueArray(fc.nat(60), { maxLength: 50 });
      // A position may hold another batch on another branch; a batch may stand on other grounds.
      const side = fc
        .tuple(indexes, indexes, indexes)
        .map(([present, other, released]) =>
          present
            .toSorted((x, y) => x - y)
            .map((i) => line(i, other.includes(i) ? 1 : 0, released.includes(i) ? 'released' : 'clean')),
        );
      await fc.assert(
        fc.asyncProperty(side, side, async (older, newer) => {
          const [from, to] = [await snapshotOf(older), await snapshotOf(newer)];
          const { added, removed, recordsDelta } = await diff(from, to);
          const without = (lines: readonly BatchLine[], others: readonly BatchLine[]): string[] =>
            digests(lines.filter(({ digest }) => !digests(others).includes(digest))).toSorted();
          expect(digests(added).toSorted()).toEqual(without(newer, older));
          expect(digests(removed).toSorted()).toEqual(without(older, newer));
          const rows = (lines: readonly BatchLine[]) => lines.reduce((sum, each) => sum + each.rows, 0);
          expect(recordsDelta).toBe(rows(newer) - rows(older));
          expect(recordsDelta).toBe(rows(added) - rows(removed));
          const back = await diff(to, from);
          expect([digests(back.added), digests(back.removed)]).toEqual([digests(removed), digests(added)]);
        }),
        { numRuns: 60 },
      );
    });
  });
});
