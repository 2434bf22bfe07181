import type { HeadgateError } from '../errors.ts';
import type { UnreadEnd } from '../ports/record-source.ts';
import type { LogId } from '../record/log-id.ts';
import type { JudgedBatch } from './judge-batch.ts';

/** What happened, for whoever watches: metrics, progress, alerts. All calls are synchronous and cheap. */
export interface IngestEvents {
  committed(batch: CommittedBatch): void;
  /** @param next first offset that is not committed; 0 if that could not be read */
  halted(log: LogId, error: HeadgateError, next: number): void;
  /** A partition that a rule had halted goes on. */
  resumed(log: LogId): void;
  /** A partition goes on: a poll found no trouble and nothing waits to be committed, or a batch was committed. Often. */
  reading(log: LogId): void;
  /** A one-pass run leaves the end of a file to the next one. */
  unread(log: LogId, end: UnreadEnd): void;
  /** Something went wrong that mends itself. */
  retrying(where: string, error: Error): void;
}

/** One batch after its point of no return. */
export interface CommittedBatch {
  readonly log: LogId;
  readonly slot: number;
  readonly digest: string;
  readonly start: number;
  readonly end: number;
  readonly records: number;
  readonly deadLetters: number;
  readonly judged: JudgedBatch;
}
