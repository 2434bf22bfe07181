import { beforeEach, describe, expect, it } from 'vitest';

import type { MemoryBroker } from '../../../src/adapters/memory/broker.ts';
import { MemorySource } from '../../../src/adapters/memory/source.ts';
import { UnavailableError } from '../../../src/errors.ts';
import type { StartPosition } from '../../../src/ports/record-source.ts';
import { formatLogId, type LogId } from '../../../src/record/log-id.ts';
import {
  consumeAll,
  entriesOf,
  openStream,
  orders,
  rangesOf,
  TestConsumer,
  type TestConsumerOptions,
} from '../../support/ingest.ts';
import type { TestLedger } from '../../support/ledger.ts';

const LATEST = { at: 'latest' } as const;

let test: TestLedger;
let broker: MemoryBroker;
let log: LogId;
let other: LogId;

beforeEach(async () => {
  ({ test, broker, log } = await openStream());
  other = broker.create('orders', 1);
});

/** A source that runs `before` each time it is asked where a partition begins. */
class Watched extends MemorySource {
  readonly #before: (log: LogId, start: StartPosition) => Promise<void>;

  constructor(before: (log: LogId, start: StartPosition) => Promise<void>) {
    super(broker, test.clock);
    this.#before = before;
  }

  override async resolveStart(id: LogId, start: StartPosition): Promise<number> {
    await this.#before(id, start);
    return super.resolveStart(id, start);
  }
}

function follow(options: TestConsumerOptions = {}): { consumer: TestConsumer; running: Promise<void> } {
  const consumer = new TestConsumer(test, broker, {
    start: LATEST,
    once: false,
    limits: { ageMaxMs: 1_000 },
    ...options,
  });
  return { consumer, running: consumer.run() };
}

const genesisOf = async (id: LogId): Promise<unknown> => (await entriesOf(test, id).catch(() => []))[0];

describe('start at latest', () => {
  it('is where all partitions begin that a topic has at first, however many are opened after one another', async () => {
    const logs = [log, other, ...Array.from({ length: 38 }, (_, i) => broker.create('orders', i + 2))];
    for (const each of logs) broker.append(each, orders(3));
    const first = new TestConsumer(test, broker, { start: LATEST });
    await first.run();
    expect(first.committed).toEqual([]);
    const added = broker.create('orders', 40);
    broker.append(added, orders(5));
    const second = new TestConsumer(test, broker, { start: LATEST, seed: 1 });
    await second.run();
    expect(second.committed).toMatchObject([{ log: added, start: 0, end: 5 }]);
  });

  it('is in the log before the first record: what comes after is read by whoever comes next', async () => {
    for (const each of [log, other]) broker.append(each, orders(4));
    const first = follow();
    await expect.poll(() => genesisOf(other)).toMatchObject({ kind: 'open', next: 4 });
    expect(await genesisOf(log)).toMatchObject({ kind: 'open', next: 4 });
    first.consumer.kill();
    await first.running;
    expect(first.consumer.committed).toEqual([]);
    for (const each of [log, other]) broker.append(each, orders(3, 4));
    const second = new TestConsumer(test, broker, { start: LATEST, seed: 1 });
    await second.run();
    for (const each of [log, other]) expect(await rangesOf(test, each)).toEqual([['batch', 4, 7]]);
  });

  it('skips nothing that comes between the starts of two processes', async () => {
    broker.append(log, orders(5));
    broker.append(other, orders(5));
    // The second is slow: while it asks where its partition ends, the first begins, and then a record arrives for each.
    let first: ReturnType<typeof follow> | null = null;
    const source = new Watched(async (id, { at }) => {
      if (at !== 'latest' || first !== null) return;
      expect(formatLogId(id)).toBe(formatLogId(other));
      first = follow();
      first.consumer.source.assign([log]);
      await expect.poll(() => genesisOf(log)).toMatchObject({ kind: 'open', next: 5 });
      for (const each of [log, other]) broker.append(each, orders(1, 5));
    });
    source.assign([other]);
    const second = follow({ source, seed: 1 });
    await expect.poll(() => second.consumer.committed.length, { timeout: 5_000 }).toBeGreaterThan(0);
    for (const { consumer, running } of [first!, second]) {
      consumer.stop();
      await running;
    }
    // The topic had begun when the second looked: it begins at the earliest record, and the new one is among them.
    expect(await rangesOf(test, other)).toEqual([['batch', 0, 6]]);
    expect(await rangesOf(test, log)).toEqual([['batch', 5, 6]]);
  });

  it('is no past to skip for a partition that comes to a process later, new or from another', async () => {
    broker.append(log, orders(5));
    const { consumer, running } = follow();
    consumer.source.assign([log]);
    await expect.poll(() => genesisOf(log)).toMatchObject({ kind: 'open', next: 5 });
    const added = broker.create('orders', 2);
    broker.append(added, orders(3));
    consumer.source.assign([log, added]);
    await expect.poll(() => consumer.committed.length, { timeout: 5_000 }).toBe(1);
    consumer.stop();
    await running;
    expect(await rangesOf(test, added)).toEqual([['batch', 0, 3]]);
  });

  it('is asked again after an outage', async () => {
    broker.append(log, orders(5));
    let outages = 2;
    const source = new Watched(async () => {
      if (outages-- > 0) throw new UnavailableError('SOURCE_UNAVAILABLE', 'Cannot reach the source: test');
    });
    const { consumer, running } = follow({ source });
    await expect.poll(() => genesisOf(log), { timeout: 5_000 }).toMatchObject({ kind: 'open', next: 5 });
    consumer.stop();
    await running;
    expect(consumer.halts).toEqual([]);
  });

  describe('where an object that is no entry has taken the first slot of a log', () => {
    const squat = (id: LogId) => test.store.put(test.ledger.layout.slot(id, 0), Buffer.from('not ours'));
    const consume = (seed: number): Promise<TestConsumer> => consumeAll(test, broker, { start: LATEST, seed });

    it('halts the partition of that log alone, when the topic is new and when it is not', async () => {
      const third = broker.create('orders', 2);
      for (const each of [log, other, third]) broker.append(each, orders(5));
      await squat(log);
      expect((await consume(0)).halts).toMatchObject([{ log: formatLogId(log), code: 'STATEMENT_INVALID', next: 0 }]);
      for (const each of [other, third]) expect(await genesisOf(each)).toMatchObject({ kind: 'open', next: 5 });
      const [squatted, added] = [broker.create('orders', 3), broker.create('orders', 4)];
      for (const each of [squatted, added]) broker.append(each, orders(5));
      await squat(squatted);
      const { halts, committed } = await consume(1);
      expect(halts.map((halt) => halt.log).toSorted()).toEqual([log, squatted].map(formatLogId));
      expect(committed).toMatchObject([{ log: added, start: 0, end: 5 }]);
    });

    it('reads a topic by its own logs only', async () => {
      await squat({ ...log, topic: 'a topic before' });
      broker.append(log, orders(5));
      expect((await consume(0)).halts).toEqual([]);
      expect(await genesisOf(log)).toMatchObject({ kind: 'open', next: 5 });
    });

    it('tells from the entries behind it that the topic has begun, however many there are', async () => {
      for (const each of [log, other]) broker.append(each, orders(5));
      const first = new TestConsumer(test, broker, { seed: 0 });
      first.source.assign([log]);
      await first.run();
      for (const name of ['0', '00', '000'])
        await test.store.put(test.ledger.layout.log(log) + name, Buffer.from('not ours'));
      expect((await consume(1)).committed).toMatchObject([{ log: other, start: 0, end: 5 }]);
    });

    it('tells from the entries behind it that the topic has begun', async () => {
      broker.append(log, orders(5));
      broker.append(other, orders(5));
      const first = new TestConsumer(test, broker, { seed: 0 });
      first.source.assign([log]);
      await first.run();
      await squat(log);
      expect((await consume(1)).committed).toMatchObject([{ log: other, start: 0, end: 5 }]);
    });
  });
});
