import type { Column } from '../../record/schema.ts';
import { Int64Words } from './int64-words.ts';
import type { NumberText } from './number-text.ts';
import { DECIMAL_PRECISION_MAX } from './schema-check.ts';
import { TIMESTAMP_NONE, TIMESTAMP_OK, TimestampText } from './timestamp-text.ts';

/** Beyond this many significant digits a double cannot tell all texts apart. */
const DOUBLE_DIGITS = 17;
const MICROS_DIGITS = 6;
/** Share of a field's values that may be of another kind without a say in its type: a few records must not turn a number into text. */
export const STRAY_SHARE_MAX = 0.01;

/** The part of a column that its values decide, and a remark for the operator if the choice is not plain. */
export interface ShapeDecision extends Pick<Column, 'type' | 'precision' | 'scale' | 'unit'> {
  readonly note?: string;
}

/** What the values of one field have looked like so far. Cold path: one object a field, only while a schema is inferred. */
export class ValueShape {
  readonly #timestamp = new TimestampText();
  readonly #words = new Int64Words();
  #booleans = 0;
  #integers = 0;
  #fractions = 0;
  #strings = 0;
  #nested = 0;
  /** Numbers that of all types only a decimal holds digit by digit. */
  #decimals = 0;
  /** Numbers that no type holds digit by digit. */
  #textOnly = 0;
  /** Integers that int64 holds digit by digit, but a double does not. */
  #longIntegers = 0;
  #integerDigits = 0;
  #scale = 0;
  /** Numbers that no decimal holds. They have no say in its digits. */
  #wide = 0;
  #timestamps = 0;
  #allDates = true;
  #finerThanMicros = false;
  #fitsMicros = true;
  #fitsNanos = true;

  /** Notes a boolean. */
  addBoolean(): void {
    this.#booleans++;
  }

  /** Notes arrays, or objects where other records have something else. */
  addNested(count = 1): void {
    this.#nested += count;
  }

  /** Notes a number. @param bytes The bytes that `number` was scanned from. */
  addNumber(number: NumberText, bytes: Uint8Array): void {
    const fits = number.isInteger && this.#words.parse(number, bytes);
    number.trim(bytes);
    const isPlain = number.exponent === 0;
    if (number.isInteger) this.#integers++;
    else this.#fractions++;
    const needsDecimal = number.isInteger ? !fits : isPlain && number.significant > DOUBLE_DIGITS;
    if (fits && number.significant > DOUBLE_DIGITS) this.#longIntegers++;
    const scale = Math.max(0, isPlain ? number.fraction : -number.power);
    const integerDigits = Math.max(0, number.significant + number.power);
    if (integerDigits + scale > DECIMAL_PRECISION_MAX) {
      this.#wide++;
      const double = number.toDouble(bytes);
      const isDouble = Number.isFinite(double) && (double !== 0 || number.significant === 0);
      if (needsDecimal || !isDouble) this.#textOnly++;
      return;
    }
    if (needsDecimal) this.#decimals++;
    this.#integerDigits = Math.max(this.#integerDigits, integerDigits);
    this.#scale = Math.max(this.#scale, scale);
  }

  /** Notes a string, which may be a timestamp. */
  addString(bytes: Uint8Array, start: number, end: number): void {
    this.#strings++;
    const timestamp = this.#timestamp;
    const code = timestamp.parse(bytes, start, end);
    if (code === TIMESTAMP_NONE) return;
    this.#timestamps++;
    if (!timestamp.isDate) this.#allDates = false;
    if (timestamp.fraction > MICROS_DIGITS) this.#finerThanMicros = true;
    if (code !== TIMESTAMP_OK) return;
    if (!timestamp.toWords('us', this.#words)) this.#fitsMicros = false;
    if (!timestamp.toWords('ns', this.#words)) this.#fitsNanos = false;
  }

  /**
   * The type that holds the values seen, but for a hundredth of them.
   * @param mixedType Where values of several types go: `json` keeps the exact text; in CSV, where everything is text, it is `string`.
   */
  decide(mixedType: 'json' | 'string'): ShapeDecision {
    const kinds = this.#kinds();
    const [first, ...others] = kinds;
    if (first === undefined) return { type: 'string' };
    const strays = others.reduce((sum, { count }) => sum + count, 0);
    if (strays > STRAY_SHARE_MAX * (strays + first.count)) {
      const names = kinds.map(({ name }) => name);
      return {
        type: mixedType,
        note: `holds ${names.slice(0, -1).join(', ')} and ${names.at(-1)}: kept as exact text`,
      };
    }
    return withStrays(first.decide(mixedType), strays, others.map(({ name }) => name).join(' and '));
  }

  /** The kinds of values seen, the most frequent first. */
  #kinds(): { name: string; count: number; decide: (mixedType: 'json' | 'string') => ShapeDecision }[] {
    return [
      { name: 'booleans', count: this.#booleans, decide: (): ShapeDecision => ({ type: 'boolean' }) },
      {
        name: 'numbers',
        count: this.#integers + this.#fractions,
        decide: (mixedType: 'json' | 'string') => this.#decideNumber(mixedType),
      },
      { name: 'strings', count: this.#strings, decide: () => this.#decideString() },
      { name: 'nested values', count: this.#nested, decide: (): ShapeDecision => ({ type: 'json' }) },
    ]
      .filter(({ count }) => count > 0)
      .sort((a, b) => b.count - a.count);
  }

  #decideNumber(mixedType: 'json' | 'string'): ShapeDecision {
    const straysMax = STRAY_SHARE_MAX * (this.#integers + this.#fractions);
    const plain: ShapeDecision = { type: this.#fractions > 0 ? 'float64' : 'int64' };
    const decimals = this.#decimals + (this.#fractions > 0 ? this.#longIntegers : 0);
    if (decimals > 0 && this.#wide <= straysMax && this.#integerDigits + this.#scale <= DECIMAL_PRECISION_MAX) {
      const decimal: ShapeDecision = { type: 'decimal', precision: DECIMAL_PRECISION_MAX, scale: this.#scale };
      return withStrays(decimal, this.#wide, 'numbers too wide for it');
    }
    const strays = decimals + this.#textOnly;
    if (strays <= straysMax) return withStrays(plain, strays, 'numbers too wide for it');
    return {
      type: mixedType,
      note: `holds numbers that no decimal of ${DECIMAL_PRECISION_MAX} digits can: kept as exact text`,
    };
  }

  #decideString(): ShapeDecision {
    const strays = this.#strings - this.#timestamps;
    if (strays > STRAY_SHARE_MAX * this.#strings) return { type: 'string' };
    return withStrays(this.#decideTimestamp(), strays, 'strings that are no timestamps');
  }

  #decideTimestamp(): ShapeDecision {
    if (this.#allDates) return { type: 'timestamp', unit: 'ms' };
    if (this.#finerThanMicros && this.#fitsNanos) return { type: 'timestamp', unit: 'ns' };
    if (this.#fitsMicros) return { type: 'timestamp', unit: 'us' };
    return { type: 'string', note: 'holds timestamps that no resolution can: kept as text' };
  }
}

function withStrays(decision: ShapeDecision, count: number, what: string): ShapeDecision {
  if (count === 0 || decision.type === 'string' || decision.type === 'json') return decision;
  const note = `holds ${count} ${what} as well: ${decision.type} all the same, records with them become dead letters`;
  return { ...decision, note: decision.note === undefined ? note : `${decision.note}; ${note}` };
}
