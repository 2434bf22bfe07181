import type { PartitionLogs } from '../ledger/partition-log.ts';
import type { RecordSource, StartPosition } from '../ports/record-source.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';

/** Partitions whose end is asked for at once. */
const ASKED_AT_ONCE = 16;

/** Where the partitions of a topic end that a process finds as its own when it meets the topic; null if it was read before. */
type Ends = ReadonlyMap<string, number> | null;

/**
 * Knows where the log of a partition begins that no one has read: the configuration says so for partitions that are there
 * when their topic is read for the first time; those that come later have no past to skip.
 *
 * The beginning is in the log before the first record is read: the genesis entry names it, and whoever comes next goes on
 * from there. With `latest`, what counts is that no record is skipped that came after any process began the topic, be it
 * with another partition. So a partition's end is read first, and after that it is looked whether the topic has a log. If
 * there is none, all logs are made after the end was read, and so do all records that the topic's beginning promises come
 * behind it. If there is one, the partition begins at its earliest record.
 */
export class Beginnings {
  readonly #logs: Pick<PartitionLogs, 'hasTopic'>;
  readonly #source: Pick<RecordSource, 'assignment' | 'resolveStart'>;
  readonly #start: StartPosition;
  readonly #ends = new Map<string, Promise<Ends>>();

  constructor(
    logs: Pick<PartitionLogs, 'hasTopic'>,
    source: Pick<RecordSource, 'assignment' | 'resolveStart'>,
    start: StartPosition,
  ) {
    this.#logs = logs;
    this.#source = source;
    this.#start = start;
  }

  /** First offset of a log that is not there yet. @throws UnavailableError */
  async offsetOf(log: LogId): Promise<number> {
    if (this.#start.at !== 'latest') return this.#source.resolveStart(log, this.#start);
    const ends = await this.#endsWith(log);
    // A process must not take the logs that it makes itself for those of an earlier one: it asks once for all that it has.
    const known = ends?.get(formatLogId(log));
    if (known !== undefined) return known;
    const later = ends === null ? null : await this.#readEnds([log]);
    return later?.get(formatLogId(log)) ?? this.#source.resolveStart(log, { at: 'earliest' });
  }

  #endsWith(log: LogId): Promise<Ends> {
    const { cluster, topic } = log;
    const key = JSON.stringify([cluster, topic]);
    const known = this.#ends.get(key);
    if (known !== undefined) return known;
    const own = (this.#source.assignment()?.logs ?? []).filter((other) => other.topic === topic);
    const ends = this.#readEnds(own.some((other) => other.partition === log.partition) ? own : [...own, log]);
    this.#ends.set(key, ends);
    ends.catch(() => this.#ends.delete(key));
    return ends;
  }

  /** @param logs of one topic, at least one. */
  async #readEnds(logs: readonly LogId[]): Promise<Ends> {
    const ends = new Map<string, number>();
    for (let at = 0; at < logs.length; at += ASKED_AT_ONCE)
      await Promise.all(
        logs
          .slice(at, at + ASKED_AT_ONCE)
          .map(async (log) => ends.set(formatLogId(log), await this.#source.resolveStart(log, { at: 'latest' }))),
      );
    return (await this.#logs.hasTopic(logs[0]!)) ? null : ends;
  }
}
