import type { Column, Schema } from './schema.ts';

/**
 * Decoded rows as columns, laid out like Arrow buffers so that they become an Arrow RecordBatch without a copy.
 * All arrays may be longer than `rows`; only the first `rows` entries mean anything.
 */
export interface DecodedColumns {
  readonly schema: Schema;
  readonly rows: number;
  /** One per schema column, in schema order. */
  readonly columns: readonly ColumnData[];
  /** Fields that are not in the schema: escaped path → number of rows that had it. At most 100 paths, the rest under `…`. */
  readonly extraFields: ReadonlyMap<string, number>;
}

/** Counts of what a column could not hold as its type says; the raw value keeps the original text. */
export interface ColumnCounts {
  /** Rows without the field at all (also counted as null). */
  absent: number;
  /**
   * float64 rows whose text has a point or an exponent and more than 17 significant digits (first to last digit that is not
   * 0): the nearest double is stored.
   */
  inexact: number;
  /** float64 rows with −0, and int64 or decimal rows written as −0 (stored as 0). */
  negativeZero: number;
  /** String and json rows with NUL, bidirectional controls, or zero-width characters, escaped or not (matrix E6, E7). */
  suspiciousText: number;
}

interface ColumnDataBase {
  readonly column: Column;
  /** Arrow validity bitmap, least significant bit first; bit 0 = null. */
  readonly validity: Uint8Array;
  readonly nullCount: number;
  readonly counts: Readonly<ColumnCounts>;
}

/** int64 and timestamp: little-endian 64-bit values as (low, high) pairs of `words`, 2 per row; null rows hold 0. */
export interface Int64Data extends ColumnDataBase {
  readonly kind: 'int64';
  readonly words: Int32Array;
}

/** float64; null rows hold 0. */
export interface Float64Data extends ColumnDataBase {
  readonly kind: 'float64';
  readonly values: Float64Array;
}

/** decimal: little-endian two's complement 128-bit unscaled values, 4 words per row; null rows hold 0. */
export interface DecimalData extends ColumnDataBase {
  readonly kind: 'decimal';
  readonly words: Uint32Array;
}

/** boolean: 1 byte per row, 0 or 1; null rows hold 0. */
export interface BooleanData extends ColumnDataBase {
  readonly kind: 'boolean';
  readonly values: Uint8Array;
}

/** string and json: a code per row into a dictionary of distinct UTF-8 values; −1 = null. */
export interface TextData extends ColumnDataBase {
  readonly kind: 'text';
  readonly codes: Int32Array;
  readonly dictionary: TextDictionary;
}

/** One decoded column. */
export type ColumnData = Int64Data | Float64Data | DecimalData | BooleanData | TextData;

/** Distinct values in order of first appearance; value i is `bytes[offsets[i], offsets[i + 1])`. May hold values no row uses. */
export interface TextDictionary {
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
}

/** True when row `index` of a validity bitmap is not null. */
export function isValid(validity: Uint8Array, index: number): boolean {
  return (validity[index >> 3]! & (1 << (index & 7))) !== 0;
}

/** Number in a (low, high) pair of an int64 column; exact up to 2^53, nearest double beyond. */
export function int64ToNumber(words: Int32Array, row: number): number {
  return words[2 * row + 1]! * 4_294_967_296 + (words[2 * row]! >>> 0);
}
