import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';

import { DiskStore } from '../../../src/adapters/disk/store.ts';
import type { MemoryCommits } from '../../../src/adapters/memory/source.ts';
import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import { UnavailableError } from '../../../src/errors.ts';
import type { ObjectStore } from '../../../src/ports/object-store.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { FakeS3 } from '../../support/fake-s3.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import {
  consumeAll,
  entriesOf,
  openStream,
  orders,
  type TestConsumer,
  type TestConsumerOptions,
} from '../../support/ingest.ts';
import { keysOf, never, type TestLedger } from '../../support/ledger.ts';
import { ANY_ACCOUNT, newS3Store, useS3Account } from '../../support/s3-store.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const STORES: Readonly<Record<string, () => Promise<ObjectStore>>> = {
  memory: async () => new MemoryStore(),
  disk: async () => DiskStore.open(await temporaryFolder()),
  S3: async () => {
    const server = await FakeS3.open();
    onTestFinished(() => server[Symbol.asyncDispose]());
    useS3Account(ANY_ACCOUNT);
    return newS3Store({ endpoint: server.endpoint, bucket: 'bucket', requestTimeoutMs: 15_000 });
  },
};

/** Three batches of one partition, in slots 1 to 3, and more to read. */
async function open(store: ObjectStore = new MemoryStore()) {
  const { test, broker, log } = await openStream(store);
  broker.append(log, orders(30));
  let seed = 0;
  const consume = (options: TestConsumerOptions = {}): Promise<TestConsumer> =>
    consumeAll(test, broker, { ...options, seed: seed++ });
  await consume();
  const slot = (number: number): string => test.ledger.layout.slot(log, number);
  return { test, broker, log, slot, consume, publish: () => test.publisher().publish(never) };
}

async function problems(test: TestLedger) {
  const report = await verifyPipeline(test.reopened(), { deep: false, format: parquetFormat, signal: never });
  return report.problems.map(({ object, code }) => ({ object, code }));
}

describe('a partition log that does not hold what was published', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each(Object.keys(STORES))('is not written to when its last slot is gone: %s', async (name) => {
    const { test, broker, log, slot, consume, publish } = await open(await STORES[name]!());
    await publish();
    const bytes = (await test.store.get(slot(3), 1_000_000))!;
    await test.store.delete(slot(3));
    broker.append(log, orders(10, 30));
    const before = await keysOf(test.store);
    const { halts, committed } = await consume();
    expect(halts).toMatchObject([
      { code: 'SLOT_MISSING', message: expect.stringMatching(/slot 3 is missing.*way out/) },
    ]);
    expect(halts[0]!.message).toContain(test.ledger.layout.log(log));
    expect([committed, await keysOf(test.store)]).toEqual([[], before]);
    // It is the same to those who audit.
    expect(await problems(test)).toContainEqual({ object: slot(3), code: 'SLOT_MISSING' });
    await test.store.create(slot(3), bytes);
    expect((await consume()).committed.map(({ start, end }) => [start, end])).toEqual([[30, 40]]);
    expect(await problems(test)).toEqual([]);
  });

  it('is not begun anew when all of it is gone', async () => {
    const { test, slot, consume, publish } = await open();
    await publish();
    for (const number of [0, 1, 2, 3]) await test.store.delete(slot(number));
    expect((await consume()).halts).toMatchObject([{ code: 'SLOT_MISSING', next: 0 }]);
    expect(await test.store.stat(slot(0))).toBeNull();
    expect(await problems(test)).toContainEqual({ object: slot(0), code: 'SLOT_MISSING' });
  });

  it('is not written to when another entry lies where its end was published', async () => {
    const { test, log, slot, consume, publish } = await open();
    await publish();
    for (const number of [2, 3]) await test.store.delete(slot(number));
    // What an ingest that did not look would have done.
    const writer = await test.newWriter(log);
    for (let i = 0; i < 2; i++) await test.commit(log, {}, writer);
    expect((await consume()).halts).toMatchObject([
      { code: 'CHAIN_BROKEN', message: expect.stringContaining('slot 3 holds entry') },
    ]);
    expect((await problems(test)).map(({ code }) => code)).toContain('CHAIN_BROKEN');
  });

  it('is not written to when only the snapshot that a rollback left behind covers its end', async () => {
    const { test, broker, log, slot, consume, publish } = await open();
    const { snapshot: first } = await publish();
    broker.append(log, orders(10, 30));
    await consume();
    const { snapshot: second } = await publish();
    const baselines = (await test.ledger.control.head()).state.baselines;
    const act = { by: 'a person', ref: 'main', reason: 'poison' } as const;
    await test.act({ kind: 'rollback', ...act, from: second!, to: first!, baselines });
    await test.act({ kind: 'resume', ...act });
    const last = (await entriesOf(test, log)).length - 1;
    await test.store.delete(slot(last));
    broker.append(log, orders(10, 40));
    expect((await consume()).halts).toMatchObject([{ code: 'SLOT_MISSING' }]);
    expect(await problems(test)).toContainEqual({ object: slot(last), code: 'SLOT_MISSING' });
  });

  it('is not written to either once something else was published since that rollback', async () => {
    const { test, broker, log, slot, consume, publish } = await open();
    const { snapshot: first } = await publish();
    broker.append(log, orders(20, 30));
    await consume();
    const end = (await entriesOf(test, log)).length;
    const { snapshot: second } = await publish();
    const baselines = (await test.ledger.control.head()).state.baselines;
    const act = { by: 'a person', ref: 'main', reason: 'poison' } as const;
    await test.act({ kind: 'rollback', ...act, from: second!, to: first!, baselines });
    await test.act({ kind: 'resume', ...act });
    for (let lost = 4; lost < end; lost++) await test.store.delete(slot(lost));
    broker.append(broker.create('orders', 1), orders(10));
    expect((await consume()).halts).toMatchObject([{ code: 'SLOT_MISSING' }]);
    expect(await publish()).toMatchObject({ snapshot: expect.stringMatching(/^[0-9a-f]{64}$/) });
    broker.append(log, orders(10, 50));
    expect((await consume()).halts).toMatchObject([
      { log: 'test/orders/0', code: 'SLOT_MISSING', message: expect.stringContaining(second!) },
    ]);
    expect(await test.store.stat(slot(4))).toBeNull();
  });

  it('stops, and the other partitions go on', async () => {
    const { test, broker, log, slot, consume, publish } = await open();
    await publish();
    await test.store.delete(slot(3));
    const other = broker.create('orders', 1);
    broker.append(other, orders(5));
    const { halts, committed } = await consume();
    expect(halts.map((halt) => halt.log)).toEqual(['test/orders/0']);
    expect(committed.map((batch) => batch.log)).toEqual([other]);
    expect(log.partition).toBe('0');
  });

  it('is told by the snapshot also where the source remembers less, and by the source where it remembers more', async () => {
    const commits: MemoryCommits = new Map();
    const { test, broker, log, slot, consume, publish } = await open();
    await publish();
    commits.set('test/orders/0', { offset: 10, metadata: `1:${(await test.ledger.logs.read(log, 1))!.digest}` });
    const third = (await test.store.get(slot(3), 1_000_000))!;
    await test.store.delete(slot(3));
    expect((await consume({ commits })).halts).toMatchObject([{ code: 'SLOT_MISSING' }]);
    await test.store.create(slot(3), third);
    broker.append(log, orders(10, 30));
    expect((await consume({ commits })).halts).toEqual([]);
    await test.store.delete(slot((await entriesOf(test, log)).length - 1));
    expect((await consume({ commits })).halts).toMatchObject([{ code: 'STORE_ROLLED_BACK' }]);
  });
});

describe('a partition log that was published', () => {
  it('is read on while others commit and publish: what came meanwhile is no loss', async () => {
    const { test, broker, log, consume, publish } = await open();
    broker.append(log, orders(10, 30));
    let isBusy = false;
    const busy = new (class extends StoreDecorator {
      override async get(key: string, bytesMax: number): Promise<Buffer | null> {
        const found = await super.get(key, bytesMax);
        if (!isBusy && key === test.ledger.layout.slot(log, 4)) {
          isBusy = true;
          await test.commit(log);
          await publish();
        }
        return found;
      }
    })(test.store);
    const { halts } = await consume({ store: busy });
    expect([isBusy, halts]).toEqual([true, []]);
    expect(await problems(test)).toEqual([]);
  });

  it('is opened from there, at a cost that does not grow with it', async () => {
    const { test, broker, log, consume, publish } = await open();
    const reads = async (): Promise<number> => {
      const counted = new CountingStore(test.store);
      expect((await consume({ store: counted })).halts).toEqual([]);
      return counted.reads();
    };
    await publish();
    const few = await reads();
    broker.append(log, orders(300, 30));
    await consume();
    await publish();
    expect(await reads()).toBeLessThanOrEqual(few + 2);
  });

  it.each(['only the snapshot names', 'the source names too'])('is looked up once in the slot that %s', async (who) => {
    const { test, broker, log, slot, consume, publish } = await open();
    await publish();
    const third = (await test.ledger.logs.read(log, 3))!;
    const named: MemoryCommits = new Map([['test/orders/0', { offset: 30, metadata: `3:${third.digest}` }]]);
    broker.append(log, orders(10, 30));
    const counted = new CountingStore(test.store);
    const commits = who === 'the source names too' ? { commits: named } : {};
    expect((await consume({ store: counted, ...commits })).halts).toEqual([]);
    expect(counted.keys.filter((key) => key === slot(3))).toHaveLength(1);
  });

  it('is waited for where the store is away', async () => {
    const { test, broker, log, consume, publish } = await open();
    await publish();
    broker.append(log, orders(10, 30));
    let refused = 0;
    const away = new (class extends StoreDecorator {
      override get(key: string, bytesMax: number): Promise<Buffer | null> {
        if (key.includes('/snapshots/') && refused++ < 3)
          return Promise.reject(new UnavailableError('STORE_UNAVAILABLE', 'Cannot read: planned fault'));
        return super.get(key, bytesMax);
      }
    })(test.store);
    const { halts, committed } = await consume({ store: away });
    expect([halts, committed.length, refused]).toEqual([[], 1, 4]);
  });
});
