import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { BatchBuilder } from '../../../src/ingest/batch-builder.ts';
import { RawRecordsBuilder, type SpareMemory } from '../../../src/ingest/raw-records-builder.ts';
import { createJsonDecoder } from '../../../src/ingest/decode/json-decoder.ts';
import { recomputeLeaves } from '../../../src/ledger/merkle/batch-root.ts';
import { BATCH_KEY_BYTES } from '../../../src/record/leaf.ts';
import { hasValue, type BinaryColumn, type RawRecords } from '../../../src/record/raw-records.ts';
import { makeChunk, type TestRecord } from '../../support/chunk.ts';
import { schemaOf } from './decode/decoded-values.ts';

const LOG = { cluster: 'c', topic: 't', partition: '0' };
const KEY = Buffer.alloc(BATCH_KEY_BYTES, 3);

/** Records that decode and ones that do not, in runs of any length, with and without keys, headers and timestamps. */
const record = fc.record({
  value: fc.oneof(fc.constant('{"a":1}'), fc.constant('{"a":22}'), fc.constant('no'), fc.constant(null)),
  key: fc.option(fc.string({ maxLength: 3 })),
  timestamp: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  timestampType: fc.constantFrom(0, 1),
  headers: fc.oneof(fc.constant([]), fc.constant([{ name: Buffer.from('n'), value: null }])),
});

const text = (column: BinaryColumn, row: number): string | null =>
  hasValue(column, row)
    ? Buffer.from(column.bytes.subarray(column.offsets[row], column.offsets[row + 1])).toString()
    : null;

function recordsOf(raw: RawRecords): unknown[] {
  return Array.from({ length: raw.count }, (_, row) => ({
    offset: raw.offsets[row],
    value: text(raw.values, row),
    key: text(raw.keys, row),
    timestamp: raw.timestamps[row],
    timestampType: raw.timestampTypes[row],
    hasHeaders: raw.headers !== null && raw.headers.offsets[row + 1]! > raw.headers.offsets[row]!,
  }));
}

describe('a batch', () => {
  it('holds every record once, decoded or dead, in order, with the leaf that can be recomputed from it', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 2_500, size: 'large' }),
        fc.integer({ min: 1, max: 2_000 }),
        (some, chunkRecords) => {
          const records: TestRecord[] = some.map((one, i) => ({ ...one, offset: 2 * i }));
          const builder = new BatchBuilder({
            log: LOG,
            topicId: null,
            start: 0,
            limits: { recordsMax: 1e6, bytesMax: 1 << 28, recordBytesMax: 1_000, recordTimeMaxMs: null },
            decoder: createJsonDecoder(schemaOf('json', { a: 'int64' })),
            observer: { add: () => undefined },
            batchKey: KEY,
            nowMs: null,
          });
          for (let at = 0; at < records.length; at += chunkRecords)
            builder.add(makeChunk(records.slice(at, at + chunkRecords), { from: builder.end }), 0);
          const { content, leaves } = builder.finish();
          const { decoded, dead } = content;
          const wanted = records.map(({ headers, ...one }) => ({ ...one, hasHeaders: headers!.length > 0 }));
          const isGood = ({ value }: { value: unknown }): boolean => typeof value === 'string' && value !== 'no';
          expect(recordsOf(decoded.raw)).toEqual(wanted.filter(isGood));
          expect(recordsOf(dead.raw)).toEqual(wanted.filter((one) => !isGood(one)));
          expect(dead.reasons.length).toBe(dead.raw.count);
          const recomputed = recomputeLeaves(LOG, KEY, [decoded.raw, dead.raw]);
          expect(recomputed).toEqual({ leaves, firstWrongOffset: null });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('takes nothing over from the memory that it is built in', () => {
    const records: TestRecord[] = Array.from({ length: 3_000 }, (_, i) => ({
      offset: i,
      value: `{"a":${i},"note":"${'x'.repeat(i % 200)}"}`,
    }));
    let taken = 0;
    const build = (memory: SpareMemory | null): RawRecords => {
      const builder = new RawRecordsBuilder({ memory, recordsExpected: 0 });
      builder.append(makeChunk(records), 0, records.length, Buffer.alloc(32 * records.length), 0);
      return builder.finish();
    };
    const used = build({
      takeSpare: (bytes) => {
        taken++;
        return new Uint8Array(3 * bytes).fill(0xee).buffer;
      },
    });
    expect(taken).toBeGreaterThan(0);
    expect(recordsOf(used)).toEqual(recordsOf(build(null)));
  });

  it.each([0, 7, 1_025, 2_999, 3_000, 100_000])('is the same when %i records were expected', (recordsExpected) => {
    const records: TestRecord[] = Array.from({ length: 3_000 }, (_, i) => ({
      offset: i,
      key: i % 3 === 0 ? null : `k${i}`,
      value: i === 2_000 ? null : `{"a":${i}}`,
    }));
    const leaves = Buffer.from(records.flatMap(({ offset }) => Array.from({ length: 32 }, () => offset & 0xff)));
    const build = (expected: number): RawRecords => {
      const builder = new RawRecordsBuilder({ memory: null, recordsExpected: expected });
      for (let at = 0; at < records.length; at += 500)
        builder.append(makeChunk(records.slice(at, at + 500)), 0, 500, leaves, at * 32);
      return builder.finish();
    };
    const [built, plain] = [build(recordsExpected), build(0)];
    expect(recordsOf(built)).toEqual(recordsOf(plain));
    expect(Buffer.from(built.leaves).subarray(0, leaves.length)).toEqual(leaves);
  });
});
