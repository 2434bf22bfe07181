import { createCipheriv } from 'node:crypto';

import type { RecordChunk } from './chunk.ts';
import type { LogId } from './log-id.ts';
import { SHA256_BYTES, sha256Into } from './sha256.ts';

/** Version byte of the canonical bytes below. A new layout gets a new number; old ones verify for ever. */
export const LEAF_VERSION = 1;
/** Bytes of one salt. */
export const SALT_BYTES = 16;
/** Bytes of a batch key. */
export const BATCH_KEY_BYTES = 32;

const NULL_LENGTH = 0xffff_ffff;
/** Offset, timestamp and timestamp type. */
const META_BYTES = 8 + 8 + 1;
/** Leaves up to this size are assembled in a buffer whose views are made once: a new view costs as much as a short hash. */
const SCRATCH_BYTES = 8_192;
const EMPTY = Buffer.alloc(0);

/**
 * Hashes records into leaves: SHA-256 of
 *
 * ```
 * 0x00 ‖ version ‖ salt (16 bytes) ‖ text(topic) ‖ text(partition) ‖ int64 offset ‖ int64 timestamp ms ‖ uint8 timestamp type
 *      ‖ bytes(key) ‖ bytes(value) ‖ uint32 header count ‖ for each header: text(name) ‖ bytes(value)
 * ```
 *
 * with all integers big-endian, `text` and `bytes` = uint32 length ‖ content, and length 0xffffffff (no content) for null.
 * 0x00 is the leaf prefix of RFC 6962 §2.1: a leaf can never be taken for an inner node. The salt keeps a leaf from being
 * guessed from its record. One instance serves one batch; positions count from the batch's first record.
 * Cost: one hash and one copy of the value a record; no allocation up to 8 KiB.
 */
export class LeafHasher {
  readonly #salts: SaltStream;
  readonly #prefix: Buffer;
  #scratch: Buffer = Buffer.alloc(SCRATCH_BYTES);
  /** The same memory: the engine turns its methods into single stores. */
  #words = wordsOf(this.#scratch);
  #views: (Buffer | undefined)[] = [];
  #saltBytes: Buffer = EMPTY;
  #saltAt = 0;

  /** @param batchKey 32 random bytes, drawn anew for every attempt to build a batch. */
  constructor(log: LogId, batchKey: Uint8Array) {
    this.#salts = new SaltStream(batchKey);
    this.#prefix = Buffer.concat([
      Buffer.from([0x00, LEAF_VERSION]),
      Buffer.alloc(SALT_BYTES),
      lengthPrefixed(Buffer.from(log.topic, 'utf8')),
      lengthPrefixed(Buffer.from(log.partition, 'utf8')),
    ]);
    this.#prefix.copy(this.#scratch);
  }

  /**
   * Appends the leaves of records `[from, to)` of `chunk`.
   * @param out receives 32 bytes a record, from byte `at` on.
   */
  hash(chunk: RecordChunk, from: number, to: number, out: Buffer, at: number): void {
    this.takeSalts(to - from);
    const { bytes, offsets, timestampTypes, keyStarts, keyLengths, valueStarts, valueLengths, headers } = chunk;
    const timestamps = int64Words(chunk.timestamps);
    for (let i = from; i < to; i++) {
      const meta = this.begin(offsets[i]!, timestamps, i, timestampTypes[i]!);
      const key = this.bytes(meta, bytes, keyStarts[i]!, keyLengths[i]!);
      const value = this.bytes(key, bytes, valueStarts[i]!, valueLengths[i]!);
      const end =
        headers === null
          ? this.headers(value, EMPTY, 0, 0)
          : this.headers(value, headers.bytes, headers.starts[i]!, headers.lengths[i]!);
      this.finish(end, out, at);
      at += SHA256_BYTES;
    }
  }

  /** Draws the salts of the next `count` records, which {@link begin} then uses up. */
  takeSalts(count: number): void {
    this.#saltBytes = this.#salts.next(count);
    this.#saltAt = 0;
  }

  /**
   * Starts a record; returns where its key goes. For callers whose records lie in more than one chunk.
   * @param timestamps {@link int64Words} of timestamps, of which `row` is the record's.
   */
  begin(offset: number, timestamps: Int32Array, row: number, timestampType: number): number {
    const scratch = this.#scratch;
    const salts = this.#saltBytes;
    const from = this.#saltAt;
    for (let i = 0; i < SALT_BYTES; i++) scratch[2 + i] = salts[from + i]!;
    this.#saltAt = from + SALT_BYTES;
    const high = Math.floor(offset / 0x1_0000_0000);
    const words = this.#words;
    const p = this.#prefix.length;
    words.setInt32(p, high);
    words.setUint32(p + 4, offset - high * 0x1_0000_0000);
    words.setInt32(p + 8, timestamps[2 * row + 1]!);
    words.setInt32(p + 12, timestamps[2 * row]!);
    words.setUint8(p + 16, timestampType);
    return p + META_BYTES;
  }

  /** Appends a key or value at `at`, a negative length meaning null; returns the next position. */
  bytes(at: number, source: Uint8Array, start: number, length: number): number {
    const scratch = this.#room(at + 8 + (length > 0 ? length : 0));
    this.#words.setUint32(at, length < 0 ? NULL_LENGTH : length);
    at += 4;
    if (length <= 0) return at;
    scratch.set(source.subarray(start, start + length), at);
    return at + length;
  }

  /** Appends canonical headers, length 0 meaning none; returns the record's length. */
  headers(at: number, source: Uint8Array, start: number, length: number): number {
    const scratch = this.#room(at + 4 + length);
    if (length === 0) {
      this.#words.setUint32(at, 0);
      return at + 4;
    }
    scratch.set(source.subarray(start, start + length), at);
    return at + length;
  }

  /** Hashes the record of `length` bytes that was assembled last. */
  finish(length: number, out: Buffer, at: number): void {
    sha256Into(this.#view(length), out, at);
  }

  /** The scratch buffer with room for `length` bytes, keeping what it holds. */
  #room(length: number): Buffer {
    if (length <= this.#scratch.length) return this.#scratch;
    const grown = Buffer.alloc(2 ** Math.ceil(Math.log2(length)));
    this.#scratch.copy(grown);
    this.#scratch = grown;
    this.#words = wordsOf(grown);
    this.#views = [];
    return grown;
  }

  #view(length: number): Buffer {
    if (length > SCRATCH_BYTES) return this.#scratch.subarray(0, length);
    return (this.#views[length] ??= this.#scratch.subarray(0, length));
  }
}

/**
 * The salts of a batch in order: the AES-256-CTR keystream of the batch key with a zero counter, 16 bytes a record.
 * Source: NIST SP 800-38A §6.5. A key serves one batch only, so a keystream block is never used twice.
 */
export class SaltStream {
  readonly #cipher;

  constructor(batchKey: Uint8Array) {
    if (batchKey.length !== BATCH_KEY_BYTES) {
      throw new RangeError(`Cannot make salts: batch key has ${batchKey.length} bytes, wanted ${BATCH_KEY_BYTES}`);
    }
    this.#cipher = createCipheriv('aes-256-ctr', batchKey, Buffer.alloc(16));
  }

  /** Salts of the next `count` records, back to back. */
  next(count: number): Buffer {
    return this.#cipher.update(Buffer.alloc(count * SALT_BYTES));
  }
}

/** The same memory as (low, high) pairs: reading an element of the array itself makes a BigInt. Little-endian machines only. */
export function int64Words(values: BigInt64Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
}

function wordsOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function lengthPrefixed(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

/** Canonical headers, for sources and tests that hold them as objects: name and value bytes in order; null values stay null. */
export function encodeHeaders(
  headers: readonly { readonly name: Uint8Array; readonly value: Uint8Array | null }[],
): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(headers.length);
  const nullLength = Buffer.alloc(4);
  nullLength.writeUInt32BE(NULL_LENGTH);
  return Buffer.concat([
    count,
    ...headers.flatMap(({ name, value }) => [
      lengthPrefixed(Buffer.from(name)),
      value === null ? nullLength : lengthPrefixed(Buffer.from(value)),
    ]),
  ]);
}
