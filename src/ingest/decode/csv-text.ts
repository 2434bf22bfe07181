import { CSV_DELIMITERS, type CsvDelimiter } from '../../record/csv.ts';
import { DEAD_LETTER } from '../../record/dead-letter.ts';
import { STRING_BYTES_MAX } from '../../record/schema.ts';
import { HASH_FACTOR as FACTOR, HASH_SEED as SEED, hashBytes } from './byte-hash.ts';
import { isSuspicious, sequenceLength, threeByteCodePoint } from './utf8.ts';

// Constants of other modules are read from memory at each use; of this module they are part of the machine code.
const HASH_FACTOR = FACTOR;
const HASH_SEED = SEED;
const LENGTH_MAX = STRING_BYTES_MAX;
const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const NUL = 0x00;
const SYNTAX = -DEAD_LETTER.syntax;
const INVALID_UTF8 = -DEAD_LETTER['invalid-utf8'];
const STRING_TOO_LONG = -DEAD_LETTER['string-too-long'];

const SCRATCH_FIRST = 256;
const SCRATCH_KEPT_MAX = 65_536;

/** For each delimiter, 0 for bytes that are text wherever they stand: ASCII but it, the quote, line breaks and NUL. */
const SPECIAL = new Map(
  CSV_DELIMITERS.map((delimiter) => {
    const special = new Set([delimiter.charCodeAt(0), QUOTE, CR, LF, NUL]);
    return [delimiter, Uint8Array.from({ length: 256 }, (_, byte) => (special.has(byte) || byte >= 0x80 ? 1 : 0))];
  }),
);

/**
 * Scans the fields of one CSV record. Positions go in and come out as numbers; a negative position is minus a
 * dead-letter code. What a field gave lies in fields until the next one, so that nothing is allocated.
 * Source: RFC 4180 §2, with UTF-8 (RFC 3629) for its TEXTDATA and a choice of delimiters for its comma.
 */
export class CsvText {
  /** The last field's text is `source[textStart, textEnd)`, without its quotes and with its doubled quotes made single. */
  source: Uint8Array = new Uint8Array(0);
  textStart = 0;
  textEnd = 0;
  /** `hashBytes` of the last field's text. */
  hash = 0;
  quoted = false;
  /** The last field has a suspicious character (see `isSuspicious`). */
  suspicious = false;
  /** The byte between fields. */
  readonly delimiter: number;
  readonly #special: Uint8Array;
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;
  #scratch: Uint8Array = new Uint8Array(SCRATCH_FIRST);

  constructor(delimiter: CsvDelimiter) {
    this.delimiter = delimiter.charCodeAt(0);
    this.#special = SPECIAL.get(delimiter)!;
  }

  /** Starts a record. */
  open(bytes: Uint8Array, end: number): void {
    this.#bytes = bytes;
    this.#end = end;
  }

  /** Lets go of the record, and of a scratch buffer that an unusually long field needed. */
  close(): void {
    this.#bytes = new Uint8Array(0);
    this.source = this.#bytes;
    if (this.#scratch.length > SCRATCH_KEPT_MAX) this.#scratch = new Uint8Array(SCRATCH_FIRST);
  }

  /**
   * Scans the field that begins at `start`, which may be the record's end: then the field is empty.
   * @returns Position of the delimiter or line break after the field, or the end; or minus a dead-letter code.
   */
  scanField(start: number): number {
    this.source = this.#bytes;
    this.suspicious = false;
    if (start < this.#end && this.#bytes[start] === QUOTE) {
      this.quoted = true;
      return this.#scanQuoted(start + 1);
    }
    this.quoted = false;
    return this.#scanPlain(start);
  }

  #scanPlain(start: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const special = this.#special;
    let p = start;
    let hash = HASH_SEED;
    while (p < end) {
      const c = bytes[p]!;
      if (special[c] !== 0) {
        if (c === this.delimiter || c === CR || c === LF) break;
        if (c === QUOTE) return SYNTAX;
        const length = this.#scanSequence(p);
        if (length < 0) return length;
        for (const last = p + length - 1; p < last; p++) hash = Math.imul(hash ^ bytes[p]!, HASH_FACTOR);
      }
      hash = Math.imul(hash ^ bytes[p]!, HASH_FACTOR);
      p++;
      if (p - start > LENGTH_MAX) return STRING_TOO_LONG;
    }
    this.textStart = start;
    this.textEnd = p;
    this.hash = hash;
    return p;
  }

  /** @param start Position after the opening quote. */
  #scanQuoted(start: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const special = this.#special;
    let p = start;
    let doubled = 0;
    for (;;) {
      if (p >= end) return SYNTAX;
      if (p - start > LENGTH_MAX) return STRING_TOO_LONG;
      const c = bytes[p]!;
      if (special[c] === 0 || c === this.delimiter || c === CR || c === LF) {
        p++;
      } else if (c === QUOTE) {
        if (p + 1 >= end || bytes[p + 1] !== QUOTE) break;
        doubled++;
        p += 2;
      } else {
        const length = this.#scanSequence(p);
        if (length < 0) return length;
        p += length;
      }
    }
    this.textStart = start;
    this.textEnd = p;
    if (doubled > 0) this.#undouble(start, p, p - start - doubled);
    this.hash = hashBytes(this.source, this.textStart, this.textEnd);
    const after = p + 1;
    if (after >= end) return after;
    const next = bytes[after]!;
    return next === this.delimiter || next === CR || next === LF ? after : SYNTAX;
  }

  /** Copies the text to the scratch buffer with one quote for two. */
  #undouble(start: number, end: number, length: number): void {
    if (length > this.#scratch.length) this.#scratch = new Uint8Array(Math.max(length, 2 * this.#scratch.length));
    const scratch = this.#scratch;
    let q = 0;
    for (let p = start; p < end; p++) {
      const c = this.#bytes[p]!;
      scratch[q++] = c;
      if (c === QUOTE) p++;
    }
    this.source = scratch;
    this.textStart = 0;
    this.textEnd = length;
  }

  /** Length of the NUL or the sequence of several bytes at `at`, or minus a dead-letter code. */
  #scanSequence(at: number): number {
    if (this.#bytes[at] === NUL) {
      this.suspicious = true;
      return 1;
    }
    const length = sequenceLength(this.#bytes, at, this.#end);
    if (length === 0) return INVALID_UTF8;
    if (length === 3 && isSuspicious(threeByteCodePoint(this.#bytes, at))) this.suspicious = true;
    return length;
  }
}
