import type { Int64Words } from './int64-words.ts';
import type { NumberText } from './number-text.ts';

const WORD = 4_294_967_296;
/** Digits that a double always holds exactly. */
const EXACT_DIGITS = 15;

/**
 * True when a whole number is its nearest double, digit by digit.
 * @param value The nearest double to `number`.
 * @param number Scanned from `bytes`, without point and exponent; so it does not begin with a zero.
 * @param words Scratch space; overwritten.
 */
export function isExactDouble(value: number, number: NumberText, bytes: Uint8Array, words: Int64Words): boolean {
  if (number.digits <= EXACT_DIGITS) return true;
  if (!Number.isFinite(value)) return false;
  if (words.parse(number, bytes)) {
    // Exact, because both are about equal (Sterbenz); so it is the low word only if nothing was rounded.
    return value - words.high * WORD === words.low >>> 0;
  }
  // Finite, so no more than 309 digits.
  const digits = Buffer.from(bytes.buffer, bytes.byteOffset + number.start, number.digits).toString('latin1');
  return BigInt(digits) === BigInt(Math.abs(value));
}
