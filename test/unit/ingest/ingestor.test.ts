import { getEventListeners } from 'node:events';

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryBroker } from '../../../src/adapters/memory/broker.ts';
import { MemorySource, type MemoryCommits } from '../../../src/adapters/memory/source.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import type { PartitionWriter } from '../../../src/ledger/partition-writer.ts';
import type { ReadRequest, ReadResult } from '../../../src/ports/record-source.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import type { LogId } from '../../../src/record/log-id.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import {
  consumeAll,
  entriesOf,
  openStream,
  orders,
  rangesOf,
  TestConsumer,
  type TestConsumerOptions,
} from '../../support/ingest.ts';
import { never, TestLedger } from '../../support/ledger.ts';
import { warningsOf } from '../../support/warnings.ts';
import { HaltError, UnavailableError } from '../../../src/errors.ts';

let test: TestLedger;
let broker: MemoryBroker;
let log: LogId;

beforeEach(async () => {
  ({ test, broker, log } = await openStream());
});

const consume = (options: TestConsumerOptions = {}): Promise<TestConsumer> => consumeAll(test, broker, options);

/**
 * Every offset of the log exactly once and in order, with as many records as the broker has there unless they were deleted
 * before they were read, and nothing in the store that verify objects to.
 */
async function expectWhole(from: number, to: number, id = log): Promise<void> {
  let next = from;
  for (const entry of await entriesOf(test, id)) {
    if (!('start' in entry)) continue;
    expect(entry.start).toBe(next);
    next = entry.end;
    const { earliest } = broker.bounds(id);
    if (entry.kind !== 'batch' || entry.start < earliest) continue;
    expect(entry.records).toBe(broker.recordsIn(id, entry.start, entry.end));
  }
  expect(next).toBe(to);
  const report = await verifyPipeline(test.reopened(), { deep: true, format: parquetFormat, signal: never });
  expect(report.problems).toEqual([]);
}

describe('a one-pass run', () => {
  it('reads all partitions to where they ended when it began, and stops', async () => {
    const other = broker.create('orders', 1);
    broker.append(log, orders(25));
    broker.append(other, orders(7));
    const { committed, halts, retries, reading } = await consume();
    expect(committed.reduce((sum, { records }) => sum + records, 0)).toBe(32);
    expect([halts, retries]).toEqual([[], []]);
    expect([...reading].toSorted()).toEqual(['test/orders/0', 'test/orders/1']);
    await expectWhole(0, 25);
    await expectWhole(0, 7, other);
  });

  it('waits for many partitions at once, warns of no leak, and leaves nothing behind', async () => {
    for (let i = 0; i < 60; i++) broker.append(i === 0 ? log : broker.create('orders', i), orders(12));
    const { clock } = test;
    const sleep = clock.sleep.bind(clock);
    const signals = new Set<AbortSignal>();
    clock.sleep = async (ms, signal) => {
      if (signal === undefined) return sleep(ms);
      signals.add(signal);
      const listen = (): void => undefined;
      signal.addEventListener('abort', listen);
      await sleep(ms, signal);
      signal.removeEventListener('abort', listen);
    };
    const warnings = await warningsOf(async () => {
      const { committed } = await consume();
      expect(committed.reduce((sum, { records }) => sum + records, 0)).toBe(720);
    });
    expect(warnings).toEqual([]);
    // A signal of its own for each partition would stay with the process's, for as long as that lives.
    expect(signals.size).toBeLessThan(10);
    for (const signal of signals) expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends at once where there is nothing', async () => {
    expect((await consume()).committed).toEqual([]);
    expect((await entriesOf(test, log)).map(({ kind }) => kind)).toEqual(['open']);
  });

  it('goes on where the log ends, and claims no more than it must', async () => {
    broker.append(log, orders(12));
    await consume();
    broker.append(log, orders(3, 12));
    const { committed } = await consume({ seed: 1 });
    expect(committed.map(({ start, end }) => [start, end])).toEqual([[12, 15]]);
    await consume({ seed: 2 });
    await expectWhole(0, 15);
    expect((await entriesOf(test, log)).map(({ kind }) => kind)).toEqual(['open', 'batch', 'batch', 'open', 'batch']);
  });

  it('asks for no offset twice, though chunks reach across cuts', async () => {
    broker.append(log, orders(95));
    const asked: number[] = [];
    class Watched extends MemorySource {
      override async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal) {
        const larger = requests.map((request) => ({ ...request, recordsMax: 37 }));
        const results = await super.poll(larger, waitMs, signal);
        for (const result of results) if (result.kind === 'records') asked.push(result.chunk.from);
        return results;
      }
    }
    await consume({ source: new Watched(broker, test.clock) });
    expect(asked).toEqual([0, 37, 74]);
    await expectWhole(0, 95);
  });

  it('keeps offsets without a record in the count', async () => {
    broker.append(log, orders(4));
    broker.skip(log, 5, 'aborted');
    broker.append(log, orders(2, 9));
    await consume();
    await expectWhole(0, 11);
    const entry = (await entriesOf(test, log)).at(-1);
    expect(entry).toMatchObject({ kind: 'batch', records: 6, skipped: { aborted: 5 } });
  });
});

describe('a cut', () => {
  it.each([
    [
      'records',
      { recordsMax: 4 },
      [
        [0, 4],
        [4, 8],
        [8, 9],
      ],
    ],
    [
      'bytes',
      { bytesMax: 100 },
      [
        [0, 3],
        [3, 6],
        [6, 9],
      ],
    ],
  ])('comes with the %s that a batch may have', async (_, limits, ranges) => {
    broker.append(log, orders(9));
    const { committed } = await consume({ limits });
    expect(committed.map(({ start, end }) => [start, end])).toEqual(ranges);
    await expectWhole(0, 9);
  });

  it('comes with the age of the batch, where records are few', async () => {
    broker.append(log, orders(3));
    const consumer = new TestConsumer(test, broker, { once: false, limits: { ageMaxMs: 5_000 } });
    const running = consumer.run();
    await expect.poll(() => consumer.committed.length).toBe(1);
    broker.append(log, orders(2, 3));
    await expect.poll(() => consumer.committed.length).toBe(2);
    consumer.stop();
    await running;
    await expectWhole(0, 5);
  });
});

describe('the end of a process', () => {
  it('commits what was read when it is told to stop', async () => {
    broker.append(log, orders(15));
    const consumer = new TestConsumer(test, broker, { once: false, limits: { ageMaxMs: 1e12 } });
    const running = consumer.run();
    await expect.poll(() => consumer.committed.length).toBe(1);
    consumer.stop();
    await running;
    await expectWhole(0, 15);
  });

  it('drops what was read when the time to drain is over', async () => {
    broker.append(log, orders(15));
    const consumer = new TestConsumer(test, broker, { once: false, limits: { ageMaxMs: 1e12 } });
    const running = consumer.run();
    await expect.poll(() => consumer.committed.length).toBe(1);
    consumer.kill();
    await running;
    await expectWhole(0, 10);
    await consume({ seed: 1 });
    await expectWhole(0, 15);
  });
});

describe('a partition that moves', () => {
  it('is read on by the next owner from the log, not from what the last one had buffered', async () => {
    const commits: MemoryCommits = new Map();
    broker.append(log, orders(14));
    const first = new TestConsumer(test, broker, { once: false, commits, limits: { ageMaxMs: 1e12 } });
    const running = first.run();
    await expect.poll(() => first.committed.length).toBe(1);
    first.source.assign(null);
    const second = await consume({ commits, seed: 1 });
    expect(second.committed.map(({ start, end }) => [start, end])).toEqual([[10, 14]]);
    first.source.assign([log]);
    broker.append(log, orders(10, 14));
    await expect.poll(() => first.committed.length).toBeGreaterThan(1);
    first.stop();
    await running;
    await expectWhole(0, 24);
  });

  it('is fought over by two processes that both believe it is theirs, and no record is lost or doubled', async () => {
    const contenders = [0, 1].map(
      (seed) => new TestConsumer(test, broker, { once: false, seed, limits: { recordsMax: 5, ageMaxMs: 1_000 } }),
    );
    const running = contenders.map((each) => each.run());
    for (let sent = 0; sent < 60; sent += 6) {
      broker.append(log, orders(6, sent));
      const covered = async () => (await rangesOf(test, log)).at(-1)?.[2];
      await expect.poll(covered, { timeout: 20_000 }).toBe(sent + 6);
    }
    for (const each of contenders) each.stop();
    await Promise.all(running);
    await expectWhole(0, 60);
    expect(
      contenders.flatMap(({ halts }) => halts.map(({ code }) => code)).filter((code) => code !== 'FOREIGN_WRITER'),
    ).toEqual([]);
  });

  it('stops when another deployment writes to it', async () => {
    broker.append(log, orders(3));
    await consume();
    broker.append(log, orders(3, 3));
    const { halts } = await consume({ deployment: 'elsewhere', seed: 1 });
    expect(halts).toMatchObject([{ code: 'FOREIGN_WRITER' }]);
    await expectWhole(0, 3);
  });
});

describe('records that are no longer there', () => {
  beforeEach(async () => {
    broker.append(log, orders(10));
    await consume();
    broker.append(log, orders(20, 10));
  });

  it('stop the partition, and name the offsets', async () => {
    broker.deleteBefore(log, 15);
    const { halts, reading } = await consume({ seed: 1 });
    expect(halts).toMatchObject([
      { log: 'test/orders/0', code: 'GAP', next: 10, message: expect.stringContaining('10 to 14') },
    ]);
    expect([...reading]).toEqual([]);
    await expectWhole(0, 10);
  });

  it('are signed for as a gap where the configuration says so', async () => {
    broker.deleteBefore(log, 15);
    const { halts } = await consume({ seed: 1, onGap: 'continue' });
    expect(halts).toEqual([]);
    expect((await rangesOf(test, log)).slice(0, 2)).toEqual([
      ['batch', 0, 10],
      ['gap', 10, 15],
    ]);
    await expectWhole(0, 30);
  });

  it('are signed for also when they vanish while others are read', async () => {
    const source = new Interrupted(() => broker.deleteBefore(log, 27));
    const { halts } = await consume({ seed: 1, onGap: 'continue', source });
    expect(halts).toEqual([]);
    expect(await rangesOf(test, log)).toContainEqual(['gap', 14, 27]);
    await expectWhole(0, 30);
  });

  it('are signed for once where two processes do so at the same moment, and neither stops', async () => {
    broker.deleteBefore(log, 15);
    let isFirst = true;
    class Overtaken extends StoreDecorator {
      override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
        if (isFirst && key === test.ledger.layout.slot(log, 2)) {
          isFirst = false;
          const other = await test.newWriter(log, { writer: 'other' });
          await other.claim({ next: 0, label: null }, never);
          await other.commit({ kind: 'gap', start: 10, end: 15, reason: 'retention' }, never);
        }
        return super.create(key, bytes);
      }
    }
    const { halts } = await consume({ seed: 1, onGap: 'continue', store: new Overtaken(test.store) });
    expect([isFirst, halts]).toEqual([false, []]);
    expect((await rangesOf(test, log)).filter(([kind]) => kind === 'gap')).toEqual([['gap', 10, 15]]);
    await expectWhole(0, 30);
  });

  it('stop the partition where its end lies before what is committed', async () => {
    broker.truncate(log, 8);
    expect((await consume({ seed: 1 })).halts).toMatchObject([{ code: 'LOG_TRUNCATED', next: 10 }]);
  });

  it('stop the partition where others lie in their place', async () => {
    broker.truncate(log, 5);
    broker.append(log, orders(30, 100));
    expect((await consume({ seed: 1 })).halts).toMatchObject([{ code: 'LEADER_EPOCH', next: 10 }]);
    await expectWhole(0, 10);
  });

  it('stop the partition where the topic was made anew', async () => {
    broker.create('orders', 0);
    broker.append(log, orders(30, 100));
    expect((await consume({ seed: 1 })).halts).toMatchObject([
      { code: 'LOG_TRUNCATED', next: 10, message: expect.stringContaining('made again') },
    ]);
    await expectWhole(0, 10);
  });

  it('stop the partition where the topic is made anew while it is read', async () => {
    const source = new Interrupted(() => {
      broker.create('orders', 0);
      broker.append(log, orders(90, 100));
    });
    const { halts } = await consume({ seed: 1, source });
    expect(halts).toMatchObject([{ code: 'LOG_TRUNCATED', next: 14 }]);
    await expectWhole(0, 14);
  });

  it('stop the partition while it is read; what came before is committed', async () => {
    const source = new Interrupted(() => broker.deleteBefore(log, 27));
    const { halts } = await consume({ seed: 1, source });
    expect(halts).toMatchObject([{ code: 'GAP', next: 14 }]);
    await expectWhole(0, 14);
  });
});

describe('a store that was rolled back', () => {
  it('is noticed by what the source remembers', async () => {
    const commits: MemoryCommits = new Map();
    broker.append(log, orders(20));
    await consume({ commits });
    const last = (await entriesOf(test, log)).length - 1;
    await test.store.delete(test.ledger.layout.slot(log, last));
    const { halts } = await consume({ commits, seed: 1 });
    expect(halts).toMatchObject([{ code: 'STORE_ROLLED_BACK' }]);
  });
});

describe('a batch that cannot be committed', () => {
  it('halts its partition each time at the same place, which does not count as going on meanwhile', async () => {
    const unfaithful = new (class extends StoreDecorator {
      override create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
        if (!key.includes('/evidence/')) return this.inner.create(key, bytes);
        return Promise.reject(new HaltError('ENCODING_UNFAITHFUL', 'Cannot encode: planned fault'));
      }
    })(test.store);
    broker.append(log, orders(12));
    for (const seed of [0, 1]) {
      const { halts, reading } = await consume({ seed, store: unfaithful });
      expect(halts).toMatchObject([{ code: 'ENCODING_UNFAITHFUL', next: 0 }]);
      expect([...reading]).toEqual([]);
    }
    expect([...(await consume({ seed: 2 })).reading]).toEqual(['test/orders/0']);
  });
});

describe('a rule that halts', () => {
  const rules = [{ kind: 'range', name: 'ids', column: 'id', max: 11, action: 'halt' }] as const;

  it('commits the batch that broke it, stops there, and goes on after resume', async () => {
    broker.append(log, orders(25));
    const first = await consume({ rules });
    expect(first.halts).toMatchObject([{ code: 'RULE', next: 20 }]);
    expect(first.committed.map(({ judged }) => judged.outcome)).toEqual(['undecided', 'suspect']);
    const again = await consume({ rules, seed: 1 });
    // It is the same halt: what is told of it makes the id of its alert.
    expect(again.halts).toEqual(first.halts);
    expect(again.halts[0]!.message).toContain('headgate quarantine show test/orders/0@19 ');
    expect(again.committed).toEqual([]);
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'looking' });
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'known' });
    const last = await consume({ rules: [], seed: 2 });
    expect([last.halts, last.committed.length]).toEqual([[], 1]);
    await expectWhole(0, 25);
  });
});

describe('a partition that a rule has halted', () => {
  it('stays halted whatever was resumed before its batch was committed', async () => {
    const rules = [{ kind: 'range', name: 'ids', column: 'id', max: 5, action: 'halt' }] as const;
    const consumer = new TestConsumer(test, broker, { rules, once: false, limits: { ageMaxMs: 1e12 } });
    broker.append(log, orders(5));
    const running = consumer.run();
    // The five records are in an open batch by then; were they not, the resume would be read with it.
    await expect.poll(() => test.reopened().logs.head(log)).not.toBeNull();
    await new Promise((done) => setTimeout(done, 300));
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'another partition' });
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'another partition' });
    broker.append(log, orders(5, 5));
    await expect.poll(() => consumer.halts.length).toBe(1);
    broker.append(log, orders(10, 10));
    const again = await consume({ rules, seed: 1 });
    consumer.stop();
    await running;
    expect([consumer.resumed, again.committed]).toEqual([[], []]);
    const { control, logs } = test.ledger;
    expect((await logs.head(log))!.haltedAt).toBe((await control.head()).newest!.entry.seq);
  });

  it('goes on in the same process after a resume', async () => {
    broker.append(log, orders(25));
    const rules = [{ kind: 'range', name: 'ids', column: 'id', max: 11, action: 'halt' }] as const;
    const consumer = new TestConsumer(test, broker, { rules, once: false, limits: { ageMaxMs: 1_000 } });
    const running = consumer.run();
    await expect.poll(() => consumer.halts.length).toBe(1);
    await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'looking' });
    await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'known' });
    // The next batch breaks the rule again.
    await expect.poll(() => consumer.halts.length).toBe(2);
    consumer.stop();
    await running;
    expect(consumer.resumed).toEqual(['test/orders/0']);
    await expectWhole(0, 25);
  });
});

describe('a process that is told to stop now', () => {
  it('ends although a batch is on its way and the source has halted', async () => {
    broker.append(log, orders(12));
    const stuck = new StuckStore(test.store);
    class Halting extends MemorySource {
      polls = 0;
      override async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal) {
        if (++this.polls === 2) broker.deleteBefore(log, 12);
        if (this.polls === 2) broker.append(log, orders(9, 12));
        return super.poll(requests, waitMs, signal);
      }
    }
    const consumer = new TestConsumer(test, broker, {
      store: stuck,
      source: new Halting(broker, test.clock),
      once: false,
    });
    const running = consumer.run();
    await expect.poll(() => stuck.waiting).toBeGreaterThan(0);
    consumer.kill();
    stuck.release();
    await running;
    await consume({ seed: 1, onGap: 'continue' });
    await expectWhole(0, 21);
  });
});

describe('a claim that is lost in a one-pass run', () => {
  it('is taken again, and everything is read', async () => {
    broker.append(log, orders(30));
    let stolen = false;
    class Stealing extends StoreDecorator {
      override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
        if (!stolen && key.endsWith(String(2).padStart(20, '0'))) {
          stolen = true;
          const thief = await test.newWriter(log, { writer: 'thief' });
          await thief.claim({ next: 0, label: null }, never);
        }
        return super.create(key, bytes);
      }
    }
    const { halts, committed } = await consume({ store: new Stealing(test.store) });
    expect(stolen).toBe(true);
    expect(halts).toEqual([]);
    expect(committed.reduce((sum, { records }) => sum + records, 0)).toBe(30);
    await expectWhole(0, 30);
  });
});

describe('a claim that is lost again and again', () => {
  it('stops the partition, and tells how far the log was and who gave way', async () => {
    broker.append(log, orders(30));
    class Stealing extends StoreDecorator {
      override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
        if (key.includes('/log/') && kindIn(bytes) === 'batch') {
          const thief = await test.newWriter(log);
          await thief.claim({ next: 0, label: null }, never);
        }
        return super.create(key, bytes);
      }
    }
    const { halts } = await consume({ store: new Stealing(test.store) });
    const { slot } = (await test.ledger.logs.head(log))!;
    expect(halts).toMatchObject([{ code: 'FOREIGN_WRITER', next: 0, fields: { slot, deployment: 'here' } }]);
  });

  it.each(['the gap', 'the claim for it'])('stops it also where what is lost is %s', async (lost) => {
    broker.append(log, orders(30));
    await consume({ limits: { recordsMax: 10 } });
    broker.append(log, orders(30, 30));
    broker.deleteBefore(log, 50);
    const steal = async (): Promise<PartitionWriter> => {
      const thief = await test.newWriter(log);
      await thief.claim({ next: 0, label: null }, never);
      return thief;
    };
    let claims = 0;
    class Stealing extends StoreDecorator {
      override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
        const kind = key.includes('/log/') ? kindIn(bytes) : null;
        if (lost === 'the gap') {
          if (kind === 'gap') await steal();
          return super.create(key, bytes);
        }
        if (kind !== 'open') return super.create(key, bytes);
        if (++claims % 2 === 1) {
          const thief = await steal();
          const { next } = thief.head!;
          await thief.commit({ kind: 'gap', start: next, end: next + 1, reason: 'retention' }, never);
          return super.create(key, bytes);
        }
        // A claim that gets through finds that the log has grown; then it is lost as well.
        const outcome = await super.create(key, bytes);
        await steal();
        return outcome;
      }
    }
    const { halts, retries } = await consume({ seed: 1, onGap: 'continue', store: new Stealing(test.store) });
    const { slot } = (await test.ledger.logs.head(log))!;
    // The newest slot that the one who gives way has seen: of a lost gap the thief's claim, else its own.
    const seen = lost === 'the gap' ? slot : slot - 1;
    expect(retries).toHaveLength(2);
    expect(halts).toMatchObject([{ code: 'FOREIGN_WRITER', fields: { slot: seen, deployment: 'here' } }]);
  });
});

describe('the first records of a topic', () => {
  const value = (text: string) => ({ value: Buffer.from(text) });

  it('do not pin a schema before there are enough of them', async () => {
    broker.append(log, [value('{"id":1,"amount":2}')]);
    const consumer = new TestConsumer(test, broker, { columns: null, once: false, limits: { ageMaxMs: 1e12 } });
    const running = consumer.run();
    await expect.poll(() => consumer.source.assignment()).not.toBeNull();
    broker.append(
      log,
      Array.from({ length: 1_999 }, (_, i) => value(`{"id":${i},"amount":0.5}`)),
    );
    await expect.poll(() => consumer.committed.length, { timeout: 20_000 }).toBeGreaterThan(100);
    consumer.stop();
    await running;
    expect(consumer.committed.reduce((sum, { deadLetters }) => sum + deadLetters, 0)).toBe(0);
    await expectWhole(0, 2_000);
  });

  it('pin none when the process is stopped before there are enough: the next one reads them again', async () => {
    broker.append(log, [value('{"id":1,"amount":2}')]);
    const consumer = new TestConsumer(test, broker, { columns: null, once: false, limits: { ageMaxMs: 1e12 } });
    const running = consumer.run();
    await expect.poll(() => consumer.source.assignment()).not.toBeNull();
    await expect.poll(async () => (await test.ledger.logs.head(log))?.slot).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    consumer.stop();
    await running;
    expect(consumer.committed).toEqual([]);
    expect((await test.ledger.control.head()).state.schemas).toEqual({});
    await consume({ columns: null, seed: 1 });
    await expectWhole(0, 1);
  });

  it('have to do where no more come', async () => {
    broker.append(log, [value('{"id":1,"amount":2}')]);
    const { notes } = await consume({ columns: null });
    expect(notes).toEqual(['orders: schema of 2 columns inferred from 1 record and pinned']);
    await expectWhole(0, 1);
  });

  it('are dead letters where none of them can be decoded, and pin nothing', async () => {
    broker.append(log, [value('{'), value('nonsense'), { value: null }]);
    const first = await consume({ columns: null });
    expect(first.halts).toEqual([]);
    expect(first.committed).toMatchObject([{ records: 3, deadLetters: 3 }]);
    expect((await test.ledger.control.head()).state.schemas).toEqual({});
    broker.append(log, [value('{"id":1}')]);
    const second = await consume({ columns: null, seed: 1 });
    expect(second.committed).toMatchObject([{ records: 1, deadLetters: 0 }]);
    await expectWhole(0, 4);
  });
});

describe('records without any field', () => {
  it('are decoded all the same, under a schema that is pinned', async () => {
    broker.append(log, [{ value: Buffer.from('{}') }, { value: Buffer.from('{}') }]);
    const { committed } = await consume({ columns: null });
    expect(committed).toMatchObject([{ records: 2, deadLetters: 0 }]);
    expect(Object.keys((await test.ledger.control.head()).state.schemas)).toEqual(['orders']);
    await expectWhole(0, 2);
  });
});

describe('a configuration that does not fit the schema', () => {
  it('is told once, column by column', async () => {
    broker.append(log, orders(20));
    const rules = [{ kind: 'range', name: 'prices', column: 'price', min: 0, action: 'quarantine' }] as const;
    const { notes } = await consume({ rules });
    expect(notes).toEqual(['orders: rule "prices" is never checked: column "price" is not in the pinned schema']);
  });
});

describe('an outage', () => {
  it('of the source is waited out', async () => {
    broker.append(log, orders(5));
    const consumer = new TestConsumer(test, broker, { once: false, limits: { ageMaxMs: 1_000 } });
    const running = consumer.run();
    await expect.poll(() => consumer.committed.length).toBe(1);
    consumer.source.fail('the cable is out');
    broker.append(log, orders(5, 5));
    await expect.poll(() => consumer.retries.length).toBeGreaterThan(3);
    consumer.source.fail(null);
    await expect.poll(() => consumer.committed.length).toBe(2);
    consumer.stop();
    await running;
    await expectWhole(0, 10);
  });

  it('of the store is waited out, and one partition that cannot go on leaves the others alone', async () => {
    const sick = broker.create('orders', 1);
    broker.append(log, orders(30));
    broker.append(sick, orders(30));
    const store = new SickStore(test.store, '/1/');
    const { halts } = await consume({ store });
    expect(halts).toEqual([]);
    expect(store.refused).toBe(0);
    await expectWhole(0, 30);
    await expectWhole(0, 30, sick);
  });
});

describe('memory', () => {
  it('stays below its bound, in which one chunk more has room', async () => {
    const logs = [log, ...[1, 2, 3, 4].map((i) => broker.create('orders', i))];
    for (const each of logs) broker.append(each, orders(200));
    const chunkBytes = 10 * orders(1, 199)[0]!.value.length;
    const limits = { recordsMax: 100, memoryBytesMax: 3_000 };
    let held = 0;
    let most = 0;
    class Metered extends MemorySource {
      override async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal) {
        const results = await super.poll(
          requests.slice(0, 1).map((each) => ({ ...each, recordsMax: 10 })),
          waitMs,
          signal,
        );
        held += results.reduce((sum, result) => sum + (result.kind === 'records' ? result.chunk.bytes.length : 0), 0);
        most = Math.max(most, held - committedBytes());
        return results;
      }
    }
    const consumer = new TestConsumer(test, broker, { source: new Metered(broker, test.clock), limits });
    const committedBytes = (): number =>
      consumer.committed.reduce(
        (sum, { start, end }) => sum + orders(end - start, start).reduce((all, { value }) => all + value.length, 0),
        0,
      );
    await consumer.run();
    expect(most).toBeGreaterThan(limits.memoryBytesMax / 2);
    // Two batches of each partition may be on their way to the ledger; they hold what was read before.
    expect(most).toBeLessThanOrEqual(3 * limits.memoryBytesMax + chunkBytes);
    for (const each of logs) await expectWhole(0, 200, each);
  });
});

describe('delivery twice', () => {
  it('changes nothing', async () => {
    broker.append(log, orders(40));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(12), { minLength: 20, maxLength: 20 }), async (backs) => {
        test = await TestLedger.open({ prepared: false });
        const steps = [...backs];
        class Repeating extends MemorySource {
          override async poll(
            requests: readonly ReadRequest[],
            waitMs: number,
            signal: AbortSignal,
          ): Promise<readonly ReadResult[]> {
            const back = steps.shift() ?? 0;
            return super.poll(
              requests.map((each) => ({ ...each, offset: Math.max(0, each.offset - back) })),
              waitMs,
              signal,
            );
          }
        }
        await consume({ source: new Repeating(broker, test.clock) });
        await expectWhole(0, 40);
      }),
      { numRuns: 20 },
    );
  });
});

describe('consumers that meet a topic at the same moment', () => {
  it('agree on one schema', async () => {
    const logs = [0, 1, 2].map((i) => broker.create('new', i));
    logs.forEach((each, i) =>
      broker.append(each, [{ value: Buffer.from(`{"id":${i},"own${i}":true}`) }, { value: Buffer.from('{') }]),
    );
    const consumers = logs.map((each, seed) => {
      const consumer = new TestConsumer(test, broker, { columns: null, seed });
      consumer.source.assign([each]);
      return consumer;
    });
    await Promise.all(consumers.map((each) => each.run()));
    const schemas = await Promise.all(
      logs.map(async (each) =>
        (await entriesOf(test, each)).flatMap((entry) => (entry.kind === 'batch' ? [entry.schema] : [])),
      ),
    );
    expect(new Set(schemas.flat()).size).toBe(1);
    expect(consumers.flatMap(({ notes }) => notes)).toEqual([
      'new: schema of 2 columns inferred from 2 records and pinned',
      'new: 1 of 2 records cannot be decoded and taught nothing',
    ]);
  });
});

/** True for the bytes of a batch's entry. */
function kindIn(bytes: Uint8Array): string | undefined {
  const { dsseEnvelope } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { dsseEnvelope: { payload: string } };
  const statement = Buffer.from(dsseEnvelope.payload, 'base64').toString('utf8');
  return (JSON.parse(statement) as { predicate: { kind?: string } }).predicate.kind;
}

/** Hands out four records at a time; something happens before the second poll. */
class Interrupted extends MemorySource {
  readonly #happen: () => void;
  #polls = 0;

  constructor(happen: () => void) {
    super(broker, test.clock);
    this.#happen = happen;
  }

  override async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal) {
    if (++this.#polls === 2) this.#happen();
    const fewer = requests.map((each) => ({ ...each, recordsMax: 4 }));
    return super.poll(fewer, waitMs, signal);
  }
}

/** Lets no batch through until it is told to. */
class StuckStore extends StoreDecorator {
  waiting = 0;
  #release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  release(): void {
    this.#release();
  }

  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (key.includes('/evidence/')) {
      this.waiting++;
      await this.#released;
    }
    return super.create(key, bytes);
  }
}

/** Refuses the first creates below a part of the store. */
class SickStore extends StoreDecorator {
  refused = 6;
  readonly #part: string;

  constructor(inner: ObjectStore, part: string) {
    super(inner);
    this.#part = part;
  }

  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    if (key.includes(this.#part) && this.refused > 0) {
      this.refused--;
      throw new UnavailableError('STORE_UNAVAILABLE', 'Cannot write: the disk is full');
    }
    return super.create(key, bytes);
  }
}
