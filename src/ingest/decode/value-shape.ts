import type { Column } from '../../record/schema.ts';
import { isExactDouble } from './exact-double.ts';
import { Int64Words } from './int64-words.ts';
import type { NumberText } from './number-text.ts';
import { DECIMAL_PRECISION_MAX } from './schema-check.ts';
import { TIMESTAMP_NONE, TIMESTAMP_OK, TimestampText } from './timestamp-text.ts';

/** Beyond this many significant digits a double cannot tell all texts apart. */
const DOUBLE_DIGITS = 17;
const MICROS_DIGITS = 6;
/** Share of a field's values that may be of another kind without a say in its type: a few records must not turn a number into text. */
export const STRAY_SHARE_MAX = 0.01;

const TOO_WIDE: Kind = ['number too wide for it', 'numbers too wide for it'];

/** What is counted, as one and as many. */
type Kind = readonly [one: string, many: string];

/** The part of a column that its values decide, and a remark for the operator if the choice is not plain. */
export interface ShapeDecision extends Pick<Column, 'type' | 'precision' | 'scale' | 'unit'> {
  readonly note?: string;
}

/** One kind of values, and the type that holds them. */
interface SeenKind {
  readonly kind: Kind;
  readonly count: number;
  readonly decide: (mixedType: 'json' | 'string') => ShapeDecision;
}

/** Numbers that a type cannot hold. */
interface Beyond {
  count: number;
  /** Those among them that no decimal holds either. */
  wide: number;
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
  /** Numbers that int64, and that float64 does not hold: they decide with which of the two a decimal is compared. */
  readonly #beyondInt64: Beyond = { count: 0, wide: 0 };
  readonly #beyondFloat64: Beyond = { count: 0, wide: 0 };
  /** Fractions with more digits than a double tells apart. */
  #longFractions = 0;
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
    const { isInteger } = number;
    const double = number.toDouble(bytes);
    const isInt64 = isInteger && this.#words.parse(number, bytes);
    number.trim(bytes);
    const isInRange = Number.isFinite(double) && (double !== 0 || number.significant === 0);
    const isPlain = number.exponent === 0;
    const isLong = !isInteger && isPlain && number.significant > DOUBLE_DIGITS;
    const isFloat64 = isInteger ? isExactDouble(double, number, bytes, this.#words) : isInRange && !isLong;
    const scale = Math.max(0, isPlain ? number.fraction : -number.power);
    const integerDigits = Math.max(0, number.significant + number.power);
    const isWide = integerDigits + scale > DECIMAL_PRECISION_MAX;
    if (isInteger) this.#integers++;
    else this.#fractions++;
    if (isInteger && !isInt64) addTo(this.#beyondInt64, isWide);
    if (!isFloat64) addTo(this.#beyondFloat64, isWide);
    if (isWide) {
      this.#wide++;
      return;
    }
    if (isLong) this.#longFractions++;
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
      const names = kinds.map(({ kind: [, many] }) => many);
      return {
        type: mixedType,
        note: `holds ${names.slice(0, -1).join(', ')} and ${names.at(-1)}: kept as exact text`,
      };
    }
    const words = (of: 0 | 1): string => others.map(({ kind }) => kind[of]).join(' and ');
    return withStrays(first.decide(mixedType), strays, [words(0), words(1)]);
  }

  /** The kinds of values seen, the most frequent first. */
  #kinds(): readonly SeenKind[] {
    const kinds: readonly SeenKind[] = [
      { kind: ['boolean', 'booleans'], count: this.#booleans, decide: () => ({ type: 'boolean' }) },
      {
        kind: ['number', 'numbers'],
        count: this.#integers + this.#fractions,
        decide: (mixedType) => this.#decideNumber(mixedType),
      },
      { kind: ['string', 'strings'], count: this.#strings, decide: () => this.#decideString() },
      { kind: ['nested value', 'nested values'], count: this.#nested, decide: () => ({ type: 'json' }) },
    ];
    return kinds.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
  }

  #decideNumber(mixedType: 'json' | 'string'): ShapeDecision {
    const straysMax = STRAY_SHARE_MAX * (this.#integers + this.#fractions);
    const hasFractions = this.#fractions > 0;
    const plain: ShapeDecision = { type: hasFractions ? 'float64' : 'int64' };
    const { count, wide } = hasFractions ? this.#beyondFloat64 : this.#beyondInt64;
    // A decimal takes no more digits behind the point than were seen: a few odd whole numbers must not do that to fractions.
    const wantsDecimal = hasFractions ? this.#longFractions > 0 || count - wide > straysMax : count > wide;
    if (wantsDecimal && this.#wide <= straysMax && this.#integerDigits + this.#scale <= DECIMAL_PRECISION_MAX) {
      const decimal: ShapeDecision = { type: 'decimal', precision: DECIMAL_PRECISION_MAX, scale: this.#scale };
      return withStrays(decimal, this.#wide, TOO_WIDE);
    }
    if (count <= straysMax) return withStrays(plain, count, TOO_WIDE);
    return {
      type: mixedType,
      note: `holds numbers that no decimal of ${DECIMAL_PRECISION_MAX} digits can: kept as exact text`,
    };
  }

  #decideString(): ShapeDecision {
    const strays = this.#strings - this.#timestamps;
    if (strays > STRAY_SHARE_MAX * this.#strings) return { type: 'string' };
    return withStrays(this.#decideTimestamp(), strays, [
      'string that is no timestamp',
      'strings that are no timestamps',
    ]);
  }

  #decideTimestamp(): ShapeDecision {
    if (this.#allDates) return { type: 'timestamp', unit: 'ms' };
    if (this.#finerThanMicros && this.#fitsNanos) return { type: 'timestamp', unit: 'ns' };
    if (this.#fitsMicros) return { type: 'timestamp', unit: 'us' };
    return { type: 'string', note: 'holds timestamps that no resolution can: kept as text' };
  }
}

function withStrays(decision: ShapeDecision, count: number, [one, many]: Kind): ShapeDecision {
  if (count === 0 || decision.type === 'string' || decision.type === 'json') return decision;
  const [what, them] = count === 1 ? [one, 'it'] : [many, 'them'];
  const note = `holds ${count} ${what} as well: ${decision.type} all the same, records with ${them} become dead letters`;
  return { ...decision, note: decision.note === undefined ? note : `${decision.note}; ${note}` };
}

function addTo(beyond: Beyond, isWide: boolean): void {
  beyond.count++;
  if (isWide) beyond.wide++;
}
