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
import type { LogId } from '../../record/log-id.ts';
import { KafkaCluster } from './cluster.ts';
import { CODECS } from './codecs.ts';
import type { CodecTable } from './codecs.ts';
import { asUnavailable } from './failures.ts';
import { Fetcher } from './fetcher.ts';
import { GroupMembership } from './group.ts';
import { readBounds, readLeaderEpoch, readStart } from './leader-calls.ts';
import type { PartitionId } from './leader-calls.ts';
import type { KafkaLog } from './log.ts';
import { resolveOptions } from './options.ts';
import type { KafkaSettings, KafkaSourceOptions } from './options.ts';

/** What the source is given beside its options. */
export interface KafkaSourceContext {
  readonly log: KafkaLog;
  readonly clock: Clock;
  /** Codecs of record batches; default: those of {@link CODECS}. */
  readonly codecs?: CodecTable;
}

/**
 * Kafka as a record source: a member of a consumer group that fetches only what it is asked for.
 *
 * Reads committed transactions only. Every batch's CRC is checked; nothing is skipped, reset or committed unless the
 * caller says so. What the operator must mend while it runs (a certificate, an ACL) is an outage, not an end.
 */
export class KafkaSource implements RecordSource {
  readonly cluster: string;
  readonly #connection: KafkaCluster;
  readonly #settings: KafkaSettings;
  readonly #context: KafkaSourceContext;
  readonly #fetcher: Fetcher;
  readonly #group: GroupMembership;
  readonly #stopping = new AbortController();
  #watching: Promise<void> | null = null;

  private constructor(connection: KafkaCluster, settings: KafkaSettings, context: KafkaSourceContext) {
    const { log, clock, codecs = CODECS } = context;
    this.cluster = connection.id;
    this.#connection = connection;
    this.#settings = settings;
    this.#context = context;
    this.#fetcher = new Fetcher({ cluster: connection, settings, log, clock, codecs });
    this.#group = new GroupMembership({ cluster: connection, settings, log, clock });
  }

  /**
   * Connects and checks that every topic can be read.
   * @throws {ConfigError} CONFIG_INVALID for options, certificates, credentials, ACLs and topics; UNSUPPORTED_BROKER
   * @throws {UnavailableError} SOURCE_UNAVAILABLE when no broker answers
   */
  static async open(options: KafkaSourceOptions, context: KafkaSourceContext): Promise<KafkaSource> {
    const settings = resolveOptions(options);
    if (sendsSecretInClear(settings)) {
      context.log('warn', 'The Kafka credentials go over the network unencrypted; use tls', {});
    }
    const connection = await KafkaCluster.open(settings, context.log, context.clock);
    return new KafkaSource(connection, settings, context);
  }

  async join(): Promise<void> {
    if (this.#watching !== null) return;
    await this.#group.join();
    this.#watching = this.#watchTopology();
  }

  assignment(): Assignment | null {
    return this.#group.assignment();
  }

  bounds(log: LogId): Promise<PartitionBounds> {
    return orUnavailable(readBounds(this.#connection, toPartition(log)));
  }

  resolveStart(log: LogId, start: StartPosition): Promise<number> {
    return orUnavailable(readStart(this.#connection, toPartition(log), start));
  }

  leaderEpochAt(
    log: LogId,
    offset: number,
  ): Promise<{ readonly covered: boolean; readonly leaderEpoch: number } | null> {
    return orUnavailable(readLeaderEpoch(this.#connection, toPartition(log), offset));
  }

  topicId({ topic }: LogId): string | null {
    return this.#connection.topicId(topic);
  }

  poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal): Promise<readonly ReadResult[]> {
    return this.#fetcher.poll(requests, waitMs, signal);
  }

  /** Kafka keeps its own positions: there is nothing to restore. */
  restore(): Promise<void> {
    return Promise.resolve();
  }

  async witness(log: LogId): Promise<CommitWitness | null> {
    const { offset, metadata } = await orUnavailable(this.#group.committed(toPartition(log)));
    return offset < 0 ? null : { offset, metadata: metadata ?? '' };
  }

  commit(log: LogId, offset: number, metadata: string): Promise<void> {
    return orUnavailable(this.#group.commit(toPartition(log), offset, metadata));
  }

  label(): string | null {
    return null;
  }

  /** Leaves the group and closes every connection; takes at most about 5 s, however the brokers behave. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    const patience = new AbortController();
    const left = this.#group.leave().finally(() => patience.abort());
    await Promise.race([left, this.#context.clock.sleep(DISPOSE_PATIENCE_MS, patience.signal)]);
    this.#connection.destroy();
    await Promise.all([left, this.#watching]);
  }

  /** Reads the metadata anew before they are too old, so that the group's leader sees new partitions. */
  async #watchTopology(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#context.clock.sleep(this.#settings.metadataMaxAgeMs, signal);
      if (signal.aborted) return;
      try {
        this.#group.noticeTopology(await this.#connection.refresh());
      } catch (error) {
        this.#context.log('warn', asUnavailable(error).message, {});
      }
    }
  }
}

const DISPOSE_PATIENCE_MS = 4_000;

function toPartition({ topic, partition }: LogId): PartitionId {
  return { topic, partition: Number(partition) };
}

/** SCRAM shows nobody its password; the others do. */
function sendsSecretInClear({ tls, sasl, brokers }: KafkaSettings): boolean {
  if (tls !== null || sasl === null || sasl.mechanism.startsWith('scram')) return false;
  return brokers.some(({ host }) => !/^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host));
}

async function orUnavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw asUnavailable(error);
  }
}
