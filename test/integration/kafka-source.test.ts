import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CompressionTypes } from 'kafkajs';
import type { Message } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { systemClock } from '../../src/adapters/system/clock.ts';
import type { ReadResult } from '../../src/ports/record-source.ts';
import { KafkaFixture, logOf, pollOnce, readAll } from '../support/kafka-fixture.ts';
import { kafkaBrokers, pythonPath } from '../support/services.ts';

/* What the Kafka source reads from a real broker. */

const runProgram = promisify(execFile);

/** kafkajs's producer would take minutes for a batch of this size. */
const PRODUCE_ONE_BATCH = `import sys
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1], "compression.type": "gzip", "linger.ms": 30000,
  "batch.num.messages": 1000000, "batch.size": 8000000, "message.max.bytes": 8000000,
  "queue.buffering.max.messages": 1000000})
for _ in range(int(sys.argv[3])): producer.produce(sys.argv[2], b"")
producer.flush(60)`;

let kafka: KafkaFixture;

beforeAll(async () => {
  kafka = await KafkaFixture.start();
});

afterEach(() => kafka.closeSources());

afterAll(() => kafka[Symbol.asyncDispose]());

describe('records', () => {
  it.each([
    ['none', CompressionTypes.None],
    ['gzip', CompressionTypes.GZIP],
  ])('come back as they were produced, compressed with %s', async (_, compression) => {
    const topic = await kafka.createTopic();
    const messages: Message[] = [
      { key: 'k0', value: 'v0', timestamp: '1700000000000', headers: { a: '1', b: Buffer.from([0, 255]) } },
      { key: null, value: 'no key', timestamp: '1700000000001' },
      { key: 'tombstone', value: null, timestamp: '1700000000002' },
      { key: '', value: '', timestamp: '1700000000003', headers: { many: ['x', 'y'] } },
    ];
    await kafka.producer.send({ topic, messages, compression });
    const { records, spans } = await readAll(await kafka.open(topic), topic);
    expect(records.map(({ offset, key, value }) => [offset, key, value])).toEqual([
      [0, 'k0', 'v0'],
      [1, null, 'no key'],
      [2, 'tombstone', null],
      [3, '', ''],
    ]);
    expect(records.map(({ timestamp }) => Number(timestamp))).toEqual([0, 1, 2, 3].map((i) => 1_700_000_000_000 + i));
    expect(records.map(({ headers }) => headers)).toEqual([
      '000000020000000161000000013100000001620000000200ff',
      '',
      '',
      '00000002000000046d616e790000000178000000046d616e790000000179',
    ]);
    expect(spans).toEqual([{ from: 0, to: 4, leaderEpoch: 0, skip: null }]);
  });

  it('of one batch with 200,000, as librdkafka makes it, come back (K2)', { timeout: 60_000 }, async () => {
    const topic = await kafka.createTopic({ configEntries: [{ name: 'max.message.bytes', value: '8000000' }] });
    await runProgram(pythonPath(), ['-c', PRODUCE_ONE_BATCH, kafkaBrokers().join(','), topic, '200000']);
    const source = await kafka.open(topic);
    const [result] = await pollOnce(source, topic, 0);
    expect(result).toMatchObject({ kind: 'records', chunk: { count: 200_000, from: 0, nextOffset: 200_000 } });
  });

  it('larger than the bytes asked for come back whole (K27)', async () => {
    const topic = await kafka.createTopic({ configEntries: [{ name: 'max.message.bytes', value: '8000000' }] });
    const sizes = [10, 3_000_000, 10, 2_000_000];
    for (const size of sizes) await kafka.producer.send({ topic, messages: [{ value: Buffer.alloc(size, 0x61) }] });
    const { records } = await readAll(
      await kafka.open(topic, { partitionBytesMax: 1_024, fetchBytesMax: 2_048 }),
      topic,
    );
    expect(records.map(({ value }) => value!.length)).toEqual(sizes);
  });

  it('with log append time say so (K23)', async () => {
    const topic = await kafka.createTopic({
      configEntries: [{ name: 'message.timestamp.type', value: 'LogAppendTime' }],
    });
    await kafka.producer.send({ topic, messages: [{ value: 'x', timestamp: '5' }] });
    const [record] = (await readAll(await kafka.open(topic), topic)).records;
    expect(record!.timestampType).toBe(1);
    expect(Math.abs(Number(record!.timestamp) - Date.now())).toBeLessThan(60_000);
  });

  it('of many partitions come back, each once', async () => {
    const topic = await kafka.createTopic({ numPartitions: 8 });
    const keys = Array.from({ length: 5_000 }, (_, i) => `key-${i}`);
    await kafka.producer.send({ topic, messages: keys.map((key) => ({ key, value: key })) });
    const source = await kafka.open(topic);
    const found: string[] = [];
    for (let partition = 0; partition < 8; partition++) {
      found.push(...(await readAll(source, topic, partition)).records.map(({ key }) => key!));
    }
    expect(found.toSorted()).toEqual(keys.toSorted());
  });

  it('that arrive while a poll waits end the wait', async () => {
    const topic = await kafka.createTopic();
    const source = await kafka.open(topic, { fetchWaitMs: 10_000 });
    const startedMs = performance.now();
    const polling = pollOnce(source, topic, 0);
    await systemClock.sleep(200);
    await kafka.producer.send({ topic, messages: [{ value: 'late' }] });
    expect(await polling).toMatchObject([{ kind: 'records', chunk: { count: 1 } }]);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe('transactions', () => {
  it('are read once committed, and never when aborted, from any offset (K8–K11)', { timeout: 60_000 }, async () => {
    const topic = await kafka.createTopic();
    const [first, second, third] = await Promise.all([kafka.transactor(), kafka.transactor(), kafka.transactor()]);
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
    await kafka.producer.send({ topic, messages: [{ value: 'plain' }] });
    await a.send({ topic, messages: [{ value: 'aborted a3' }] });
    await a.abort();
    await b.send({ topic, messages: [{ value: 'aborted b2' }] });
    await b.abort();
    await c.send({ topic, messages: [{ value: 'committed c1' }] });
    await c.commit();
    const d = await first.transaction();
    await d.send({ topic, messages: [{ value: 'committed d' }] });
    await d.commit();
    const source = await kafka.open(topic);
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
    const topic = await kafka.createTopic();
    const source = await kafka.open(topic);
    const log = logOf(source, topic);
    const owner = await kafka.transactor();
    await kafka.producer.send({ topic, messages: [{ value: 'before' }] });
    const transaction = await owner.transaction();
    await transaction.send({ topic, messages: [{ value: 'inside' }] });
    await kafka.producer.send({ topic, messages: [{ value: 'after' }] });
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
    const topic = await kafka.createTopic();
    const times = [1_000, 2_000, 3_000];
    for (const timeMs of times)
      await kafka.producer.send({ topic, messages: [{ value: 'x', timestamp: String(timeMs) }] });
    const source = await kafka.open(topic);
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
    const topic = await kafka.createTopic();
    await kafka.producer.send({ topic, messages: Array.from({ length: 10 }, (_, i) => ({ value: String(i) })) });
    // kafkajs finds the leader of topics only that it was asked about before.
    await kafka.admin.fetchTopicOffsets(topic);
    await kafka.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '6' }] });
    const source = await kafka.open(topic);
    const [result] = await pollOnce(source, topic, 3);
    expect(result).toMatchObject({
      kind: 'halt',
      error: { code: 'GAP', fields: { offset: 3, earliest: 6, latest: 10 } },
    });
    expect((await readAll(source, topic, 0, 6)).records.map(({ value }) => value)).toEqual(['6', '7', '8', '9']);
    expect(await source.bounds(logOf(source, topic))).toEqual({ earliest: 6, latest: 10 });
  });

  it('past the end of a topic that was made again halt with LOG_TRUNCATED (K14)', { timeout: 60_000 }, async () => {
    const topic = await kafka.createTopic();
    await kafka.producer.send({ topic, messages: Array.from({ length: 10 }, () => ({ value: 'old' })) });
    const before = await kafka.open(topic);
    expect((await readAll(before, topic)).records).toHaveLength(10);
    await kafka.admin.deleteTopics({ topics: [topic] });
    await kafka.createTopic({ topic });
    await kafka.produceAnew(
      topic,
      Array.from({ length: 20 }, () => ({ value: 'new' })),
    );
    // In the same process it is known by its id, although the log is long enough.
    await expect
      .poll(async () => (await pollOnce(before, topic, 10))[0], { timeout: 15_000 })
      .toMatchObject({ error: { code: 'LOG_TRUNCATED' } });
    // In a new process it is known by its id too, once the ledger tells what it was, and by its end.
    const after = await kafka.open(topic);
    const [was, is] = [before, after].map((source) => source.topicId(logOf(source, topic)));
    expect(was).toMatch(/^.{1,64}$/);
    expect(is).toMatch(/^.{1,64}$/);
    expect(is).not.toBe(was);
    expect((await pollOnce(after, topic, 25))[0]).toMatchObject({
      kind: 'halt',
      error: { code: 'LOG_TRUNCATED', fields: { latest: 20 } },
    });
  });

  it('of a topic that is deleted halt with TOPIC_GONE (K19)', { timeout: 60_000 }, async () => {
    const [topic, other] = [await kafka.createTopic(), await kafka.createTopic()];
    const source = await kafka.open(topic, { topics: [topic, other] });
    await kafka.admin.deleteTopics({ topics: [topic] });
    const halted = async (): Promise<ReadResult | undefined> => (await pollOnce(source, topic, 0).catch(() => []))[0];
    await expect.poll(halted, { timeout: 20_000 }).toMatchObject({ kind: 'halt', error: { code: 'TOPIC_GONE' } });
    await kafka.produceAnew(other, [{ value: 'still here' }]);
    expect((await readAll(source, other)).records).toHaveLength(1);
  });
});
