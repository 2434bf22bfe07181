import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { KafkaSource } from '../../../../src/adapters/kafkajs/kafka-source.ts';
import type { KafkaSourceOptions } from '../../../../src/adapters/kafkajs/options.ts';
import type { HeadgateError } from '../../../../src/errors.ts';
import type { ReadRequest, ReadResult } from '../../../../src/ports/record-source.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { sealBatch, writeBatch, writeMarker } from '../../../support/record-batch.ts';
import { ShiftedClock } from '../../../support/shifted-clock.ts';

const TOPIC_A = 'a'.repeat(32);
const TOPIC_B = 'b'.repeat(32);

let cluster: FakeCluster;
let clock: ShiftedClock;
let sources: KafkaSource[];

beforeEach(async () => {
  cluster = await FakeCluster.start([1]);
  clock = new ShiftedClock();
  sources = [];
});

afterEach(async () => {
  await Promise.all(sources.map((source) => source[Symbol.asyncDispose]()));
  await cluster[Symbol.asyncDispose]();
});

describe('a poll', () => {
  it('asks for committed records only, from the wanted offset', async () => {
    cluster.partitions.set('t/0', { batches: [writeBatch({ baseOffset: 5, records: [{}, {}] })], latest: 7 });
    const source = await open();
    const [result] = await poll(source, [request(0, 5)]);
    expect(result).toMatchObject({ kind: 'records', chunk: { from: 5, nextOffset: 7, count: 2 } });
    expect(cluster.fetches).toMatchObject([
      { readCommitted: true, partitions: [{ topic: 't', partition: 0, offset: 5 }] },
    ]);
  });

  it('hides aborted records as the broker names them', async () => {
    const batches = [
      writeBatch({ baseOffset: 0, producerId: 7n, isTransactional: true, records: [{}] }),
      writeMarker('abort', 7n, 1),
    ];
    cluster.partitions.set('t/0', { batches, aborted: [{ producerId: 7n, firstOffset: 0 }], latest: 2 });
    const [result] = await poll(await open(), [request(0, 0)]);
    expect(result).toMatchObject({ kind: 'records', chunk: { count: 0, nextOffset: 2 } });
  });

  it('without requests waits and returns nothing', async () => {
    const startedMs = performance.now();
    expect(await poll(await open(), [], 50)).toEqual([]);
    expect(performance.now() - startedMs).toBeGreaterThan(45);
  });

  it('of a partition without news says drained', async () => {
    expect(await poll(await open(), [request(0, 0)])).toMatchObject([{ kind: 'drained', ended: false }]);
  });

  it('asks each leader once, all at the same time, and shares the bytes among them', async () => {
    await restart([1, 2]);
    cluster.topics = [{ name: 't', leaders: [1, 2] }];
    for (const partition of [0, 1])
      cluster.partitions.set(`t/${partition}`, { batches: [writeBatch({ records: [{}] })], latest: 1 });
    const results = await poll(await open({ fetchBytesMax: 1_000_000 }), [request(0, 0), request(1, 0)]);
    expect(results.map(({ kind, log }) => [kind, log.partition]).toSorted()).toEqual([
      ['records', '0'],
      ['records', '1'],
    ]);
    expect(cluster.fetches.map(({ nodeId, bytesMax }) => [nodeId, bytesMax]).toSorted()).toEqual([
      [1, 500_000],
      [2, 500_000],
    ]);
  });

  it('asks first for the partitions that were served longest ago', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1, 1] }];
    const full = { batches: [writeBatch({ records: [{}] })], latest: 1 };
    const source = await open();
    cluster.partitions.set('t/0', full);
    const requests = [0, 1, 2].map((partition) => request(partition, 0));
    await poll(source, requests);
    cluster.partitions.set('t/1', full);
    await poll(source, requests.slice(1));
    await poll(source, requests);
    expect(cluster.fetches.at(-1)!.partitions.map(({ partition }) => partition)).toEqual([2, 0, 1]);
  });

  it('says nothing of a partition for which the answer had no room', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1] }];
    cluster.partitions.set('t/0', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    cluster.partitions.set('t/1', { latest: 9 });
    const results = await poll(await open(), [request(0, 0), request(1, 0)]);
    expect(results.map(({ log }) => log.partition)).toEqual(['0']);
  });

  it('stops inflating when its budget is spent, and goes on with the others next time', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1, 1] }];
    const batches = [writeBatch({ codec: 1, records: [{ value: Buffer.alloc(60_000) }] })];
    for (const partition of [0, 1, 2]) cluster.partitions.set(`t/${partition}`, { batches, latest: 1 });
    const source = await open({ batchInflatedBytesMax: 100_000 });
    const requests = [0, 1, 2].map((partition) => request(partition, 0));
    expect((await poll(source, requests)).map(({ log }) => log.partition)).toEqual(['0', '1']);
    expect((await poll(source, requests)).map(({ log }) => log.partition)).toContain('2');
  });

  it('does not wait for a broker that is silent while others answer', async () => {
    await restart([1, 2]);
    cluster.topics = [{ name: 't', leaders: [1, 2] }];
    cluster.partitions.set('t/1', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    cluster.silent.add(1);
    const source = await open();
    const requests = [request(0, 0), request(1, 0)];
    for (let i = 0; i < 3; i++) {
      expect((await poll(source, requests)).map(({ log }) => log.partition)).toEqual(['1']);
    }
    expect(cluster.fetches.filter(({ nodeId }) => nodeId === 2)).toHaveLength(3);
    expect(cluster.brokers.get(1)!.seen).toEqual(['Fetch']);
  });

  it('ends at once when it is aborted, and delivers nothing of the answer that comes later', async () => {
    cluster.silent.add(1);
    const source = await open();
    const aborting = new AbortController();
    const polling = source.poll([request(0, 0)], 10_000, aborting.signal);
    await expect.poll(() => cluster.brokers.get(1)!.seen).toContain('Fetch');
    aborting.abort();
    expect(await polling).toEqual([]);
    expect(await source.poll([request(0, 0)], 10_000, aborting.signal)).toEqual([]);
  });
});

describe('a batch that is damaged', () => {
  const good = writeBatch({ records: [{ value: 'x' }] });
  const damaged = writeBatch({ records: [{ value: 'x' }], crc: 1 });

  it('on the way is fetched again (K1)', async () => {
    let fetches = 0;
    cluster.partitions.set('t/0', () => ({ batches: [fetches++ === 0 ? damaged : good], latest: 1 }));
    const source = await open();
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records' }]);
  });

  it('in the log halts the partition at the second fetch (K1)', async () => {
    cluster.partitions.set('t/0', { batches: [damaged], latest: 1 });
    const source = await open();
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 0)]), 'CRC', { topic: 't', partition: 0, offset: 0, from: 0, to: 1 });
  });

  it('as the broker itself says halts at the second fetch', async () => {
    cluster.partitions.set('t/0', { errorCode: 2 });
    const source = await open();
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 0)]), 'CRC');
  });

  it('does not hold up the other partitions', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1] }];
    cluster.partitions.set('t/0', { batches: [damaged], latest: 1 });
    cluster.partitions.set('t/1', { batches: [good], latest: 1 });
    expect(await poll(await open(), [request(0, 0), request(1, 0)])).toMatchObject([
      { kind: 'records', log: { partition: '1' } },
    ]);
  });

  it.each([
    ['MAGIC', writeBatch({ magic: 1, records: [{}] })],
    ['CODEC', writeBatch({ codec: 3, records: [{}] })],
    ['ORDER', writeBatch({ lastOffsetDelta: 5, records: [{ offsetDelta: 4 }, { offsetDelta: 2 }] })],
    ['MALFORMED', writeBatch({ records: [{}, {}], recordCount: 1 })],
    ['BOMB', writeBatch({ codec: 1, records: [{ value: Buffer.alloc(2_000_000) }] })],
    ['SIZE_EXCEEDED', sealBatch(writeBatch({ records: [{}], length: 65 * 1024 * 1024 }))],
  ])('beyond repair halts at once: %s', async (code, batch) => {
    cluster.partitions.set('t/0', { batches: [batch], latest: 1 });
    expectHalt(await poll(await open({ batchInflatedBytesMax: 1_000_000 }), [request(0, 0)]), code);
  });
});

describe('a batch that does not fit', () => {
  const large = writeBatch({ records: [{ value: Buffer.alloc(50_000) }] });

  it('is asked for whole next time (K6, K27)', async () => {
    cluster.partitions.set('t/0', ({ bytesMax }) => ({ batches: [large.subarray(0, bytesMax)], latest: 1 }));
    const source = await open({ partitionBytesMax: 4_000 });
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records', chunk: { count: 1 } }]);
    await poll(source, [request(0, 0)]);
    expect(cluster.fetches.map(({ partitions }) => partitions[0]!.bytesMax)).toEqual([4_000, large.length, 4_000]);
  });

  it('ever halts', async () => {
    cluster.partitions.set('t/0', { batches: [large.subarray(0, 40_000)], latest: 1 });
    const source = await open({ partitionBytesMax: 16 * 1024 * 1024 });
    for (let i = 0; i < 3; i++) expect(await poll(source, [request(0, 0)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 0)]), 'MALFORMED');
  });
});

describe('an offset that the broker does not hold', () => {
  const outOfRange = (earliest: number, latest: number): void => {
    cluster.partitions.set('t/0', { errorCode: 1, earliest, latest });
  };

  it('because retention passed it halts with GAP (K13)', async () => {
    outOfRange(10, 20);
    expectHalt(await poll(await open(), [request(0, 5)]), 'GAP', { offset: 5, earliest: 10, latest: 20 });
  });

  it('because the log is shorter halts with LOG_TRUNCATED (K14)', async () => {
    outOfRange(0, 3);
    expectHalt(await poll(await open(), [request(0, 5)]), 'LOG_TRUNCATED', { offset: 5, earliest: 0, latest: 3 });
  });

  it('but does a moment later is read again', async () => {
    outOfRange(0, 8);
    expect(await poll(await open(), [request(0, 5)])).toEqual([]);
  });

  it('because it was deleted while the broker read halts with GAP, and does not count as compacted', async () => {
    const batches = [writeBatch({ baseOffset: 10, records: [{}] })];
    cluster.partitions.set('t/0', { batches, earliest: 10, latest: 11 });
    expectHalt(await poll(await open(), [request(0, 5)]), 'GAP', { earliest: 10 });
  });

  it('because it was compacted is no gap', async () => {
    const batches = [writeBatch({ baseOffset: 10, records: [{}] })];
    cluster.partitions.set('t/0', { batches, earliest: 0, latest: 11 });
    expect(await poll(await open(), [request(0, 5)])).toMatchObject([
      { kind: 'records', chunk: { from: 5, nextOffset: 11 } },
    ]);
  });
});

describe('a leader', () => {
  it('that has moved is followed', async () => {
    await restart([1, 2]);
    cluster.topics = [{ name: 't', leaders: [1] }];
    cluster.partitions.set('t/0', { errorCode: 6 });
    const source = await open();
    const moving = poll(source, [request(0, 0)]);
    cluster.topics = [{ name: 't', leaders: [2] }];
    expect(await moving).toEqual([]);
    cluster.partitions.set('t/0', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records' }]);
    expect(cluster.fetches.map(({ nodeId }) => nodeId)).toEqual([1, 2]);
  });

  it('that is missing is waited for', async () => {
    cluster.topics = [{ name: 't', leaders: [-1] }];
    const source = await open();
    expect(await poll(source, [request(0, 0)], 100)).toEqual([]);
    cluster.topics = [{ name: 't', leaders: [1] }];
    await poll(source, [request(0, 0)], 100);
    expect(await poll(source, [request(0, 0)], 100)).toMatchObject([{ kind: 'drained' }]);
  });

  it('that is gone does not hold up the others; alone it is an outage', async () => {
    await restart([1, 2]);
    cluster.topics = [{ name: 't', leaders: [1, 2] }];
    cluster.partitions.set('t/1', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    const source = await open({ brokers: [cluster.brokers.get(2)!.address] });
    await cluster.brokers.get(1)![Symbol.asyncDispose]();
    cluster.brokers.get(1)!.handlers.clear();
    expect(await poll(source, [request(0, 0), request(1, 0)])).toMatchObject([
      { kind: 'records', log: { partition: '1' } },
    ]);
    await expect(poll(source, [request(0, 0)])).rejects.toMatchObject({
      name: 'UnavailableError',
      code: 'SOURCE_UNAVAILABLE',
    });
    cluster.brokers.delete(1);
  });

  it('that denies access to the topic is an outage that names it (K30)', async () => {
    cluster.partitions.set('t/0', { errorCode: 29 });
    await expect(poll(await open(), [request(0, 0)])).rejects.toThrow(/denies access to topic "t"/);
  });
});

describe('a topic', () => {
  it('that is deleted halts once it has been unknown for 5 s, not before (K19)', async () => {
    cluster.topics = [
      { name: 't', leaders: [1], id: TOPIC_A },
      { name: 'u', leaders: [1] },
    ];
    cluster.partitions.set('u/0', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    const source = await open({ topics: ['t', 'u'] });
    cluster.topics = [{ name: 't', leaders: [], errorCode: 3 }, cluster.topics[1]!];
    cluster.partitions.set('t/0', { errorCode: 3 });
    const both = [request(0, 0), { ...request(0, 0), log: { cluster: 'c', topic: 'u', partition: '0' } }];
    const kinds = async (): Promise<string[]> =>
      (await poll(source, both)).map(({ kind, log }) => `${log.topic} ${kind}`);
    for (let i = 0; i < 5; i++) {
      expect(await kinds()).toEqual(['u records']);
      await clock.sleep(100);
    }
    clock.advance(5_001);
    await expect.poll(kinds).toEqual(['t halt', 'u records']);
    expectHalt(await poll(source, [request(0, 0)]), 'TOPIC_GONE');
  });

  it('that is unknown for a moment goes on', async () => {
    const source = await open();
    const known = cluster.topics;
    cluster.topics = [{ name: 't', leaders: [], errorCode: 3 }];
    cluster.partitions.set('t/0', { errorCode: 3 });
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    cluster.topics = known;
    cluster.partitions.set('t/0', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    await poll(source, [request(0, 0)]);
    clock.advance(6_000);
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records' }]);
  });

  it('that lost a partition halts that partition', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1] }];
    const source = await open();
    cluster.topics = [{ name: 't', leaders: [1] }];
    cluster.partitions.set('t/1', { errorCode: 3 });
    await poll(source, [request(1, 0)]);
    await poll(source, [request(1, 0)]);
    clock.advance(5_001);
    await poll(source, [request(1, 0)]);
    expectHalt(await poll(source, [request(1, 0)]), 'TOPIC_GONE');
  });

  it('is asked for by its id, and read alike', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1], id: TOPIC_A }];
    const batches = [
      writeBatch({ baseOffset: 3, producerId: 7n, isTransactional: true, records: [{}] }),
      writeMarker('abort', 7n, 4),
      writeBatch({ baseOffset: 5, records: [{}, {}] }),
    ];
    cluster.partitions.set('t/1', { batches, aborted: [{ producerId: 7n, firstOffset: 3 }], latest: 7 });
    const source = await open();
    const results = await poll(source, [request(0, 0), request(1, 3)]);
    expect(results).toMatchObject([
      { kind: 'drained', log: { partition: '0' } },
      { kind: 'records', log: { partition: '1' }, chunk: { count: 2, from: 3, nextOffset: 7 } },
    ]);
    expect(cluster.fetches[0]!.partitions.map(({ id }) => id)).toEqual([TOPIC_A, TOPIC_A]);
    expect(await source.leaderEpochAt(request(1, 0).log, 5)).toEqual({ covered: true, leaderEpoch: 0 });
  });

  it('that was made again halts before any record of the new one is read, although its log is long enough (K14)', async () => {
    cluster.topics = [{ name: 't', leaders: [1], id: TOPIC_A }];
    cluster.partitions.set('t/0', { batches: [writeBatch({ baseOffset: 5, records: [{}] })], latest: 100 });
    const source = await open();
    expect(await poll(source, [request(0, 5)])).toMatchObject([{ kind: 'records' }]);
    cluster.topics = [{ name: 't', leaders: [1], id: TOPIC_B }];
    expect(await poll(source, [request(0, 5)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 5)]), 'LOG_TRUNCATED');
  });
});

describe('a cluster', () => {
  it('whose id changes behind the same addresses is refused', async () => {
    cluster.partitions.set('t/0', { errorCode: 6 });
    const source = await open();
    cluster.clusterId = 'another';
    await expect(poll(source, [request(0, 0)])).rejects.toThrow(/cluster with "another".*"fake-cluster"/);
  });

  it('without an id cannot be used', async () => {
    cluster.clusterId = null;
    await expect(open()).rejects.toMatchObject({ name: 'ConfigError', code: 'UNSUPPORTED_BROKER' });
  });

  it('that denies a topic is refused at the start, with every fault (K30)', async () => {
    cluster.topics = [
      { name: 't', leaders: [], errorCode: 29 },
      { name: 'u', leaders: [], errorCode: 17 },
    ];
    await expect(open({ topics: ['t', 'u'] })).rejects.toMatchObject({
      name: 'ConfigError',
      faults: [{ path: 'topic "t"' }, { path: 'topic "u"' }],
    });
  });
});

describe('positions', () => {
  it('end at the high watermark; reading from now on starts at the last stable offset', async () => {
    cluster.partitions.set('t/0', { earliest: 3, latest: 20, lastStable: 15 });
    const source = await open();
    const { log } = request(0, 0);
    expect(await source.bounds(log)).toEqual({ earliest: 3, latest: 20 });
    expect(await source.resolveStart(log, { at: 'earliest' })).toBe(3);
    expect(await source.resolveStart(log, { at: 'latest' })).toBe(15);
    expect(await source.resolveStart(log, { at: 'time', timeMs: 9e12 })).toBe(20);
  });

  it.each([
    ['the batch that covers it', 5, { covered: true, leaderEpoch: 4 }],
    ['a control batch that covers it', 7, { covered: true, leaderEpoch: 5 }],
    ['the next batch when it was compacted away', 9, { covered: false, leaderEpoch: 6 }],
    ['nothing at the end of the log', 13, null],
    ['nothing where a batch has none', 12, null],
  ])('have the leader epoch of %s (K15)', async (_, offset, wanted) => {
    const batches = [
      writeBatch({ baseOffset: 4, leaderEpoch: 4, records: [{}, {}, {}] }),
      writeMarker('commit', 1n, 7, 5),
      writeBatch({ baseOffset: 10, leaderEpoch: 6, records: [{}, {}] }),
      writeBatch({ baseOffset: 12, leaderEpoch: -1, records: [{}] }),
    ];
    cluster.partitions.set('t/0', { batches, latest: 13 });
    expect(await (await open()).leaderEpochAt(request(0, 0).log, offset)).toEqual(wanted);
    expect(cluster.fetches.at(-1)).toMatchObject({ readCommitted: false, waitMs: 0 });
  });

  it('out of range have no leader epoch: the bounds have to be read again', async () => {
    cluster.partitions.set('t/0', { errorCode: 1 });
    await expect((await open()).leaderEpochAt(request(0, 0).log, 9)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    });
  });
});

function request(partition: number, offset: number): ReadRequest {
  return {
    log: { cluster: 'fake-cluster', topic: 't', partition: String(partition) },
    offset,
    recordsMax: 50_000,
    bytesMax: 64 * 1024 * 1024,
  };
}

async function restart(nodeIds: readonly number[]): Promise<void> {
  await cluster[Symbol.asyncDispose]();
  cluster = await FakeCluster.start(nodeIds);
}

async function open(options: Partial<KafkaSourceOptions> = {}): Promise<KafkaSource> {
  const source = await KafkaSource.open(
    { brokers: cluster.addresses, clientId: 'c', groupId: 'g', topics: ['t'], fetchWaitMs: 50, ...options },
    { log: () => undefined, clock },
  );
  sources.push(source);
  return source;
}

function poll(source: KafkaSource, requests: readonly ReadRequest[], waitMs = 50): Promise<readonly ReadResult[]> {
  return source.poll(requests, waitMs, new AbortController().signal);
}

function expectHalt(results: readonly ReadResult[], code: string, fields: HeadgateError['fields'] = {}): void {
  expect(results).toHaveLength(1);
  expect(results[0]).toMatchObject({ kind: 'halt', error: { name: 'HaltError', code, fields } });
}
