import type { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import { MemorySource, type MemoryCommits } from '../../src/adapters/memory/source.ts';
import { UnavailableError } from '../../src/errors.ts';
import type {
  Assignment,
  CommitWitness,
  PartitionBounds,
  ReadRequest,
  ReadResult,
  RecordSource,
  StartPosition,
} from '../../src/ports/record-source.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import type { SimProcess } from './process.ts';

/** What may become of a call to the brokers. Each is a probability. */
export interface SourceFaults {
  readonly refused: number;
  /** Some of what was delivered before is delivered again. */
  readonly redelivered: number;
  /** What was fetched is long on its way, as when one of several brokers does not answer. */
  readonly straggling: number;
}

/** Offsets that are delivered again at most. */
const REDELIVERED_MAX = 20;
/** How long what was fetched is on its way at most, ms. */
const STRAGGLING_MS_MAX = 2_000;

/** The brokers as one member of the consumer group sees them. */
export class SimSource implements RecordSource {
  readonly cluster: string;
  readonly #inner: MemorySource;
  readonly #broker: MemoryBroker;
  readonly #process: SimProcess;
  readonly #faults: SourceFaults;

  constructor(broker: MemoryBroker, process: SimProcess, faults: SourceFaults, commits: MemoryCommits) {
    this.cluster = broker.cluster;
    this.#broker = broker;
    this.#process = process;
    this.#faults = faults;
    this.#inner = new MemorySource(broker, process.clock, commits);
    this.#inner.assign(null);
  }

  /** What the group's coordinator says. */
  assign(logs: readonly LogId[] | null): void {
    this.#inner.assign(logs);
  }

  async join(): Promise<void> {}

  assignment(): Assignment | null {
    return this.#inner.assignment();
  }

  bounds(log: LogId): Promise<PartitionBounds> {
    return this.#call('bounds', () => this.#broker.bounds(log));
  }

  async resolveStart(log: LogId, start: StartPosition): Promise<number> {
    await this.#call('resolve start', () => undefined);
    return this.#inner.resolveStart(log, start);
  }

  async leaderEpochAt(
    log: LogId,
    offset: number,
  ): Promise<{ readonly covered: boolean; readonly leaderEpoch: number } | null> {
    await this.#call('leader epoch', () => undefined);
    return this.#inner.leaderEpochAt(log, offset);
  }

  topicId(log: LogId): string | null {
    return this.#inner.topicId(log);
  }

  async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal): Promise<readonly ReadResult[]> {
    let stragglesMs = 0;
    const asked = await this.#call('fetch', (strikes) => {
      if (strikes('straggling', this.#faults.straggling)) stragglesMs = STRAGGLING_MS_MAX * this.#process.fraction();
      return requests.map((request) => {
        const { earliest } = this.#broker.bounds(request.log);
        const isBack =
          request.offset > earliest && strikes(`again ${formatLogId(request.log)}`, this.#faults.redelivered);
        return isBack ? { ...request, offset: Math.max(earliest, request.offset - REDELIVERED_MAX) } : request;
      });
    });
    // What retention has deleted meanwhile is not delivered again.
    const there = asked.map((request, i) => {
      const { earliest } = this.#broker.bounds(request.log);
      return request.offset < earliest ? { ...request, offset: Math.min(requests[i]!.offset, earliest) } : request;
    });
    const found = await this.#inner.poll(there, waitMs, signal);
    if (stragglesMs > 0) await this.#process.clock.sleep(stragglesMs);
    return this.#process.call(`fetched ${found.filter(({ kind }) => kind === 'records').length}`, () => found);
  }

  async restore(): Promise<void> {}

  async witness(log: LogId): Promise<CommitWitness | null> {
    await this.#call('witness', () => undefined);
    return this.#inner.witness(log);
  }

  async commit(log: LogId, offset: number, metadata: string): Promise<void> {
    await this.#call(`commit ${log.partition} ${offset}`, () => void this.#inner.commit(log, offset, metadata));
  }

  label(): string | null {
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #call<Answer>(
    what: string,
    act: (strikes: (kind: string, probability: number) => boolean) => Answer,
  ): Promise<Answer> {
    return this.#process.call(`broker ${what}`, (strikes) => {
      if (strikes('refused', this.#faults.refused))
        throw new UnavailableError('SOURCE_UNAVAILABLE', 'Cannot reach the broker: simulated fault');
      return act(strikes);
    });
  }
}
