import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { KafkaSource } from '../../../../src/adapters/kafkajs/kafka-source.ts';
import type { KafkaSourceOptions } from '../../../../src/adapters/kafkajs/options.ts';
import { systemClock } from '../../../../src/adapters/system/clock.ts';
import type { FakeCluster } from '../../../support/fake-cluster.ts';
import { writeBatch, writeMarker } from '../../../support/record-batch.ts';
import { SourceFixture, expectHalt, poll, request } from './source-fixture.ts';

const TOPIC_A = 'a'.repeat(32);
const TOPIC_B = 'b'.repeat(32);

let fixture: SourceFixture;
let cluster: FakeCluster;

beforeEach(async () => {
  fixture = await SourceFixture.start(1);
  cluster = fixture.cluster;
});

afterEach(() => fixture[Symbol.asyncDispose]());

describe('a topic', () => {
  it('that is deleted halts once it has been unknown for 5 s, not before (K19)', async () => {
    cluster.topics = [
      { name: 't', leaders: [1], id: TOPIC_A },
      { name: 'u', leaders: [1] },
    ];
    cluster.partitions.set('u/0', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    const source = await fixture.open({ topics: ['t', 'u'] });
    cluster.topics = [{ name: 't', leaders: [], errorCode: 3 }, cluster.topics[1]!];
    cluster.partitions.set('t/0', { errorCode: 3 });
    const both = [request(0, 0), request(0, 0, 'u')];
    const kinds = async (): Promise<string[]> =>
      (await poll(source, both)).map(({ kind, log }) => `${log.topic} ${kind}`);
    for (let i = 0; i < 5; i++) {
      expect(await kinds()).toEqual(['u records']);
      await fixture.clock.sleep(100);
    }
    fixture.clock.advance(5_001);
    await expect.poll(kinds).toEqual(['t halt', 'u records']);
    expectHalt(await poll(source, [request(0, 0)]), 'TOPIC_GONE');
  });

  it('that is unknown for a moment goes on', async () => {
    const source = await fixture.open();
    const known = cluster.topics;
    cluster.topics = [{ name: 't', leaders: [], errorCode: 3 }];
    cluster.partitions.set('t/0', { errorCode: 3 });
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    cluster.topics = known;
    cluster.partitions.set('t/0', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    await poll(source, [request(0, 0)]);
    fixture.clock.advance(6_000);
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records' }]);
  });

  it('that lost a partition halts that partition', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1] }];
    const source = await fixture.open();
    cluster.topics = [{ name: 't', leaders: [1] }];
    cluster.partitions.set('t/1', { errorCode: 3 });
    await poll(source, [request(1, 0)]);
    await poll(source, [request(1, 0)]);
    fixture.clock.advance(5_001);
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
    const source = await fixture.open();
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
    const source = await fixture.open();
    expect(await poll(source, [request(0, 5)])).toMatchObject([{ kind: 'records' }]);
    cluster.topics = [{ name: 't', leaders: [1], id: TOPIC_B }];
    expect(await poll(source, [request(0, 5)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 5)]), 'LOG_TRUNCATED');
  });
});

describe('a cluster', () => {
  it('whose id changes behind the same addresses is refused', async () => {
    cluster.partitions.set('t/0', { errorCode: 6 });
    const source = await fixture.open();
    cluster.clusterId = 'another';
    await expect(poll(source, [request(0, 0)])).rejects.toThrow(/cluster with "another".*"fake-cluster"/);
  });

  it('without an id cannot be used', async () => {
    cluster.clusterId = null;
    await expect(fixture.open()).rejects.toMatchObject({ name: 'ConfigError', code: 'UNSUPPORTED_BROKER' });
  });

  it('that denies a topic is refused at the start, with every fault (K30)', async () => {
    cluster.topics = [
      { name: 't', leaders: [], errorCode: 29 },
      { name: 'u', leaders: [], errorCode: 17 },
    ];
    await expect(fixture.open({ topics: ['t', 'u'] })).rejects.toMatchObject({
      name: 'ConfigError',
      faults: [{ path: 'topic "t"' }, { path: 'topic "u"' }],
    });
  });
});

describe('positions', () => {
  it('end at the high watermark; reading from now on starts at the last stable offset', async () => {
    cluster.partitions.set('t/0', { earliest: 3, latest: 20, lastStable: 15 });
    const source = await fixture.open();
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
    expect(await (await fixture.open()).leaderEpochAt(request(0, 0).log, offset)).toEqual(wanted);
    expect(cluster.fetches.at(-1)).toMatchObject({ readCommitted: false, waitMs: 0 });
  });

  it('out of range have no leader epoch: the bounds have to be read again', async () => {
    cluster.partitions.set('t/0', { errorCode: 1 });
    await expect((await fixture.open()).leaderEpochAt(request(0, 0).log, 9)).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    });
  });
});

describe('credentials', () => {
  const plain = { mechanism: 'plain', username: 'u', password: 'p' } as const;
  const remote = ['kafka.invalid:9092'];

  it('that would go over the network in clear are warned of', async () => {
    expect(await isWarnedOf({ sasl: plain })).toBe(false);
    expect(await isWarnedOf({ brokers: remote, sasl: { ...plain, mechanism: 'scram-sha-512' } })).toBe(false);
    expect(await isWarnedOf({ brokers: remote, sasl: plain, tls: {} })).toBe(false);
    expect(await isWarnedOf({ brokers: remote, sasl: plain })).toBe(true);
  });
});

async function isWarnedOf(options: Partial<KafkaSourceOptions>): Promise<boolean> {
  const messages: string[] = [];
  const names = { brokers: ['127.0.0.1:1'], clientId: 'c', groupId: 'g', topics: ['t'], connectTimeoutMs: 100 };
  const log = (_: string, message: string): void => void messages.push(message);
  await KafkaSource.open({ ...names, ...options }, { log, clock: systemClock }).catch(() => undefined);
  return messages.some((message) => message.includes('unencrypted'));
}
