import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import type { KafkaSource } from '../../src/adapters/kafkajs/kafka-source.ts';
import type { KafkaSourceOptions } from '../../src/adapters/kafkajs/options.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { KafkaFixture, logOf, readAll } from '../support/kafka-fixture.ts';
import { kafkaMtls, kafkaSaslSsl } from '../support/services.ts';

/* How the Kafka source shares a real broker with others, and what it says when the broker will not have it. */

let kafka: KafkaFixture;

beforeAll(async () => {
  kafka = await KafkaFixture.start();
});

afterEach(() => kafka.closeSources());

afterAll(() => kafka[Symbol.asyncDispose]());

describe('a group', () => {
  it('commits offsets with metadata, which a plain commit would erase', async () => {
    const topic = await kafka.createTopic();
    const source = await kafka.open(topic);
    const log = logOf(source, topic);
    await source.join();
    expect(await source.witness(log)).toBeNull();
    const metadata = `12345:${'ab'.repeat(32)}`;
    await source.commit(log, 7, metadata);
    expect(await source.witness(log)).toEqual({ offset: 7, metadata });
    expect(await kafka.admin.fetchOffsets({ groupId: `group-${topic}`, topics: [topic] })).toMatchObject([
      { partitions: [{ offset: '7', metadata }] },
    ]);
  });

  it('divides partitions between two members, never one to both at once (K24)', { timeout: 90_000 }, async () => {
    const topic = await kafka.createTopic({ numPartitions: 6 });
    const first = await kafka.open(topic);
    await first.join();
    expect(partitionsOf(first)).toEqual([0, 1, 2, 3, 4, 5]);
    const watch = watchCommits(topic, [first]);
    const second = await kafka.open(topic);
    await second.join();
    watch.add(second);
    await expect
      .poll(() => [partitionsOf(first).length, partitionsOf(second).length], { timeout: 30_000 })
      .toEqual([3, 3]);
    const kept = partitionsOf(first);
    expect(new Set([...kept, ...partitionsOf(second)])).toEqual(new Set([0, 1, 2, 3, 4, 5]));
    await systemClock.sleep(500);
    await second[Symbol.asyncDispose]();
    await expect.poll(() => partitionsOf(first).length, { timeout: 30_000 }).toBe(6);
    const { accepted, overlaps } = await watch.stop();
    expect(overlaps).toEqual([]);
    expect(accepted).toBeGreaterThan(20);
  });

  it('notices new partitions (K18)', { timeout: 60_000 }, async () => {
    const topic = await kafka.createTopic();
    const source = await kafka.open(topic, { metadataMaxAgeMs: 500 });
    await source.join();
    await kafka.admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    await expect.poll(() => partitionsOf(source), { timeout: 20_000 }).toEqual([0, 1, 2]);
  });

  it('is left at once when a member is disposed', { timeout: 60_000 }, async () => {
    const topic = await kafka.createTopic();
    const source = await kafka.open(topic);
    await source.join();
    const startedMs = performance.now();
    await source[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    const { groups } = await kafka.admin.describeGroups([`group-${topic}`]);
    expect(groups[0]!.members).toEqual([]);
  });
});

describe('a listener', () => {
  it.each(kafkaSaslSsl().users)('with SASL over TLS takes $mechanism', async (user) => {
    const topic = await kafka.createTopic();
    await kafka.producer.send({ topic, messages: [{ value: 'secret' }] });
    const { brokers, caPem } = kafkaSaslSsl();
    const source = await kafka.open(topic, { brokers, tls: { ca: caPem }, sasl: user });
    await source.join();
    expect((await readAll(source, topic)).records.map(({ value }) => value)).toEqual(['secret']);
  });

  it('with mutual TLS takes our certificate', async () => {
    const topic = await kafka.createTopic();
    const { brokers, caPem, certPem, keyPem } = kafkaMtls();
    const source = await kafka.open(topic, { brokers, tls: { ca: caPem, cert: certPem, key: keyPem } });
    expect(await source.bounds(logOf(source, topic))).toEqual({ earliest: 0, latest: 0 });
  });

  it('that refuses us is named, with what to do (K29, K30)', { timeout: 60_000 }, async () => {
    const topic = await kafka.createTopic();
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
      const failure = await kafka.open(topic, options).catch((error: Error) => error);
      expect(failure).toMatchObject({ name, message: expect.stringMatching(message) });
    }
  });
});

function partitionsOf(source: KafkaSource): number[] {
  return (source.assignment()?.logs ?? []).map(({ partition }) => Number(partition)).toSorted((a, b) => a - b);
}

/** Commits all the time from every member and looks whether two members' commits of one partition were accepted in the same breath. */
function watchCommits(
  topic: string,
  members: KafkaSource[],
): { add: (source: KafkaSource) => void; stop: () => Promise<{ accepted: number; overlaps: string[] }> } {
  const stopping = new AbortController();
  let accepted = 0;
  const overlaps: string[] = [];
  /** Member whose token owns a partition, by the commits that the broker accepted. */
  const owner = new Map<number, { source: KafkaSource; beganMs: number; endedMs: number }>();
  const run = async (source: KafkaSource): Promise<void> => {
    while (!stopping.signal.aborted) {
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
      stopping.abort();
      await Promise.all(running);
      return { accepted, overlaps };
    },
  };
}
