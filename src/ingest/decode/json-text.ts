import { DEAD_LETTER } from '../../record/dead-letter.ts';
import { STRING_BYTES_MAX } from '../../record/schema.ts';
import { HASH_FACTOR as FACTOR, HASH_SEED as SEED, hashBytes } from './byte-hash.ts';
import { isSuspicious, sequenceLength, threeByteCodePoint, writeCodePoint } from './utf8.ts';

// Constants of other modules are read from memory at each use; of this module they are part of the machine code.
const HASH_FACTOR = FACTOR;
const HASH_SEED = SEED;
const LENGTH_MAX = STRING_BYTES_MAX;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;
const TWO_BYTES_FROM = 0xc2;
const THREE_BYTES_FROM = 0xe0;
const SYNTAX = -DEAD_LETTER.syntax;
const INVALID_UTF8 = -DEAD_LETTER['invalid-utf8'];
const LONE_SURROGATE = -DEAD_LETTER['lone-surrogate'];
const STRING_TOO_LONG = -DEAD_LETTER['string-too-long'];

const SCRATCH_FIRST = 256;
const SCRATCH_KEPT_MAX = 65_536;
/** Longest sequence that one step of unescaping writes. */
const STEP_BYTES_MAX = 4;

/** 0 for bytes that a string may hold as they are: ASCII but controls, quote and backslash. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < SPACE || byte === QUOTE || byte === BACKSLASH || byte >= 0x80 ? 1 : 0,
);
/** What the character after a backslash stands for; 0 where it is not allowed. */
const ESCAPES = new Uint8Array(256);
for (const [name, value] of Object.entries({
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
})) {
  ESCAPES[name.charCodeAt(0)] = value.charCodeAt(0);
}
const HEX = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 16; digit++) {
  HEX[digit.toString(16).charCodeAt(0)] = digit;
  HEX[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/**
 * Scans the strings and white space of one JSON record. Positions go in and come out as numbers; a negative position is
 * minus a dead-letter code. What else a string gave lies in fields until the next one, so that nothing is allocated.
 * Source: RFC 8259 §§2, 7; UTF-8 by RFC 3629.
 */
export class JsonText {
  bytes: Uint8Array = new Uint8Array(0);
  /** Past the last byte of the record. */
  end = 0;
  /** `hashBytes` of the last string, unescaped. */
  hash = 0;
  /** The last string had an escape: its text is `scratch[textStart, textEnd)`, otherwise the bytes between its quotes. */
  escaped = false;
  textStart = 0;
  textEnd = 0;
  /** Set by any string with a suspicious character (see `isSuspicious`); cleared by the caller. */
  suspicious = false;
  scratch: Uint8Array = new Uint8Array(SCRATCH_FIRST);
  /** Bytes of `scratch` in use; a caller that is done with a text sets it back. */
  scratchUsed = 0;

  /** Starts a record. */
  open(bytes: Uint8Array, end: number): void {
    this.bytes = bytes;
    this.end = end;
    this.scratchUsed = 0;
  }

  /** Lets go of the record, and of a scratch buffer that an unusually long string needed. */
  close(): void {
    this.bytes = new Uint8Array(0);
    if (this.scratch.length > SCRATCH_KEPT_MAX) this.scratch = new Uint8Array(SCRATCH_FIRST);
  }

  /** First position at or after `start` that is not white space. */
  skipSpace(start: number): number {
    const { bytes, end } = this;
    let p = start;
    while (p < end) {
      const c = bytes[p]!;
      if (c !== SPACE && c !== LF && c !== CR && c !== TAB) break;
      p++;
    }
    return p;
  }

  /**
   * Scans a string.
   * @param start Position after the opening quote.
   * @returns Position of the closing quote, or minus a dead-letter code.
   */
  scanString(start: number): number {
    const { bytes, end } = this;
    const limit = end - start > LENGTH_MAX ? start + LENGTH_MAX + 1 : end;
    let p = start;
    let hash = HASH_SEED;
    let c = 0;
    while (p < limit) {
      c = bytes[p]!;
      if (SPECIAL[c] !== 0) break;
      hash = Math.imul(hash ^ c, HASH_FACTOR);
      p++;
    }
    if (c === QUOTE) {
      this.hash = hash;
      this.escaped = false;
      return p;
    }
    return this.#scanUnicode(start, p, limit, hash);
  }

  /** Goes on at `from`, the first byte that is not plain: text that is not ASCII, but no escape yet. */
  #scanUnicode(start: number, from: number, limit: number, hashSoFar: number): number {
    const { bytes } = this;
    let p = from;
    let hash = hashSoFar;
    while (p < limit) {
      const c = bytes[p]!;
      if (SPECIAL[c] === 0) {
        hash = Math.imul(hash ^ c, HASH_FACTOR);
        p++;
      } else if (c === QUOTE) {
        this.hash = hash;
        this.escaped = false;
        return p;
      } else if (c === BACKSLASH) {
        return this.#scanEscaped(start, p, limit);
      } else if (c >= TWO_BYTES_FROM && c < THREE_BYTES_FROM && p + 1 < limit && (bytes[p + 1]! & 0xc0) === 0x80) {
        // Most scripts but the East Asian ones take two bytes: no call for them.
        hash = Math.imul(Math.imul(hash ^ c, HASH_FACTOR) ^ bytes[p + 1]!, HASH_FACTOR);
        p += 2;
      } else {
        const length = this.#scanSequence(p, limit);
        if (length < 0) return length;
        for (const next = p + length; p < next; p++) hash = Math.imul(hash ^ bytes[p]!, HASH_FACTOR);
      }
    }
    return limit === this.end ? SYNTAX : STRING_TOO_LONG;
  }

  /** Length of the sequence at `at`, a byte that is neither plain nor quote nor backslash; or minus a dead-letter code. */
  #scanSequence(at: number, limit: number): number {
    const { bytes } = this;
    if (bytes[at]! < SPACE) return SYNTAX;
    const length = sequenceLength(bytes, at, this.end);
    if (length === 0) return INVALID_UTF8;
    if (at + length > limit) return STRING_TOO_LONG;
    if (length === 3 && isSuspicious(threeByteCodePoint(bytes, at))) this.suspicious = true;
    return length;
  }

  /** Goes on at the first backslash, writing the unescaped text to the scratch buffer. */
  #scanEscaped(start: number, from: number, limit: number): number {
    const { bytes } = this;
    this.textStart = this.scratchUsed;
    this.#reserve(from - start);
    this.scratch.set(bytes.subarray(start, from), this.scratchUsed);
    this.scratchUsed += from - start;
    let p = from;
    while (p < limit) {
      if (this.scratchUsed + STEP_BYTES_MAX > this.scratch.length) this.#reserve(STEP_BYTES_MAX);
      const c = bytes[p]!;
      if (SPECIAL[c] === 0) {
        this.scratch[this.scratchUsed++] = c;
        p++;
      } else if (c === QUOTE) {
        this.textEnd = this.scratchUsed;
        this.hash = hashBytes(this.scratch, this.textStart, this.textEnd);
        this.escaped = true;
        return p;
      } else if (c === BACKSLASH) {
        p = this.#unescape(p + 1, limit);
        if (p < 0) return p;
      } else {
        const length = this.#scanSequence(p, limit);
        if (length < 0) return length;
        for (const next = p + length; p < next; p++) this.scratch[this.scratchUsed++] = bytes[p]!;
      }
    }
    return limit === this.end ? SYNTAX : STRING_TOO_LONG;
  }

  /** Writes what the escape after a backslash stands for. @returns Position past the escape, or minus a dead-letter code. */
  #unescape(at: number, limit: number): number {
    if (at >= limit) return limit === this.end ? SYNTAX : STRING_TOO_LONG;
    const name = this.bytes[at]!;
    if (name !== LETTER_U) {
      const value = ESCAPES[name]!;
      if (value === 0) return SYNTAX;
      this.scratch[this.scratchUsed++] = value;
      return at + 1;
    }
    let codePoint = this.#hex(at + 1, limit);
    if (codePoint < 0) return codePoint;
    let p = at + 5;
    if (codePoint >= 0xd800 && codePoint <= 0xdfff) {
      const bytes = this.bytes;
      if (p >= limit) return limit === this.end ? SYNTAX : STRING_TOO_LONG;
      if (codePoint >= 0xdc00 || bytes[p] !== BACKSLASH || bytes[p + 1] !== LETTER_U) return LONE_SURROGATE;
      const low = this.#hex(p + 2, limit);
      if (low < 0) return low;
      if (low < 0xdc00 || low > 0xdfff) return LONE_SURROGATE;
      codePoint = 0x10000 + ((codePoint - 0xd800) << 10) + (low - 0xdc00);
      p += 6;
    }
    if (isSuspicious(codePoint)) this.suspicious = true;
    this.scratchUsed = writeCodePoint(this.scratch, this.scratchUsed, codePoint);
    return p;
  }

  /** Value of four hex digits, or minus a dead-letter code. */
  #hex(at: number, limit: number): number {
    if (at + 4 > limit) return limit === this.end ? SYNTAX : STRING_TOO_LONG;
    const { bytes } = this;
    const value =
      (HEX[bytes[at]!]! << 12) | (HEX[bytes[at + 1]!]! << 8) | (HEX[bytes[at + 2]!]! << 4) | HEX[bytes[at + 3]!]!;
    return value < 0 ? SYNTAX : value;
  }

  #reserve(length: number): void {
    const needed = this.scratchUsed + length;
    if (needed <= this.scratch.length) return;
    const scratch = new Uint8Array(Math.max(needed, 2 * this.scratch.length));
    scratch.set(this.scratch.subarray(0, this.scratchUsed));
    this.scratch = scratch;
  }
}
