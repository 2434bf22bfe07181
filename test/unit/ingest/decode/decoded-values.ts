import { createCsvDecoder, type CsvDecodeOptions } from '../../../../src/ingest/decode/csv-decoder.ts';
import type { Decoder } from '../../../../src/ingest/decode/decoder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import { type ColumnData, type DecodedColumns, isValid } from '../../../../src/record/columns.ts';
import { DEAD_LETTER_REASONS, type DeadLetterReason } from '../../../../src/record/dead-letter.ts';
import { type Column, columnName, type ColumnType, type Schema } from '../../../../src/record/schema.ts';

/** What a column's row holds: text as a string, 64-bit values and unscaled decimals as bigint. */
export type Value = null | boolean | bigint | number | string;

/** `int64`, `timestamp(us)`, `decimal(10,2)`. */
export type TypeText = ColumnType | `timestamp(${'ms' | 'us' | 'ns'})` | `decimal(${number},${number})`;

/** A schema from dotted paths to types. */
export function schemaOf(format: Schema['format'], columns: Readonly<Record<string, TypeText>>): Schema {
  return {
    version: 1,
    format,
    columns: Object.entries(columns).map(([path, type]) => columnOf(path.split('.'), type)),
  };
}

/** One column of a schema. */
export function columnOf(path: readonly string[], text: TypeText): Column {
  const [type, first, second] = text.split(/[(),]/) as [ColumnType, string?, string?];
  return {
    name: columnName(path),
    path,
    type,
    ...(type === 'decimal' ? { precision: Number(first), scale: Number(second) } : {}),
    ...(type === 'timestamp' ? { unit: (first ?? 'ms') as 'ms' | 'us' | 'ns' } : {}),
  };
}

/** Decodes one record after another and names each outcome. */
export function decodeEach(decoder: Decoder, records: readonly (string | Uint8Array)[]): DeadLetterReason[] {
  return records.map((record) => decodeOne(decoder, record));
}

/** Decodes one record that lies between other bytes, so that reading past either end shows. */
export function decodeOne(decoder: Decoder, record: string | Uint8Array): DeadLetterReason {
  const body = Buffer.from(record);
  const bytes = Buffer.concat([Buffer.from('"}]'), body, Buffer.from('"}]1')]);
  return DEAD_LETTER_REASONS[decoder.decode(bytes, 3, body.length)]!;
}

/** Outcome and row of one JSON record under a schema. */
export function decodeJson(
  columns: Readonly<Record<string, TypeText>>,
  record: string | Uint8Array,
): { reason: DeadLetterReason; row: Value[] | undefined; decoded: DecodedColumns } {
  return decodeWith(createJsonDecoder(schemaOf('json', columns)), record);
}

/** Outcome and row of one CSV record under a schema. */
export function decodeCsv(
  columns: Readonly<Record<string, TypeText>>,
  record: string | Uint8Array,
  options?: CsvDecodeOptions,
): { reason: DeadLetterReason; row: Value[] | undefined; decoded: DecodedColumns } {
  return decodeWith(createCsvDecoder(schemaOf('csv', columns), options), record);
}

function decodeWith(
  decoder: Decoder,
  record: string | Uint8Array,
): { reason: DeadLetterReason; row: Value[] | undefined; decoded: DecodedColumns } {
  const reason = decodeOne(decoder, record);
  const decoded = decoder.take();
  return { reason, row: toRows(decoded)[0], decoded };
}

/** All rows as plain values. */
export function toRows(decoded: DecodedColumns): Value[][] {
  return Array.from({ length: decoded.rows }, (_, row) => decoded.columns.map((column) => readValue(column, row)));
}

/** One value; a null must hold what the contract says a null holds. */
export function readValue(data: ColumnData, row: number): Value {
  const stored = readStored(data, row);
  if (isValid(data.validity, row)) return stored;
  const expected = data.kind === 'text' ? -1 : data.kind === 'boolean' ? false : 0;
  if (stored !== expected && stored !== 0n) throw new Error(`Null at row ${row} holds ${String(stored)}`);
  return null;
}

function readStored(data: ColumnData, row: number): Exclude<Value, null> {
  switch (data.kind) {
    case 'int64':
      return BigInt.asIntN(64, (BigInt(data.words[2 * row + 1]!) << 32n) | BigInt(data.words[2 * row]! >>> 0));
    case 'float64':
      return data.values[row]!;
    case 'boolean':
      return data.values[row] === 1;
    case 'text': {
      const code = data.codes[row]!;
      const { bytes, offsets } = data.dictionary;
      if (code < 0) return code;
      return Buffer.from(bytes.subarray(offsets[code], offsets[code + 1])).toString('utf8');
    }
    case 'decimal':
    default: {
      let value = 0n;
      for (let word = 3; word >= 0; word--) value = (value << 32n) | BigInt(data.words[4 * row + word]!);
      return BigInt.asIntN(128, value);
    }
  }
}
