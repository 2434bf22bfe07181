import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { FakeCluster } from '../../../support/fake-cluster.ts';
import { sealBatch, writeBatch } from '../../../support/record-batch.ts';
import { SourceFixture, expectHalt, poll, request } from './source-fixture.ts';

let fixture: SourceFixture;
let cluster: FakeCluster;

beforeEach(async () => {
  fixture = await SourceFixture.start(1);
  cluster = fixture.cluster;
});

afterEach(() => fixture[Symbol.asyncDispose]());

describe('a batch that is damaged', () => {
  const good = writeBatch({ records: [{ value: 'x' }] });
  const damaged = writeBatch({ records: [{ value: 'x' }], crc: 1 });

  it('on the way is fetched again (K1)', async () => {
    let fetches = 0;
    cluster.partitions.set('t/0', () => ({ batches: [fetches++ === 0 ? damaged : good], latest: 1 }));
    const source = await fixture.open();
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records' }]);
  });

  it('in the log halts the partition at the second fetch (K1)', async () => {
    cluster.partitions.set('t/0', { batches: [damaged], latest: 1 });
    const source = await fixture.open();
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 0)]), 'CRC', { topic: 't', partition: 0, offset: 0, from: 0, to: 1 });
  });

  it('as the broker itself says halts at the second fetch', async () => {
    cluster.partitions.set('t/0', { errorCode: 2 });
    const source = await fixture.open();
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 0)]), 'CRC');
  });

  it('does not hold up the other partitions', async () => {
    cluster.topics = [{ name: 't', leaders: [1, 1] }];
    cluster.partitions.set('t/0', { batches: [damaged], latest: 1 });
    cluster.partitions.set('t/1', { batches: [good], latest: 1 });
    expect(await poll(await fixture.open(), [request(0, 0), request(1, 0)])).toMatchObject([
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
    expectHalt(await poll(await fixture.open({ batchInflatedBytesMax: 1_000_000 }), [request(0, 0)]), code);
  });
});

describe('a batch that does not fit', () => {
  const large = writeBatch({ records: [{ value: Buffer.alloc(50_000) }] });

  it('is asked for whole next time (K6, K27)', async () => {
    cluster.partitions.set('t/0', ({ bytesMax }) => ({ batches: [large.subarray(0, bytesMax)], latest: 1 }));
    const source = await fixture.open({ partitionBytesMax: 4_000 });
    expect(await poll(source, [request(0, 0)])).toEqual([]);
    expect(await poll(source, [request(0, 0)])).toMatchObject([{ kind: 'records', chunk: { count: 1 } }]);
    await poll(source, [request(0, 0)]);
    expect(cluster.fetches.map(({ partitions }) => partitions[0]!.bytesMax)).toEqual([4_000, large.length, 4_000]);
  });

  it('ever halts', async () => {
    cluster.partitions.set('t/0', { batches: [large.subarray(0, 40_000)], latest: 1 });
    const source = await fixture.open({ partitionBytesMax: 16 * 1024 * 1024 });
    for (let i = 0; i < 3; i++) expect(await poll(source, [request(0, 0)])).toEqual([]);
    expectHalt(await poll(source, [request(0, 0)]), 'MALFORMED');
  });
});

describe('an offset that the broker does not hold', () => {
  it('because retention passed it halts with GAP (K13)', async () => {
    cluster.partitions.set('t/0', { errorCode: 1, earliest: 10, latest: 20 });
    const results = await poll(await fixture.open(), [request(0, 5)]);
    expectHalt(results, 'GAP', { offset: 5, earliest: 10, latest: 20 });
    expect(results).toMatchObject([
      { error: { message: expect.stringMatching(/earliest record left is at 10 .*onGap: continue/) as string } },
    ]);
  });

  it('because the log is shorter halts with LOG_TRUNCATED (K14)', async () => {
    cluster.partitions.set('t/0', { errorCode: 1, earliest: 0, latest: 3 });
    expectHalt(await poll(await fixture.open(), [request(0, 5)]), 'LOG_TRUNCATED', {
      offset: 5,
      earliest: 0,
      latest: 3,
    });
  });

  it('but does a moment later is read again', async () => {
    cluster.partitions.set('t/0', { errorCode: 1, earliest: 0, latest: 8 });
    expect(await poll(await fixture.open(), [request(0, 5)])).toEqual([]);
  });

  it('because it was deleted while the broker read halts with GAP, and does not count as compacted', async () => {
    const batches = [writeBatch({ baseOffset: 10, records: [{}] })];
    cluster.partitions.set('t/0', { batches, earliest: 10, latest: 11 });
    expectHalt(await poll(await fixture.open(), [request(0, 5)]), 'GAP', { earliest: 10 });
  });

  it('because it was compacted is no gap', async () => {
    const batches = [writeBatch({ baseOffset: 10, records: [{}] })];
    cluster.partitions.set('t/0', { batches, earliest: 0, latest: 11 });
    expect(await poll(await fixture.open(), [request(0, 5)])).toMatchObject([
      { kind: 'records', chunk: { from: 5, nextOffset: 11 } },
    ]);
  });
});
