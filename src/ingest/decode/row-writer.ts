import type { DecodedColumns } from '../../record/columns.ts';
import { DEAD_LETTER } from '../../record/dead-letter.ts';
import type { Schema, TimestampUnit } from '../../record/schema.ts';
import { type BatchSizes, sizesOf } from './batch-sizes.ts';
import {
  type BooleanBuilder,
  type ColumnBuilder,
  createColumnBuilder,
  type DecimalBuilder,
  type Float64Builder,
  type Int64Builder,
  TextBuilder,
} from './column-builders.ts';
import { writeDecimal } from './decimal-words.ts';
import { isExactDouble } from './exact-double.ts';
import { Int64Words } from './int64-words.ts';
import type { NumberText } from './number-text.ts';
import { TIMESTAMP_NONE, TIMESTAMP_OK, TimestampText } from './timestamp-text.ts';

const ROWS_FIRST = 256;
/** Up to so many digits, a double is plain: nothing of it is to be told. */
const PLAIN_DIGITS = 15;
/** Beyond this many significant digits a double cannot tell all texts apart. */
const DOUBLE_DIGITS = 17;
const WRONG_TYPE = DEAD_LETTER['wrong-type'];
const UNREPRESENTABLE = DEAD_LETTER.unrepresentable;

/** What a row did to a column beside its value; applied on commit. */
const EVENT_NULL = 0;
const EVENT_ABSENT = 1;
const EVENT_INEXACT = 2;
const EVENT_NEGATIVE_ZERO = 3;
const EVENT_SUSPICIOUS = 4;
const EVENT_BITS = 3;
/** A column has at most one value event and one text event a row. */
const EVENTS_PER_COLUMN = 2;

/**
 * Writes the values of one row at a time into columns. Nothing counts before {@link commit}: values lie past the last
 * row, and everything else of a row is a list of events.
 *
 * Each column must be written exactly once a row, by a write method of its type. A value that the type cannot hold is
 * never replaced by a null or by a neighbour: its record is a dead letter, which keeps the text.
 */
export class RowWriter {
  rows = 0;
  readonly #schema: Schema;
  readonly #sizes: BatchSizes;
  readonly #builders: ColumnBuilder[];
  readonly #texts: TextBuilder[];
  readonly #events: Int32Array;
  #eventCount = 0;
  #capacity = 0;
  readonly #words = new Int64Words();
  readonly #timestamp = new TimestampText();

  constructor(schema: Schema) {
    this.#schema = schema;
    this.#sizes = sizesOf(schema);
    this.#builders = schema.columns.map(createColumnBuilder);
    this.#texts = this.#builders.filter((builder) => builder instanceof TextBuilder);
    this.#events = new Int32Array(EVENTS_PER_COLUMN * schema.columns.length);
  }

  /** Rows of the last batch under the schema; 0 if there was none. */
  get rowsExpected(): number {
    return this.#sizes.rows;
  }

  /** Makes room for one more row. */
  begin(): void {
    if (this.rows === this.#capacity) this.#grow();
  }

  /** Counts the row that was written. */
  commit(): void {
    if (this.#eventCount !== 0) this.#applyEvents();
    this.rows++;
  }

  /** Forgets the row that was being written, without a trace. */
  rollback(): void {
    this.#eventCount = 0;
    for (const text of this.#texts) text.dictionary.undo(this.rows);
  }

  /** Writes a null that the record states. */
  writeNull(index: number): void {
    this.#writeNull(index, EVENT_NULL);
  }

  /** Writes a null because the record lacks the field. */
  writeAbsent(index: number): void {
    this.#writeNull(index, EVENT_ABSENT);
  }

  /** Writes a boolean. */
  writeBoolean(index: number, value: boolean): void {
    (this.#builders[index] as BooleanBuilder).values[this.rows] = value ? 1 : 0;
  }

  /**
   * Writes the nearest double; of a whole number without an exponent, the double that it is.
   * @param bytes The bytes that `number` was scanned from; also below.
   * @returns 0, or unrepresentable if a whole number would be rounded, or another one would be infinite, or zero though it
   * is not.
   */
  writeFloat64(index: number, number: NumberText, bytes: Uint8Array): number {
    const value = number.toDouble(bytes);
    if (number.digits > PLAIN_DIGITS || value === 0 || !Number.isFinite(value)) {
      const code = this.#checkFloat64(index, number, bytes, value);
      if (code !== 0) return code;
    }
    (this.#builders[index] as Float64Builder).values[this.rows] = value;
    return 0;
  }

  /** Writes an integer. @returns 0, wrong-type if the text has a point or an exponent, or unrepresentable beyond int64. */
  writeInt64(index: number, number: NumberText, bytes: Uint8Array): number {
    if (!number.isInteger) return WRONG_TYPE;
    if (!this.#words.parse(number, bytes)) return UNREPRESENTABLE;
    this.#storeWords(index);
    if (number.negative && (this.#words.low | this.#words.high) === 0) this.#event(index, EVENT_NEGATIVE_ZERO);
    return 0;
  }

  /** Writes an exact decimal. @returns 0, or unrepresentable if the column's precision and scale cannot hold every digit. */
  writeDecimal(index: number, number: NumberText, bytes: Uint8Array): number {
    const { words, column } = this.#builders[index] as DecimalBuilder;
    const at = 4 * this.rows;
    if (!writeDecimal(number, bytes, column.precision!, column.scale!, words, at)) return UNREPRESENTABLE;
    if (number.negative && (words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0)
      this.#event(index, EVENT_NEGATIVE_ZERO);
    return 0;
  }

  /**
   * Writes the instant that `bytes[start, end)` states.
   * @returns 0, wrong-type if the text is no timestamp, or unrepresentable if the column's unit cannot hold it exactly.
   */
  writeTimestamp(index: number, bytes: Uint8Array, start: number, end: number): number {
    const code = this.#timestamp.parse(bytes, start, end);
    if (code === TIMESTAMP_NONE) return WRONG_TYPE;
    const unit = this.#builders[index]!.column.unit as TimestampUnit;
    if (code !== TIMESTAMP_OK || !this.#timestamp.toWords(unit, this.#words)) return UNREPRESENTABLE;
    this.#storeWords(index);
    return 0;
  }

  /** Writes the text `bytes[start, end)`, well-formed UTF-8, whose `hashBytes` is `hash`. */
  writeText(index: number, bytes: Uint8Array, start: number, end: number, hash: number, suspicious: boolean): void {
    const builder = this.#builders[index] as TextBuilder;
    builder.codes[this.rows] = builder.dictionary.intern(bytes, start, end, hash, this.rows);
    if (suspicious) this.#event(index, EVENT_SUSPICIOUS);
  }

  /** All rows, which are the caller's from now on; starts an empty set of rows. */
  take(extraFields: ReadonlyMap<string, number>): DecodedColumns {
    const { rows } = this;
    const columns = this.#builders.map((builder) => builder.take(rows));
    this.rows = 0;
    this.#capacity = 0;
    this.#sizes.rows = rows;
    for (const [index, column] of columns.entries()) {
      if (column.kind !== 'text') continue;
      const { size, offsets } = column.dictionary;
      this.#sizes.values[index] = size;
      this.#sizes.valueBytes[index] = offsets[size]!;
    }
    return { schema: this.#schema, rows, columns, extraFields };
  }

  #grow(): void {
    if (this.#capacity === 0) {
      this.#capacity = ROWS_FIRST;
      this.#expectValues();
    } else {
      this.#capacity = Math.max(2 * this.#capacity, 8 * Math.ceil(this.#sizes.rows / 8));
    }
    for (const builder of this.#builders) builder.grow(this.#capacity);
  }

  #expectValues(): void {
    const { values, valueBytes } = this.#sizes;
    for (const [index, builder] of this.#builders.entries()) {
      if (builder instanceof TextBuilder) builder.dictionary.expect(values[index]!, valueBytes[index]!);
    }
  }

  /** Looks at a double that is not plain. @returns 0, or unrepresentable. */
  #checkFloat64(index: number, number: NumberText, bytes: Uint8Array, value: number): number {
    // A whole number of so many digits is an identifier as often as a measurement: it is never rounded.
    if (number.isInteger && number.digits > PLAIN_DIGITS)
      return isExactDouble(value, number, bytes, this.#words) ? 0 : UNREPRESENTABLE;
    if (number.digits <= DOUBLE_DIGITS && value !== 0 && Number.isFinite(value)) return 0;
    number.trim(bytes);
    if (!Number.isFinite(value) || (value === 0 && number.significant > 0)) return UNREPRESENTABLE;
    if (number.significant > DOUBLE_DIGITS) this.#event(index, EVENT_INEXACT);
    else if (Object.is(value, -0)) this.#event(index, EVENT_NEGATIVE_ZERO);
    return 0;
  }

  #storeWords(index: number): void {
    const { words } = this.#builders[index] as Int64Builder;
    words[2 * this.rows] = this.#words.low;
    words[2 * this.rows + 1] = this.#words.high;
  }

  #event(index: number, event: number): void {
    this.#events[this.#eventCount++] = (index << EVENT_BITS) | event;
  }

  #writeNull(index: number, event: number): void {
    this.#builders[index]!.writeNull(this.rows);
    this.#event(index, event);
  }

  #applyEvents(): void {
    for (let i = 0; i < this.#eventCount; i++) {
      const entry = this.#events[i]!;
      const builder = this.#builders[entry >> EVENT_BITS]!;
      const event = entry & ((1 << EVENT_BITS) - 1);
      if (event <= EVENT_ABSENT) builder.setNull(this.rows);
      if (event === EVENT_ABSENT) builder.counts.absent++;
      else if (event === EVENT_INEXACT) builder.counts.inexact++;
      else if (event === EVENT_NEGATIVE_ZERO) builder.counts.negativeZero++;
      else if (event === EVENT_SUSPICIOUS) builder.counts.suspiciousText++;
    }
    this.#eventCount = 0;
  }
}
