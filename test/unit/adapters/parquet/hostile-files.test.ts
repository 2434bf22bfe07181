import { Utf8, makeData, type RecordBatch } from 'apache-arrow';
import fc from 'fast-check';
import { WriterPropertiesBuilder, readParquet, writeParquet } from 'parquet-wasm';
import { describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../../src/adapters/parquet/format.ts';
import { IntegrityError } from '../../../../src/errors.ts';
import { makeRecordBatch, userColumn } from '../../../../src/ledger/data/arrow-columns.ts';
import type { DecodedColumns } from '../../../../src/record/columns.ts';
import { columnsOf } from '../../../support/columns.ts';

const NAME = 'a batch';

function batchOf({ columns, rows }: DecodedColumns): RecordBatch {
  return makeRecordBatch(
    columns.map((column) => userColumn(column, rows)),
    rows,
  );
}

describe('a Parquet file', () => {
  const good = parquetFormat.encode(
    batchOf(
      columnsOf(
        Array.from({ length: 60 }, (_, i) => ({ id: BigInt(i), city: `city ${i % 7}`, amount: i / 8 })),
        { id: 'int64', city: 'string', amount: 'float64' },
      ),
    ),
    new Map([['key', 'value']]),
  );
  const refused = { name: 'IntegrityError', code: 'PAYLOAD_INVALID', object: NAME };
  /** Longest that one decoding may block the thread, in milliseconds. */
  const BLOCKED_MS_MAX = 2_000;

  /** Decodes hostile bytes: to a batch or to an error of ours, soon. */
  const decode = (bytes: Uint8Array): 'refused' | 'decoded' => {
    const startMs = performance.now();
    try {
      parquetFormat.decode(bytes, NAME);
      return 'decoded';
    } catch (error) {
      expect(error).toBeInstanceOf(IntegrityError);
      expect(error).toMatchObject(refused);
      return 'refused';
    } finally {
      expect(performance.now() - startMs).toBeLessThan(BLOCKED_MS_MAX);
    }
  };

  it('is the same bytes for the same batch', () => {
    const encode = (): Buffer =>
      parquetFormat.encode(batchOf(columnsOf([{ a: 'a' }, { a: null }], { a: 'string' })), new Map([['k', 'v']]));
    const first = encode();
    for (let i = 0; i < 20; i++) expect(encode().equals(first)).toBe(true);
  });

  it('is refused at every length but its own', () => {
    for (let length = 0; length < good.length; length++) expect(decode(good.subarray(0, length))).toBe('refused');
    expect(decode(good)).toBe('decoded');
  });

  it('is refused or decoded when bytes of it have changed: its digest, not its format, tells that', () => {
    const outcomes = { refused: 0, decoded: 0 };
    const change = fc.tuple(fc.nat({ max: good.length - 1 }), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, mask] of changes) bytes[at]! ^= mask;
        outcomes[decode(bytes)]++;
      }),
      { numRuns: 1_500 },
    );
    expect(outcomes.refused).toBeGreaterThan(100);
    expect(decode(good)).toBe('decoded');
  });

  it('is refused or decoded when a stretch of it is gone, doubled or zero', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: good.length }),
        fc.nat({ max: good.length }),
        fc.constantFrom('gone', 'doubled', 'zero'),
        (a, b, how) => {
          const [from, to] = [Math.min(a, b), Math.max(a, b)];
          const stretch = good.subarray(from, to);
          const middle = { gone: [], doubled: [stretch, stretch], zero: [Buffer.alloc(to - from)] }[how];
          decode(Buffer.concat([good.subarray(0, from), ...middle, good.subarray(to)]));
        },
      ),
      { numRuns: 300 },
    );
    expect(decode(good)).toBe('decoded');
  });

  it('is not any bytes', () => {
    const framed = (inner: Uint8Array): Buffer => Buffer.concat([Buffer.from('PAR1'), inner, Buffer.from('PAR1')]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decode(bytes)).toBe('refused');
        expect(decode(framed(bytes))).toBe('refused');
      }),
      { numRuns: 200 },
    );
    for (const text of ['', 'PAR1', 'PAR1PAR1', 'ARROW1', '{}']) expect(decode(Buffer.from(text))).toBe('refused');
  });

  it('is refused when it says that it is enormous', () => {
    const lengths = [0xffff_ffff, 0x7fff_ffff, good.length, good.length - 8, good.length + 1];
    for (const length of lengths) {
      const bytes = Buffer.from(good);
      bytes.writeUInt32LE(length, bytes.length - 8);
      expect(decode(bytes)).toBe('refused');
    }
  });

  it('may hold its rows in several groups, as other writers make them', () => {
    const properties = new WriterPropertiesBuilder().setMaxRowGroupSize(20).build();
    const bytes = writeParquet(readParquet(good), properties);
    expect(parquetFormat.decode(bytes, NAME).batch.numRows).toBe(60);
  });

  it('cannot be made of no rows', () => {
    const { columns } = columnsOf([{ a: 'x' }], { a: 'string' });
    const empty = makeRecordBatch(
      [
        {
          ...userColumn(columns[0]!, 1),
          data: makeData({
            type: new Utf8(),
            length: 0,
            nullCount: 0,
            valueOffsets: new Int32Array(1),
            data: Buffer.alloc(0),
          }),
        },
      ],
      0,
    );
    expect(() => parquetFormat.encode(empty, new Map())).toThrow(RangeError);
    expect(decode(good)).toBe('decoded');
  });
});
