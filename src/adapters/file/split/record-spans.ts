/** The records that a splitter found in a buffer, in order, without the line breaks between them. */
export interface RecordSpans {
  readonly count: number;
  /** `count` positions in the buffer. */
  readonly starts: Int32Array;
  /** `count` lengths in bytes. */
  readonly lengths: Int32Array;
  /** Leading bytes of the buffer that are done with: the next buffer begins after them. */
  readonly consumed: number;
  /** The record that begins at `consumed` is larger than `recordBytesMax`: nothing from there on was looked at. */
  readonly isTooLong: boolean;
}

/** Finds where records end in a file that arrives in pieces cut anywhere. */
export interface RecordSplitter {
  /**
   * Finds the records in `bytes[0, length)`: what the last call did not consume, and what has arrived since.
   * @param ended Nothing follows: what is left is the last record, with or without a line break.
   * @returns Spans that are valid until the next call.
   */
  split(bytes: Uint8Array, length: number, ended: boolean): RecordSpans;
}

const SPANS_FIRST = 256;

/** Collects the spans of one buffer; reused from call to call. */
export class SpanList implements RecordSpans {
  count = 0;
  starts = new Int32Array(SPANS_FIRST);
  lengths = new Int32Array(SPANS_FIRST);
  consumed = 0;
  isTooLong = false;
  readonly #recordBytesMax: number;

  /** @param recordBytesMax Largest record that is handed out, in bytes, at least 1. */
  constructor(recordBytesMax: number) {
    if (!Number.isInteger(recordBytesMax) || recordBytesMax < 1) {
      throw new RangeError(
        `Cannot split records: recordBytesMax is ${recordBytesMax}, expected an integer of at least 1`,
      );
    }
    this.#recordBytesMax = recordBytesMax;
  }

  /** Starts a buffer. */
  reset(): void {
    this.count = 0;
    this.consumed = 0;
    this.isTooLong = false;
  }

  /**
   * Adds the record `[start, end)`; `next` is where the following one begins.
   * @returns false if it is too long: then splitting ends here.
   */
  endRecord(start: number, end: number, next: number): boolean {
    this.waitFor(start, end);
    if (this.isTooLong) return false;
    if (this.count === this.starts.length) this.#grow();
    this.starts[this.count] = start;
    this.lengths[this.count] = end - start;
    this.count++;
    this.consumed = next;
    return true;
  }

  /** Takes note of `[start, end)` of a record that goes on. */
  waitFor(start: number, end: number): void {
    if (end - start > this.#recordBytesMax) this.isTooLong = true;
  }

  /** At the end of the input: what is left from `start` is a record, unless nothing is. */
  endInput(start: number, length: number): void {
    if (length > start) this.endRecord(start, length, length);
  }

  #grow(): void {
    const room = 2 * this.starts.length;
    const starts = new Int32Array(room);
    starts.set(this.starts);
    this.starts = starts;
    const lengths = new Int32Array(room);
    lengths.set(this.lengths);
    this.lengths = lengths;
  }
}
