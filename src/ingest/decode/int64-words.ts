import type { NumberText } from './number-text.ts';

const WORD = 4_294_967_296;
const HALF_WORD = 65_536;
const WORD_SIGN = 2_147_483_648;
/** Longest integer text that may fit int64. */
const DIGITS_MAX = 19;
/** Integers of up to this many digits are exact doubles. */
const EXACT_DIGITS = 15;
const TAIL_DIGITS = 9;
const TAIL = 1_000_000_000;
const ZERO = 0x30;

/** A signed 64-bit integer in two halves, computed with doubles but without rounding; BigInt would allocate. */
export class Int64Words {
  /** Low 32 bits, as an int32. */
  low = 0;
  /** High 32 bits, as an int32. */
  high = 0;

  /**
   * Sets value × factor + addend.
   * @param value Integer, |value| ≤ 5 × 10^11.
   * @param factor Integer, 1 to 10^9.
   * @param addend Integer, |addend| ≤ 2^32.
   * @returns False if the result lies outside of int64; the halves then mean nothing.
   */
  multiplyAdd(value: number, factor: number, addend: number): boolean {
    const upper = Math.floor(value / HALF_WORD);
    const product = upper * factor;
    const productUpper = Math.floor(product / HALF_WORD);
    const rest = (product - productUpper * HALF_WORD) * HALF_WORD + (value - upper * HALF_WORD) * factor + addend;
    const high = productUpper + Math.floor(rest / WORD);
    this.low = rest | 0;
    this.high = high | 0;
    return high >= -WORD_SIGN && high < WORD_SIGN;
  }

  /**
   * Sets the value of an integer text.
   * @param number Scanned from `bytes`, without point and exponent.
   * @returns False if it lies outside of int64; the halves then mean nothing.
   */
  parse(number: NumberText, bytes: Uint8Array): boolean {
    if (number.digits <= EXACT_DIGITS) {
      const value = number.negative ? -number.mantissa[0]! : number.mantissa[0]!;
      this.low = value | 0;
      this.high = Math.floor(value / WORD) | 0;
      return true;
    }
    if (number.digits > DIGITS_MAX) return false;
    const split = number.end - TAIL_DIGITS;
    const head = parseDigits(bytes, number.start, split);
    const tail = parseDigits(bytes, split, number.end);
    return number.negative ? this.multiplyAdd(-head, TAIL, -tail) : this.multiplyAdd(head, TAIL, tail);
  }
}

function parseDigits(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let p = start; p < end; p++) value = value * 10 + (bytes[p]! - ZERO);
  return value;
}
