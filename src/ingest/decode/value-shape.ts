import type { Column } from '../../record/schema.ts';
import { Int64Words } from './int64-words.ts';
import type { NumberText } from './number-text.ts';
import { DECIMAL_PRECISION_MAX } from './schema-check.ts';
import { TIMESTAMP_NONE, TIMESTAMP_OK, TimestampText } from './timestamp-text.ts';

/** Beyond this many significant digits a double cannot tell all texts apart. */
const DOUBLE_DIGITS = 17;
const MICROS_DIGITS = 6;

/** The part of a column that its values decide, and a remark for the operator if the choice is not plain. */
export interface ShapeDecision extends Pick<Column, 'type' | 'precision' | 'scale' | 'unit'> {
  readonly note?: string;
}

/** What the values of one field have looked like so far. Cold path: one object a field, only while a schema is inferred. */
export class ValueShape {
  readonly #timestamp = new TimestampText();
  readonly #words = new Int64Words();
  #booleans = false;
  #integers = false;
  #fractions = false;
  #strings = false;
  #nested = false;
  /** A number that neither int64 nor a double holds digit by digit. */
  #needsDecimal = false;
  /** An integer that int64 holds digit by digit, but a double does not. */
  #longIntegers = false;
  #integerDigits = 0;
  #scale = 0;
  #allTimestamps = true;
  #allDates = true;
  #finerThanMicros = false;
  #fitsMicros = true;
  #fitsNanos = true;

  /** Notes a boolean. */
  addBoolean(): void {
    this.#booleans = true;
  }

  /** Notes an array, or an object where other records have something else. */
  addNested(): void {
    this.#nested = true;
  }

  /** Notes a number. @param bytes The bytes that `number` was scanned from. */
  addNumber(number: NumberText, bytes: Uint8Array): void {
    const fits = number.isInteger && this.#words.parse(number, bytes);
    number.trim(bytes);
    const isPlain = number.exponent === 0;
    if (number.isInteger) this.#integers = true;
    else this.#fractions = true;
    if (number.isInteger ? !fits : isPlain && number.significant > DOUBLE_DIGITS) this.#needsDecimal = true;
    if (fits && number.significant > DOUBLE_DIGITS) this.#longIntegers = true;
    this.#integerDigits = Math.max(this.#integerDigits, number.significant + number.power);
    this.#scale = Math.max(this.#scale, isPlain ? number.fraction : -number.power);
  }

  /** Notes a string, which may be a timestamp. */
  addString(bytes: Uint8Array, start: number, end: number): void {
    this.#strings = true;
    if (!this.#allTimestamps) return;
    const timestamp = this.#timestamp;
    const code = timestamp.parse(bytes, start, end);
    if (code === TIMESTAMP_NONE) {
      this.#allTimestamps = false;
      return;
    }
    if (!timestamp.isDate) this.#allDates = false;
    if (timestamp.fraction > MICROS_DIGITS) this.#finerThanMicros = true;
    if (code !== TIMESTAMP_OK) return;
    if (!timestamp.toWords('us', this.#words)) this.#fitsMicros = false;
    if (!timestamp.toWords('ns', this.#words)) this.#fitsNanos = false;
  }

  /**
   * The type that holds every value seen.
   * @param mixedType Where values of several types go: `json` keeps the exact text; in CSV, where everything is text, it is `string`.
   */
  decide(mixedType: 'json' | 'string'): ShapeDecision {
    const numbers = this.#integers || this.#fractions;
    const kinds = [this.#booleans, numbers, this.#strings, this.#nested].filter(Boolean).length;
    if (kinds > 1) return { type: mixedType, note: `holds ${this.#describe()}: kept as exact text` };
    if (this.#nested) return { type: 'json' };
    if (this.#booleans) return { type: 'boolean' };
    if (numbers) return this.#decideNumber(mixedType);
    return this.#strings && this.#allTimestamps ? this.#decideTimestamp() : { type: 'string' };
  }

  #decideNumber(mixedType: 'json' | 'string'): ShapeDecision {
    const needsDecimal = this.#needsDecimal || (this.#fractions && this.#longIntegers);
    if (!needsDecimal) return { type: this.#fractions ? 'float64' : 'int64' };
    if (this.#integerDigits + this.#scale > DECIMAL_PRECISION_MAX) {
      return {
        type: mixedType,
        note: `holds numbers that no decimal of ${DECIMAL_PRECISION_MAX} digits can: kept as exact text`,
      };
    }
    return { type: 'decimal', precision: DECIMAL_PRECISION_MAX, scale: this.#scale };
  }

  #decideTimestamp(): ShapeDecision {
    if (this.#allDates) return { type: 'timestamp', unit: 'ms' };
    if (this.#finerThanMicros && this.#fitsNanos) return { type: 'timestamp', unit: 'ns' };
    if (this.#fitsMicros) return { type: 'timestamp', unit: 'us' };
    return { type: 'string', note: 'holds timestamps that no resolution can: kept as text' };
  }

  #describe(): string {
    const names = [
      this.#booleans ? 'booleans' : '',
      this.#integers || this.#fractions ? 'numbers' : '',
      this.#strings ? 'strings' : '',
      this.#nested ? 'nested values' : '',
    ].filter((name) => name !== '');
    return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  }
}
