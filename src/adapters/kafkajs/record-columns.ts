import { TIMESTAMP_APPEND, TIMESTAMP_CREATE } from '../../record/chunk.ts';
import type { ChunkHeaders } from '../../record/chunk.ts';

const CAPACITY_MIN = 64;
/** From this length on, making a view to copy from is cheaper than copying byte by byte. */
const VIEW_PAYS_BYTES = 64;
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const LOW = LITTLE_ENDIAN ? 0 : 1;
const HIGH = LITTLE_ENDIAN ? 1 : 0;

/** The columns of a record chunk while they are filled. Capacity is reserved a batch at a time, so appending never checks it. */
export class RecordColumns {
  count = 0;
  offsets: Float64Array;
  timestamps: BigInt64Array;
  timestampTypes: Uint8Array;
  keyStarts: Int32Array;
  keyLengths: Int32Array;
  valueStarts: Int32Array;
  valueLengths: Int32Array;
  /** Made at the first header, so that topics without headers pay nothing. */
  #headers: HeaderColumns | null = null;
  /** The timestamps as pairs of words: writing a number into a BigInt64Array would make a BigInt for every record. */
  #timestampWords: Int32Array;

  constructor(capacity: number) {
    const size = Math.max(capacity, CAPACITY_MIN);
    this.offsets = new Float64Array(size);
    this.timestamps = new BigInt64Array(size);
    this.timestampTypes = new Uint8Array(size);
    this.keyStarts = new Int32Array(size);
    this.keyLengths = new Int32Array(size);
    this.valueStarts = new Int32Array(size);
    this.valueLengths = new Int32Array(size);
    this.#timestampWords = new Int32Array(this.timestamps.buffer);
  }

  /** Makes room for `extra` more records. */
  reserve(extra: number): void {
    const needed = this.count + extra;
    if (needed <= this.offsets.length) return;
    const size = Math.max(needed, this.offsets.length * 2);
    this.offsets = grow(this.offsets, new Float64Array(size));
    this.timestampTypes = grow(this.timestampTypes, new Uint8Array(size));
    this.keyStarts = grow(this.keyStarts, new Int32Array(size));
    this.keyLengths = grow(this.keyLengths, new Int32Array(size));
    this.valueStarts = grow(this.valueStarts, new Int32Array(size));
    this.valueLengths = grow(this.valueLengths, new Int32Array(size));
    const timestamps = new BigInt64Array(size);
    timestamps.set(this.timestamps);
    this.timestamps = timestamps;
    this.#timestampWords = new Int32Array(timestamps.buffer);
  }

  /** Headers are kept from the record that has the first one. */
  headers(): HeaderColumns {
    return (this.#headers ??= new HeaderColumns());
  }

  /** @param timeMs exact integer */
  setTimestamp(index: number, timeMs: number): void {
    const high = Math.floor(timeMs / 0x1_0000_0000);
    this.#timestampWords[2 * index + HIGH] = high;
    this.#timestampWords[2 * index + LOW] = timeMs - high * 0x1_0000_0000;
  }

  /** Marks the records of one batch, `[from, count)`. */
  setTimestampTypes(from: number, isLogAppendTime: boolean): void {
    this.timestampTypes.fill(isLogAppendTime ? TIMESTAMP_APPEND : TIMESTAMP_CREATE, from, this.count);
  }

  /** Drops the records from `count` on: the batch that they belong to was refused. */
  truncate(count: number): void {
    this.count = count;
    this.#headers?.truncate(count);
  }

  /** Canonical headers of all records, or null when none has one. */
  finishHeaders(): ChunkHeaders | null {
    return this.#headers === null ? null : this.#headers.finish(this.count);
  }
}

function grow<T extends Float64Array | Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Canonical headers (leaf.ts) of the records that have some: `count ‖ (length ‖ name ‖ length ‖ value)…`, all lengths uint32. */
export class HeaderColumns {
  #bytes: Buffer = Buffer.allocUnsafe(4_096);
  #at = 0;
  /** Record index, start, length of each record with headers, back to back. */
  #entries: Int32Array = new Int32Array(3 * CAPACITY_MIN);
  #entryCount = 0;
  #recordStart = 0;

  /** Begins the headers of a record. */
  begin(headerCount: number): void {
    this.#recordStart = this.#at;
    this.#reserve(4);
    this.#at = this.#bytes.writeUInt32BE(headerCount, this.#at);
  }

  /** Appends `source[start, start + length)`; a length of −1 is null. */
  append(source: Uint8Array, start: number, length: number): void {
    this.#reserve(4 + Math.max(length, 0));
    // A null's −1 is 0xffffffff in the canonical form.
    this.#at = this.#bytes.writeInt32BE(length, this.#at);
    if (length >= VIEW_PAYS_BYTES) {
      this.#bytes.set(source.subarray(start, start + length), this.#at);
      this.#at += length;
    } else {
      for (let i = start; i < start + length; i++) this.#bytes[this.#at++] = source[i]!;
    }
  }

  /** Ends the record: its headers belong to record `index`. */
  end(index: number): void {
    const at = 3 * this.#entryCount++;
    if (at === this.#entries.length) this.#entries = grow(this.#entries, new Int32Array(2 * at));
    this.#entries[at] = index;
    this.#entries[at + 1] = this.#recordStart;
    this.#entries[at + 2] = this.#at - this.#recordStart;
  }

  /** Forgets the record that was begun: it lies below the wanted offset. */
  cancel(): void {
    this.#at = this.#recordStart;
  }

  truncate(count: number): void {
    while (this.#entryCount > 0 && this.#entries[3 * (this.#entryCount - 1)]! >= count) this.#entryCount--;
    const last = 3 * (this.#entryCount - 1);
    this.#at = this.#entryCount === 0 ? 0 : this.#entries[last + 1]! + this.#entries[last + 2]!;
  }

  finish(count: number): ChunkHeaders | null {
    if (this.#entryCount === 0) return null;
    const starts = new Int32Array(count);
    const lengths = new Int32Array(count);
    for (let at = 0; at < 3 * this.#entryCount; at += 3) {
      const index = this.#entries[at]!;
      starts[index] = this.#entries[at + 1]!;
      lengths[index] = this.#entries[at + 2]!;
    }
    return { bytes: this.#bytes.subarray(0, this.#at), starts, lengths };
  }

  #reserve(extra: number): void {
    const needed = this.#at + extra;
    if (needed <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(bytes, 0, 0, this.#at);
    this.#bytes = bytes;
  }
}

/** Byte ranges that the records of one chunk point into, addressed as if they already lay back to back. */
export class ByteParts {
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  /** Bytes of all parts. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a part and returns its address. */
  add(part: Buffer): number {
    const address = this.#bytes;
    this.#parts.push(part);
    this.#bytes += part.length;
    return address;
  }

  /** One buffer; a single part is not copied. */
  join(): Uint8Array {
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#bytes);
  }
}
