import { type RecordSpans, type RecordSplitter, SpanList } from './record-spans.ts';

const LF = 0x0a;
const CR = 0x0d;

/**
 * Splits newline-delimited JSON: a record ends at `\n` or `\r\n`, and nothing is skipped: a blank line is a record of
 * length 0. What follows the last line break is a record unless it is empty. Linear in the input: no byte is searched twice.
 * Trust: the bytes are hostile; memory is bounded by the caller's buffer.
 */
export class NdjsonSplitter implements RecordSplitter {
  readonly #spans: SpanList;
  /** Leading bytes of the next buffer that are known to hold no line break. */
  #searched = 0;

  /**
   * @param recordBytesMax Largest record that is handed out, in bytes.
   * @throws {RangeError} if it is not a positive integer.
   */
  constructor(recordBytesMax: number) {
    this.#spans = new SpanList(recordBytesMax);
  }

  split(bytes: Uint8Array, length: number, ended: boolean): RecordSpans {
    const spans = this.#spans;
    const window = bytes.subarray(0, length);
    spans.reset();
    let start = 0;
    let lineBreak = window.indexOf(LF, this.#searched);
    while (lineBreak >= 0) {
      const end = lineBreak > start && window[lineBreak - 1] === CR ? lineBreak - 1 : lineBreak;
      if (!spans.endRecord(start, end, lineBreak + 1)) return spans;
      start = lineBreak + 1;
      lineBreak = window.indexOf(LF, start);
    }
    if (ended) {
      spans.endInput(start, length);
    } else {
      // A last CR may be half of a line break: it waits.
      spans.waitFor(start, length > start && window[length - 1] === CR ? length - 1 : length);
    }
    this.#searched = length - spans.consumed;
    return spans;
  }
}
