import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';

import { HaltError, UnavailableError } from '../../errors.ts';
import { CsvSplitter } from '../../ingest/split/csv-splitter.ts';
import { NdjsonSplitter } from '../../ingest/split/ndjson-splitter.ts';
import { SPAN_RECORD, type RecordSpans, type RecordSplitter } from '../../ingest/split/record-spans.ts';
import { TIMESTAMP_NONE, type RecordChunk, type SourcePosition } from '../../record/chunk.ts';

/** What a file holds. */
export type FileFormatName = 'ndjson' | 'csv';

const READ_BYTES = 1_048_576;
/** A longer line halts the file: it would not fit into memory beside everything else. */
export const LINE_BYTES_MAX = 268_435_456;

const LF = 0x0a;
const CR = 0x0d;
const NO_RECORDS = {
  count: 0,
  starts: new Int32Array(0),
  lengths: new Int32Array(0),
  kinds: new Uint8Array(0),
  consumed: 0,
};

/**
 * Reads one file in order, a chunk at a time. The position after each chunk is the byte behind its last line break and the
 * SHA-256 of everything before, so that a later run can tell whether the part that was ingested is still the same.
 * Trust: the file's bytes are hostile; its owner may change it at any time.
 */
export class FileReader {
  readonly #name: string;
  readonly #file: FileHandle;
  readonly #format: FileFormatName;
  readonly #final: boolean;
  /** Pipes know no positions. */
  readonly #isPipe: boolean;
  #splitter: RecordSplitter;
  #hash = createHash('sha256');
  /** Absolute position of `#buffer[0]`. */
  #bufferAt = 0;
  #buffer: Buffer = Buffer.alloc(0);
  /** Bytes of `#buffer` that were read. */
  #length = 0;
  /** Spans found in `#buffer` that were not handed out yet, from `#span` on. */
  #spans: RecordSpans = NO_RECORDS;
  #span = 0;
  /** Bytes of `#buffer` that the hash has seen. */
  #hashed = 0;
  #offset = 0;
  #atEnd = false;
  #csvHeader: Uint8Array | null = null;

  private constructor(name: string, file: FileHandle, format: FileFormatName, final: boolean, isPipe: boolean) {
    this.#name = name;
    this.#file = file;
    this.#format = format;
    this.#final = final;
    this.#isPipe = isPipe;
    this.#splitter = this.#newSplitter();
  }

  /**
   * Opens a file where an earlier run left it.
   * @param final the file will not grow: a last line without a line break is a record.
   * @throws HaltError SOURCE_CHANGED when the bytes before `position` are not those that were ingested; UnavailableError
   */
  static async open(
    path: string,
    format: FileFormatName,
    final: boolean,
    offset: number,
    position: SourcePosition | null,
  ): Promise<FileReader> {
    const file = await open(path, 'r').catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
    const reader = new FileReader(path, file, format, final, false);
    try {
      await reader.#restore(offset, position);
    } catch (error) {
      await file.close();
      throw error;
    }
    return reader;
  }

  /** Opens standard input, which is read once and in order. @throws UnavailableError */
  static async openStdin(format: FileFormatName): Promise<FileReader> {
    const file = await open('/dev/stdin', 'r').catch((cause: unknown) => {
      throw unreadable('standard input', cause);
    });
    return new FileReader('standard input', file, format, true, true);
  }

  /** Number of the next record. */
  get offset(): number {
    return this.#offset;
  }

  /** Next chunk of at most `recordsMax` records; null when there is none now. @throws HaltError, UnavailableError */
  async read(recordsMax: number): Promise<RecordChunk | null> {
    while (this.#span === this.#spans.count) {
      if (!(await this.#fill())) return null;
    }
    return this.#take(recordsMax);
  }

  /** True when everything is handed out and nothing will follow. */
  get ended(): boolean {
    return this.#final && this.#atEnd && this.#span === this.#spans.count;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #take(recordsMax: number): RecordChunk {
    const from = this.#span;
    const count = Math.min(recordsMax, this.#spans.count - from);
    this.#span += count;
    const starts = this.#spans.starts.slice(from, from + count);
    const lengths = this.#spans.lengths.slice(from, from + count);
    if (this.#spans.kinds.subarray(from, from + count).some((kind) => kind !== SPAN_RECORD)) {
      throw new HaltError(
        'SOURCE_CHANGED',
        `Cannot read "${this.#name}": record ${this.#offset} is longer than ${LINE_BYTES_MAX} bytes (is it ${this.#format}?)`,
      );
    }
    const first = this.#offset;
    this.#offset += count;
    const end = this.#span < this.#spans.count ? this.#spans.starts[this.#span]! : this.#spans.consumed;
    return {
      from: first,
      nextOffset: this.#offset,
      count,
      bytes: this.#buffer,
      offsets: Float64Array.from({ length: count }, (_, i) => first + i),
      timestamps: new BigInt64Array(count),
      timestampTypes: new Uint8Array(count).fill(TIMESTAMP_NONE),
      keyStarts: new Int32Array(count),
      keyLengths: new Int32Array(count).fill(-1),
      valueStarts: starts,
      valueLengths: lengths,
      headers: null,
      spans: [{ from: first, to: this.#offset, leaderEpoch: null, skip: null }],
      position: this.#positionAt(end),
      ...(this.#csvHeader === null ? {} : { csvHeader: this.#csvHeader }),
    };
  }

  #positionAt(end: number): SourcePosition {
    this.#hash.update(this.#buffer.subarray(this.#hashed, end));
    this.#hashed = end;
    return { byte: this.#bufferAt + end, prefixSha256: this.#hash.copy().digest('hex') };
  }

  /** Reads more and finds the records in it; false when nothing new is there. */
  async #fill(): Promise<boolean> {
    const rest = this.#buffer.subarray(this.#spans.consumed, this.#length);
    // The hash follows what is dropped from the buffer.
    if (this.#spans.consumed > this.#hashed) this.#positionAt(this.#spans.consumed);
    const room = Math.max(READ_BYTES, rest.length);
    if (rest.length > LINE_BYTES_MAX)
      throw new HaltError(
        'SOURCE_CHANGED',
        `Cannot read "${this.#name}": record ${this.#offset} is longer than ${LINE_BYTES_MAX} bytes (is it ${this.#format}?)`,
      );
    const buffer = Buffer.allocUnsafeSlow(rest.length + room);
    buffer.set(rest);
    const at = this.#bufferAt + this.#spans.consumed;
    const { bytesRead } = await this.#file
      .read(buffer, rest.length, room, this.#isPipe ? null : at + rest.length)
      .catch((cause: unknown) => {
        throw unreadable(this.#name, cause);
      });
    if (bytesRead === 0 && (!this.#final || this.#atEnd)) return false;
    this.#atEnd = bytesRead === 0;
    this.#bufferAt = at;
    this.#buffer = buffer;
    this.#length = rest.length + bytesRead;
    this.#hashed = 0;
    this.#span = 0;
    this.#spans = this.#splitter.split(buffer, this.#length, this.#atEnd);
    if (this.#format === 'csv' && this.#csvHeader === null && this.#spans.count > 0) this.#takeCsvHeader();
    return this.#spans.count > 0 || bytesRead > 0;
  }

  /** The first line names the fields and is no record; it is part of the prefix all the same. */
  #takeCsvHeader(): void {
    const start = this.#spans.starts[0]!;
    this.#csvHeader = Uint8Array.from(this.#buffer.subarray(start, start + this.#spans.lengths[0]!));
    this.#span = 1;
  }

  async #restore(offset: number, position: SourcePosition | null): Promise<void> {
    if (position === null) return;
    const headerEnd = this.#format === 'csv' ? await this.#readHeaderOnly() : 0;
    let at = 0;
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    while (at < position.byte) {
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(READ_BYTES, position.byte - at), at);
      if (bytesRead === 0) throw this.#changed(`it now ends at byte ${at}, ${position.byte} bytes were ingested`);
      this.#hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
    const found = this.#hash.copy().digest('hex');
    if (found !== position.prefixSha256)
      throw this.#changed(
        `its first ${position.byte} bytes have SHA-256 ${found}, ${position.prefixSha256} was ingested`,
      );
    this.#bufferAt = position.byte + (await this.#skipLateLineBreak(position.byte, headerEnd));
    this.#offset = offset;
  }

  /** A last line that had no line break may get one later; anything else there means that the line itself has grown. */
  async #skipLateLineBreak(byte: number, headerEnd: number): Promise<number> {
    if (byte === 0 || byte === headerEnd) return 0;
    const around = Buffer.alloc(3);
    const { bytesRead } = await this.#file.read(around, 0, 3, byte - 1);
    if (around[0] === LF || bytesRead <= 1) return 0;
    const length = around[1] === LF ? 1 : around[1] === CR && around[2] === LF ? 2 : 0;
    if (length === 0) throw this.#changed('its last record, which had no line break, has grown');
    this.#hash.update(around.subarray(1, 1 + length));
    return length;
  }

  async #readHeaderOnly(): Promise<number> {
    while (this.#csvHeader === null && (await this.#fill())) continue;
    const end = this.#spans.count > 1 ? this.#spans.starts[1]! : this.#spans.consumed;
    this.#hash = createHash('sha256');
    this.#splitter = this.#newSplitter();
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    this.#spans = NO_RECORDS;
    this.#span = 0;
    this.#hashed = 0;
    this.#atEnd = false;
    return end;
  }

  #newSplitter(): RecordSplitter {
    return this.#format === 'csv' ? new CsvSplitter(LINE_BYTES_MAX) : new NdjsonSplitter(LINE_BYTES_MAX);
  }

  #changed(why: string): HaltError {
    return new HaltError(
      'SOURCE_CHANGED',
      `Cannot go on with "${this.#name}": ${why} (way out: restore the file, or give the new content a new name)`,
    );
  }
}

function unreadable(path: string, cause: unknown): UnavailableError {
  return new UnavailableError(
    'SOURCE_UNAVAILABLE',
    `Cannot read "${path}": ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
}
