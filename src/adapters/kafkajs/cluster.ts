import type { Clock } from '../../ports/clock.ts';
import { ConfigError } from '../../errors.ts';
import { BROKER_ERROR, brokerErrorName } from './broker-errors.ts';
import { metadataCall } from './calls.ts';
import type { MetadataAnswer } from './calls.ts';
import { brokerRefusal, unavailable } from './failures.ts';
import { findCoordinatorCall } from './group-calls.ts';
import { BrokerLink } from './link.ts';
import type { KafkaLog } from './log.ts';
import { formatAddress } from './options.ts';
import type { BrokerAddress, KafkaSettings } from './options.ts';

/** What a connection is for. Each purpose has its own, because a long poll or a waiting JoinGroup holds up all that is behind it. */
export type Lane = 'control' | 'fetch' | 'group';

/** What the metadata say of a topic. */
export interface TopicState {
  /** 0, or why the topic cannot be read. */
  readonly errorCode: number;
  /** Changes when the topic is made again; null where brokers do not tell. */
  readonly id: string | null;
  /** Leader of each partition by its number; −1 = none now. */
  readonly leaders: ReadonlyMap<number, number>;
}

/** One reading of the metadata. */
export interface Topology {
  readonly topics: ReadonlyMap<string, TopicState>;
  /** When it was read, on the monotonic clock. */
  readonly readAtMs: number;
}

/** Two readings of the metadata are at least so far apart: callers ask for a new one whenever something failed. */
const REFRESH_PAUSE_MS = 200;
/** A topic that was just made may be unknown to some brokers for a moment. */
const TOPIC_PATIENCE_MS = 5_000;

/** A Kafka cluster: its brokers, the leaders of partitions, and connections to them. */
export class KafkaCluster {
  /** The cluster's id. Fixed: another one behind the same addresses is refused. */
  readonly id: string;
  readonly #settings: KafkaSettings;
  readonly #log: KafkaLog;
  readonly #clock: Clock;
  readonly #addresses = new Map<number, BrokerAddress>();
  readonly #links = new Map<string, BrokerLink>();
  readonly #seeds: readonly BrokerLink[];
  #topology: Topology;
  readonly #topicIds = new Map<string, string>();
  #extraTopics: readonly string[] = [];
  #refreshing: Promise<Topology> | null = null;
  #coordinator: number | null = null;
  #isDestroyed = false;

  private constructor(parts: {
    settings: KafkaSettings;
    log: KafkaLog;
    clock: Clock;
    seeds: readonly BrokerLink[];
    id: string;
  }) {
    this.#settings = parts.settings;
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#seeds = parts.seeds;
    this.id = parts.id;
    this.#topology = { topics: new Map(), readAtMs: 0 };
  }

  /**
   * Connects to the first broker that answers and checks that every topic can be read.
   * @throws {ConfigError} when TLS, SASL, the brokers' version, or a topic make it impossible
   * @throws {UnavailableError} when no broker answers
   */
  static async open(settings: KafkaSettings, log: KafkaLog, clock: Clock): Promise<KafkaCluster> {
    const seeds = settings.brokers.map((broker) => new BrokerLink(broker, settings, log));
    let destroy = (): void => seeds.forEach((seed) => seed.destroy());
    try {
      const answer = await askInTurn(seeds, (link) => link.send(metadataCall(settings.topics)));
      if (answer.clusterId === null) {
        throw new ConfigError('UNSUPPORTED_BROKER', 'Cannot use this Kafka cluster: it has no cluster id');
      }
      const cluster = new KafkaCluster({ settings, log, clock, seeds, id: answer.clusterId });
      destroy = () => cluster.destroy();
      cluster.#take(answer);
      await cluster.#checkTopics();
      return cluster;
    } catch (error) {
      destroy();
      throw error;
    }
  }

  /** The last reading of the metadata. */
  get topology(): Topology {
    return this.#topology;
  }

  /** Id that a topic had when it was first seen; null where brokers do not tell. All that we read is asked for by this id. */
  topicId(topic: string): string | null {
    return this.#topicIds.get(topic) ?? null;
  }

  /** Metadata are read of these topics beside our own: the group's leader divides the topics of all members. */
  watchTopics(topics: readonly string[]): void {
    this.#extraTopics = topics.filter((topic) => !this.#settings.topics.includes(topic));
  }

  /** Reads the metadata anew. Callers that come while it runs share it. @throws {UnavailableError} {@link ConfigError} */
  refresh(): Promise<Topology> {
    this.#refreshing ??= this.#read().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** Node that leads a partition; null when none does or it is unknown. */
  leaderOf(topic: string, partition: number): number | null {
    const leader = this.#topology.topics.get(topic)?.leaders.get(partition);
    return leader === undefined || !this.#addresses.has(leader) ? null : leader;
  }

  /** Connection to a broker for one purpose. @throws {UnavailableError} when no such broker is known */
  link(nodeId: number, lane: Lane): BrokerLink {
    const address = this.#addresses.get(nodeId);
    if (address === undefined || this.#isDestroyed)
      throw unavailable(`Cannot reach Kafka broker ${nodeId}: it is not in the cluster's metadata`);
    const key = `${nodeId}/${lane}`;
    const known = this.#links.get(key);
    if (known?.address === formatAddress(address)) return known;
    // The broker has moved.
    known?.destroy();
    const link = new BrokerLink(address, this.#settings, this.#log);
    this.#links.set(key, link);
    return link;
  }

  /** Node that keeps our consumer group. @throws {UnavailableError} {@link ConfigError} */
  async coordinator(): Promise<number> {
    if (this.#coordinator !== null && this.#addresses.has(this.#coordinator)) return this.#coordinator;
    const { groupId } = this.#settings;
    const { errorCode, nodeId } = await this.#ask((link) => link.send(findCoordinatorCall(groupId)));
    if (errorCode !== 0) throw brokerRefusal(`find the coordinator of consumer group "${groupId}"`, groupId, errorCode);
    if (!this.#addresses.has(nodeId)) await this.refresh();
    this.#coordinator = nodeId;
    return nodeId;
  }

  /** The coordinator has moved or does not answer: look it up next time. */
  forgetCoordinator(): void {
    this.#coordinator = null;
  }

  destroy(): void {
    this.#isDestroyed = true;
    for (const link of [...this.#links.values(), ...this.#seeds]) link.destroy();
  }

  async #read(): Promise<Topology> {
    const sinceMs = this.#clock.monotonic() - this.#topology.readAtMs;
    if (sinceMs < REFRESH_PAUSE_MS) await this.#clock.sleep(REFRESH_PAUSE_MS - sinceMs);
    const topics = [...this.#settings.topics, ...this.#extraTopics];
    const answer = await this.#ask((link) => link.send(metadataCall(topics)));
    if (answer.clusterId !== this.id) {
      const found = answer.clusterId === null ? 'no id' : `"${answer.clusterId}"`;
      throw unavailable(
        `Cannot go on: the brokers now belong to a cluster with ${found}, the records so far came from "${this.id}"`,
      );
    }
    this.#take(answer);
    return this.#topology;
  }

  #take(answer: MetadataAnswer): void {
    this.#addresses.clear();
    for (const { nodeId, host, port } of answer.brokers) this.#addresses.set(nodeId, { host, port });
    for (const [key, link] of this.#links) {
      if (this.#addresses.has(Number.parseInt(key, 10))) continue;
      link.destroy();
      this.#links.delete(key);
    }
    const topics = new Map<string, TopicState>();
    for (const { name, errorCode, id, partitions } of answer.topics) {
      if (id !== null && !this.#topicIds.has(name)) this.#topicIds.set(name, id);
      topics.set(name, {
        errorCode,
        id,
        leaders: new Map(partitions.map(({ partition, leader }) => [partition, leader])),
      });
    }
    this.#topology = { topics, readAtMs: this.#clock.monotonic() };
  }

  /** The answer of any broker: those of the metadata in random order, then those of the options. */
  async #ask<T>(ask: (link: BrokerLink) => Promise<T>): Promise<T> {
    const known = [...this.#addresses.keys()].map((nodeId) => this.link(nodeId, 'control'));
    for (let i = known.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [known[i], known[j]] = [known[j]!, known[i]!];
    }
    return askInTurn([...known, ...this.#seeds], ask);
  }

  /** @throws {ConfigError} naming every topic that cannot be read */
  async #checkTopics(): Promise<void> {
    const startedMs = this.#clock.monotonic();
    for (;;) {
      const faults = this.#settings.topics.flatMap((topic) => {
        const errorCode = this.#topology.topics.get(topic)?.errorCode ?? BROKER_ERROR.UNKNOWN_TOPIC_OR_PARTITION;
        return errorCode === 0 || errorCode === BROKER_ERROR.LEADER_NOT_AVAILABLE
          ? []
          : [{ path: `topic "${topic}"`, errorCode }];
      });
      if (faults.length === 0) return;
      const isFinal = faults.some(({ errorCode }) => errorCode !== BROKER_ERROR.UNKNOWN_TOPIC_OR_PARTITION);
      if (isFinal || this.#clock.monotonic() - startedMs >= TOPIC_PATIENCE_MS) {
        const described = faults.map(({ path, errorCode }) => ({ path, message: describeTopicFault(errorCode) }));
        throw new ConfigError('CONFIG_INVALID', `Cannot read from Kafka cluster "${this.id}"`, described);
      }
      await this.refresh();
    }
  }
}

function describeTopicFault(errorCode: number): string {
  if (errorCode === BROKER_ERROR.UNKNOWN_TOPIC_OR_PARTITION) return 'does not exist; create it, or correct the name';
  if (errorCode === BROKER_ERROR.TOPIC_AUTHORIZATION_FAILED)
    return 'the broker denies access; allow Read and Describe on it';
  return `the broker answers ${brokerErrorName(errorCode)}`;
}

/** The first answer. If there is none: the first thing that only the operator can mend, else the last outage. */
async function askInTurn<T>(links: readonly BrokerLink[], ask: (link: BrokerLink) => Promise<T>): Promise<T> {
  let failure: Error = unavailable('Cannot reach Kafka: no broker is known');
  for (const link of links) {
    try {
      return await ask(link);
    } catch (error) {
      if (!(failure instanceof ConfigError)) failure = error as Error;
    }
  }
  throw failure;
}
