import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { FakeCluster } from '../../../support/fake-cluster.ts';
import { writeBatch, writeMarker } from '../../../support/record-batch.ts';
import { SourceFixture, poll, request } from './source-fixture.ts';

let fixture: SourceFixture;
let cluster: FakeCluster;

beforeEach(() => restart(1));

afterEach(() => fixture[Symbol.asyncDispose]());

describe('a poll', () => {
  it('asks for committed records only, from the wanted offset', async () => {
    cluster.partitions.set('t/0', { batches: [writeBatch({ baseOffset: 5, records: [{}, {}] })], latest: 7 });
    const source = await fixture.open();
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
    const [result] = await poll(await fixture.open(), [request(0, 0)]);
    expect(result).toMatchObject({ kind: 'records', chunk: { count: 0, nextOffset: 2 } });
  });

  it('without requests waits and returns nothing', async () => {
    const startedMs = performance.now();
    expect(await poll(await fixture.open(), [], 50)).toEqual([]);
    expect(performance.now() - startedMs).toBeGreaterThan(45);
  });

  it('of a partition without news says drained', async () => {
    expect(await poll(await fixture.open(), [request(0, 0)])).toMatchObject([{ kind: 'drained', ended: false }]);
  });

  it('asks each leader once, all at the same time, and shares the bytes among them', async () => {
    await restart(1, 2);
    cluster.topics = [{ name: 't', leaders: [1, 2] }];
    for (const partition of [0, 1])
      cluster.partitions.set(`t/${partition}`, { batches: [writeBatch({ records: [{}] })], latest: 1 });
    const results = await poll(await fixture.open({ fetchBytesMax: 1_000_000 }), [request(0, 0), request(1, 0)]);
    expect(results.map(({ kind, log }) => `${kind} ${log.partition}`).toSorted()).toEqual(['records 0', 'records 1']);
    expect(new Map(cluster.fetches.map(({ nodeId, bytesMax }) => [nodeId, bytesMax]))).toEqual(
      new Map([
        [1, 500_000],
        [2, 500_000],
      ]),
    );
  });

  it('asks first for the partitions that were served longest ago', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1, 1] }];
    const full = { batches: [writeBatch({ records: [{}] })], latest: 1 };
    const source = await fixture.open();
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
    const results = await poll(await fixture.open(), [request(0, 0), request(1, 0)]);
    expect(results.map(({ log }) => log.partition)).toEqual(['0']);
  });

  it('stops inflating when its budget is spent, and goes on with the others next time', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1, 1] }];
    const batches = [writeBatch({ codec: 1, records: [{ value: Buffer.alloc(60_000) }] })];
    for (const partition of [0, 1, 2]) cluster.partitions.set(`t/${partition}`, { batches, latest: 1 });
    const source = await fixture.open({ batchInflatedBytesMax: 100_000 });
    const requests = [0, 1, 2].map((partition) => request(partition, 0));
    expect((await poll(source, requests)).map(({ log }) => log.partition)).toEqual(['0', '1']);
    expect((await poll(source, requests)).map(({ log }) => log.partition)).toContain('2');
  });

  it('does not wait for a broker that is silent while others answer', async () => {
    await restart(1, 2);
    cluster.topics = [{ name: 't', leaders: [1, 2] }];
    cluster.partitions.set('t/1', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    cluster.silent.add(1);
    const source = await fixture.open();
    const requests = [request(0, 0), request(1, 0)];
    for (let i = 0; i < 3; i++) {
      expect((await poll(source, requests)).map(({ log }) => log.partition)).toEqual(['1']);
    }
    expect(cluster.fetches.filter(({ nodeId }) => nodeId === 2)).toHaveLength(3);
    expect(cluster.brokers.get(1)!.seen).toEqual(['Fetch']);
  });

  it('ends at once when it is aborted, and delivers nothing of the answer that comes later', async () => {
    cluster.silent.add(1);
    const source = await fixture.open();
    const aborting = new AbortController();
    const polling = source.poll([request(0, 0)], 10_000, aborting.signal);
    await expect.poll(() => cluster.brokers.get(1)!.seen).toContain('Fetch');
    aborting.abort();
    expect(await polling).toEqual([]);
    expect(await source.poll([request(0, 0)], 10_000, aborting.signal)).toEqual([]);
  });
});

describe('a leader', () => {
  it('that has moved is followed', async () => {
    await restart(1, 2);
    cluster.topics = [{ name: 't', leaders: [1] }];
    cluster.partitions.set('t/0', { errorCode: 6 });
    const source = await fixture.open();
    const moving = poll(source, [request(0, 0)]);
    cluster.topics = [{ name: 't', leaders: [2] }];
    expect(await moving).toEqual([]);
    cluster.partitions.set('t/0', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records' }]);
    expect(cluster.fetches.map(({ nodeId }) => nodeId)).toEqual([1, 2]);
  });

  it('that is missing is waited for', async () => {
    cluster.topics = [{ name: 't', leaders: [-1] }];
    const source = await fixture.open();
    expect(await poll(source, [request(0, 0)], 100)).toEqual([]);
    cluster.topics = [{ name: 't', leaders: [1] }];
    await poll(source, [request(0, 0)], 100);
    expect(await poll(source, [request(0, 0)], 100)).toMatchObject([{ kind: 'drained' }]);
  });

  it('that is gone does not hold up the others; alone it is an outage', async () => {
    await restart(1, 2);
    cluster.topics = [{ name: 't', leaders: [1, 2] }];
    cluster.partitions.set('t/1', { batches: [writeBatch({ records: [{}] })], latest: 1 });
    const source = await fixture.open({ brokers: [cluster.brokers.get(2)!.address] });
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

  it('that no longer shows the topic to us is an outage that names it (K30)', async () => {
    cluster.partitions.set('t/0', { errorCode: 6 });
    const source = await fixture.open();
    cluster.topics = [{ name: 't', leaders: [], errorCode: 29 }];
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    await expect(poll(source, [request(0, 0)])).rejects.toThrow(/denies access to topic "t"/);
  });

  it('that denies access to the topic is an outage that names it (K30)', async () => {
    cluster.partitions.set('t/0', { errorCode: 29 });
    await expect(poll(await fixture.open(), [request(0, 0)])).rejects.toThrow(/denies access to topic "t"/);
  });
});

async function restart(...nodeIds: readonly number[]): Promise<void> {
  await fixture?.[Symbol.asyncDispose]();
  fixture = await SourceFixture.start(...nodeIds);
  cluster = fixture.cluster;
}
