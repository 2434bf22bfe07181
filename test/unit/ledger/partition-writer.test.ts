import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import type { GapFields, PartitionWriter } from '../../../src/ledger/partition-writer.ts';
import type { LogId } from '../../../src/record/log-id.ts';
import { CREATE_FAULTS, FaultyStore } from '../../support/faulty-store.ts';
import { overwrite, signPartitionEntry } from '../../support/forge.ts';
import { TestLedger, never, newSigner, partition } from '../../support/ledger.ts';

const log = partition(0);
const genesis = { next: 0, label: null };
const gap = (start: number, end: number): GapFields => ({ kind: 'gap', start, end, reason: 'retention' });

describe('a partition writer', () => {
  let store: FaultyStore;
  let test: TestLedger;
  let writer: PartitionWriter;
  const slot = (number: number): string => test.ledger.layout.slot(log, number);
  const kinds = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { verified } of test.reopened().logs.walk(log, null))
      found.push(`${verified.entry.kind} ${verified.entry.epoch}`);
    return found;
  };

  beforeEach(async () => {
    store = new FaultyStore(new MemoryStore());
    test = await TestLedger.open({ store });
    writer = await test.newWriter(log, { writer: 'w1' });
  });

  it('claims an empty log by its first entry, which fixes where it begins', async () => {
    expect(writer.head).toBeNull();
    expect(await writer.claim({ next: 42, label: 'a/b.ndjson' }, never)).toMatchObject({ slot: 0, epoch: 0, next: 42 });
    const { entry } = (await test.ledger.logs.read(log, 0))!;
    expect(entry).toMatchObject({ kind: 'open', next: 42, label: 'a/b.ndjson', leafVersion: 1, writer: 'w1' });
  });

  it('claims once: a head that is its own needs no other claim, also after a restart of the reading', async () => {
    await writer.claim(genesis, never);
    await writer.claim(genesis, never);
    const again = await test.newWriter(log, { writer: 'w1' });
    expect(again.claimed).toBe(true);
    await again.claim(genesis, never);
    expect(await kinds()).toEqual(['open 0']);
  });

  it('takes a log over with the next epoch and fences whoever held it', async () => {
    await writer.claim(genesis, never);
    const successor = await test.newWriter(log, { writer: 'w2' });
    expect(await successor.claim(genesis, never)).toMatchObject({ slot: 1, epoch: 1 });
    await expect(writer.commit(gap(0, 10), never)).rejects.toMatchObject({ code: 'FENCED', name: 'ConflictError' });
    await successor.commit(gap(0, 20), never);
    expect(await kinds()).toEqual(['open 0', 'open 1', 'gap 1']);
  });

  it('adopts what was committed while it was claiming: the next offset moves on', async () => {
    await writer.claim(genesis, never);
    const successor = await test.newWriter(log, { writer: 'w2' });
    await writer.commit(gap(0, 10), never);
    expect(await successor.claim(genesis, never)).toMatchObject({ slot: 2, epoch: 1, next: 10 });
    expect(await kinds()).toEqual(['open 0', 'gap 0', 'open 1']);
  });

  it('stops when another deployment writes to the same log (G7)', async () => {
    await writer.claim(genesis, never);
    const foreign = await test.newWriter(log, { deployment: 'there' });
    await expect(foreign.claim(genesis, never)).rejects.toMatchObject({
      code: 'FOREIGN_WRITER',
      name: 'HaltError',
      message: expect.stringMatching(/mend: .* pipeline name; .* set deployment: "here" in headgate\.yaml/) as string,
    });
    expect(await kinds()).toEqual(['open 0']);
  });

  it('stops when another deployment was first on an empty log (G7)', async () => {
    const foreign = await test.newWriter(log, { deployment: 'there' });
    await foreign.claim(genesis, never);
    await expect(writer.claim(genesis, never)).rejects.toMatchObject({ code: 'FOREIGN_WRITER' });
  });

  it('stops, not fenced, when another deployment has taken the log over against the rules (G7)', async () => {
    const head = await writer.claim(genesis, never);
    const { entry } = (await test.ledger.logs.read(log, 0))!;
    const taken = { ...entry, slot: 1, previous: head.digest, epoch: 1, deployment: 'there', writer: 'x' };
    await store.inner.create(slot(1), await signPartitionEntry(taken, test.keys.ingest));
    await expect(writer.commit(gap(0, 10), never)).rejects.toMatchObject({ code: 'FOREIGN_WRITER' });
  });

  it('may take over a log that another deployment has closed', async () => {
    const head = await writer.claim(genesis, never);
    const { pipeline, time } = (await test.ledger.logs.read(log, 0))!.entry;
    const place = { ...log, pipeline, time, slot: 1, previous: head.digest, epoch: 0 };
    const close = await signPartitionEntry(
      { kind: 'close', ...place, deployment: 'here', writer: 'w1' },
      test.keys.ingest,
    );
    await store.inner.create(slot(1), close);
    const successor = await test.newWriter(log, { deployment: 'there' });
    expect(await successor.claim(genesis, never)).toMatchObject({
      slot: 2,
      epoch: 1,
      deployment: 'there',
      closed: false,
    });
  });

  it('never writes what readers would refuse', async () => {
    await writer.claim(genesis, never);
    for (const fields of [gap(5, 10), gap(0, 0), gap(10, 5)]) {
      await expect(writer.commit(fields, never)).rejects.toMatchObject({ code: 'CHAIN_BROKEN', object: slot(1) });
    }
    await expect(writer.commit({ ...gap(0, 5), reason: 'whim' as 'retention' }, never)).rejects.toMatchObject({
      code: 'STATEMENT_INVALID',
    });
    expect(await store.get(slot(1), 1_000)).toBeNull();
    await writer.commit(gap(0, 5), never);
  });

  it.each([
    ['no entry at all', async () => Buffer.from('squatted')],
    ['nothing', async () => Buffer.alloc(0)],
    ['more than an entry can have (M28)', async () => Buffer.alloc(300_000, 'x')],
  ])('halts at a slot that someone has filled with %s (M26)', async (_, bytes) => {
    await writer.claim(genesis, never);
    await overwrite(store, slot(1), await bytes());
    await expect(writer.commit(gap(0, 10), never)).rejects.toMatchObject({ code: 'SLOT_INVALID', object: slot(1) });
    const other = await test.newWriter(partition(1));
    await other.claim(genesis, never);
  });

  it('halts at a slot that holds a valid entry that does not follow (M26)', async () => {
    const head = await writer.claim(genesis, never);
    const { entry } = (await test.ledger.logs.read(log, 0))!;
    const claim = {
      ...entry,
      kind: 'open' as const,
      leafVersion: 1,
      next: 0,
      label: null,
      slot: 1,
      previous: head.digest,
      epoch: 1,
    };
    const forgeries = [
      signPartitionEntry({ ...claim, epoch: 5 }, test.keys.ingest),
      signPartitionEntry({ ...claim, next: 7 }, test.keys.ingest),
      signPartitionEntry({ ...claim, previous: 'a'.repeat(64) }, test.keys.ingest),
      signPartitionEntry(claim, test.keys.publisher),
      signPartitionEntry(claim, newSigner()),
    ];
    for (const bytes of await Promise.all(forgeries)) {
      await overwrite(store, slot(1), bytes);
      await expect(writer.commit(gap(0, 10), never)).rejects.toMatchObject({ code: 'SLOT_INVALID', object: slot(1) });
    }
  });

  it.each(CREATE_FAULTS)('commits exactly once when the create is %s', async (fault) => {
    await writer.claim(genesis, never);
    store.creates.push(fault);
    expect(await writer.commit(gap(0, 10), never)).toMatchObject({ slot: 1, next: 10 });
    expect(await kinds()).toEqual(['open 0', 'gap 0']);
    await writer.commit(gap(10, 20), never);
    expect(await kinds()).toEqual(['open 0', 'gap 0', 'gap 0']);
  });

  it('commits exactly once through any run of faults, reads included', async () => {
    const fault = fc.array(fc.constantFrom(...CREATE_FAULTS), { maxLength: 6 });
    let logs = 0;
    await fc.assert(
      fc.asyncProperty(fault, fc.nat(4), async (faults, failingReads) => {
        const own = partition(`f${logs++}`);
        const each = await test.newWriter(own);
        await each.claim(genesis, never);
        store.creates.push(...faults);
        store.failingReads = failingReads;
        const head = await each.commit(gap(0, 10), never);
        store.creates.length = 0;
        store.failingReads = 0;
        expect(await test.ledger.logs.head(own)).toEqual(head);
        expect(head).toMatchObject({ slot: 1, next: 10 });
      }),
      { numRuns: 60 },
    );
  });

  it('says that it does not know when it is stopped before the store answers', async () => {
    await writer.claim(genesis, never);
    const stop = new AbortController();
    store.creates.push('lost', 'lost', 'lost');
    store.failingReads = 2;
    const committing = writer.commit(gap(0, 10), stop.signal);
    stop.abort();
    await expect(committing).rejects.toMatchObject({ code: 'STORE_UNCERTAIN', name: 'UncertainError' });
  });

  it('gives one unbroken log however many race for it', async () => {
    const racer = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 });
    let logs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(racer, { minLength: 2, maxLength: 5 }), async (racers) => {
        const own = partition(`r${logs++}`);
        const committed = (await Promise.all(racers.map((lengths) => race(test, own, lengths)))).flat();
        const ranges: string[] = [];
        for await (const { verified } of test.ledger.logs.walk(own, null)) {
          if (verified.entry.kind === 'gap') ranges.push(`${verified.entry.start}-${verified.entry.end}`);
        }
        expect(ranges.toSorted()).toEqual(committed.toSorted());
      }),
      { numRuns: 40 },
    );
  });
});

/** Claims and commits gaps until all are in, beginning anew whenever it is fenced. @returns what it believes to have committed */
async function race(test: TestLedger, of: LogId, lengths: readonly number[]): Promise<string[]> {
  const committed: string[] = [];
  let writer = await test.newWriter(of);
  while (committed.length < lengths.length) {
    try {
      const { next } = await writer.claim(genesis, never);
      const end = next + lengths[committed.length]!;
      await writer.commit(gap(next, end), never);
      committed.push(`${next}-${end}`);
    } catch (error) {
      expect(error).toMatchObject({ code: 'FENCED' });
      writer = await test.newWriter(of);
    }
  }
  return committed;
}
