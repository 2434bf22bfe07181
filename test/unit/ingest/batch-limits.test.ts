import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { BatchBuilder, type BatchLimits } from '../../../src/ingest/batch-builder.ts';
import { createJsonDecoder } from '../../../src/ingest/decode/json-decoder.ts';
import { BATCH_KEY_BYTES } from '../../../src/record/leaf.ts';
import { makeChunk, type TestRecord } from '../../support/chunk.ts';
import { schemaOf } from './decode/decoded-values.ts';

const NOW_MS = 1_700_000_000_000;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;
const INT64_MAX = 2n ** 63n - 1n;
const LIMITS: BatchLimits = {
  recordsMax: 10_000,
  bytesMax: 1 << 20,
  recordBytesMax: 1_000,
  recordTimeMaxMs: null,
};

function builder(start: number, limits: Partial<BatchLimits>, nowMs: number | null = NOW_MS): BatchBuilder {
  return new BatchBuilder({
    log: { cluster: 'c', topic: 't', partition: '0' },
    topicId: null,
    start,
    limits: { ...LIMITS, ...limits },
    decoder: createJsonDecoder(schemaOf('json', { a: 'int64' })),
    observer: { add: () => undefined },
    batchKey: Buffer.alloc(BATCH_KEY_BYTES),
    nowMs,
  });
}

/** Sizes of the batches that the records make, given `chunkRecords` at a time. */
function cut(
  records: readonly TestRecord[],
  limits: Partial<BatchLimits>,
  nowMs: number | null = NOW_MS,
  chunkRecords = records.length,
): number[] {
  const sizes: number[] = [];
  let batch = builder(0, limits, nowMs);
  for (let at = 0; at < records.length; at += chunkRecords) {
    const chunk = makeChunk(records.slice(at, at + chunkRecords), { from: records[at]!.offset });
    for (let i = 0; i < chunk.count;) {
      i = batch.add(chunk, i);
      if (!batch.full) continue;
      sizes.push(batch.records);
      batch = builder(batch.end, limits, nowMs);
    }
  }
  return batch.records === 0 ? sizes : [...sizes, batch.records];
}

const stamped = (timestamps: readonly (number | bigint)[]): TestRecord[] =>
  timestamps.map((timestamp, offset) => ({ offset, timestamp: BigInt(timestamp), value: '{"a":1}' }));
const every = (stepMs: number, count: number, fromMs = NOW_MS): number[] =>
  Array.from({ length: count }, (_, i) => fromMs + i * stepMs);

describe('the record-time limit of a batch', () => {
  const hourly = { recordTimeMaxMs: HOUR_MS };

  it.each([1, 7, 100, 2_400])('cuts 24 hours by the hour in chunks of %i records', (chunkRecords) => {
    const records = stamped(every(36 * SECOND_MS, 2_400, NOW_MS - DAY_MS));
    expect(cut(records, hourly, NOW_MS, chunkRecords)).toEqual(Array.from({ length: 24 }, () => 100));
  });

  it('never cuts below 100 records', () => {
    expect(cut(stamped(every(2 * HOUR_MS, 12)), hourly)).toEqual([12]);
    expect(cut(stamped(every(HOUR_MS / 10, 250)), hourly)).toEqual([100, 100, 50]);
  });

  it('never cuts below a second', () => {
    expect(cut(stamped(every(5, 1_000)), { recordTimeMaxMs: 1 })).toEqual([200, 200, 200, 200, 200]);
  });

  it.each([0n, -INT64_MAX, INT64_MAX])('makes at most one small batch of a record with timestamp %s', (wild) => {
    const records = stamped(every(SECOND_MS, 2_000));
    const limits = { recordTimeMaxMs: 1_000 * SECOND_MS };
    for (const at of [0, 1, 50, 500, 1_500]) {
      const sizes = cut(
        records.map((record) => (record.offset === at ? { ...record, timestamp: wild } : record)),
        limits,
      );
      expect(sizes.length).toBeLessThanOrEqual(3);
      expect(sizes.slice(0, -1).every((size) => size >= 100)).toBe(true);
    }
  });

  it('goes forward only: late records neither cut nor widen a batch', () => {
    const records = stamped(every(SECOND_MS, 1_000).map((ms, i) => (i % 2 === 1 ? ms - 10 * HOUR_MS : ms)));
    expect(cut(records, { recordTimeMaxMs: 400 * SECOND_MS })).toEqual([400, 400, 200]);
  });

  it('takes timestamps as at most 24 hours away from the wall clock', () => {
    const ages = [
      ...Array.from({ length: 100 }, () => NOW_MS - 40 * DAY_MS),
      NOW_MS - DAY_MS + HOUR_MS - 1,
      NOW_MS - DAY_MS + HOUR_MS,
    ];
    expect(cut(stamped(ages), hourly)).toEqual([101, 1]);
    const future = [...Array.from({ length: 100 }, () => NOW_MS + 40 * DAY_MS), NOW_MS + 90 * DAY_MS];
    expect(cut(stamped(future), hourly)).toEqual([101]);
  });

  it('takes the timestamps of history as they are', () => {
    const records = stamped(every(36 * SECOND_MS, 300, NOW_MS - 400 * DAY_MS));
    expect(cut(records, hourly, null)).toEqual([100, 100, 100]);
    expect(cut(records, hourly)).toEqual([300]);
  });

  it('leaves records without a timestamp aside', () => {
    const records = stamped(every(HOUR_MS, 150)).map((record) => ({ ...record, timestampType: 2, timestamp: 0n }));
    expect(cut(records, hourly)).toEqual([150]);
  });
});

describe('the byte limit of a batch', () => {
  it('counts keys, values and headers, and takes the record that passes it', () => {
    const record = { key: 'k', value: '{"a":1}', headers: [{ name: Buffer.from('n'), value: Buffer.from('v') }] };
    const records: TestRecord[] = Array.from({ length: 10 }, (_, offset) => ({ ...record, offset }));
    const one = builder(0, {});
    one.add(makeChunk(records.slice(0, 1)), 0);
    const headerBytes = 4 + (4 + 1) + (4 + 1);
    expect(one.bytes).toBe(1 + 7 + headerBytes);
    expect(cut(records, { bytesMax: 3 * one.bytes })).toEqual([3, 3, 3, 1]);
    expect(cut(records, { bytesMax: 3 * one.bytes + 1 })).toEqual([4, 4, 2]);
  });

  it('cuts at the same records however they come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(100_000), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 60 }),
        (values, bytesMax, chunkRecords) => {
          const records = values.map((a, offset) => ({ offset, value: JSON.stringify({ a }) }));
          expect(cut(records, { bytesMax }, NOW_MS, chunkRecords)).toEqual(cut(records, { bytesMax }));
        },
      ),
    );
  });
});

describe('the timestamps of a batch', () => {
  it('are the lowest and the highest, as the nearest numbers', () => {
    const batch = builder(0, {});
    batch.add(makeChunk(stamped([5, -7, INT64_MAX, 3])), 0);
    expect(batch.finish().timestamps).toEqual({ firstMs: -7, lastMs: Number(INT64_MAX) });
  });

  it('are null when no record has one', () => {
    const batch = builder(0, {});
    batch.add(makeChunk([{ offset: 0, value: '{}', timestampType: 2 }]), 0);
    expect(batch.finish().timestamps).toBeNull();
  });
});

describe('the offsets of a batch', () => {
  const record = (offset: number): TestRecord => ({ offset, value: '{"a":1}' });

  it('are all accounted for: what a source says nothing of is not taken for compacted', () => {
    const batch = builder(0, {});
    batch.add(makeChunk([record(0), record(2)], { from: 0, nextOffset: 5 }), 0);
    expect(() => batch.add(makeChunk([record(7)], { from: 6 }), 0)).toThrow(
      'Cannot account for offsets 5 to 7 of "c/t/0": the source says nothing of 5',
    );
    const whole = builder(0, {});
    whole.add(makeChunk([record(0), record(2)], { from: 0, nextOffset: 5 }), 0);
    whole.add(makeChunk([record(7)], { from: 5 }), 0);
    expect(whole.finish()).toMatchObject({ records: 3, skipped: { compacted: 5 } });
  });
});
