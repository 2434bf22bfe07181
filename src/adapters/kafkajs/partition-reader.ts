import { HaltError } from '../../errors.ts';
import type { ErrorCode, ErrorFields } from '../../errors.ts';
import type { ReadRequest, ReadResult } from '../../ports/record-source.ts';
import { BatchDecoder } from './batch-decoder.ts';
import type { RefusedBatch } from './batch-decoder.ts';
import { BROKER_ERROR } from './broker-errors.ts';
import type { KafkaCluster } from './cluster.ts';
import type { CodecTable } from './codecs.ts';
import { brokerRefusal } from './failures.ts';
import type { FetchedPartition } from './fetch-call.ts';
import { describe, isStaleMetadata, readBounds } from './leader-calls.ts';
import type { PartitionId } from './leader-calls.ts';
import type { KafkaLog } from './log.ts';
import { BATCH_BYTES_MAX } from './record-batch.ts';

/** One partition of a poll: what the caller wants, and what we ask the broker for. */
export interface Want extends PartitionId {
  readonly request: ReadRequest;
  /** The log's name, for maps. */
  readonly key: string;
  /** Bytes asked for. */
  readonly bytesMax: number;
}

/** What one partition of a fetch answer comes to. */
export type PartitionOutcome =
  | { readonly kind: 'result'; readonly result: ReadResult; readonly inflatedBytes: number }
  /** Nothing can be said now; a later poll will. */
  | { readonly kind: 'later' }
  /** The metadata are old, or the broker refuses. */
  | { readonly kind: 'failed'; readonly error: Error | null };

const LATER: PartitionOutcome = { kind: 'later' };

/** Turns the partitions of fetch answers into results. Remembers only what tells a second failure from a first. */
export class PartitionReader {
  readonly #cluster: KafkaCluster;
  readonly #log: KafkaLog;
  readonly #decoder: BatchDecoder;
  /** Offset at which a partition's batch failed once; a second time halts it. */
  readonly #strikes = new Map<string, number>();
  readonly #raisedBytes = new Map<string, number>();

  constructor(parts: { cluster: KafkaCluster; log: KafkaLog; codecs: CodecTable; batchInflatedBytesMax: number }) {
    this.#cluster = parts.cluster;
    this.#log = parts.log;
    this.#decoder = new BatchDecoder(parts);
  }

  /** Bytes to ask for because a batch of this partition did not fit; 0 = as usual. */
  raisedBytes(key: string): number {
    return this.#raisedBytes.get(key) ?? 0;
  }

  /** @param inflatedBytesMax at least 1 @throws {UnavailableError} when the partition's bounds cannot be read */
  async read(want: Want, fetched: FetchedPartition, inflatedBytesMax: number): Promise<PartitionOutcome> {
    switch (fetched.errorCode) {
      case BROKER_ERROR.NONE:
        return this.#decode(want, fetched, inflatedBytesMax);
      case BROKER_ERROR.OFFSET_OUT_OF_RANGE:
        return this.#judgeRange(want);
      case BROKER_ERROR.CORRUPT_MESSAGE:
        return this.#strike(want, 'CRC', 'the broker says that its own copy is corrupt');
      case BROKER_ERROR.UNSUPPORTED_COMPRESSION_TYPE:
        return halt(want, 'CODEC', 'the broker cannot send a batch with this compression to us');
      default: {
        const isStale = isStaleMetadata(fetched.errorCode);
        const error = isStale ? null : brokerRefusal(`read ${describe(want)}`, want.topic, fetched.errorCode);
        return { kind: 'failed', error };
      }
    }
  }

  async #decode(want: Want, fetched: FetchedPartition, inflatedBytesMax: number): Promise<PartitionOutcome> {
    const { request, key } = want;
    const { aborted, batches: bytes, logStart } = fetched;
    const decoded = this.#decoder.decode({ bytes, wanted: request.offset, aborted, inflatedBytesMax });
    const { chunk, refused, cutOffBytes, inflatedBytes } = decoded;
    if (refused !== null) return this.#refuse(want, refused);
    if (cutOffBytes !== null) return this.#raise(want, cutOffBytes);
    this.#strikes.delete(key);
    this.#raisedBytes.delete(key);
    if (chunk === null) {
      return { kind: 'result', result: { kind: 'drained', log: request.log, ended: false }, inflatedBytes };
    }
    const isHeadMissing = chunk.spans[0]?.skip === 'compacted' && chunk.spans[0].leaderEpoch === null;
    // The log's start passed our offset while the broker read: what is missing was deleted, not compacted.
    if (isHeadMissing && logStart > request.offset) return this.#judgeRange(want);
    return { kind: 'result', result: { kind: 'records', log: request.log, chunk }, inflatedBytes };
  }

  #refuse(want: Want, { code, reason, from, to }: RefusedBatch): PartitionOutcome {
    const { offset } = want.request;
    // Where a header cannot be trusted, the end of what it spoils is unknown.
    const fields = to > offset ? { from: Math.max(from, offset), to } : { from: offset, to: null };
    // A bit may have flipped on the way; the other faults are in the log.
    return code === 'CRC' ? this.#strike(want, code, reason, fields) : halt(want, code, reason, fields);
  }

  /** Halts at the second failure at one offset; the first is only logged, and the batch is fetched again. */
  #strike(want: Want, code: ErrorCode, reason: string, fields: ErrorFields = {}): PartitionOutcome {
    const { key, request, topic, partition } = want;
    if (this.#strikes.get(key) === request.offset) return halt(want, code, `${reason}, twice in a row`, fields);
    this.#strikes.set(key, request.offset);
    this.#log('warn', `Fetching again: ${reason}`, { topic, partition, offset: request.offset, code });
    return LATER;
  }

  /** The first batch is cut off: ask for all of it next time. */
  #raise(want: Want, cutOffBytes: number): PartitionOutcome {
    if (cutOffBytes <= want.bytesMax && want.bytesMax >= BATCH_BYTES_MAX) {
      return this.#strike(want, 'MALFORMED', `a batch of ${cutOffBytes} bytes never arrives whole`);
    }
    this.#raisedBytes.set(want.key, Math.min(Math.max(cutOffBytes, want.bytesMax * 2), BATCH_BYTES_MAX));
    return LATER;
  }

  /** The broker does not hold our offset: what does it hold? */
  async #judgeRange(want: Want): Promise<PartitionOutcome> {
    const { offset } = want.request;
    const { earliest, latest } = await readBounds(this.#cluster, want);
    const fields = { earliest, latest };
    if (offset < earliest) {
      const reason = `the earliest record left is at ${earliest} (way out: set onGap: continue, which goes on there and signs the gap)`;
      return halt(want, 'GAP', reason, fields);
    }
    if (offset > latest) {
      const reason = `the log ends at ${latest}: it was truncated, or the topic was made again`;
      return halt(want, 'LOG_TRUNCATED', reason, fields);
    }
    // In range again: a leader that had just changed did not know its own end yet.
    return LATER;
  }
}

/** The partition cannot go on. @param fields offsets and the like, beside topic, partition and wanted offset */
export function halt(
  want: Want,
  code: ErrorCode,
  reason: string,
  fields: ErrorFields = {},
): PartitionOutcome & { kind: 'result' } {
  const { topic, partition, request } = want;
  const message = `Cannot read ${describe(want)} at offset ${request.offset}: ${reason}`;
  const error = new HaltError(code, message, { fields: { topic, partition, offset: request.offset, ...fields } });
  return { kind: 'result', result: { kind: 'halt', log: request.log, error }, inflatedBytes: 0 };
}
