import type { BatchEncoder } from '../ports/batch-encoder.ts';
import type { RecordChunk } from '../record/chunk.ts';
import type { BinaryColumn, RawRecords } from '../record/raw-records.ts';
import { SHA256_BYTES } from '../record/sha256.ts';

const RECORDS_FIRST = 1_024;
const BYTES_FIRST = 64 * 1_024;
const NO_BYTES = new Uint8Array(0);

/** Memory that somebody no longer needs; see BatchEncoder.takeSpare. */
export type SpareMemory = Pick<BatchEncoder, 'takeSpare'>;

/** Room that the records of a batch may get: where it comes from, and how much of it is likely needed in the end. */
export interface RawRecordsRoom {
  /** Where buffers of values come from, before new ones are made; null = only new ones. */
  readonly memory: SpareMemory | null;
  /** Records that are likely to come: one allocation can stand for a series of doublings. Only a guess. */
  readonly recordsExpected: number;
}

/** Collects records of one batch into columns, growing by doubling; one bounded copy of each key, value and leaf. */
export class RawRecordsBuilder {
  #count = 0;
  #offsets = new Float64Array(RECORDS_FIRST);
  #timestamps = new BigInt64Array(RECORDS_FIRST);
  #timestampTypes = new Uint8Array(RECORDS_FIRST);
  #leaves = new Uint8Array(RECORDS_FIRST * SHA256_BYTES);
  readonly #recordsExpected: number;
  readonly #keys: BinaryBuilder;
  readonly #values: BinaryBuilder;
  readonly #headers: BinaryBuilder;
  #anyHeaders = false;

  constructor({ memory, recordsExpected }: RawRecordsRoom) {
    this.#recordsExpected = recordsExpected;
    this.#keys = new BinaryBuilder(null, recordsExpected);
    this.#values = new BinaryBuilder(memory, recordsExpected);
    this.#headers = new BinaryBuilder(null, recordsExpected);
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of keys, values and headers so far. */
  get bytes(): number {
    return this.#keys.byteLength + this.#values.byteLength + this.#headers.byteLength;
  }

  /** Appends records `[from, to)` of `chunk`, whose leaves lie in `leaves` from byte `leafAt` on. */
  append(chunk: RecordChunk, from: number, to: number, leaves: Uint8Array, leafAt: number): void {
    const row = this.#count;
    const count = to - from;
    this.#count = row + count;
    if (this.#count > this.#offsets.length) this.#grow(this.#count);
    this.#offsets.set(chunk.offsets.subarray(from, to), row);
    this.#timestamps.set(chunk.timestamps.subarray(from, to), row);
    this.#timestampTypes.set(chunk.timestampTypes.subarray(from, to), row);
    this.#leaves.set(leaves.subarray(leafAt, leafAt + count * SHA256_BYTES), row * SHA256_BYTES);
    const { bytes, headers } = chunk;
    for (let i = from; i < to; i++) {
      this.#keys.append(bytes, chunk.keyStarts[i]!, chunk.keyLengths[i]!);
      this.#values.append(bytes, chunk.valueStarts[i]!, chunk.valueLengths[i]!);
      if (headers === null) {
        this.#headers.append(bytes, 0, 0);
      } else {
        this.#anyHeaders ||= headers.lengths[i]! > 0;
        this.#headers.append(headers.bytes, headers.starts[i]!, headers.lengths[i]!);
      }
    }
  }

  /** The columns; the builder must not be used afterwards. */
  finish(): RawRecords {
    return {
      count: this.#count,
      offsets: this.#offsets,
      timestamps: this.#timestamps,
      timestampTypes: this.#timestampTypes,
      keys: this.#keys.finish(),
      values: this.#values.finish(),
      headers: this.#anyHeaders ? this.#headers.finish() : null,
      leaves: this.#leaves,
    };
  }

  #grow(needed: number): void {
    const size = Math.max(2 * this.#offsets.length, needed, this.#recordsExpected);
    const offsets = new Float64Array(size);
    const timestamps = new BigInt64Array(size);
    const timestampTypes = new Uint8Array(size);
    const leaves = new Uint8Array(size * SHA256_BYTES);
    offsets.set(this.#offsets);
    timestamps.set(this.#timestamps);
    timestampTypes.set(this.#timestampTypes);
    leaves.set(this.#leaves);
    this.#offsets = offsets;
    this.#timestamps = timestamps;
    this.#timestampTypes = timestampTypes;
    this.#leaves = leaves;
  }
}

class BinaryBuilder {
  readonly #memory: SpareMemory | null;
  readonly #rowsExpected: number;
  #offsets = new Int32Array(RECORDS_FIRST + 1);
  #bytes = NO_BYTES;
  /** Made at the first null; bits beyond it are set as values come. */
  #validity: Uint8Array | null = null;
  #nullCount = 0;
  #count = 0;
  byteLength = 0;

  constructor(memory: SpareMemory | null, rowsExpected: number) {
    this.#memory = memory;
    this.#rowsExpected = rowsExpected;
  }

  append(source: Uint8Array, start: number, length: number): void {
    const row = this.#count++;
    if (this.#count === this.#offsets.length) this.#growRows();
    if (length < 0) this.#markNull(row);
    else if (this.#validity !== null) this.#validity[row >> 3]! |= 1 << (row & 7);
    if (length > 0) {
      if (this.byteLength + length > this.#bytes.length) this.#growBytes(this.byteLength + length);
      this.#bytes.set(source.subarray(start, start + length), this.byteLength);
      this.byteLength += length;
    }
    this.#offsets[this.#count] = this.byteLength;
  }

  finish(): BinaryColumn {
    return { offsets: this.#offsets, bytes: this.#bytes, validity: this.#validity, nullCount: this.#nullCount };
  }

  #markNull(row: number): void {
    this.#nullCount++;
    if (this.#validity !== null) return;
    this.#validity = new Uint8Array(this.#offsets.length >> 3);
    for (let i = 0; i < row; i++) this.#validity[i >> 3]! |= 1 << (i & 7);
  }

  #growRows(): void {
    // A multiple of 8, so that the bitmap has room for as many.
    const rows = Math.max(2 * (this.#offsets.length - 1), 8 * Math.ceil((this.#rowsExpected + 1) / 8));
    const offsets = new Int32Array(rows + 1);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    if (this.#validity === null) return;
    const validity = new Uint8Array(offsets.length >> 3);
    validity.set(this.#validity);
    this.#validity = validity;
  }

  #growBytes(needed: number): void {
    const length = Math.max(needed, 2 * this.#bytes.length, BYTES_FIRST);
    const bytes = new Uint8Array(this.#memory?.takeSpare(length) ?? new ArrayBuffer(length));
    bytes.set(this.#bytes.subarray(0, this.byteLength));
    this.#bytes = bytes;
  }
}
