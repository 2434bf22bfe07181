/**
 * Length of the UTF-8 sequence of several bytes that begins at `bytes[at]`, or 0 if it is not well-formed: a stray
 * continuation byte, an overlong form, a surrogate, a code point beyond U+10FFFF, or a sequence cut off by `end`.
 * @param at Index of a byte ≥ 0x80.
 * @param end Past the last byte that may be read.
 * @returns 2, 3, 4, or 0. Source: Unicode 15, table 3-7.
 */
export function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  if (lead < 0xc2) return 0;
  if (at + 1 >= end) return 0;
  const second = bytes[at + 1]!;
  if (lead < 0xe0) return isContinuation(second) ? 2 : 0;
  if (at + 2 >= end || !isContinuation(second) || !isContinuation(bytes[at + 2]!)) return 0;
  if (lead < 0xf0) {
    if (lead === 0xe0) return second >= 0xa0 ? 3 : 0;
    if (lead === 0xed) return second < 0xa0 ? 3 : 0;
    return 3;
  }
  if (lead > 0xf4 || at + 3 >= end || !isContinuation(bytes[at + 3]!)) return 0;
  if (lead === 0xf0) return second >= 0x90 ? 4 : 0;
  if (lead === 0xf4) return second < 0x90 ? 4 : 0;
  return 4;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** Code point of the well-formed sequence of three bytes at `bytes[at]`. */
export function threeByteCodePoint(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! & 0x0f) << 12) | ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f);
}

/**
 * True for NUL and for what a reader does not see: zero-width characters (U+200B–200F, U+2060, U+FEFF) and
 * bidirectional controls (U+202A–202E, U+2066–2069). Source: Trojan Source, https://trojansource.codes (matrix E6–E8).
 */
export function isSuspicious(codePoint: number): boolean {
  if (codePoint < 0x200b) return codePoint === 0;
  if (codePoint <= 0x2069) {
    return (
      codePoint <= 0x200f || (codePoint >= 0x202a && codePoint <= 0x202e) || codePoint === 0x2060 || codePoint >= 0x2066
    );
  }
  return codePoint === 0xfeff;
}

/**
 * Writes the UTF-8 form of `codePoint` at `target[at]`; the caller has made room for 4 bytes.
 * @param codePoint A Unicode scalar value.
 * @returns Index past the last byte written.
 */
export function writeCodePoint(target: Uint8Array, at: number, codePoint: number): number {
  let p = at;
  if (codePoint < 0x80) {
    target[p++] = codePoint;
    return p;
  }
  if (codePoint < 0x800) {
    target[p++] = 0xc0 | (codePoint >> 6);
  } else {
    if (codePoint < 0x10000) {
      target[p++] = 0xe0 | (codePoint >> 12);
    } else {
      target[p++] = 0xf0 | (codePoint >> 18);
      target[p++] = 0x80 | ((codePoint >> 12) & 0x3f);
    }
    target[p++] = 0x80 | ((codePoint >> 6) & 0x3f);
  }
  target[p++] = 0x80 | (codePoint & 0x3f);
  return p;
}

/** Bytes of the byte order mark at `start`: 3 for UTF-8, 2 for either UTF-16, 0 if there is none. */
export function byteOrderMarkLength(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 2 || bytes[start]! < 0xef) return 0;
  const first = bytes[start]!;
  const second = bytes[start + 1]!;
  if (first === 0xef) return second === 0xbb && end - start > 2 && bytes[start + 2] === 0xbf ? 3 : 0;
  return (first === 0xfe && second === 0xff) || (first === 0xff && second === 0xfe) ? 2 : 0;
}
