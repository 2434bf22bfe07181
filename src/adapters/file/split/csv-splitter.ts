import type { CsvDelimiter } from '../../../record/csv.ts';
import { type RecordSpans, type RecordSplitter, SpanList } from './record-spans.ts';

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const MARK = Uint8Array.of(0xef, 0xbb, 0xbf);

/** At the first byte of a field: only here does a quote open a quoted field. */
const FIELD_START = 0;
const PLAIN = 1;
const QUOTED = 2;
/** After a quote inside of a quoted field: it ends the field, or the next quote makes it one of the text. */
const QUOTE_SEEN = 3;

/**
 * Splits CSV: a record ends at a `\n` or `\r\n` outside of quotes, and nothing is skipped: a blank line is a record of
 * length 0. What follows the last line break is a record unless it is empty; so is a quoted field that never closes. A
 * quote inside of a plain field opens nothing, so that a stray one harms only its own record. A byte order mark at the start
 * of a file is part of the first record, and its first field begins behind it.
 * Trust: the bytes are hostile; memory is bounded by the caller's buffer. Source: RFC 4180 §2.
 */
export class CsvSplitter implements RecordSplitter {
  readonly #spans: SpanList;
  readonly #delimiter: number;
  #state = FIELD_START;
  /** Leading bytes of the next buffer that `#state` already accounts for. */
  #scanned = 0;
  /** Nothing of the file was looked at so far. */
  #isStart: boolean;

  /**
   * @param recordBytesMax Largest record that is handed out, in bytes.
   * @param delimiter What stands between fields.
   * @param isStart The first byte is that of a file, and not that of a later record.
   * @throws {RangeError} if recordBytesMax is not a positive integer.
   */
  constructor(recordBytesMax: number, delimiter: CsvDelimiter, isStart = true) {
    this.#spans = new SpanList(recordBytesMax);
    this.#delimiter = delimiter.charCodeAt(0);
    this.#isStart = isStart;
  }

  split(bytes: Uint8Array, length: number, ended: boolean): RecordSpans {
    const spans = this.#spans;
    const window = bytes.subarray(0, length);
    spans.reset();
    if (this.#isStart && !this.#passMark(window, ended)) return spans;
    let start = 0;
    let lineBreak = this.#nextLineBreak(window, this.#scanned);
    while (lineBreak >= 0) {
      const end = lineBreak > start && window[lineBreak - 1] === CR ? lineBreak - 1 : lineBreak;
      if (!spans.endRecord(start, end, lineBreak + 1)) return spans;
      start = lineBreak + 1;
      lineBreak = this.#nextLineBreak(window, start);
    }
    if (ended) {
      spans.endInput(start, length);
      this.#state = FIELD_START;
      this.#isStart = true;
    } else {
      // A last CR may be half of a line break: it waits.
      spans.waitFor(start, length > start && window[length - 1] === CR ? length - 1 : length);
    }
    this.#scanned = length - spans.consumed;
    return spans;
  }

  /** Goes on behind the byte order mark, if there is one. @returns false while it cannot be told yet */
  #passMark(window: Uint8Array, ended: boolean): boolean {
    let length = 0;
    while (length < MARK.length && window[length] === MARK[length]) length++;
    if (length === window.length && length < MARK.length && !ended) return false;
    this.#isStart = false;
    if (length === MARK.length) this.#scanned = length;
    return true;
  }

  /** Position of the next line break outside of quotes, or −1; `#state` is then that of the window's end. */
  #nextLineBreak(window: Uint8Array, from: number): number {
    const delimiter = this.#delimiter;
    let state = this.#state;
    for (let p = from; p < window.length; p++) {
      if (state === QUOTED) {
        p = window.indexOf(QUOTE, p);
        if (p < 0) break;
        state = QUOTE_SEEN;
        continue;
      }
      const c = window[p]!;
      if (c === LF) {
        this.#state = FIELD_START;
        return p;
      }
      if (c === delimiter) state = FIELD_START;
      else if (c === QUOTE && state !== PLAIN) state = QUOTED;
      else state = PLAIN;
    }
    this.#state = state;
    return -1;
  }
}
