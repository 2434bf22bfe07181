import type { SkippedRange } from '../detect/evidence.ts';
import type { BatchContent } from '../record/batch-content.ts';
import type { ChunkSpan, RecordChunk, SkipReason, SourcePosition } from '../record/chunk.ts';
import { TIMESTAMP_NONE } from '../record/chunk.ts';
import { int64ToNumber } from '../record/columns.ts';
import { DEAD_LETTER, type DeadLetterCause } from '../record/dead-letter.ts';
import { int64Words, LEAF_VERSION, LeafHasher } from '../record/leaf.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import { SHA256_BYTES } from '../record/sha256.ts';
import { DeadLetterCounter } from './dead-letter-counter.ts';
import type { Decoder } from './decode/decoder.ts';
import { RawRecordsBuilder, type SpareMemory } from './raw-records-builder.ts';
import { RecordTimeLimit } from './record-time-limit.ts';

/** When a batch is full. Any rule is exactly-once, because the slot fixes the cut. */
export interface BatchLimits {
  readonly recordsMax: number;
  /** Bytes of keys, values and headers; the record that passes it is still taken. */
  readonly bytesMax: number;
  /** Records longer than this become dead letters without being decoded. */
  readonly recordBytesMax: number;
  /** Span of record timestamps in one batch, see {@link RecordTimeLimit}; null = no such rule. */
  readonly recordTimeMaxMs: number | null;
}

/** A finished batch: its content and everything else that its entry says of it. */
export interface BuiltBatch {
  readonly content: BatchContent;
  /** 32 bytes a record, in offset order, dead letters included. */
  readonly leaves: Buffer;
  readonly records: number;
  readonly bytes: number;
  /** What records did not decode for, the most frequent first. */
  readonly deadLetterCauses: readonly DeadLetterCause[];
  readonly skipped: Readonly<Record<SkipReason, number>>;
  readonly skippedRanges: readonly SkippedRange[];
  readonly leaderEpoch: number | null;
  /** As given by the source; see {@link RecordSource.topicId}. */
  readonly topicId: string | null;
  readonly position: SourcePosition | null;
  /** Lowest and highest record timestamp, the nearest numbers; null when no record has one. */
  readonly timestamps: { readonly firstMs: number; readonly lastMs: number } | null;
}

/** Sees the value bytes of every record once, while they are hot in the cache. */
export interface RowObserver {
  add(bytes: Uint8Array, start: number, length: number): void;
}

const LEAVES_FIRST = 1_024;
const SKIPPED_RANGES_MAX = 1_000;

/**
 * Builds one batch from chunks: hashes every record into its leaf, decodes it into columns, keeps its raw bytes.
 * One pass over the bytes; a record that does not decode becomes a dead letter and stays a leaf.
 */
export class BatchBuilder {
  readonly start: number;
  readonly #log: LogId;
  readonly #topicId: string | null;
  readonly #limits: BatchLimits;
  readonly #decoder: Decoder;
  readonly #observer: RowObserver;
  readonly #batchKey: Uint8Array;
  readonly #hasher: LeafHasher;
  readonly #recordsExpected: number;
  readonly #decoded: RawRecordsBuilder;
  readonly #dead = new RawRecordsBuilder({ memory: null, recordsExpected: 0 });
  #reasons: number[] = [];
  readonly #causes = new DeadLetterCounter();
  #leaves = Buffer.alloc(LEAVES_FIRST * SHA256_BYTES);
  /** The same memory as no Buffer; see withPlainBytes. */
  #leafBytes = plain(this.#leaves);
  #records = 0;
  #end: number;
  #full = false;
  #aborted = 0;
  #control = 0;
  #skippedRanges: SkippedRange[] = [];
  #leaderEpoch: number | null = null;
  #position: SourcePosition | null = null;
  readonly #recordTime: RecordTimeLimit;
  #firstMs = Infinity;
  #lastMs = -Infinity;

  /**
   * @param options.start first offset of the batch. @param options.batchKey 32 random bytes, never used before.
   * @param options.nowMs wall clock, which record timestamps are measured against; null for history, which may be of any age.
   * @param options.memory where large buffers come from, before new ones are made.
   */
  constructor(options: {
    log: LogId;
    topicId: string | null;
    start: number;
    limits: BatchLimits;
    decoder: Decoder;
    observer: RowObserver;
    batchKey: Uint8Array;
    nowMs: number | null;
    memory?: SpareMemory;
  }) {
    this.#log = options.log;
    this.#topicId = options.topicId;
    this.start = options.start;
    this.#end = options.start;
    this.#limits = options.limits;
    this.#decoder = options.decoder;
    this.#observer = options.observer;
    this.#batchKey = options.batchKey;
    this.#recordsExpected = options.decoder.rowsExpected;
    this.#decoded = new RawRecordsBuilder({ memory: options.memory ?? null, recordsExpected: this.#recordsExpected });
    this.#hasher = new LeafHasher(options.log, options.batchKey);
    this.#recordTime = new RecordTimeLimit(options.limits.recordTimeMaxMs, options.nowMs);
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#decoded.bytes + this.#dead.bytes;
  }

  /** Past the last offset taken so far. */
  get end(): number {
    return this.#end;
  }

  /** True once a limit is reached: nothing more may be added. */
  get full(): boolean {
    return this.#full;
  }

  /**
   * Takes records of `chunk` from index `from` on, up to the cut.
   * @returns index of the first record not taken; `chunk.count` when the whole chunk is accounted for.
   * @throws {RangeError} when the chunk says nothing of offsets between what was taken and what it brings: to call them
   *   compacted would be to lose them in silence. The builder must not be used afterwards.
   */
  add(given: RecordChunk, from: number): number {
    const chunk = withPlainBytes(given);
    const to = this.#cut(chunk, from);
    if (to === from && to < chunk.count) {
      this.#full = true;
      return to;
    }
    this.#growLeaves(to - from);
    // All hashes, then all rows: taking turns record by record costs a tenth of the whole.
    this.#hasher.hash(chunk, from, to, this.#leaves, this.#records * SHA256_BYTES);
    this.#take(chunk, from, to);
    const end = to === chunk.count ? chunk.nextOffset : chunk.offsets[to - 1]! + 1;
    this.#account(chunk.spans, this.#end, end);
    this.#end = end;
    if (chunk.position !== null) this.#position = chunk.position(to);
    this.#full ||= to < chunk.count || this.#records >= this.#limits.recordsMax || this.bytes >= this.#limits.bytesMax;
    return to;
  }

  /** The batch; the builder must not be used afterwards. */
  finish(): BuiltBatch {
    const compacted = this.#end - this.start - this.#records - this.#aborted - this.#control;
    const columns = this.#decoder.take();
    return {
      content: {
        log: this.#log,
        start: this.start,
        end: this.#end,
        leafVersion: LEAF_VERSION,
        batchKey: this.#batchKey,
        decoded: { raw: this.#decoded.finish(), columns },
        dead: { raw: this.#dead.finish(), reasons: Uint8Array.from(this.#reasons) },
      },
      leaves: this.#leaves.subarray(0, this.#records * SHA256_BYTES),
      records: this.#records,
      bytes: this.bytes,
      deadLetterCauses: this.#causes.causes(columns.schema),
      skipped: { aborted: this.#aborted, control: this.#control, compacted },
      skippedRanges: this.#skippedRanges,
      leaderEpoch: this.#leaderEpoch,
      topicId: this.#topicId,
      position: this.#position,
      timestamps: this.#firstMs > this.#lastMs ? null : { firstMs: this.#firstMs, lastMs: this.#lastMs },
    };
  }

  /** Index past the last record of `chunk` that still belongs to this batch; looks at nothing but lengths and timestamps. */
  #cut(chunk: RecordChunk, from: number): number {
    const { bytesMax, recordsMax } = this.#limits;
    const { keyLengths, valueLengths, headers, timestampTypes } = chunk;
    const last = Math.min(chunk.count, from + Math.max(0, recordsMax - this.#records));
    const timestamps = int64Words(chunk.timestamps);
    let bytes = this.bytes;
    for (let i = from; i < last; i++) {
      if (timestampTypes[i] !== TIMESTAMP_NONE) {
        const ms = int64ToNumber(timestamps, i);
        if (this.#recordTime.endsBefore(ms, this.#records + i - from)) return i;
        if (ms < this.#firstMs) this.#firstMs = ms;
        if (ms > this.#lastMs) this.#lastMs = ms;
      }
      bytes += Math.max(0, keyLengths[i]!) + Math.max(0, valueLengths[i]!);
      if (headers !== null) bytes += headers.lengths[i]!;
      if (bytes >= bytesMax) return i + 1;
    }
    return last;
  }

  #take(chunk: RecordChunk, from: number, to: number): void {
    const { bytes, valueStarts, valueLengths } = chunk;
    let runFrom = from;
    let isDead = false;
    for (let i = from; i < to; i++) {
      const start = valueStarts[i]!;
      const length = valueLengths[i]!;
      const reason = this.#decode(bytes, start, length);
      if (reason !== 0) {
        this.#reasons.push(reason);
        this.#causes.add(reason, this.#decoder.refusedColumn, chunk.offsets[i]!);
      }
      if (isDead !== (reason !== 0)) {
        this.#append(chunk, runFrom, i, isDead);
        runFrom = i;
        isDead = !isDead;
      }
      if (length > 0) this.#observer.add(bytes, start, length);
    }
    this.#append(chunk, runFrom, to, isDead);
  }

  /** Keeps the bytes of a run of records that all decoded, or all did not. */
  #append(chunk: RecordChunk, from: number, to: number, isDead: boolean): void {
    if (from === to) return;
    (isDead ? this.#dead : this.#decoded).append(chunk, from, to, this.#leafBytes, this.#records * SHA256_BYTES);
    this.#records += to - from;
  }

  #decode(bytes: Uint8Array, start: number, length: number): number {
    if (length < 0) return DEAD_LETTER['null-value'];
    if (length > this.#limits.recordBytesMax) return DEAD_LETTER['record-too-large'];
    return this.#decoder.decode(bytes, start, length);
  }

  #account(spans: readonly ChunkSpan[], from: number, to: number): void {
    let accounted = from;
    for (const span of spans) {
      const start = Math.max(span.from, from);
      const end = Math.min(span.to, to);
      if (end <= start) continue;
      if (start !== accounted) break;
      accounted = end;
      if (end === to) this.#leaderEpoch = span.leaderEpoch;
      if (span.skip === 'aborted') this.#aborted += end - start;
      if (span.skip === 'control') this.#control += end - start;
      if (span.skip !== null && this.#skippedRanges.length < SKIPPED_RANGES_MAX)
        this.#skippedRanges.push({ from: start, to: end, reason: span.skip });
    }
    if (accounted < to)
      throw new RangeError(
        `Cannot account for offsets ${accounted} to ${to - 1} of "${formatLogId(this.#log)}": the source says nothing of ${accounted}`,
      );
  }

  #growLeaves(more: number): void {
    const needed = this.#records + more;
    if (needed * SHA256_BYTES <= this.#leaves.length) return;
    const room = Math.max(needed, 2 * (this.#leaves.length / SHA256_BYTES), this.#recordsExpected);
    const grown = Buffer.alloc(room * SHA256_BYTES);
    this.#leaves.copy(grown);
    this.#leaves = grown;
    this.#leafBytes = plain(grown);
  }
}

/** A chunk whose bytes are no Buffer: views of a Buffer cost three times as much to make, and there are several a record. */
function withPlainBytes(chunk: RecordChunk): RecordChunk {
  const { bytes, headers } = chunk;
  if (!Buffer.isBuffer(bytes)) return chunk;
  return {
    ...chunk,
    bytes: plain(bytes),
    headers: headers === null ? null : { ...headers, bytes: plain(headers.bytes) },
  };
}

function plain(view: Uint8Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
