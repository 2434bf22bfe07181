import { createHash, type Hash } from 'node:crypto';

import { HaltError } from '../../errors.ts';
import { TIMESTAMP_NONE, type RecordChunk, type SourcePosition } from '../../record/chunk.ts';
import type { CsvDelimiter } from '../../record/csv.ts';
import { BufferPrefix } from './prefix.ts';
import { CsvSplitter } from './split/csv-splitter.ts';
import { NdjsonSplitter } from './split/ndjson-splitter.ts';
import type { RecordSpans, RecordSplitter } from './split/record-spans.ts';

/** What a file holds. */
export type FileFormatName = 'ndjson' | 'csv';

/** How records lie in a file. */
export interface FileLayout {
  readonly format: FileFormatName;
  /** CSV only. */
  readonly delimiter: CsvDelimiter;
  /** A longer record halts the file: it would not fit into memory beside everything else. At least 1. */
  readonly recordBytesMax: number;
}

/** Default of {@link FileLayout.recordBytesMax}: as long a record as a batch may hold. */
export const RECORD_BYTES_MAX = 268_435_456;

/** Where reading stands: enough to go on from there without what was read before. */
export interface Standing {
  /** Position in the file. */
  readonly byte: number;
  /** State after all bytes before. */
  readonly hash: Hash;
  /** Number of the next record. */
  readonly offset: number;
  /** First record of a CSV file; null before it was read. */
  readonly csvHeader: Uint8Array | null;
  /** This many bytes from `byte` on were handed out as a record when the file ended there, without a line break. */
  readonly unbroken: number;
}

/** At the first byte. */
export function standingAtStart(): Standing {
  return { byte: 0, hash: createHash('sha256'), offset: 0, csvHeader: null, unbroken: 0 };
}

const NO_SPANS: RecordSpans = {
  count: 0,
  starts: new Int32Array(0),
  lengths: new Int32Array(0),
  consumed: 0,
  isTooLong: false,
};

/**
 * Turns a file's bytes, put in piece by piece, into chunks of records. Does no I/O: whoever reads asks for
 * {@link space}, fills it, says so with {@link add} and takes chunks until there are none.
 * Trust: the bytes are hostile; memory is bounded by `recordBytesMax` and the size of the pieces.
 */
export class RecordBuffer {
  readonly #name: string;
  readonly #layout: FileLayout;
  readonly #splitter: RecordSplitter;
  #bytes: Uint8Array = new Uint8Array(0);
  /** Bytes of `#bytes` that were put in. */
  #length = 0;
  /** Position of `#bytes[0]` in the file. */
  #at: number;
  #prefix: BufferPrefix;
  #spans: RecordSpans = NO_SPANS;
  /** First span that is a record to hand out; before it may lie the header, or a record that was handed out before. */
  #first = 0;
  #span = 0;
  /** Number of the record at `#first`. */
  #firstOffset: number;
  #csvHeader: Uint8Array | null;
  #unbroken: number;

  /** @param name of the file, for messages. */
  constructor(name: string, layout: FileLayout, { byte, hash, offset, csvHeader, unbroken }: Standing) {
    const { format, delimiter, recordBytesMax } = layout;
    this.#name = name;
    this.#layout = layout;
    this.#splitter =
      format === 'csv' ? new CsvSplitter(recordBytesMax, delimiter, byte === 0) : new NdjsonSplitter(recordBytesMax);
    this.#at = byte;
    this.#prefix = new BufferPrefix(hash, this.#bytes, byte);
    this.#firstOffset = offset;
    this.#csvHeader = csvHeader;
    this.#unbroken = unbroken;
  }

  /** Number of the next record. */
  get offset(): number {
    return this.#firstOffset + this.#span - this.#first;
  }

  /** Position behind all bytes that were put in. */
  get end(): number {
    return this.#at + this.#length;
  }

  /** Position behind the last record that is complete. */
  get complete(): number {
    return this.#at + this.#spans.consumed;
  }

  /** Position before which nothing may change any more. */
  get settled(): number {
    return Math.max(this.complete, this.#at + this.#unbroken);
  }

  /** {@link end}, with the digest of all bytes before. */
  get position(): SourcePosition {
    return this.#prefix.position(this.#length);
  }

  /** True when every record that was found is handed out, and none is refused. */
  get isEmpty(): boolean {
    return this.#span === this.#spans.count && !this.#spans.isTooLong;
  }

  /** Bytes behind the last record that is complete: a line without a line break so far. */
  get rest(): Uint8Array {
    return this.#bytes.subarray(this.#spans.consumed, this.#length);
  }

  /** First record of the CSV file; null before it was read. */
  get csvHeader(): Uint8Array | null {
    return this.#csvHeader;
  }

  /** Where reading stands behind the last record that was handed out. */
  get standing(): Standing {
    const { starts, count, consumed } = this.#spans;
    const done = this.#span === count ? consumed : starts[this.#span]!;
    return {
      byte: this.#at + done,
      hash: this.#prefix.state(done),
      offset: this.offset,
      csvHeader: this.#csvHeader,
      unbroken: this.#unbroken,
    };
  }

  /**
   * Room for the bytes at {@link end}; what was handed out is dropped. Call it when empty, and before each {@link add}.
   * @param bytes wanted; 0 when nothing follows.
   */
  space(bytes: number): Uint8Array {
    const { consumed } = this.#spans;
    const rest = this.#bytes.subarray(consumed, this.#length);
    // A record that goes on and on doubles its buffer, so that copying stays linear; past the cap it will be refused.
    const doubled = bytes === 0 ? 0 : Math.min(rest.length, this.#layout.recordBytesMax - rest.length + 2);
    const room = Math.max(bytes, doubled);
    const hash = this.#prefix.state(consumed);
    // Zeroing a megabyte that is about to be filled would be waste; a plain view, because views of a Buffer are slow to make.
    this.#bytes = new Uint8Array(Buffer.allocUnsafeSlow(rest.length + room).buffer);
    this.#bytes.set(rest);
    this.#length = rest.length;
    this.#at += consumed;
    this.#prefix = new BufferPrefix(hash, this.#bytes, this.#at);
    this.#firstOffset = this.offset;
    this.#spans = NO_SPANS;
    this.#first = 0;
    this.#span = 0;
    return this.#bytes.subarray(this.#length);
  }

  /**
   * Takes in the first `count` bytes of {@link space}.
   * @param ended nothing follows: what is left is the last record.
   * @throws HaltError SOURCE_CHANGED when a record that was handed out without a line break has grown
   */
  add(count: number, ended: boolean): void {
    this.#length += count;
    this.#spans = this.#splitter.split(this.#bytes, this.#length, ended);
    if (this.#spans.count === 0 && !this.#spans.isTooLong) return;
    if (this.#layout.format === 'csv' && this.#csvHeader === null) this.#takeHeader();
    else if (this.#unbroken > 0) this.#passUnbroken();
    this.#span = this.#first;
  }

  /**
   * Next chunk; null when the buffer is empty.
   * @param bytesMax of all values together; one record larger than this comes alone.
   * @throws HaltError SIZE_EXCEEDED at a record above the cap
   */
  take(recordsMax: number, bytesMax: number): RecordChunk | null {
    if (this.isEmpty) return null;
    const { lengths, count } = this.#spans;
    const from = this.#span;
    if (from === count) throw this.#tooLong();
    let to = from + 1;
    for (let bytes = lengths[from]!; to < count && to - from < recordsMax; to++) {
      bytes += lengths[to]!;
      if (bytes > bytesMax) break;
    }
    const chunk = this.#chunk(from, to);
    this.#span = to;
    return chunk;
  }

  /** Moves to the record `offset`, back or on, if the buffer holds it. @returns false if it does not */
  seek(offset: number): boolean {
    const span = this.#first + offset - this.#firstOffset;
    if (span < this.#first || span > this.#spans.count) return false;
    this.#span = span;
    return true;
  }

  /** Passes over every record that the buffer holds. @throws HaltError SIZE_EXCEEDED at a record above the cap */
  passAll(): void {
    this.#span = this.#spans.count;
    if (this.#spans.isTooLong) throw this.#tooLong();
  }

  #chunk(from: number, to: number): RecordChunk {
    const { starts, lengths, consumed } = this.#spans;
    const count = to - from;
    const first = this.offset;
    const valueStarts = starts.slice(from, to);
    const end = to < this.#spans.count ? starts[to]! : consumed;
    const prefix = this.#prefix;
    const offsets = new Float64Array(count);
    for (let i = 0; i < count; i++) offsets[i] = first + i;
    return {
      from: first,
      nextOffset: first + count,
      count,
      bytes: this.#bytes,
      offsets,
      timestamps: new BigInt64Array(count),
      timestampTypes: new Uint8Array(count).fill(TIMESTAMP_NONE),
      keyStarts: new Int32Array(count),
      keyLengths: new Int32Array(count).fill(-1),
      valueStarts,
      valueLengths: lengths.slice(from, to),
      headers: null,
      spans: [{ from: first, to: first + count, leaderEpoch: null, skip: null }],
      position: (records) => prefix.position(records < count ? valueStarts[records]! : end),
      ...(this.#csvHeader === null ? {} : { csvHeader: this.#csvHeader }),
    };
  }

  /** The first line names the fields and is no record; it is part of the prefix all the same. */
  #takeHeader(): void {
    if (this.#spans.count === 0) throw this.#tooLong();
    const start = this.#spans.starts[0]!;
    this.#csvHeader = Uint8Array.from(this.#bytes.subarray(start, start + this.#spans.lengths[0]!));
    this.#first = 1;
  }

  /** A record that ended with the file may have got its line break since; if it is another record now, it has grown. */
  #passUnbroken(): void {
    if (this.#spans.count === 0 || this.#spans.lengths[0] !== this.#unbroken) {
      throw sourceChanged(
        this.#name,
        `record ${this.#firstOffset - 1}, which was ingested without a line break, has changed`,
      );
    }
    this.#unbroken = 0;
    this.#first = 1;
  }

  #tooLong(): HaltError {
    const { format, recordBytesMax } = this.#layout;
    return new HaltError(
      'SIZE_EXCEEDED',
      `Cannot read "${this.#name}": record ${this.offset}, at byte ${this.#at + this.#spans.consumed}, is longer than ${recordBytesMax} bytes (is the file really ${format}?)`,
      { fields: { offset: this.offset, recordBytesMax } },
    );
  }
}

/** The part of a file that is in the ledger is not what it was. */
export function sourceChanged(name: string, why: string): HaltError {
  return new HaltError(
    'SOURCE_CHANGED',
    `Cannot go on with "${name}": ${why} (way out: restore the file, or give the new content a new name)`,
  );
}
