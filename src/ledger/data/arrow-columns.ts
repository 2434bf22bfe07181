import {
  Binary,
  Bool,
  Decimal,
  Field,
  FixedSizeBinary,
  Float64,
  Int64,
  List,
  RecordBatch,
  Schema,
  Struct,
  TimeUnit,
  Timestamp,
  Uint8,
  Utf8,
  makeData,
  type Data,
  type DataType,
} from 'apache-arrow';

import { isValid, type ColumnData, type DecodedColumns, type TextData } from '../../record/columns.ts';
import type { BinaryColumn, RawRecords } from '../../record/raw-records.ts';
import { SHA256_BYTES } from '../../record/sha256.ts';

/** A named Arrow column. */
export interface ArrowColumn {
  readonly field: Field;
  readonly data: Data;
}

const TIME_UNITS = { ms: TimeUnit.MILLISECOND, us: TimeUnit.MICROSECOND, ns: TimeUnit.NANOSECOND } as const;
const DECIMAL_BITS = 128;
const DECIMAL_WORDS = 4;
/** Shorter values are copied by a loop: a view costs more than the copy. */
const LOOP_BYTES_MAX = 24;

/** Type of the `_headers` column: a list of (key, value) pairs, both binary because header names need not be UTF-8. */
const headerStruct = new Struct([new Field('key', new Binary(), false), new Field('value', new Binary(), true)]);
const headerList = new List(new Field('item', headerStruct, false));

/** Rows as one Arrow record batch, columns in the given order. */
export function makeRecordBatch(columns: readonly ArrowColumn[], rows: number): RecordBatch {
  const fields = columns.map(({ field }) => field);
  const data = makeData({
    type: new Struct(fields),
    length: rows,
    nullCount: 0,
    children: columns.map((column) => column.data),
  });
  return new RecordBatch(new Schema(fields), data);
}

/** Arrow columns of the user's columns, in their order; fixed-width buffers are shared, not copied. */
export function userColumns({ columns, rows }: DecodedColumns): ArrowColumn[] {
  return columns.map((column) => userColumn(column, rows));
}

/** Arrow column of one user column. */
export function userColumn(column: ColumnData, rows: number): ArrowColumn {
  const { name } = column.column;
  const base = {
    length: rows,
    nullCount: column.nullCount,
    ...(column.nullCount === 0 ? {} : { nullBitmap: column.validity }),
  };
  const make = (type: DataType, data: Data): ArrowColumn => ({ field: new Field(name, type, true), data });
  switch (column.kind) {
    case 'int64': {
      const type =
        column.column.type === 'timestamp' ? new Timestamp(TIME_UNITS[column.column.unit ?? 'us'], 'UTC') : new Int64();
      const values = new BigInt64Array(column.words.buffer, column.words.byteOffset, rows);
      return make(type, makeData({ type: type as Int64, ...base, data: values }));
    }
    case 'float64':
      return make(new Float64(), makeData({ type: new Float64(), ...base, data: column.values.subarray(0, rows) }));
    case 'decimal': {
      const type = new Decimal(column.column.scale ?? 0, column.column.precision ?? 38, DECIMAL_BITS);
      return make(type, makeData({ type, ...base, data: column.words.subarray(0, rows * DECIMAL_WORDS) }));
    }
    case 'boolean':
      return make(new Bool(), makeData({ type: new Bool(), ...base, data: packBits(column.values, rows) }));
    case 'text': {
      const { offsets, bytes } = expandText(column, rows);
      return make(new Utf8(), makeData({ type: new Utf8(), ...base, valueOffsets: offsets, data: bytes }));
    }
  }
}

/** The system columns that every stored record has. */
export function systemColumns(raw: RawRecords): ArrowColumn[] {
  const { count } = raw;
  const column = (name: string, type: DataType, nullable: boolean, data: Data): ArrowColumn => ({
    field: new Field(name, type, nullable),
    data,
  });
  const plain = { length: count, nullCount: 0 };
  const offsets = int64Of(raw.offsets, count);
  const leafType = new FixedSizeBinary(SHA256_BYTES);
  return [
    column('_offset', new Int64(), false, makeData({ type: new Int64(), ...plain, data: offsets })),
    column(
      '_timestamp',
      new Int64(),
      false,
      makeData({ type: new Int64(), ...plain, data: raw.timestamps.subarray(0, count) }),
    ),
    column(
      '_timestamp_type',
      new Uint8(),
      false,
      makeData({ type: new Uint8(), ...plain, data: raw.timestampTypes.subarray(0, count) }),
    ),
    column('_headers', headerList, false, headersData(raw.headers, count)),
    column('_raw_key', new Binary(), true, binaryData(raw.keys, count)),
    column('_raw_value', new Binary(), true, binaryData(raw.values, count)),
    column(
      '_leaf',
      leafType,
      false,
      makeData({ type: leafType, ...plain, data: raw.leaves.subarray(0, count * SHA256_BYTES) }),
    ),
  ];
}

/** Exact non-negative integers below 2^53 as int64, written as halves: a BigInt a row would be garbage a row. */
function int64Of(values: Float64Array, count: number): BigInt64Array {
  const words = new Int32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const high = Math.floor(values[i]! / 0x1_0000_0000);
    words[2 * i] = values[i]! - high * 0x1_0000_0000;
    words[2 * i + 1] = high;
  }
  return new BigInt64Array(words.buffer);
}

/** Arrow data of a binary column. */
function binaryData(column: BinaryColumn, count: number): Data<Binary> {
  return makeData({
    type: new Binary(),
    length: count,
    nullCount: column.nullCount,
    ...(column.nullCount === 0 ? {} : { nullBitmap: column.validity! }),
    valueOffsets: column.offsets.subarray(0, count + 1),
    data: column.bytes.subarray(0, column.offsets[count]),
  });
}

/** Canonical headers → list of pairs. */
function headersData(headers: BinaryColumn | null, count: number): Data<List<typeof headerStruct>> {
  const listOffsets = new Int32Array(count + 1);
  const keys = new PairColumn();
  const values = new PairColumn();
  if (headers !== null) {
    const view = new DataView(headers.bytes.buffer, headers.bytes.byteOffset, headers.bytes.byteLength);
    for (let row = 0; row < count; row++) {
      let at = headers.offsets[row]!;
      const pairs = at === headers.offsets[row + 1] ? 0 : view.getUint32(at);
      at += 4;
      for (let pair = 0; pair < pairs; pair++) {
        at = keys.append(headers.bytes, view, at);
        at = values.append(headers.bytes, view, at);
      }
      listOffsets[row + 1] = listOffsets[row]! + pairs;
    }
  }
  const pairs = listOffsets[count]!;
  const child = makeData({
    type: headerStruct,
    length: pairs,
    nullCount: 0,
    children: [keys.finish(pairs), values.finish(pairs)],
  });
  return makeData({ type: headerList, length: count, nullCount: 0, valueOffsets: listOffsets, child });
}

const NULL_LENGTH = 0xffff_ffff;

/** Header names or values; there are few of them, so plain arrays will do. */
class PairColumn {
  readonly #parts: Uint8Array[] = [];
  readonly #offsets: number[] = [0];
  readonly #valid: boolean[] = [];
  #length = 0;

  append(bytes: Uint8Array, view: DataView, at: number): number {
    const length = view.getUint32(at);
    const size = length === NULL_LENGTH ? 0 : length;
    this.#parts.push(bytes.subarray(at + 4, at + 4 + size));
    this.#length += size;
    this.#offsets.push(this.#length);
    this.#valid.push(length !== NULL_LENGTH);
    return at + 4 + size;
  }

  finish(count: number): Data<Binary> {
    const validity = new Uint8Array((count + 7) >> 3);
    this.#valid.forEach((valid, i) => {
      if (valid) validity[i >> 3]! |= 1 << (i & 7);
    });
    const nullCount = this.#valid.filter((valid) => !valid).length;
    return binaryData(
      { offsets: Int32Array.from(this.#offsets), bytes: Buffer.concat(this.#parts), validity, nullCount },
      count,
    );
  }
}

function packBits(values: Uint8Array, rows: number): Uint8Array {
  const bits = new Uint8Array((rows + 7) >> 3);
  for (let row = 0; row < rows; row++) bits[row >> 3]! |= values[row]! << (row & 7);
  return bits;
}

/** Text per row from codes into the dictionary: readers of the files expect plain strings in every file. */
function expandText(column: TextData, rows: number): { offsets: Int32Array; bytes: Uint8Array } {
  const { codes, dictionary } = column;
  const offsets = new Int32Array(rows + 1);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const code = codes[row]!;
    if (code >= 0 && isValid(column.validity, row)) total += dictionary.offsets[code + 1]! - dictionary.offsets[code]!;
    offsets[row + 1] = total;
  }
  const bytes = new Uint8Array(total);
  for (let row = 0; row < rows; row++) {
    const at = offsets[row]!;
    const length = offsets[row + 1]! - at;
    if (length === 0) continue;
    const from = dictionary.offsets[codes[row]!]!;
    if (length > LOOP_BYTES_MAX) bytes.set(dictionary.bytes.subarray(from, from + length), at);
    else for (let i = 0; i < length; i++) bytes[at + i] = dictionary.bytes[from + i]!;
  }
  return { offsets, bytes };
}
