import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { CompressionTypes, Kafka, logLevel } from 'kafkajs';
import type { Admin, ITopicConfig, Message, Producer } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { KafkaSource } from '../../src/adapters/kafkajs/kafka-source.ts';
import type { KafkaSourceOptions } from '../../src/adapters/kafkajs/options.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import type { ReadRequest, ReadResult } from '../../src/ports/record-source.ts';
import type { ChunkSpan } from '../../src/record/chunk.ts';
import type { LogId } from '../../src/record/log-id.ts';
import { chunkRecords } from '../support/chunk-records.ts';
import type { ChunkRecord } from '../support/chunk-records.ts';
import { kafkaBrokers, kafkaMtls, kafkaSaslSsl, pythonPath } from '../support/services.ts';

/* The Kafka source against a real broker; kafkajs's own producer and admin client, untouched, write what it reads. */

const run = promisify(execFile);

/** kafkajs's producer would take minutes for a batch of this size. */
const PRODUCE_ONE_BATCH = `import sys
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1], "compression.type": "gzip", "linger.ms": 30000,
  "batch.num.messages": 1000000, "batch.size": 8000000, "message.max.bytes": 8000000,
  "queue.buffering.max.messages": 1000000})
for _ in range(int(sys.argv[3])): producer.produce(sys.argv[2], b"")
producer.flush(60)`;

let kafka: Kafka;
let admin: Admin;
let producer: Producer;
let sources: KafkaSource[] = [];

beforeAll(async () => {
  kafka = new Kafka({ brokers: kafkaBrokers(), logLevel: logLevel.NOTHING, retry: { retries: 10 } });
  admin = kafka.admin();
  producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
});

afterEach(async () => {
  const open = sources;
  sources = [];
  await Promise.all(open.map((source) => source[Symbol.asyncDispose]()));
});

afterAll(async () => {
  await Promise.all([admin.disconnect(), producer.disconnect()]);
});

describe('records', () => {
  it.each([
    ['none', CompressionTypes.None],
    ['gzip', CompressionTypes.GZIP],
  ])('come back as they were produced, compressed with %s', async (_, compression) => {
    const topic = await createTopic();
    const messages: Message[] = [
      { key: 'k0', value: 'v0', timestamp: '1700000000000', headers: { a: '1', b: Buffer.from([0, 255]) } },
      { key: null, value: 'no key', timestamp: '1700000000001' },
      { key: 'tombstone', value: null, timestamp: '1700000000002' },
      { key: '', value: '', timestamp: '1700000000003', headers: { many: ['x', 'y'] } },
    ];
    await producer.send({ topic, messages, compression });
    const { records, spans } = await readAll(await open(topic), topic);
    expect(records.map(({ offset, key, value }) => [offset, key, value])).toEqual([
      [0, 'k0', 'v0'],
      [1, null, 'no key'],
      [2, 'tombstone', null],
      [3, '', ''],
    ]);
    expect(records.map(({ timestamp }) => Number(timestamp))).toEqual([0, 1, 2, 3].map((i) => 1_700_000_000_000 + i));
    expect(records.map(({ headers }) => headers)).toEqual([
      '00000002000000016100000001310000000162000000' + '0200ff',
      '',
      '',
      '00000002000000046d616e790000000178000000046d616e790000000179',
    ]);
    expect(spans).toEqual([{ from: 0, to: 4, leaderEpoch: 0, skip: null }]);
  });

  it('of one batch with 200,000, as librdkafka makes it, come back (K2)', { timeout: 60_000 }, async () => {
    const topic = await createTopic({ configEntries: [{ name: 'max.message.bytes', value: '8000000' }] });
    await run(pythonPath(), ['-c', PRODUCE_ONE_BATCH, kafkaBrokers().join(','), topic, '200000']);
    const source = await open(topic);
    const [result] = await pollOnce(source, topic, 0);
    expect(result).toMatchObject({ kind: 'records', chunk: { count: 200_000, from: 0, nextOffset: 200_000 } });
  });

  it('larger than the bytes asked for come back whole (K27)', async () => {
    const topic = await createTopic({ configEntries: [{ name: 'max.message.bytes', value: '8000000' }] });
    const sizes = [10, 3_000_000, 10, 2_000_000];
    for (const size of sizes) await producer.send({ topic, messages: [{ value: Buffer.alloc(size, 0x61) }] });
    const { records } = await readAll(await open(topic, { partitionBytesMax: 1_024, fetchBytesMax: 2_048 }), topic);
    expect(records.map(({ value }) => value!.length)).toEqual(sizes);
  });

  it('with log append time say so (K23)', async () => {
    const topic = await createTopic({ configEntries: [{ name: 'message.timestamp.type', value: 'LogAppendTime' }] });
    await producer.send({ topic, messages: [{ value: 'x', timestamp: '5' }] });
    const [record] = (await readAll(await open(topic), topic)).records;
    expect(record!.timestampType).toBe(1);
    expect(Math.abs(Number(record!.timestamp) - Date.now())).toBeLessThan(60_000);
  });

  it('of many partitions come back, each once', async () => {
    const topic = await createTopic({ numPartitions: 8 });
    const keys = Array.from({ length: 5_000 }, (_, i) => `key-${i}`);
    await producer.send({ topic, messages: keys.map((key) => ({ key, value: key })) });
    const source = await open(topic);
    const found: string[] = [];
    for (let partition = 0; partition < 8; partition++) {
      found.push(...(await readAll(source, topic, partition)).records.map(({ key }) => key!));
    }
    expect(found.toSorted()).toEqual(keys.toSorted());
  });

  it('that arrive while a poll waits end the wait', async () => {
    const topic = await createTopic();
    const source = await open(topic, { fetchWaitMs: 10_000 });
    const startedMs = performance.now();
    const polling = source.poll([requestFor(source, topic, 0)], 10_000, new AbortController().signal);
    await systemClock.sleep(200);
    await producer.send({ topic, messages: [{ value: 'late' }] });
    expect(await polling).toMatchObject([{ kind: 'records', chunk: { count: 1 } }]);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe('transactions', () => {
  it('are read once committed, and never when aborted, from any offset (K8–K11)', { timeout: 60_000 }, async () => {
    const topic = await createTopic();
    const [first, second, third] = await Promise.all([transactor(), transactor(), transactor()]);
    const [a, b, c] = [await first.transaction(), await second.transaction(), await third.transaction()];
    // Both aborted ones begin before the offsets from which the leaks below are read.
    await a.send({ topic, messages: [{ value: 'aborted a0' }] });
    await b.send({ topic, messages: [{ value: 'aborted b0' }] });
    await c.send({ topic, messages: [{ value: 'committed c0' }] });
    await b.send({ topic, messages: [{ value: 'aborted b1' }] });
    await a.send({
      topic,
      messages: [{ key: Buffer.alloc(4), value: 'aborted, key like a marker' }, { value: 'aborted a2' }],
    });
    await producer.send({ topic, messages: [{ value: 'plain' }] });
    await a.send({ topic, messages: [{ value: 'aborted a3' }] });
    await a.abort();
    await b.send({ topic, messages: [{ value: 'aborted b2' }] });
    await b.abort();
    await c.send({ topic, messages: [{ value: 'committed c1' }] });
    await c.commit();
    const d = await first.transaction();
    await d.send({ topic, messages: [{ value: 'committed d' }] });
    await d.commit();
    const source = await open(topic);
    const whole = await readAll(source, topic);
    expect(whole.records.map(({ value }) => value)).toEqual(['committed c0', 'plain', 'committed c1', 'committed d']);
    expect(new Set(whole.spans.map(({ skip }) => skip))).toEqual(new Set([null, 'aborted', 'control']));
    for (let from = 1; from < whole.nextOffset; from++) {
      const part = await readAll(source, topic, 0, from);
      expect(part.records).toEqual(whole.records.filter(({ offset }) => offset >= from));
    }
    await Promise.all([first, second, third].map((each) => each.disconnect()));
  });

  it('that are open hold the reader back, not the bounds', { timeout: 60_000 }, async () => {
    const topic = await createTopic();
    const source = await open(topic);
    const log = logOf(source, topic);
    const owner = await transactor();
    await producer.send({ topic, messages: [{ value: 'before' }] });
    const transaction = await owner.transaction();
    await transaction.send({ topic, messages: [{ value: 'inside' }] });
    await producer.send({ topic, messages: [{ value: 'after' }] });
    expect((await readAll(source, topic)).records.map(({ value }) => value)).toEqual(['before']);
    expect(await source.bounds(log)).toEqual({ earliest: 0, latest: 3 });
    expect(await source.resolveStart(log, { at: 'latest' })).toBe(1);
    await transaction.commit();
    await expect
      .poll(async () => (await readAll(source, topic)).records.map(({ value }) => value))
      .toEqual(['before', 'inside', 'after']);
    await owner.disconnect();
  });
});

describe('positions', () => {
  it('are found by start, by time and by leader epoch', async () => {
    const topic = await createTopic();
    const times = [1_000, 2_000, 3_000];
    for (const timeMs of times) await producer.send({ topic, messages: [{ value: 'x', timestamp: String(timeMs) }] });
    const source = await open(topic);
    const log = logOf(source, topic);
    expect(await source.bounds(log)).toEqual({ earliest: 0, latest: 3 });
    expect(await source.resolveStart(log, { at: 'earliest' })).toBe(0);
    expect(await source.resolveStart(log, { at: 'latest' })).toBe(3);
    expect(await source.resolveStart(log, { at: 'time', timeMs: 1_500 })).toBe(1);
    expect(await source.resolveStart(log, { at: 'time', timeMs: 9_999 })).toBe(3);
    expect(await source.leaderEpochAt(log, 2)).toEqual({ covered: true, leaderEpoch: 0 });
    expect(await source.leaderEpochAt(log, 3)).toBeNull();
  });

  it('that were deleted halt with GAP (K13)', async () => {
    const topic = await createTopic();
    await producer.send({ topic, messages: Array.from({ length: 10 }, (_, i) => ({ value: String(i) })) });
    // kafkajs finds the leader of topics only that it was asked about before.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] });
    const source = await open(topic);
    const [result] = await pollOnce(source, topic, 3);
    expect(result).toMatchObject({
      kind: 'halt',
      error: { code: 'GAP', fields: { offset: 3, earliest: 6, latest: 10 } },
    });
    expect((await readAll(source, topic, 0, 6)).records.map(({ value }) => value)).toEqual(['6', '7', '8', '9']);
    expect(await source.bounds(logOf(source, topic))).toEqual({ earliest: 6, latest: 10 });
  });

  it('past the end of a topic that was made again halt with LOG_TRUNCATED (K14)', { timeout: 60_000 }, async () => {
    const topic = await createTopic();
    await producer.send({ topic, messages: Array.from({ length: 10 }, () => ({ value: 'old' })) });
    const before = await open(topic);
    expect((await readAll(before, topic)).records).toHaveLength(10);
    await admin.deleteTopics({ topics: [topic] });
    await createTopic({ topic });
    await produceReliably(
      topic,
      Array.from({ length: 20 }, () => ({ value: 'new' })),
    );
    // In the same process it is known by its id, although the log is long enough.
    await expect
      .poll(async () => (await pollOnce(before, topic, 10))[0], { timeout: 15_000 })
      .toMatchObject({ error: { code: 'LOG_TRUNCATED' } });
    // In a new process it is known by its end.
    const after = await open(topic);
    expect((await pollOnce(after, topic, 25))[0]).toMatchObject({
      kind: 'halt',
      error: { code: 'LOG_TRUNCATED', fields: { latest: 20 } },
    });
  });

  it('of a topic that is deleted halt with TOPIC_GONE (K19)', { timeout: 60_000 }, async () => {
    const [topic, other] = [await createTopic(), await createTopic()];
    const source = await open(topic, { topics: [topic, other] });
    await admin.deleteTopics({ topics: [topic] });
    const halted = async (): Promise<ReadResult | undefined> => (await pollOnce(source, topic, 0).catch(() => []))[0];
    await expect.poll(halted, { timeout: 20_000 }).toMatchObject({ kind: 'halt', error: { code: 'TOPIC_GONE' } });
    await produceReliably(other, [{ value: 'still here' }]);
    expect((await readAll(source, other)).records).toHaveLength(1);
  });
});

describe('a group', () => {
  it('commits offsets with metadata, which a plain commit would erase', async () => {
    const topic = await createTopic();
    const source = await open(topic);
    const log = logOf(source, topic);
    await source.join();
    expect(await source.witness(log)).toBeNull();
    const metadata = `12345:${'ab'.repeat(32)}`;
    await source.commit(log, 7, metadata);
    expect(await source.witness(log)).toEqual({ offset: 7, metadata });
    expect(await admin.fetchOffsets({ groupId: `group-${topic}`, topics: [topic] })).toMatchObject([
      { partitions: [{ offset: '7', metadata }] },
    ]);
  });

  it('divides partitions between two members, never one to both at once (K24)', { timeout: 90_000 }, async () => {
    const topic = await createTopic({ numPartitions: 6 });
    const first = await open(topic);
    await first.join();
    expect(partitionsOf(first)).toEqual([0, 1, 2, 3, 4, 5]);
    const watch = watchCommits(topic, [first]);
    const second = await open(topic);
    await second.join();
    watch.add(second);
    await expect
      .poll(() => [partitionsOf(first).length, partitionsOf(second).length], { timeout: 30_000 })
      .toEqual([3, 3]);
    const kept = partitionsOf(first);
    expect([...kept, ...partitionsOf(second)].toSorted()).toEqual([0, 1, 2, 3, 4, 5]);
    await systemClock.sleep(500);
    await second[Symbol.asyncDispose]();
    await expect.poll(() => partitionsOf(first).length, { timeout: 30_000 }).toBe(6);
    const { accepted, overlaps } = await watch.stop();
    expect(overlaps).toEqual([]);
    expect(accepted).toBeGreaterThan(20);
  });

  it('notices new partitions (K18)', { timeout: 60_000 }, async () => {
    const topic = await createTopic();
    const source = await open(topic, { metadataMaxAgeMs: 500 });
    await source.join();
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    await expect.poll(() => partitionsOf(source), { timeout: 20_000 }).toEqual([0, 1, 2]);
  });

  it('is left at once when a member is disposed', { timeout: 60_000 }, async () => {
    const topic = await createTopic();
    const source = await open(topic);
    await source.join();
    const startedMs = performance.now();
    await source[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    const { groups } = await admin.describeGroups([`group-${topic}`]);
    expect(groups[0]!.members).toEqual([]);
  });
});

describe('a listener', () => {
  it.each(kafkaSaslSsl().users)('with SASL over TLS takes $mechanism', async (user) => {
    const topic = await createTopic();
    await producer.send({ topic, messages: [{ value: 'secret' }] });
    const { brokers, caPem } = kafkaSaslSsl();
    const source = await open(topic, { brokers, tls: { ca: caPem }, sasl: user });
    await source.join();
    expect((await readAll(source, topic)).records.map(({ value }) => value)).toEqual(['secret']);
  });

  it('with mutual TLS takes our certificate', async () => {
    const topic = await createTopic();
    const { brokers, caPem, certPem, keyPem } = kafkaMtls();
    const source = await open(topic, { brokers, tls: { ca: caPem, cert: certPem, key: keyPem } });
    expect(await source.bounds(logOf(source, topic))).toEqual({ earliest: 0, latest: 0 });
  });

  it('that refuses us is named, with what to do (K29, K30)', { timeout: 60_000 }, async () => {
    const topic = await createTopic();
    const { brokers, caPem, users } = kafkaSaslSsl();
    const mtls = kafkaMtls();
    const user = users.find(({ mechanism }) => mechanism === 'scram-sha-512')!;
    const cases: [Partial<KafkaSourceOptions>, string, RegExp][] = [
      [
        { brokers, tls: { ca: caPem }, sasl: { ...user, password: 'wrong' } },
        'ConfigError',
        /Cannot authenticate.*check sasl\.mechanism and its credentials/,
      ],
      [{ brokers, tls: {}, sasl: user }, 'ConfigError', /not signed by a CA that we trust; set tls\.ca/],
      [
        { brokers, tls: { ca: caPem, serverName: 'elsewhere' }, sasl: user },
        'ConfigError',
        /for another name; set tls\.serverName/,
      ],
      [{ brokers, tls: { ca: caPem } }, 'UnavailableError', /if this is a SASL listener, set sasl/],
      [{ brokers, sasl: user }, 'UnavailableError', /answers in TLS, but TLS is not configured/],
      [{ brokers: mtls.brokers, tls: { ca: mtls.caPem } }, 'ConfigError', /client certificate/],
      [{ tls: { ca: caPem } }, 'UnavailableError', /remove tls/],
      [{ topics: ['no-such-topic'] }, 'ConfigError', /topic "no-such-topic": does not exist/],
      [{ brokers: ['127.0.0.1:1'] }, 'UnavailableError', /ECONNREFUSED/],
    ];
    for (const [options, name, message] of cases) {
      const failure = await open(topic, options).catch((error: Error) => error);
      expect(failure).toMatchObject({ name, message: expect.stringMatching(message) });
    }
  });
});

async function createTopic(config: Partial<ITopicConfig> = {}): Promise<string> {
  const topic = config.topic ?? `source-${randomBytes(6).toString('hex')}`;
  const topics = [{ numPartitions: 1, replicationFactor: 1, ...config, topic }];
  // A topic of this name may still be on its way out.
  await expect
    .poll(() => admin.createTopics({ topics, waitForLeaders: true }).catch(() => false), { timeout: 10_000 })
    .toBe(true);
  return topic;
}

async function open(topic: string, options: Partial<KafkaSourceOptions> = {}): Promise<KafkaSource> {
  const source = await KafkaSource.open(
    {
      brokers: kafkaBrokers(),
      clientId: 'test',
      groupId: `group-${topic}`,
      topics: [topic],
      sessionTimeoutMs: 6_000,
      fetchWaitMs: 200,
      ...options,
    },
    { log: () => undefined, clock: systemClock },
  );
  sources.push(source);
  return source;
}

async function transactor(): Promise<Producer> {
  const transactional = kafka.producer({
    transactionalId: randomBytes(6).toString('hex'),
    maxInFlightRequests: 1,
    idempotent: true,
  });
  await transactional.connect();
  return transactional;
}

/** Produces to a topic that the producer may remember from a former life. */
async function produceReliably(topic: string, messages: Message[]): Promise<void> {
  const fresh = kafka.producer();
  await fresh.connect();
  await fresh.send({ topic, messages });
  await fresh.disconnect();
}

function logOf(source: KafkaSource, topic: string, partition = 0): LogId {
  return { cluster: source.cluster, topic, partition: String(partition) };
}

function requestFor(source: KafkaSource, topic: string, offset: number, partition = 0): ReadRequest {
  return { log: logOf(source, topic, partition), offset, recordsMax: 1_000_000, bytesMax: 64 * 1024 * 1024 };
}

function pollOnce(source: KafkaSource, topic: string, offset: number, partition = 0): Promise<readonly ReadResult[]> {
  return source.poll([requestFor(source, topic, offset, partition)], 200, new AbortController().signal);
}

/** Everything from an offset until the partition is drained. */
async function readAll(
  source: KafkaSource,
  topic: string,
  partition = 0,
  from = 0,
): Promise<{ records: ChunkRecord[]; spans: ChunkSpan[]; nextOffset: number }> {
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

function partitionsOf(source: KafkaSource): number[] {
  return (source.assignment()?.logs ?? []).map(({ partition }) => Number(partition)).toSorted((a, b) => a - b);
}

/** Commits all the time from every member and looks whether two members' commits of one partition were accepted in the same breath. */
function watchCommits(
  topic: string,
  members: KafkaSource[],
): { add: (source: KafkaSource) => void; stop: () => Promise<{ accepted: number; overlaps: string[] }> } {
  let isStopped = false;
  let accepted = 0;
  const overlaps: string[] = [];
  /** Member whose token owns a partition, by the commits that the broker accepted. */
  const owner = new Map<number, { source: KafkaSource; beganMs: number; endedMs: number }>();
  const run = async (source: KafkaSource): Promise<void> => {
    while (!isStopped) {
      for (const partition of partitionsOf(source)) {
        const beganMs = performance.now();
        const isAccepted = await source.commit(logOf(source, topic, partition), 1, 'x').then(
          () => true,
          () => false,
        );
        if (!isAccepted) continue;
        accepted++;
        const other = owner.get(partition);
        if (other !== undefined && other.source !== source && other.endedMs > beganMs)
          overlaps.push(`partition ${partition}`);
        owner.set(partition, { source, beganMs, endedMs: performance.now() });
      }
      await systemClock.sleep(5);
    }
  };
  const running = members.map(run);
  return {
    add: (source) => running.push(run(source)),
    stop: async () => {
      isStopped = true;
      await Promise.all(running);
      return { accepted, overlaps };
    },
  };
}
