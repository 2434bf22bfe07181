import { HaltError, UnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type {
  Assignment,
  CommitWitness,
  PartitionBounds,
  ReadRequest,
  ReadResult,
  RecordSource,
  StartPosition,
} from '../../ports/record-source.ts';
import { waitForAny } from '../../ports/wait.ts';
import { formatLogId, type LogId } from '../../record/log-id.ts';
import type { MemoryBroker } from './broker.ts';

/** What the sources of one consumer group share. */
export type MemoryCommits = Map<string, CommitWitness>;

/**
 * A source in memory, for the simulator and for tests: it passes the same contract suite as the real ones. Which
 * partitions are its own, and whether it answers at all, is decided from outside.
 */
export class MemorySource implements RecordSource {
  readonly cluster: string;
  readonly #broker: MemoryBroker;
  readonly #clock: Clock;
  readonly #commits: MemoryCommits;
  readonly #topicIds = new Map<string, string>();
  #assignment: Assignment | null = null;
  #token = 0;
  #outage: string | null = null;

  /** @param commits shared by all members of one group. */
  constructor(broker: MemoryBroker, clock: Clock, commits: MemoryCommits = new Map()) {
    this.cluster = broker.cluster;
    this.#broker = broker;
    this.#clock = clock;
    this.#commits = commits;
  }

  /** Takes all partitions, unless {@link assign} has said otherwise. */
  async join(): Promise<void> {
    this.#assertUp();
    if (this.#token === 0) this.assign(this.#broker.logs);
  }

  /** Gives it these partitions; null takes all away, as at the begin of a rebalance. */
  assign(logs: readonly LogId[] | null): void {
    this.#token++;
    this.#assignment = logs === null ? null : { token: this.#token, logs };
  }

  /** Makes every call fail with UnavailableError until it is called with null. */
  fail(why: string | null): void {
    this.#outage = why;
  }

  assignment(): Assignment | null {
    return this.#assignment;
  }

  async bounds(log: LogId): Promise<PartitionBounds> {
    this.#assertUp();
    return this.#broker.bounds(log);
  }

  async resolveStart(log: LogId, start: StartPosition): Promise<number> {
    this.#assertUp();
    if (start.at === 'time') return this.#broker.offsetAt(log, start.timeMs);
    const { earliest, latest } = this.#broker.bounds(log);
    return start.at === 'earliest' ? earliest : latest;
  }

  async leaderEpochAt(
    log: LogId,
    offset: number,
  ): Promise<{ readonly covered: boolean; readonly leaderEpoch: number } | null> {
    this.#assertUp();
    const leaderEpoch = this.#broker.leaderEpochAt(log, offset);
    return leaderEpoch === null ? null : { covered: offset >= this.#broker.bounds(log).earliest, leaderEpoch };
  }

  topicId(log: LogId): string | null {
    const name = formatLogId(log);
    const known = this.#topicIds.get(name) ?? this.#broker.topicId(log);
    this.#topicIds.set(name, known);
    return known;
  }

  async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal): Promise<readonly ReadResult[]> {
    this.#assertUp();
    const first = requests.map((request) => this.#read(request));
    if (first.some(({ kind }) => kind !== 'drained')) return first;
    await waitForAny(this.#clock, waitMs, [this.#broker.appended()], signal);
    this.#assertUp();
    return requests.map((request) => this.#read(request));
  }

  /** A broker keeps its own positions: there is nothing to restore. */
  async restore(): Promise<void> {}

  async witness(log: LogId): Promise<CommitWitness | null> {
    this.#assertUp();
    return this.#commits.get(formatLogId(log)) ?? null;
  }

  async commit(log: LogId, offset: number, metadata: string): Promise<void> {
    this.#assertUp();
    this.#commits.set(formatLogId(log), { offset, metadata });
  }

  label(): string | null {
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.assign(null);
  }

  #read({ log, offset, recordsMax, bytesMax }: ReadRequest): ReadResult {
    const { earliest, latest } = this.#broker.bounds(log);
    const name = formatLogId(log);
    if (this.#broker.topicId(log) !== this.topicId(log))
      return halt(log, 'LOG_TRUNCATED', `Cannot go on with "${name}": the topic was deleted and made again`);
    if (offset < earliest)
      return halt(log, 'GAP', `Cannot read "${name}" from offset ${offset}: it begins at ${earliest} now`);
    if (offset > latest)
      return halt(log, 'LOG_TRUNCATED', `Cannot read "${name}" from offset ${offset}: it ends at ${latest} now`);
    const chunk = this.#broker.read(log, offset, recordsMax, bytesMax);
    return chunk === null ? { kind: 'drained', log, ended: false } : { kind: 'records', log, chunk };
  }

  #assertUp(): void {
    if (this.#outage !== null)
      throw new UnavailableError('SOURCE_UNAVAILABLE', `Cannot reach the source: ${this.#outage}`);
  }
}

function halt(log: LogId, code: 'GAP' | 'LOG_TRUNCATED', message: string): ReadResult {
  return { kind: 'halt', log, error: new HaltError(code, message) };
}
