import { Field, Utf8, makeData, type Data, type RecordBatch } from 'apache-arrow';

import { IntegrityError } from '../../errors.ts';
import { int64ToNumber } from '../../record/columns.ts';
import type { FileFormat } from '../../ports/file-format.ts';
import type { BatchContent } from '../../record/batch-content.ts';
import { DEAD_LETTER, DEAD_LETTER_REASONS } from '../../record/dead-letter.ts';
import { BATCH_KEY_BYTES, encodeHeaders } from '../../record/leaf.ts';
import { formatLogId, parseLogId, type LogId } from '../../record/log-id.ts';
import type { BinaryColumn, RawRecords } from '../../record/raw-records.ts';
import { makeRecordBatch, systemColumns, userColumns, type ArrowColumn } from './arrow-columns.ts';

/** What a batch file says of itself in its key-value metadata. The batch key never leaves the data files. */
export interface FileHeader {
  readonly log: LogId;
  readonly start: number;
  readonly end: number;
  readonly leafVersion: number;
  readonly batchKey: Uint8Array;
}

/** A batch file read back. */
export interface StoredRecords {
  readonly header: FileHeader;
  readonly raw: RawRecords;
  /** All columns as Arrow, user columns first. */
  readonly batch: RecordBatch;
  /** Codes of DEAD_LETTER_REASONS by row; null in a file of decoded rows. */
  readonly reasons: Uint8Array | null;
}

/**
 * File of the decoded rows: the user's columns, then the system columns.
 * @param user {@link userColumns} of the batch, for callers who need them as well: making them copies all text.
 */
export function encodeDecodedRows(
  format: FileFormat,
  content: BatchContent,
  user: readonly ArrowColumn[] = userColumns(content.decoded.columns),
): Buffer {
  const { raw } = content.decoded;
  return format.encode(makeRecordBatch([...user, ...systemColumns(raw)], raw.count), headerMetadata(content));
}

/** File of the records that did not decode: the system columns and `_reason`. */
export function encodeDeadLetters(format: FileFormat, content: BatchContent): Buffer {
  const { raw, reasons } = content.dead;
  return format.encode(
    makeRecordBatch([...systemColumns(raw), reasonColumn(reasons, raw.count)], raw.count),
    headerMetadata(content),
  );
}

/**
 * Reads a batch file.
 * @param object name for messages.
 * @throws IntegrityError PAYLOAD_INVALID
 * Trust: only for bytes whose digest is signed.
 */
export function readBatchFile(format: FileFormat, bytes: Uint8Array, object: string): StoredRecords {
  const { batch, metadata } = format.decode(bytes, object);
  const column = (name: keyof typeof SYSTEM_TYPES): Data => {
    const found = batch.getChild(name)?.data[0];
    const type = found === undefined ? 'missing' : String(found.type);
    if (found === undefined || type !== SYSTEM_TYPES[name])
      throw new IntegrityError(
        'PAYLOAD_INVALID',
        object,
        `Cannot read "${object}": column "${name}" is ${type}, wanted ${SYSTEM_TYPES[name]}`,
      );
    return found;
  };
  const offsets = column('_offset').values as BigInt64Array;
  return {
    header: parseHeader(metadata, object),
    raw: {
      count: batch.numRows,
      offsets: numbersOf(offsets, batch.numRows),
      timestamps: column('_timestamp').values as BigInt64Array,
      timestampTypes: column('_timestamp_type').values as Uint8Array,
      keys: binaryColumn(column('_raw_key')),
      values: binaryColumn(column('_raw_value')),
      headers: headersColumn(column('_headers'), batch.numRows),
      leaves: column('_leaf').values as Uint8Array,
    },
    batch,
    reasons: batch.getChild('_reason') === null ? null : reasonCodes(column('_reason')),
  };
}

/** Arrow's own names of the types that the system columns have. */
const SYSTEM_TYPES = {
  _offset: 'Int64',
  _timestamp: 'Int64',
  _timestamp_type: 'Uint8',
  _headers: 'List<Struct<{key:Binary, value:Binary}>>',
  _raw_key: 'Binary',
  _raw_value: 'Binary',
  _leaf: 'FixedSizeBinary[32]',
  _reason: 'Utf8',
} as const;

const HEADER_KEY = 'headgate';

function headerMetadata({ log, start, end, leafVersion, batchKey }: BatchContent): Map<string, string> {
  const header = { log: formatLogId(log), start, end, leafVersion, batchKey: Buffer.from(batchKey).toString('hex') };
  return new Map([[HEADER_KEY, JSON.stringify(header)]]);
}

function parseHeader(metadata: ReadonlyMap<string, string>, object: string): FileHeader {
  try {
    const { log, start, end, leafVersion, batchKey } = JSON.parse(metadata.get(HEADER_KEY) ?? '') as Record<
      string,
      unknown
    >;
    const id = parseLogId(String(log));
    const key = Buffer.from(String(batchKey), 'hex');
    if (id === undefined || key.length !== BATCH_KEY_BYTES || ![start, end, leafVersion].every(Number.isSafeInteger))
      throw new TypeError('a field is missing or malformed');
    return { log: id, start: start as number, end: end as number, leafVersion: leafVersion as number, batchKey: key };
  } catch (cause) {
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": its header is malformed`, { cause });
  }
}

function binaryColumn(data: Data): BinaryColumn {
  const validity = data.nullCount === 0 ? null : data.nullBitmap;
  return {
    offsets: data.valueOffsets as Int32Array,
    bytes: data.values as Uint8Array,
    validity,
    nullCount: data.nullCount,
  };
}

/** List of pairs → canonical headers; null when no record has any. */
function headersColumn(list: Data, rows: number): BinaryColumn | null {
  const listOffsets = list.valueOffsets as Int32Array;
  if (listOffsets[rows] === listOffsets[0]) return null;
  const [names, values] = list.children[0]!.children as [Data, Data];
  const name = binaryColumn(names);
  const value = binaryColumn(values);
  const slice = ({ bytes, offsets }: BinaryColumn, i: number): Uint8Array => bytes.subarray(offsets[i], offsets[i + 1]);
  const isNull = (i: number): boolean => value.validity !== null && (value.validity[i >> 3]! & (1 << (i & 7))) === 0;
  const encoded: Buffer[] = [];
  const offsets = new Int32Array(rows + 1);
  for (let row = 0; row < rows; row++) {
    const pairs = [];
    for (let i = listOffsets[row]!; i < listOffsets[row + 1]!; i++)
      pairs.push({ name: slice(name, i), value: isNull(i) ? null : slice(value, i) });
    if (pairs.length > 0) encoded.push(encodeHeaders(pairs));
    offsets[row + 1] = offsets[row]! + (pairs.length > 0 ? encoded.at(-1)!.length : 0);
  }
  return { offsets, bytes: Buffer.concat(encoded), validity: null, nullCount: 0 };
}

function reasonColumn(reasons: Uint8Array, rows: number): ArrowColumn {
  const texts = Array.from(reasons.subarray(0, rows), (code) =>
    Buffer.from(DEAD_LETTER_REASONS[code] ?? 'syntax', 'utf8'),
  );
  const valueOffsets = new Int32Array(rows + 1);
  texts.forEach((text, row) => {
    valueOffsets[row + 1] = valueOffsets[row]! + text.length;
  });
  const data = makeData({ type: new Utf8(), length: rows, nullCount: 0, valueOffsets, data: Buffer.concat(texts) });
  return { field: new Field('_reason', new Utf8(), false), data };
}

function reasonCodes(data: Data): Uint8Array {
  const { bytes, offsets } = binaryColumn(data);
  const text = (row: number): string => Buffer.from(bytes.subarray(offsets[row], offsets[row + 1])).toString('utf8');
  const codes: Readonly<Record<string, number>> = DEAD_LETTER;
  return Uint8Array.from({ length: data.length }, (_, row) => codes[text(row)] ?? 0);
}

/** int64 values as numbers, read by halves; offsets are below 2^53. */
function numbersOf(values: BigInt64Array, rows: number): Float64Array {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * rows);
  const numbers = new Float64Array(rows);
  for (let row = 0; row < rows; row++) numbers[row] = int64ToNumber(words, row);
  return numbers;
}
