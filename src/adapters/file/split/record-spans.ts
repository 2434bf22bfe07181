/** A whole record. */
export const SPAN_RECORD = 0;
/** A piece of a record that is larger than `recordBytesMax`; more pieces follow. */
export const SPAN_PART = 1;
/** The last piece, or all, of a record that is larger than `recordBytesMax`; may be empty. */
export const SPAN_PART_END = 2;

/**
 * What a splitter found in a buffer: pieces in order, without the line breaks between them. The pieces of one too large
 * record, joined, are its bytes however the input was cut into buffers; so the caller can hash them as they come and
 * never holds more than about `recordBytesMax` bytes.
 */
export interface RecordSpans {
  readonly count: number;
  /** `count` positions in the buffer. */
  readonly starts: Int32Array;
  /** `count` lengths in bytes. */
  readonly lengths: Int32Array;
  /** `count` codes SPAN_…. */
  readonly kinds: Uint8Array;
  /** Leading bytes of the buffer that are done with: the next buffer begins after them. */
  readonly consumed: number;
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
  kinds = new Uint8Array(SPANS_FIRST);
  consumed = 0;
  readonly #recordBytesMax: number;
  /** Pieces of the record at hand were handed out already. */
  #inParts = false;

  /** @param recordBytesMax Largest record that is handed out whole, in bytes, at least 1. */
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
  }

  /** Adds `[start, end)`, with which a record ends; `next` is where the following one begins. */
  endRecord(start: number, end: number, next: number): void {
    const isLarge = this.#inParts || end - start > this.#recordBytesMax;
    this.#push(start, end, isLarge ? SPAN_PART_END : SPAN_RECORD);
    this.#inParts = false;
    this.consumed = next;
  }

  /** Hands out `[start, end)` of an unfinished record, if it is already too large. */
  flushLarge(start: number, end: number): void {
    if (end === start || (!this.#inParts && end - start <= this.#recordBytesMax)) return;
    this.#push(start, end, SPAN_PART);
    this.#inParts = true;
    this.consumed = end;
  }

  /** At the end of the input: what is left from `start` is a record, unless nothing is. */
  endInput(start: number, length: number): void {
    if (length > start || this.#inParts) this.endRecord(start, length, length);
  }

  #push(start: number, end: number, kind: number): void {
    if (this.count === this.starts.length) this.#grow();
    this.starts[this.count] = start;
    this.lengths[this.count] = end - start;
    this.kinds[this.count] = kind;
    this.count++;
  }

  #grow(): void {
    const room = 2 * this.starts.length;
    const starts = new Int32Array(room);
    starts.set(this.starts);
    this.starts = starts;
    const lengths = new Int32Array(room);
    lengths.set(this.lengths);
    this.lengths = lengths;
    const kinds = new Uint8Array(room);
    kinds.set(this.kinds);
    this.kinds = kinds;
  }
}
