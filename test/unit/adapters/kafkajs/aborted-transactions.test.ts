import { describe, expect, it } from 'vitest';

import type { AbortedTransaction } from '../../../../src/adapters/kafkajs/aborted-transactions.ts';
import { chunkRecords } from '../../../support/chunk-records.ts';
import { writeBatch, writeMarker } from '../../../support/record-batch.ts';
import { MIB, decodeRun } from './decode-run.ts';

describe('transactions', () => {
  it('that were aborted are skipped, those committed and those of others are not (K8)', () => {
    const batches = [
      transactional(0, 1n, 'aborted'),
      transactional(1, 2n, 'committed'),
      writeBatch({ baseOffset: 2, records: [{ value: 'plain' }] }),
      writeMarker('abort', 1n, 3),
      writeMarker('commit', 2n, 4),
      transactional(5, 1n, 'later'),
    ];
    const aborted = [{ producerId: 1n, firstOffset: 0 }];
    expect(values(batches, aborted)).toEqual(['committed', 'plain', 'later']);
    expect(decodeRun(batches, { aborted }).chunk!.spans).toEqual([
      { from: 0, to: 1, leaderEpoch: 0, skip: 'aborted' },
      { from: 1, to: 3, leaderEpoch: 0, skip: null },
      { from: 3, to: 5, leaderEpoch: 0, skip: 'control' },
      { from: 5, to: 6, leaderEpoch: 0, skip: null },
    ]);
  });

  it('that were aborted and began before the fetch, two at once, leak nothing (K9)', () => {
    const aborted = [
      { producerId: 2n, firstOffset: 1 },
      { producerId: 1n, firstOffset: 0 },
    ];
    const batches = [
      transactional(10, 2n, 'second'),
      transactional(11, 1n, 'first'),
      writeMarker('abort', 1n, 12),
      transactional(13, 2n, 'second again'),
      writeMarker('abort', 2n, 14),
      transactional(15, 2n, 'kept'),
    ];
    expect(values(batches, aborted, 10)).toEqual(['kept']);
  });

  it('are not ended by a data record whose key looks like a marker (K10)', () => {
    const key = Buffer.from([0, 0, 0, 0]);
    const batches = [
      writeBatch({
        baseOffset: 0,
        producerId: 1n,
        isTransactional: true,
        records: [{ key, value: 'fake marker' }, { value: 'leak' }],
      }),
      transactional(2, 1n, 'leak too'),
      writeMarker('abort', 1n, 3),
    ];
    expect(values(batches, [{ producerId: 1n, firstOffset: 0 }])).toEqual([]);
  });

  it('of one producer, aborted, committed and aborted again, are told apart', () => {
    const batches = [
      transactional(0, 1n, 'a'),
      writeMarker('abort', 1n, 1),
      transactional(2, 1n, 'b'),
      writeMarker('commit', 1n, 3),
      transactional(4, 1n, 'c'),
      writeMarker('abort', 1n, 5),
    ];
    const aborted = [0, 4].map((firstOffset) => ({ producerId: 1n, firstOffset }));
    expect(values(batches, aborted)).toEqual(['b']);
  });

  it('consisting of markers only advance the position (K11)', () => {
    const { chunk } = decodeRun([writeMarker('commit', 1n, 0), writeMarker('abort', 2n, 1)]);
    expect(chunk).toMatchObject({
      count: 0,
      from: 0,
      nextOffset: 2,
      spans: [{ from: 0, to: 2, leaderEpoch: 0, skip: 'control' }],
    });
    expect(chunk!.bytes).toHaveLength(0);
  });

  it('that were aborted are skipped whatever their batch holds: no inflating, no codec needed', () => {
    const bomb = writeBatch({
      producerId: 1n,
      isTransactional: true,
      codec: 1,
      records: [{ value: Buffer.alloc(5 * MIB) }],
    });
    const unreadable = writeBatch({ baseOffset: 1, producerId: 1n, isTransactional: true, codec: 4, records: [{}] });
    const decoded = decodeRun([bomb, unreadable], {
      aborted: [{ producerId: 1n, firstOffset: 0 }],
      batchInflatedBytesMax: MIB,
    });
    expect(decoded).toMatchObject({ refused: null, inflatedBytes: 0, chunk: { count: 0, nextOffset: 2 } });
  });

  it('whose marker cannot be read are refused', () => {
    const marker = writeBatch({
      producerId: 1n,
      isTransactional: true,
      isControl: true,
      records: [{ key: 'x', value: 'y' }],
    });
    expect(decodeRun([marker])).toMatchObject({ refused: { code: 'MALFORMED' } });
  });
});

function transactional(baseOffset: number, producerId: bigint, value: string): Buffer {
  return writeBatch({ baseOffset, producerId, isTransactional: true, records: [{ value }] });
}

function values(batches: readonly Buffer[], aborted: readonly AbortedTransaction[], wanted = 0): (string | null)[] {
  return chunkRecords(decodeRun(batches, { aborted, wanted }).chunk!).map(({ value }) => value);
}
