import type { ColumnCounts, ColumnData } from '../../record/columns.ts';
import type { Column, ColumnType } from '../../record/schema.ts';
import { TextDictionaryBuilder } from './text-dictionary.ts';

/**
 * One growing column. Values are written at any row index below the capacity; a row counts only once the RowWriter has
 * committed it, so a failed row is simply written over.
 *
 * Validity starts as all ones and a commit clears the bits of nulls: the common value costs nothing there.
 */
export abstract class ColumnBuilder {
  readonly column: Column;
  validity = new Uint8Array(0);
  nullCount = 0;
  counts: ColumnCounts = emptyCounts();

  constructor(column: Column) {
    this.column = column;
  }

  /** Makes room for `capacity` rows, a multiple of 8, keeping what is there. */
  grow(capacity: number): void {
    const validity = new Uint8Array(capacity / 8).fill(0xff);
    validity.set(this.validity);
    this.validity = validity;
    this.growValues(capacity);
  }

  /** Marks `row` as null in the bitmap. */
  setNull(row: number): void {
    this.validity[row >> 3]! &= ~(1 << (row & 7));
    this.nullCount++;
  }

  /** The first `rows` rows; the builder is then empty, without room. */
  take(rows: number): ColumnData {
    // Bits past the last row are zero, as Arrow advises for padding.
    if ((rows & 7) !== 0) this.validity[rows >> 3]! &= (1 << (rows & 7)) - 1;
    const data = this.takeValues();
    this.validity = new Uint8Array(0);
    this.nullCount = 0;
    this.counts = emptyCounts();
    return data;
  }

  /** Writes what a null holds at `row`. */
  abstract writeNull(row: number): void;
  protected abstract growValues(capacity: number): void;
  protected abstract takeValues(): ColumnData;

  protected common(): Pick<ColumnData, 'column' | 'validity' | 'nullCount' | 'counts'> {
    return { column: this.column, validity: this.validity, nullCount: this.nullCount, counts: this.counts };
  }
}

function emptyCounts(): ColumnCounts {
  return { absent: 0, inexact: 0, negativeZero: 0, suspiciousText: 0 };
}

/** int64 and timestamp. */
export class Int64Builder extends ColumnBuilder {
  words = new Int32Array(0);

  override writeNull(row: number): void {
    this.words[2 * row] = 0;
    this.words[2 * row + 1] = 0;
  }

  protected override growValues(capacity: number): void {
    const words = new Int32Array(2 * capacity);
    words.set(this.words);
    this.words = words;
  }

  protected override takeValues(): ColumnData {
    const { words } = this;
    this.words = new Int32Array(0);
    return { kind: 'int64', ...this.common(), words };
  }
}

/** float64. */
export class Float64Builder extends ColumnBuilder {
  values = new Float64Array(0);

  override writeNull(row: number): void {
    this.values[row] = 0;
  }

  protected override growValues(capacity: number): void {
    const values = new Float64Array(capacity);
    values.set(this.values);
    this.values = values;
  }

  protected override takeValues(): ColumnData {
    const { values } = this;
    this.values = new Float64Array(0);
    return { kind: 'float64', ...this.common(), values };
  }
}

/** decimal: 4 words a row. */
export class DecimalBuilder extends ColumnBuilder {
  words = new Uint32Array(0);

  override writeNull(row: number): void {
    this.words.fill(0, 4 * row, 4 * row + 4);
  }

  protected override growValues(capacity: number): void {
    const words = new Uint32Array(4 * capacity);
    words.set(this.words);
    this.words = words;
  }

  protected override takeValues(): ColumnData {
    const { words } = this;
    this.words = new Uint32Array(0);
    return { kind: 'decimal', ...this.common(), words };
  }
}

/** boolean. */
export class BooleanBuilder extends ColumnBuilder {
  values = new Uint8Array(0);

  override writeNull(row: number): void {
    this.values[row] = 0;
  }

  protected override growValues(capacity: number): void {
    const values = new Uint8Array(capacity);
    values.set(this.values);
    this.values = values;
  }

  protected override takeValues(): ColumnData {
    const { values } = this;
    this.values = new Uint8Array(0);
    return { kind: 'boolean', ...this.common(), values };
  }
}

/** string and json. */
export class TextBuilder extends ColumnBuilder {
  codes = new Int32Array(0);
  readonly dictionary = new TextDictionaryBuilder();

  override writeNull(row: number): void {
    this.codes[row] = -1;
  }

  protected override growValues(capacity: number): void {
    const codes = new Int32Array(capacity);
    codes.set(this.codes);
    this.codes = codes;
  }

  protected override takeValues(): ColumnData {
    const { codes } = this;
    this.codes = new Int32Array(0);
    return { kind: 'text', ...this.common(), codes, dictionary: this.dictionary.take() };
  }
}

const BUILDERS: Readonly<Record<ColumnType, new (column: Column) => ColumnBuilder>> = {
  boolean: BooleanBuilder,
  int64: Int64Builder,
  float64: Float64Builder,
  decimal: DecimalBuilder,
  string: TextBuilder,
  timestamp: Int64Builder,
  json: TextBuilder,
};

/** An empty builder of the column's type. */
export function createColumnBuilder(column: Column): ColumnBuilder {
  return new BUILDERS[column.type](column);
}
