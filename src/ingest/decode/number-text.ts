import { DEAD_LETTER } from '../../record/dead-letter.ts';
import { EXACT_POWER, nearestDouble, POWERS_OF_TEN } from './nearest-double.ts';

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const LETTER_E = 0x65;
const CASE_BIT = 0x20;
const SYNTAX = -DEAD_LETTER.syntax;

/** Digits that a double always holds exactly. */
const EXACT_DIGITS = 15;
/** Significant digits that are read as two exact integers. */
const HEAD_DIGITS = 10;
const LONG_DIGITS = 19;
/** An explicit exponent is held here, far outside of every type, so that sums with digit counts stay within int32. */
const EXPONENT_LIMIT = 1_000_000_000;
/**
 * One JSON number, scanned once: where its digits lie and what they are worth. A single instance is filled again for
 * each number, so that the hot path allocates nothing.
 */
export class NumberText {
  negative = false;
  /** No point and no exponent. */
  isInteger = false;
  /** First digit, and past the last digit before any exponent; a point may lie between. */
  start = 0;
  end = 0;
  /** Digits in `[start, end)`, leading and trailing zeros included. */
  digits = 0;
  /** Digits after the point. */
  fraction = 0;
  /** The explicit exponent, within ±1e9. */
  exponent = 0;
  /** Set by {@link trim}: digits from the first to the last that is not 0; 0 means the number is zero. */
  significant = 0;
  /** Set by {@link trim}: the value is the significant digits × 10^power. */
  power = 0;
  /** Set by {@link trim}: where the first significant digit lies. */
  significantStart = 0;
  /** [0] = all digits as one integer; exact while `digits` ≤ 15. A typed array, because a field would box the double. */
  readonly mantissa = new Float64Array(1);

  /**
   * Scans the number that begins at `bytes[start]`.
   * @param end Past the last byte that may be read.
   * @returns Index past the number, or minus the dead-letter code of a syntax error. Source: RFC 8259 §6.
   */
  scan(bytes: Uint8Array, start: number, end: number): number {
    let p = start;
    let c = p < end ? bytes[p]! : 0;
    const negative = c === MINUS;
    if (negative) c = ++p < end ? bytes[p]! : 0;
    const first = p;
    let mantissa = 0;
    if (c === ZERO) {
      c = ++p < end ? bytes[p]! : 0;
      if (c >= ZERO && c <= NINE) return SYNTAX;
    } else {
      while (c >= ZERO && c <= NINE) {
        mantissa = mantissa * 10 + (c - ZERO);
        c = ++p < end ? bytes[p]! : 0;
      }
      if (p === first) return SYNTAX;
    }
    let fraction = 0;
    if (c === POINT) {
      const point = p;
      c = ++p < end ? bytes[p]! : 0;
      while (c >= ZERO && c <= NINE) {
        mantissa = mantissa * 10 + (c - ZERO);
        c = ++p < end ? bytes[p]! : 0;
      }
      fraction = p - point - 1;
      if (fraction === 0) return SYNTAX;
    }
    this.negative = negative;
    this.start = first;
    this.end = p;
    this.digits = fraction === 0 ? p - first : p - first - 1;
    this.fraction = fraction;
    this.mantissa[0] = mantissa;
    if ((c | CASE_BIT) === LETTER_E) {
      this.isInteger = false;
      return this.#scanExponent(bytes, p + 1, end);
    }
    this.isInteger = fraction === 0;
    this.exponent = 0;
    return p;
  }

  #scanExponent(bytes: Uint8Array, start: number, end: number): number {
    let p = start;
    let c = p < end ? bytes[p]! : 0;
    const negative = c === MINUS;
    if (negative || c === PLUS) c = ++p < end ? bytes[p]! : 0;
    const first = p;
    let exponent = 0;
    while (c >= ZERO && c <= NINE) {
      if (exponent < EXPONENT_LIMIT / 10) exponent = exponent * 10 + (c - ZERO);
      else exponent = EXPONENT_LIMIT;
      c = ++p < end ? bytes[p]! : 0;
    }
    if (p === first) return SYNTAX;
    this.exponent = negative ? -exponent : exponent;
    return p;
  }

  /** Fills `significant`, `significantStart` and `power`. @param bytes The bytes that {@link scan} was given. */
  trim(bytes: Uint8Array): void {
    let start = this.start;
    let digits = this.digits;
    while (start < this.end && isZeroOrPoint(bytes[start]!)) {
      if (bytes[start] === ZERO) digits--;
      start++;
    }
    let power = this.exponent - this.fraction;
    let end = this.end;
    while (end > start && isZeroOrPoint(bytes[end - 1]!)) {
      if (bytes[end - 1] === ZERO) {
        digits--;
        power++;
      }
      end--;
    }
    this.significant = digits;
    this.significantStart = start;
    this.power = digits === 0 ? 0 : power;
  }

  /**
   * The nearest double, ties to even; ±Infinity or 0 when the text is out of a double's range.
   * @param bytes The bytes that {@link scan} was given.
   * Source: W. D. Clinger, How to Read Floating Point Numbers Accurately, PLDI 1990 (the fast case); ECMA-262 StringToNumber.
   */
  toDouble(bytes: Uint8Array): number {
    const power = this.exponent - this.fraction;
    if (this.digits <= EXACT_DIGITS && power >= -EXACT_POWER && power <= EXACT_POWER) {
      const mantissa = this.mantissa[0]!;
      const magnitude = power < 0 ? mantissa / POWERS_OF_TEN[-power]! : mantissa * POWERS_OF_TEN[power]!;
      return this.negative ? -magnitude : magnitude;
    }
    const magnitude = power >= -EXACT_POWER && power <= EXACT_POWER ? this.#longToDouble(bytes, power) : Number.NaN;
    if (!Number.isNaN(magnitude)) return this.negative ? -magnitude : magnitude;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + this.start, this.end - this.start).toString('latin1');
    return Number(`${this.negative ? '-' : ''}${text}e${this.exponent}`);
  }

  /** The magnitude of a number of up to 19 significant digits; NaN if it has more, or lies too close to a tie. */
  #longToDouble(bytes: Uint8Array, power: number): number {
    let head = 0;
    let tail = 0;
    let digits = 0;
    for (let p = this.start; p < this.end; p++) {
      const digit = bytes[p]! - ZERO;
      if (digit < 0 || (digit === 0 && digits === 0)) continue;
      digits++;
      if (digits <= HEAD_DIGITS) head = head * 10 + digit;
      else if (digits <= LONG_DIGITS) tail = tail * 10 + digit;
      else return Number.NaN;
    }
    return nearestDouble(head, tail, Math.max(0, digits - HEAD_DIGITS), power);
  }
}

function isZeroOrPoint(byte: number): boolean {
  return byte === ZERO || byte === POINT;
}
