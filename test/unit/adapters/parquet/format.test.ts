import { Field, Utf8, type Data, type DataType, type RecordBatch } from 'apache-arrow';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../../src/adapters/parquet/format.ts';
import { makeRecordBatch, systemColumns, userColumn } from '../../../../src/ledger/data/arrow-columns.ts';
import { isValid, type ColumnData, type DecodedColumns } from '../../../../src/record/columns.ts';
import type { RawRecords } from '../../../../src/record/raw-records.ts';
import { columnsOf, type Cell } from '../../../support/columns.ts';

const NAME = 'a batch';
const NO_METADATA: ReadonlyMap<string, string> = new Map();

/** Cells of each column type: the corners, and anything between. */
const CELLS = {
  boolean: fc.boolean(),
  int64: fc.oneof(
    fc.constantFrom(0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)),
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  ),
  float64: fc.oneof(fc.constantFrom(0, -0, Infinity, -Infinity, NaN, Number.MIN_VALUE, Number.MAX_VALUE), fc.double()),
  decimal: fc.bigInt(-(10n ** 38n) + 1n, 10n ** 38n - 1n),
  string: fc.oneof(
    fc.constantFrom('', '\0', ' ', '😀'),
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
  ),
  timestamp: fc.bigInt(-(2n ** 62n), 2n ** 62n),
  json: fc.json(),
} satisfies Record<string, fc.Arbitrary<Cell>>;

type Type = keyof typeof CELLS;

/** Rows of nulls and cells of one type, mostly short, sometimes across several bytes of a validity bitmap. */
function cellsOf(type: Type): fc.Arbitrary<Cell[]> {
  const cell: fc.Arbitrary<Cell> = fc.option(CELLS[type] as fc.Arbitrary<Cell>, { freq: 4 });
  return fc.array(cell, { minLength: 1, maxLength: 40 });
}

function batchOf({ columns, rows }: DecodedColumns): RecordBatch {
  return makeRecordBatch(
    columns.map((column) => userColumn(column, rows)),
    rows,
  );
}

function roundTrip(batch: RecordBatch, metadata = NO_METADATA): RecordBatch {
  return parquetFormat.decode(parquetFormat.encode(batch, metadata), NAME).batch;
}

const bytesOf = (view: ArrayBufferView, from: number, to: number): string =>
  Buffer.from(view.buffer, view.byteOffset + from, to - from).toString('hex');

/** Arrow's own name of a type, with its parameters. */
function typeName({ type }: { readonly type: DataType }): string {
  return (type as { toString(): string }).toString();
}

/** What a column holds, row by row, read from the buffers: null, or the exact bytes of the value. */
function exactValues(data: Data): (string | null)[] {
  return Array.from({ length: data.length }, (_, row) => {
    if (data.nullCount > 0 && !isValid(data.nullBitmap, row)) return null;
    const offsets = data.valueOffsets as Int32Array | undefined;
    const values = data.values as Uint8Array;
    if (offsets !== undefined) return bytesOf(values, offsets[row]!, offsets[row + 1]!);
    if (typeName(data) === 'Bool') return isValid(values, row) ? 'true' : 'false';
    const width = typeName(data).startsWith('Decimal') ? 16 : data.stride * values.BYTES_PER_ELEMENT;
    return bytesOf(values, row * width, (row + 1) * width);
  });
}

const childOf = (batch: RecordBatch, name: string): Data => batch.getChild(name)!.data[0]!;

function expectSameColumns(found: RecordBatch, wanted: RecordBatch): void {
  expect(found.numRows).toBe(wanted.numRows);
  expect(found.schema.fields.map(({ name }) => name)).toEqual(wanted.schema.fields.map(({ name }) => name));
  for (const { name, type } of wanted.schema.fields) {
    expect(typeName(childOf(found, name))).toBe(typeName({ type }));
    expect(exactValues(childOf(found, name))).toEqual(exactValues(childOf(wanted, name)));
  }
}

describe('a Parquet file gives back', () => {
  it.each(Object.keys(CELLS) as Type[])('every value and null of a column of type %s, to the bit', (type) => {
    fc.assert(
      fc.property(cellsOf(type), (cells) => {
        const batch = batchOf(
          columnsOf(
            cells.map((cell) => ({ column: cell })),
            { column: type },
          ),
        );
        expectSameColumns(roundTrip(batch), batch);
      }),
      { numRuns: 60 },
    );
  });

  it.each(['ms', 'us', 'ns'] as const)('the unit and the zone of a timestamp in %s', (unit) => {
    const { columns, rows } = columnsOf([{ at: -1n }, { at: 2n ** 62n }, { at: null }], { at: 'timestamp' });
    const [column] = columns as [ColumnData];
    const batch = makeRecordBatch([userColumn({ ...column, column: { ...column.column, unit } }, rows)], rows);
    const found = roundTrip(batch);
    expectSameColumns(found, batch);
    expect((found.schema.fields[0]!.type as { timezone?: string }).timezone).toBe('UTC');
  });

  it.each([
    [1, 0],
    [9, 9],
    [18, 2],
    [19, 4],
    [38, 0],
    [38, 38],
  ])('a decimal of %i digits, %i of them behind the point', (precision, scale) => {
    const largest = 10n ** BigInt(precision) - 1n;
    const { columns, rows } = columnsOf([{ d: largest }, { d: -largest }, { d: 0n }, { d: null }], { d: 'decimal' });
    const [column] = columns as [ColumnData];
    const batch = makeRecordBatch(
      [userColumn({ ...column, column: { ...column.column, precision, scale } }, rows)],
      rows,
    );
    const found = roundTrip(batch);
    expectSameColumns(found, batch);
    expect(found.schema.fields[0]!.type).toMatchObject({ precision, scale });
  });

  it('all columns of all types side by side', () => {
    const types = Object.fromEntries(Object.keys(CELLS).map((type) => [type, type as Type]));
    const row = fc.record(
      Object.fromEntries(Object.entries(CELLS).map(([type, cell]) => [type, fc.option(cell as fc.Arbitrary<Cell>)])),
    );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
        const batch = batchOf(columnsOf(rows, types));
        expectSameColumns(roundTrip(batch), batch);
      }),
      { numRuns: 40 },
    );
  });

  it('raw records: keys and values that are null, empty or any bytes, headers in order, and leaves', () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    const record = fc.record({
      key: fc.option(bytes),
      value: fc.option(bytes),
      headers: fc.array(fc.tuple(bytes, fc.option(bytes)), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
        const batch = makeRecordBatch(systemColumns(rawOf(records)), records.length);
        const found = roundTrip(batch);
        for (const name of ['_offset', '_timestamp', '_timestamp_type', '_raw_key', '_raw_value', '_leaf'])
          expect(exactValues(childOf(found, name))).toEqual(exactValues(childOf(batch, name)));
        expect(headersOf(found)).toEqual(
          records.map(({ headers }) => headers.map(([name, value]) => [hex(name), value === null ? null : hex(value)])),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('its metadata, whatever they say', () => {
    const batch = oneColumn(['x']);
    const text = fc.string({ unit: 'grapheme', maxLength: 50 });
    const entries = fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), text), {
      selector: ([key]) => key,
      maxLength: 5,
    });
    fc.assert(
      fc.property(entries, (pairs) => {
        const { metadata } = parquetFormat.decode(parquetFormat.encode(batch, new Map(pairs)), NAME);
        for (const [key, value] of pairs) expect(metadata.get(key)).toBe(value);
      }),
      { numRuns: 40 },
    );
  });

  it('all rows in one batch, however many', () => {
    for (const count of [1, 7, 8, 9, 1_023, 1_025, 100_000]) {
      const batch = oneColumn(Array.from({ length: count }, (_, i) => (i % 3 === 0 ? null : `value ${i % 50}`)));
      const found = roundTrip(batch);
      expect(found.numRows).toBe(count);
      expect(exactValues(found.getChild('column')!.data[0]!)).toEqual(exactValues(childOf(batch, 'column')));
    }
  });

  it('columns whose names are of any letters', () => {
    const names = ['a.b', 'ä', '😀', ' ', 'a\\.b', 'x'.repeat(512), '_leaf', '__proto__', 'constructor'];
    const columns = names.map((name) => userColumn(columnsOf([{ c: name }], { c: 'string' }).columns[0]!, 1));
    const batch = makeRecordBatch(
      columns.map(({ data }, i) => ({ field: new Field(names[i]!, new Utf8(), true), data })),
      1,
    );
    expectSameColumns(roundTrip(batch), batch);
  });
});

function oneColumn(cells: readonly (string | null)[]): RecordBatch {
  return batchOf(
    columnsOf(
      cells.map((column) => ({ column })),
      { column: 'string' },
    ),
  );
}

interface RawRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [Uint8Array, Uint8Array | null])[];
}

/** Raw columns of records, with corners as offsets and timestamps. */
function rawOf(records: readonly RawRecord[]): RawRecords {
  const count = records.length;
  const timestamps = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)];
  return {
    count,
    offsets: Float64Array.from(records, (_, i) => 2 ** 53 - 1 - count + i),
    timestamps: BigInt64Array.from(records, (_, i) => timestamps[i % 4]!),
    timestampTypes: Uint8Array.from(records, (_, i) => i % 3),
    keys: binaryOf(records.map(({ key }) => key)),
    values: binaryOf(records.map(({ value }) => value)),
    headers: binaryOf(records.map(({ headers }) => canonicalHeaders(headers))),
    leaves: Uint8Array.from({ length: 32 * count }, (_, i) => (i * 7) % 256),
  };
}

function binaryOf(values: readonly (Uint8Array | null)[]): RawRecords['keys'] {
  const offsets = new Int32Array(values.length + 1);
  const validity = new Uint8Array((values.length + 7) >> 3);
  values.forEach((value, i) => {
    offsets[i + 1] = offsets[i]! + (value?.length ?? 0);
    if (value !== null) validity[i >> 3]! |= 1 << (i & 7);
  });
  const nullCount = values.filter((value) => value === null).length;
  return { offsets, bytes: Buffer.concat(values.map((value) => value ?? Buffer.alloc(0))), validity, nullCount };
}

/** Written from the layout in leaf.ts: a count, then each name and value with its length. */
function canonicalHeaders(headers: RawRecord['headers']): Buffer {
  const uint32 = (value: number): Buffer => Buffer.from(value.toString(16).padStart(8, '0'), 'hex');
  if (headers.length === 0) return Buffer.alloc(0);
  return Buffer.concat([
    uint32(headers.length),
    ...headers.flatMap(([name, value]) => [
      uint32(name.length),
      name,
      uint32(value?.length ?? 0xffff_ffff),
      value ?? Buffer.alloc(0),
    ]),
  ]);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Headers as Arrow gives them to any reader. */
function headersOf(batch: RecordBatch): (readonly [string, string | null])[][] {
  const lists = batch.getChild('_headers')!;
  return Array.from({ length: batch.numRows }, (_, row) =>
    Array.from(
      lists.get(row) as Iterable<{ key: Uint8Array; value: Uint8Array | null }>,
      ({ key, value }) => [hex(key), value === null ? null : hex(value)] as const,
    ),
  );
}
