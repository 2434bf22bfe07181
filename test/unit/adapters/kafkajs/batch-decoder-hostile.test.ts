import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { RecordChunk } from '../../../../src/record/chunk.ts';
import { chunkRecords } from '../../../support/chunk-records.ts';
import { sealBatch, writeBatch, writeMarker, writeRecord, writeVarint } from '../../../support/record-batch.ts';
import type { WrittenRecord } from '../../../support/record-batch.ts';
import { MIB, decodeRun } from './decode-run.ts';

const CODES = ['CRC', 'CODEC', 'BOMB', 'MAGIC', 'ORDER', 'MALFORMED', 'SIZE_EXCEEDED'];
const require = createRequire(import.meta.url);

describe('a batch with a right CRC that contradicts itself is refused', () => {
  const one = payloadOf({});

  it.each([
    ['a length field below a header', { length: 48, payload: one, recordCount: 1 }],
    ['a negative length field', { length: -1, payload: one, recordCount: 1 }],
    ['a negative base offset', { baseOffset: -1n, payload: one, recordCount: 1 }],
    ['a base offset beyond 2^53', { baseOffset: 2n ** 53n, payload: one, recordCount: 1 }],
    ['a negative last offset', { payload: one, recordCount: 1, lastOffsetDelta: -1 }],
    ['a negative record count', { payload: one, recordCount: -1 }],
    ['more records than offsets', { payload: payloadOf({}, {}), recordCount: 2, lastOffsetDelta: 0 }],
    ['more records than bytes', { payload: one, recordCount: 1_000_000, lastOffsetDelta: 2_000_000 }],
    [
      'more records counted than there are',
      { payload: Buffer.concat([one, Buffer.alloc(9)]), recordCount: 2, lastOffsetDelta: 1 },
    ],
    ['fewer records counted than there are', { payload: payloadOf({}, {}), recordCount: 1, lastOffsetDelta: 1 }],
    ['a record longer than the batch', { payload: Buffer.concat([writeVarint(99n), one]), recordCount: 1 }],
    ['a record of negative length', { payload: Buffer.concat([writeVarint(-9n), one]), recordCount: 1 }],
    [
      'a record longer than its fields',
      { payload: recordOf(Buffer.alloc(1), 0n, 0n, -1n, -1n, 0n, Buffer.alloc(1)), recordCount: 1 },
    ],
    [
      'a record that ends inside a number',
      { payload: recordOf(Buffer.from([0, 0x80, 0x80, 0x80, 0x80, 0x80])), recordCount: 1 },
    ],
    ['a key longer than its record', { payload: recordOf(Buffer.alloc(1), 0n, 0n, 50n, -1n, 0n), recordCount: 1 }],
    ['a key of length −2', { payload: recordOf(Buffer.alloc(1), 0n, 0n, -2n, -1n, 0n), recordCount: 1 }],
    [
      'a value longer than its record',
      { payload: recordOf(Buffer.alloc(1), 0n, 0n, -1n, 2n ** 30n, 0n), recordCount: 1 },
    ],
    ['a negative header count', { payload: recordOf(Buffer.alloc(1), 0n, 0n, -1n, -1n, -1n), recordCount: 1 }],
    [
      'a header count beyond its record',
      { payload: recordOf(Buffer.alloc(1), 0n, 0n, -1n, -1n, 2n ** 30n), recordCount: 1 },
    ],
    [
      'a header without a name',
      { payload: recordOf(Buffer.alloc(1), 0n, 0n, -1n, -1n, 1n, -1n, 0n, 0n), recordCount: 1 },
    ],
    [
      'a header value beyond its record',
      { payload: recordOf(Buffer.alloc(1), 0n, 0n, -1n, -1n, 1n, 0n, 9n), recordCount: 1 },
    ],
    [
      'a length of more than 32 bits',
      { payload: recordOf(Buffer.alloc(1), 0n, 2n ** 33n, -1n, -1n, 0n), recordCount: 1 },
    ],
    [
      'a length of more than 5 bytes',
      { payload: recordOf(Buffer.alloc(1), 0n, Buffer.alloc(6, 0x80), 0n, 0n, 0n), recordCount: 1 },
    ],
    [
      'a time of more than 64 bits',
      { payload: recordOf(Buffer.alloc(1), Buffer.alloc(11, 0xff), 0n, -1n, -1n, 0n), recordCount: 1 },
    ],
  ])('%s', (_, batch) => {
    for (const codec of 'length' in batch ? [0] : [0, 1]) {
      expect(decodeRun([writeBatch({ ...batch, codec })])).toMatchObject({
        chunk: null,
        refused: { code: 'MALFORMED' },
      });
    }
  });
});

describe('hostile bytes', () => {
  it('cut off at any byte give the batches before the cut and nothing else (K6)', () => {
    const batches = sampleBatches();
    const bytes = Buffer.concat(batches);
    const ends = batches.map((_, i) => Buffer.concat(batches.slice(0, i + 1)).length);
    for (let cut = 0; cut < bytes.length; cut++) {
      const whole = ends.filter((end) => end <= cut).length;
      const { chunk, refused } = decodeRun([bytes.subarray(0, cut)]);
      expect(refused).toBeNull();
      expect(chunk?.nextOffset ?? 0).toBe([0, 3, 4, 6, 7][whole]);
      if (chunk !== null) expectSound(chunk);
    }
  });

  it('never give anything but a sound chunk or a named refusal (20,000 mutations)', { timeout: 60_000 }, () => {
    const bytes = Buffer.concat(sampleBatches());
    let refusals = 0;
    let slowestMs = 0;
    fc.assert(
      fc.property(
        fc.array(mutation(bytes.length), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        fc.nat(8),
        (mutations, seal, wanted) => {
          const mutated = Buffer.from(bytes);
          for (const { at, value } of mutations) mutated[at] = value;
          if (seal) sealAll(mutated);
          const startedMs = performance.now();
          const { chunk, refused } = decodeRun([mutated], {
            wanted,
            aborted: [{ producerId: 9n, firstOffset: 0 }],
            batchInflatedBytesMax: MIB,
          });
          slowestMs = Math.max(slowestMs, performance.now() - startedMs);
          if (refused !== null) {
            refusals++;
            expect(CODES).toContain(refused.code);
            expect(chunk).toBeNull();
          }
          if (chunk !== null) expectSound(chunk);
        },
      ),
      { numRuns: 20_000 },
    );
    expect(refusals).toBeGreaterThan(1_000);
    expect(slowestMs).toBeLessThan(250);
  });

  it('of no batch at all are refused or wait for more (10,000 random buffers)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const { chunk, refused, cutOffBytes } = decodeRun([Buffer.from(bytes)]);
        expect(chunk).toBeNull();
        expect(refused !== null || cutOffBytes !== null || bytes.length === 0).toBe(true);
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('kafkajs as the other implementation', () => {
  const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as { RecordBatch: KafkajsRecordBatch };
  const KafkajsRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as KafkajsRecordEncoder;
  const bytesOrNull = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });
  const record = fc.record({
    key: bytesOrNull,
    value: bytesOrNull,
    timestampDelta: fc.integer({ min: 0, max: 10_000_000 }),
    headers: fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), fc.string({ maxLength: 20 }), {
      noNullPrototype: true,
    }),
  });

  it('encodes batches that decode to the same records', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { minLength: 1, maxLength: 30 }),
        fc.constantFrom(0, 1),
        async (records, compression) => {
          const encoder = await RecordBatch({
            compression,
            firstTimestamp: 1_700_000_000_000,
            maxTimestamp: 1_700_000_000_000,
            lastOffsetDelta: records.length - 1,
            records: records.map(({ key, value, timestampDelta, headers }, offsetDelta) =>
              KafkajsRecord({
                offsetDelta,
                timestampDelta,
                key: key === null ? null : Buffer.from(key),
                value: value === null ? null : Buffer.from(value),
                headers,
              }),
            ),
          });
          const { chunk } = decodeRun([encoder.buffer]);
          expectSound(chunk!);
          const decoded = chunkRecords(chunk!);
          expect(decoded.map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value }))).toEqual(
            records.map(({ key, value, timestampDelta }, offset) => ({
              offset,
              timestamp: 1_700_000_000_000n + BigInt(timestampDelta),
              key: key === null ? null : Buffer.from(key).toString('latin1'),
              value: value === null ? null : Buffer.from(value).toString('latin1'),
            })),
          );
          expect(
            decoded.map(({ headers }) => (headers === '' ? 0 : Buffer.from(headers, 'hex').readUInt32BE(0))),
          ).toEqual(records.map(({ headers }) => Object.keys(headers).length));
        },
      ),
      { numRuns: 200 },
    );
  });
});

type KafkajsRecordBatch = (batch: object) => Promise<{ buffer: Buffer }>;
type KafkajsRecordEncoder = (record: object) => object;

/** Four batches at offsets 0–2, 3, 4–5, 6: with headers, a marker, gzip, and one of an aborted producer. */
function sampleBatches(): Buffer[] {
  const headers = [
    ['name', 'value'],
    ['', null],
  ] as const;
  return [
    writeBatch({
      baseOffset: 0,
      baseTimestamp: 1_750_000_000_000n,
      records: [{ key: 'k', headers }, {}, { value: null, timestampDelta: -7n }],
    }),
    writeMarker('commit', 4n, 3),
    writeBatch({ baseOffset: 4, codec: 1, records: [{ key: 'packed', headers }, { value: Buffer.alloc(300, 1) }] }),
    writeBatch({ baseOffset: 6, producerId: 8n, isTransactional: true, records: [{ value: 'transactional' }] }),
  ];
}

/** One byte anywhere; small, large and flipped-sign values more often than others. */
function mutation(length: number): fc.Arbitrary<{ at: number; value: number }> {
  return fc.record({
    at: fc.nat(length - 1),
    value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xfe, 0xff)),
  });
}

/** Gives every batch a CRC that fits, as far as the length fields can still be followed. */
function sealAll(bytes: Buffer): void {
  for (let at = 0; at + 61 <= bytes.length;) {
    const size = 12 + bytes.readInt32BE(at + 8);
    if (size < 61 || at + size > bytes.length) return;
    sealBatch(bytes.subarray(at, at + size));
    at += size;
  }
}

function expectSound(chunk: RecordChunk): void {
  const { from, nextOffset, count, bytes, headers } = chunk;
  expect(nextOffset).toBeGreaterThan(from);
  let previous = from - 1;
  let inBounds = true;
  for (let i = 0; i < count; i++) {
    const rises = chunk.offsets[i]! > previous && chunk.offsets[i]! < nextOffset;
    previous = chunk.offsets[i]!;
    const key = chunk.keyLengths[i]! < 0 || chunk.keyStarts[i]! + chunk.keyLengths[i]! <= bytes.length;
    const value = chunk.valueLengths[i]! < 0 || chunk.valueStarts[i]! + chunk.valueLengths[i]! <= bytes.length;
    const own = headers === null || headers.starts[i]! + headers.lengths[i]! <= headers.bytes.length;
    inBounds &&= rises && key && value && own && chunk.keyLengths[i]! >= -1 && chunk.valueLengths[i]! >= -1;
  }
  expect(inBounds).toBe(true);
  let at = from;
  for (const span of chunk.spans) {
    expect(span.from).toBe(at);
    expect(span.to).toBeGreaterThan(at);
    at = span.to;
  }
  expect(at).toBe(nextOffset);
}

function payloadOf(...records: WrittenRecord[]): Buffer {
  return Buffer.concat(records.map((record, i) => writeRecord(record, i)));
}

/** A record of raw parts: numbers as variable-length integers, bytes as they are. */
function recordOf(...parts: (bigint | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'bigint' ? writeVarint(part) : part)));
  return Buffer.concat([writeVarint(BigInt(body.length)), body]);
}
