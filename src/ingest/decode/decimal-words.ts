import type { NumberText } from './number-text.ts';

const POINT = 0x2e;
const ZERO = 0x30;
const WORD = 4_294_967_296;
/** Digits whose product with a 32-bit word still is an exact double. */
const CHUNK_DIGITS = 6;
/** Digits that a double holds exactly, after shifting. */
const EXACT_DIGITS = 15;
const POWERS_OF_TEN = Float64Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => Number(`1e${power}`));

/**
 * Writes the number as a 128-bit unscaled decimal: the exact value × 10^scale.
 * @param bytes The bytes that `number` was scanned from.
 * @param precision Total digits, 1–38. @param scale Digits after the point, 0–precision.
 * @param words Receives 4 little-endian two's complement words from index `at`.
 * @returns False, with nothing written, if the value has a digit beyond the scale or too many digits.
 */
export function writeDecimal(
  number: NumberText,
  bytes: Uint8Array,
  precision: number,
  scale: number,
  words: Uint32Array,
  at: number,
): boolean {
  const shift = number.exponent - number.fraction + scale;
  if (shift >= 0 && number.digits + shift <= EXACT_DIGITS && number.digits + shift <= precision) {
    const value = number.mantissa[0]! * POWERS_OF_TEN[shift]!;
    words[at] = value >>> 0;
    words[at + 1] = Math.floor(value / WORD);
    words[at + 2] = 0;
    words[at + 3] = 0;
  } else {
    number.trim(bytes);
    const zeros = number.power + scale;
    if (number.significant > 0 && (zeros < 0 || number.significant + zeros > precision)) return false;
    writeDigits(number, bytes, zeros, words, at);
  }
  if (number.negative) negate(words, at);
  return true;
}

/** Writes the trimmed digits followed by `zeros` zeros. */
function writeDigits(number: NumberText, bytes: Uint8Array, zeros: number, words: Uint32Array, at: number): void {
  words.fill(0, at, at + 4);
  let chunk = 0;
  let filled = 0;
  const total = number.significant === 0 ? 0 : number.significant + zeros;
  let p = number.significantStart;
  for (let i = 0; i < total; i++) {
    let digit = 0;
    if (i < number.significant) {
      if (bytes[p] === POINT) p++;
      digit = bytes[p++]! - ZERO;
    }
    chunk = chunk * 10 + digit;
    filled++;
    if (filled === CHUNK_DIGITS || i === total - 1) {
      multiplyAdd(words, at, POWERS_OF_TEN[filled]!, chunk);
      chunk = 0;
      filled = 0;
    }
  }
}

/** words × factor + addend; factor ≤ 10^6, so each product is an exact double. */
function multiplyAdd(words: Uint32Array, at: number, factor: number, addend: number): void {
  let carry = addend;
  for (let i = at; i < at + 4; i++) {
    const product = words[i]! * factor + carry;
    words[i] = product >>> 0;
    carry = Math.floor(product / WORD);
  }
}

function negate(words: Uint32Array, at: number): void {
  let carry = 1;
  for (let i = at; i < at + 4; i++) {
    const word = (~words[i]! >>> 0) + carry;
    words[i] = word >>> 0;
    carry = word === WORD ? 1 : 0;
  }
}
