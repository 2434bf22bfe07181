import { randomBytes } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import type { Admin, ITopicConfig, Message, Producer } from 'kafkajs';
import { expect } from 'vitest';

import { KafkaSource } from '../../src/adapters/kafkajs/kafka-source.ts';
import type { KafkaSourceOptions } from '../../src/adapters/kafkajs/options.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import type { ReadResult } from '../../src/ports/record-source.ts';
import type { ChunkSpan } from '../../src/record/chunk.ts';
import type { LogId } from '../../src/record/log-id.ts';
import { chunkRecords } from './chunk-records.ts';
import type { ChunkRecord } from './chunk-records.ts';
import { kafkaBrokers } from './services.ts';

/** What a source read until a partition was drained. */
export interface ReadOut {
  readonly records: readonly ChunkRecord[];
  readonly spans: readonly ChunkSpan[];
  readonly nextOffset: number;
}

/** A real broker, written to by kafkajs's own producer and admin client, and sources that read from it. */
export class KafkaFixture implements AsyncDisposable {
  readonly admin: Admin;
  readonly producer: Producer;
  readonly #kafka: Kafka;
  #sources: KafkaSource[] = [];

  private constructor() {
    this.#kafka = new Kafka({ brokers: kafkaBrokers(), logLevel: logLevel.NOTHING, retry: { retries: 10 } });
    this.admin = this.#kafka.admin();
    this.producer = this.#kafka.producer();
  }

  static async start(): Promise<KafkaFixture> {
    const fixture = new KafkaFixture();
    await Promise.all([fixture.admin.connect(), fixture.producer.connect()]);
    return fixture;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeSources();
    await Promise.all([this.admin.disconnect(), this.producer.disconnect()]);
  }

  /** A new topic of one partition unless `config` says otherwise. */
  async createTopic(config: Partial<ITopicConfig> = {}): Promise<string> {
    const topic = config.topic ?? `source-${randomBytes(6).toString('hex')}`;
    const topics = [{ numPartitions: 1, replicationFactor: 1, ...config, topic }];
    // A topic of this name may still be on its way out.
    const create = (): Promise<boolean> => this.admin.createTopics({ topics, waitForLeaders: true }).catch(() => false);
    await expect.poll(create, { timeout: 10_000 }).toBe(true);
    return topic;
  }

  async open(topic: string, options: Partial<KafkaSourceOptions> = {}): Promise<KafkaSource> {
    const names = { clientId: 'test', groupId: `group-${topic}`, topics: [topic] };
    const source = await KafkaSource.open(
      { brokers: kafkaBrokers(), ...names, sessionTimeoutMs: 6_000, fetchWaitMs: 200, ...options },
      { log: () => undefined, clock: systemClock },
    );
    this.#sources.push(source);
    return source;
  }

  async closeSources(): Promise<void> {
    const sources = this.#sources;
    this.#sources = [];
    await Promise.all(sources.map((source) => source[Symbol.asyncDispose]()));
  }

  /** A producer of transactions. */
  async transactor(): Promise<Producer> {
    const transactionalId = randomBytes(6).toString('hex');
    const transactional = this.#kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true });
    await transactional.connect();
    return transactional;
  }

  /** Produces to a topic that the shared producer may remember from a former life. */
  async produceAnew(topic: string, messages: Message[]): Promise<void> {
    const fresh = this.#kafka.producer();
    await fresh.connect();
    await fresh.send({ topic, messages });
    await fresh.disconnect();
  }
}

export function logOf(source: KafkaSource, topic: string, partition = 0): LogId {
  return { cluster: source.cluster, topic, partition: String(partition) };
}

export function pollOnce(
  source: KafkaSource,
  topic: string,
  offset: number,
  partition = 0,
): Promise<readonly ReadResult[]> {
  const request = { log: logOf(source, topic, partition), offset, recordsMax: 1_000_000, bytesMax: 64 * 1024 * 1024 };
  return source.poll([request], 10_000, new AbortController().signal);
}

/** Everything from an offset until the partition is drained. @throws {HaltError} */
export async function readAll(source: KafkaSource, topic: string, partition = 0, from = 0): Promise<ReadOut> {
  const records: ChunkRecord[] = [];
  const spans: ChunkSpan[] = [];
  let nextOffset = from;
  for (;;) {
    const [result] = await pollOnce(source, topic, nextOffset, partition);
    if (result?.kind === 'halt') throw result.error;
    if (result?.kind === 'drained') return { records, spans, nextOffset };
    if (result === undefined) continue;
    expect(result.chunk.from).toBe(nextOffset);
    for (const record of chunkRecords(result.chunk)) records.push(record);
    spans.push(...result.chunk.spans);
    nextOffset = result.chunk.nextOffset;
  }
}
