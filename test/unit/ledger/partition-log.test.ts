import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import type { LogHead } from '../../../src/ledger/log-head.ts';
import type { BatchEntry, PartitionEntry } from '../../../src/ledger/partition-entry.ts';
import { PARTITION_PREDICATE, makeStatement } from '../../../src/ledger/statements/statement.ts';
import { formatLogId, type LogId } from '../../../src/record/log-id.ts';
import { bytesOf, overwrite, sign, signPartitionEntry, swap } from '../../support/forge.ts';
import { TestLedger, all, never, newSigner, partition } from '../../support/ledger.ts';

const log = partition(0);
const error = (code: string, object: string) => ({ code, object });

describe('a partition log', () => {
  let test: TestLedger;
  const slot = (number: number, of: LogId = log): string => test.ledger.layout.slot(of, number);
  const head = (of: LogId = log) => test.reopened().logs.head(of);

  beforeEach(async () => {
    test = await TestLedger.open();
    for (let i = 0; i < 3; i++) await test.commit(log);
  });

  it('is read from its first entry to its newest', async () => {
    expect(await head()).toMatchObject({ slot: 3, epoch: 0, next: 6, deployment: 'here', closed: false });
    expect(await head(partition(1))).toBeNull();
  });

  it('is refused when two slots are swapped (M2)', async () => {
    await swap(test.store, slot(1), slot(2));
    await expect(head()).rejects.toMatchObject(error('CHAIN_BROKEN', slot(1)));
  });

  it('is refused when a middle slot is deleted (M3)', async () => {
    await test.store.delete(slot(2));
    await expect(head()).rejects.toMatchObject(error('SLOT_MISSING', slot(2)));
  });

  it('looks the same when its newest slots are deleted: only what was seen elsewhere tells (M4)', async () => {
    const before = await head();
    await test.store.delete(slot(3));
    expect(await head()).toMatchObject({ slot: 2 });
    await expect(test.reopened().logs.headAt(log, 3, before!.digest)).rejects.toMatchObject(
      error('SLOT_MISSING', slot(3)),
    );
  });

  it('is refused when a slot is inserted: an entry names its slot (M5)', async () => {
    await overwrite(test.store, slot(4), await bytesOf(test.store, slot(3)));
    await expect(head()).rejects.toMatchObject(error('CHAIN_BROKEN', slot(4)));
  });

  it('is refused with a slot of another partition, topic or cluster (M6)', async () => {
    const others = [partition(1), partition(0, 'returns'), { ...log, cluster: 'other' }];
    for (const other of others) {
      await test.commit(other);
      await test.commit(other);
      const own = await bytesOf(test.store, slot(2));
      await overwrite(test.store, slot(2), await bytesOf(test.store, slot(2, other)));
      await expect(head()).rejects.toMatchObject(error('CHAIN_BROKEN', slot(2)));
      await overwrite(test.store, slot(2), own);
    }
  });

  it('is refused with an entry of another pipeline', async () => {
    const { entry } = (await test.ledger.logs.read(log, 3))!;
    await overwrite(test.store, slot(3), await signPartitionEntry({ ...entry, pipeline: 'other' }, test.keys.ingest));
    await expect(head()).rejects.toMatchObject(error('CHAIN_BROKEN', slot(3)));
  });

  it('is refused with an entry that is signed by a stranger, or by a known key in the wrong role (M7, M8)', async () => {
    const { entry } = (await test.ledger.logs.read(log, 3))!;
    for (const signer of [newSigner(), test.keys.publisher, test.keys.approver, test.keys.janitor]) {
      await overwrite(test.store, slot(3), await signPartitionEntry(entry, signer));
      await expect(head()).rejects.toMatchObject(error('STATEMENT_INVALID', slot(3)));
    }
  });

  it('is refused with a predicate of another type or version, an unknown kind or field (M12, M30)', async () => {
    const { entry } = (await test.ledger.logs.read(log, 3))!;
    const subject = [{ name: 'x', digest: { sha256: 'a'.repeat(64) } }];
    const statements = [
      makeStatement(subject, 'https://headgate.dev/partition-log/v2', entry),
      makeStatement(subject, 'https://headgate.dev/control-log/v1', entry),
      makeStatement(subject, PARTITION_PREDICATE, { ...entry, kind: 'skip' }),
      makeStatement(subject, PARTITION_PREDICATE, { ...entry, newField: 1 }),
      makeStatement(subject, PARTITION_PREDICATE, { ...entry, end: 6.5 }),
      makeStatement(subject, PARTITION_PREDICATE, { ...entry, time: 'yesterday' }),
    ];
    for (const statement of statements) {
      await overwrite(test.store, slot(3), await sign(statement, test.keys.ingest));
      await expect(head()).rejects.toMatchObject(error('STATEMENT_INVALID', slot(3)));
    }
  });

  it('is refused with a slot of 10 MB before it is read (M28)', async () => {
    await overwrite(test.store, slot(4), Buffer.alloc(10_000_000, '[{"sig":"'));
    await expect(head()).rejects.toMatchObject(error('SIZE_EXCEEDED', slot(4)));
  });

  it('is found by listing, each log once, however many there are', async () => {
    const names = ['1', '10', '2', 'a.b', 'a_b', '', '..', 'x'.repeat(300), 'ü'];
    const logs = [...names.map((name) => partition(name)), partition(0, 'returns'), { ...log, cluster: '~' }];
    for (const each of logs)
      await (await test.newWriter(each)).claim({ next: 0, label: null }, new AbortController().signal);
    const found: string[] = [];
    for await (const each of test.ledger.logs.list()) found.push(formatLogId(each));
    expect(found.toSorted()).toEqual([log, ...logs].map(formatLogId).toSorted());
  });

  it('is not hidden by stray objects that lie among the logs', async () => {
    const root = test.ledger.layout.logs();
    for (const key of [`${root}0`, `${root}stray`, `${root}test/0`, `${root}test/orders/zzz`])
      await test.store.put(key, Buffer.from('x'));
    const keys: string[] = [];
    for await (const key of test.ledger.logs.firstKeys()) keys.push(key);
    expect(keys).toEqual([`${root}0`, `${root}stray`, `${root}test/0`, slot(0), `${root}test/orders/zzz`]);
    await expect(all(test.ledger.logs.list())).rejects.toMatchObject({ object: `${root}0` });
  });

  it('ends where its entries end, whatever else lies in its folder', async () => {
    const { layout } = test.ledger;
    const folder = layout.log(log);
    for (const name of ['.DS_Store', 'desktop.ini', `${slot(4).slice(folder.length)}.bak`])
      await test.store.put(folder + name, Buffer.from('x'));
    await test.store.put(`${layout.control()}desktop.ini`, Buffer.from('x'));
    await test.commit(log);
    expect(await test.reopened().logs.head(log)).toMatchObject({ slot: 4 });
    expect(await test.publisher().publish(never)).toMatchObject({ damaged: [] });
    expect((await test.reopened().control.head()).newest).not.toBeNull();
  });

  it('is not hidden by stray objects that lie before its first entry, and no entry hides them', async () => {
    const { layout } = test.ledger;
    const folder = layout.log(log);
    const strays = [`${layout.topic(log)}-`, ...['0', '00', '000000'].map((name) => folder + name)];
    for (const key of strays) await test.store.put(key, Buffer.from('x'));
    const keys: string[] = [];
    for await (const key of test.ledger.logs.firstKeys()) keys.push(key);
    expect(keys).toEqual([...strays, slot(0)]);
  });

  describe('says that its topic has begun', () => {
    const hasTopic = (topic?: string) => test.reopened().logs.hasTopic(partition(7, topic));
    const squat = async (...keys: string[]) => {
      for (const key of keys) await test.store.put(key, Buffer.from('x'));
    };

    it('to whoever asks for another partition, and of no other topic', async () => {
      expect([await hasTopic(), await hasTopic('returns'), await hasTopic('order')]).toEqual([true, false, false]);
    });

    it('whatever lies before its entries or in place of them, while one is left', async () => {
      const folder = test.ledger.layout.log(log);
      await squat(`${folder}0`, `${folder}00`, `${test.ledger.layout.topic(log)}-`, `${folder}0000/x/y`);
      expect(await hasTopic()).toBe(true);
      await squat(slot(0), slot(1), slot(2));
      expect(await hasTopic()).toBe(true);
      await squat(slot(3));
      expect(await hasTopic()).toBe(false);
    });

    it('unless too much lies before its entries to tell, and says so', async () => {
      const folder = test.ledger.layout.topic(log);
      for (let i = 0; i < 2_000; i++) await squat(`${folder}-${i}`, `${folder}-/${String(i).padStart(21, '0')}`);
      expect(await hasTopic()).toBe(true);
      for (let i = 0; i < 1_000; i++)
        await squat(test.ledger.layout.firstSlot(`${folder}-/`).slice(0, -4) + (1_000 + i));
      await expect(hasTopic()).rejects.toMatchObject({ code: 'SLOT_INVALID', object: folder });
      await expect(hasTopic()).rejects.toThrow(
        `Cannot tell whether there is a log below "${folder}": the first 1000 slots there hold no entries (mend: take away what headgate verify names there)`,
      );
    });

    it('by an entry alone that lies where it was signed for, by who may', async () => {
      const [own, other] = [await bytesOf(test.store, slot(0)), partition(0, 'returns')];
      const { entry } = (await test.ledger.logs.read(log, 1))!;
      const forged = [
        await signPartitionEntry({ ...entry, topic: 'returns', slot: 0, pipeline: 'other' }, test.keys.ingest),
        await signPartitionEntry({ ...entry, topic: 'returns', slot: 0 }, test.keys.publisher),
        await signPartitionEntry({ ...entry, topic: 'returns', slot: 1 }, test.keys.ingest),
      ];
      for (const bytes of [own, Buffer.from('{}'), ...forged]) {
        await overwrite(test.store, slot(0, other), bytes);
        expect(await hasTopic('returns')).toBe(false);
      }
    });
  });

  it('gives the batch that a reference names, and nothing in its place', async () => {
    const { digest } = (await test.ledger.logs.read(log, 2))!;
    const ref = { log: formatLogId(log), slot: 2, digest };
    expect(await test.ledger.logs.readBatch(ref)).toMatchObject({
      log,
      digest,
      entry: { kind: 'batch', start: 2, end: 4 },
    });
    const wrong = [
      { ...ref, slot: 1 },
      { ...ref, digest: 'a'.repeat(64) },
      { ...ref, log: 'a/b' },
      { ...ref, slot: 0, digest: (await test.ledger.logs.read(log, 0))!.digest },
    ];
    for (const each of wrong)
      await expect(test.ledger.logs.readBatch(each)).rejects.toMatchObject({ code: 'CHAIN_BROKEN' });
    await expect(test.ledger.logs.readBatch({ ...ref, slot: 9 })).rejects.toMatchObject(error('SLOT_MISSING', slot(9)));
  });

  it('is not read on from a head that the store shows otherwise', async () => {
    const covered = { slot: 2, digest: 'a'.repeat(64) };
    await expect(all(test.ledger.logs.walkSince(log, covered))).rejects.toMatchObject(error('CHAIN_BROKEN', slot(2)));
  });
});

describe('headAt', () => {
  /** One step of a history: who claims, or what is appended. */
  const step = fc.constantFrom('batch', 'halting batch', 'gap', 'claim', 'close');

  it('is what walking from the beginning gives, at every slot of every history', async () => {
    const test = await TestLedger.open({ prepared: false });
    const model = await batchToCopy(test);
    let logs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 10 }), async (steps) => {
        const own = partition(`h${logs++}`);
        const walked = await write(test, model, own, steps);
        for (const [slot, head] of walked.entries())
          expect(await test.ledger.logs.headAt(own, slot, head.digest)).toEqual(head);
      }),
      { numRuns: 60 },
    );
  });
});

async function batchToCopy(test: TestLedger): Promise<BatchEntry> {
  await test.pinSchema();
  return (await test.commit(partition('model'), { verdict: 'no-baseline' })).entry;
}

/** Writes a history and returns the heads that walking it gives. */
async function write(test: TestLedger, model: BatchEntry, of: LogId, steps: readonly string[]): Promise<LogHead[]> {
  const { store, layout, logs } = test.ledger;
  const claims = { epoch: 0, controlSeq: 0 };
  let head: LogHead | null = null;
  for (const [i, kind] of ['claim', ...steps].entries()) {
    const entry = entryAfter(head, model, of, kind, claims);
    if (entry === null) continue;
    await store.create(
      layout.slot(of, head === null ? 0 : head.slot + 1),
      await signPartitionEntry(entry, test.keys.ingest),
    );
    head = await logs.head(of, head);
    expect(head, `after step ${i}`).not.toBeNull();
  }
  const heads: LogHead[] = [];
  for await (const each of logs.walk(of, null)) heads.push(each.head);
  return heads;
}

function entryAfter(
  head: LogHead | null,
  model: BatchEntry,
  of: LogId,
  kind: string,
  claims: { epoch: number; controlSeq: number },
): PartitionEntry | null {
  const { pipeline, time } = model;
  const next = head?.next ?? 100;
  const place = { ...of, pipeline, time, slot: head === null ? 0 : head.slot + 1, previous: head?.digest ?? null };
  const same = { ...place, deployment: 'here', epoch: head?.epoch ?? 0, writer: head?.writer ?? 'w0' };
  if (kind === 'claim') {
    const epoch = head === null ? 0 : ++claims.epoch;
    return {
      ...same,
      kind: 'open',
      epoch,
      writer: `w${epoch}`,
      leafVersion: 1,
      next,
      label: head === null ? 'a.csv' : null,
    };
  }
  if (head === null || head.closed) return null;
  if (kind === 'close') return { ...same, kind: 'close' };
  if (kind === 'gap') return { ...same, kind: 'gap', start: next, end: next + 5, reason: 'retention' };
  const halt = kind === 'halting batch' ? 'RULE' : null;
  const position = { byte: next, prefixSha256: 'a'.repeat(64) };
  return {
    ...model,
    ...same,
    start: next,
    end: next + 2,
    halt,
    controlSeq: ++claims.controlSeq,
    leaderEpoch: 7,
    topicId: null,
    position,
  };
}
