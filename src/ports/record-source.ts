import type { LogId } from '../record/log-id.ts';
import type { RecordChunk, SourcePosition } from '../record/chunk.ts';

/** Where a partition is read from at genesis. */
export type StartPosition =
  | { readonly at: 'earliest' }
  | { readonly at: 'latest' }
  | { readonly at: 'time'; readonly timeMs: number };

/** The offsets a partition holds now: `[earliest, latest)`. */
export interface PartitionBounds {
  readonly earliest: number;
  readonly latest: number;
}

/** What the source remembers of the last commit: a hint, and a witness against a store that was rolled back. */
export interface CommitWitness {
  readonly offset: number;
  /** `slot:digest` of the entry that was committed last, as {@link RecordSource.commit} was given it. */
  readonly metadata: string;
}

/** One partition to read next. */
export interface ReadRequest {
  readonly log: LogId;
  /** First offset wanted. */
  readonly offset: number;
  /**
   * Records wanted of this partition: a wish. Files keep to it; Kafka gives whole record batches and counts bytes alone, so
   * the caller must take more, and only {@link bytesMax} bounds what an answer holds.
   */
  readonly recordsMax: number;
  /** Bytes of records wanted at most; one record larger than this is still returned whole. */
  readonly bytesMax: number;
}

/** The end of a finished file that a one-pass run leaves for the next one, because more of its last record may come. */
export interface UnreadEnd {
  /** Position of its first byte. */
  readonly byte: number;
  readonly bytes: number;
}

/** What a poll brought for one partition. */
export type ReadResult =
  | { readonly kind: 'records'; readonly log: LogId; readonly chunk: RecordChunk }
  /** The partition is drained for now: nothing at the requested offset. `ended` = it will never grow (a finished file in a one-pass run). */
  | { readonly kind: 'drained'; readonly log: LogId; readonly ended: boolean; readonly unread?: UnreadEnd }
  /** The partition cannot go on; the error names the halt code and its way out. */
  | { readonly kind: 'halt'; readonly log: LogId; readonly error: Error };

/** Which partitions are ours. A new object each time; identity is the assignment token. */
export interface Assignment {
  /** Rises with each assignment; a result of an older token must be dropped. */
  readonly token: number;
  readonly logs: readonly LogId[];
  /** Set when partitions that were ours before have stayed ours all the time, so that open batches may go on. */
  readonly retained?: true;
}

/**
 * Where records come from. Pull, not push: nothing is delivered that was not asked for, so a position is only ever the
 * caller's and no library can skip or commit behind its back.
 *
 * Contract (test/contract/record-source.ts runs it on every adapter):
 * - `poll` returns chunks that begin at or after the requested offset, in offset order, never a record twice in one chunk;
 *   offsets below the request are dropped by the source or by the caller (redelivery).
 * - A chunk accounts for every offset in `[from, nextOffset)`: a record, or a span with its reason.
 * - `poll` returns within about `waitMs` even when nothing arrived; it rejects with UnavailableError when the source is
 *   out of reach (the caller backs off and calls again), never with a partial chunk.
 * - Out-of-range offsets, checksum failures and unreadable codecs are `halt` results, never a silent reset.
 * - `commit` is a hint: losing it costs nothing but a slower start.
 * Trust: everything but lengths and types of what is returned is hostile.
 */
export interface RecordSource extends AsyncDisposable {
  /** Kafka's cluster id, or `file`. */
  readonly cluster: string;
  /** Joins (for Kafka: the consumer group) and keeps `assignment` current until disposed. @throws UnavailableError, ConfigError */
  join(): Promise<void>;
  /** The current assignment; null between a revocation and the next one, when nothing may be committed. */
  assignment(): Assignment | null;
  /** First and past-the-last offset available now. @throws UnavailableError */
  bounds(log: LogId): Promise<PartitionBounds>;
  /** The offset that `start` means for this partition now. @throws UnavailableError */
  resolveStart(log: LogId, start: StartPosition): Promise<number>;
  /** The leader epoch of the batch that covers `offset`, or of the next one after it; null where unknown or none. @throws UnavailableError */
  leaderEpochAt(
    log: LogId,
    offset: number,
  ): Promise<{ readonly covered: boolean; readonly leaderEpoch: number } | null>;
  /**
   * Id of the topic that this source reads under the log's name: a topic that is deleted and made again under its old name
   * has another. Stays the same for as long as the source lives; null where there is none.
   */
  topicId(log: LogId): string | null;
  /** Reads from all requested partitions; see the contract above. */
  poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal): Promise<readonly ReadResult[]>;
  /**
   * Continues a partition that keeps a source position (files): checks that what was read before is unchanged.
   * @param position what {@link RecordChunk.position} gave for the record before `offset`; null when none was committed.
   * @throws HaltError SOURCE_CHANGED; UnavailableError
   */
  restore(log: LogId, offset: number, position: SourcePosition | null): Promise<void>;
  /** What was committed last for this partition, if the source keeps it. @throws UnavailableError */
  witness(log: LogId): Promise<CommitWitness | null>;
  /** Tells the source how far the ledger is. @throws UnavailableError */
  commit(log: LogId, offset: number, metadata: string): Promise<void>;
  /** Human label of a partition (a file's relative path); null when the partition id says it all. */
  label(log: LogId): string | null;
}
