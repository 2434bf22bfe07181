import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { GetObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { Kafka, logLevel, type KafkaConfig, type SASLOptions } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { KAFKA_USERS } from '../../scripts/services/kafka-settings.ts';
import { PYTHON_PACKAGES } from '../../scripts/services/python.ts';
import { pingS3 } from '../../scripts/services/s3.ts';
import { COSIGN_VERSION } from '../../scripts/services/cosign.ts';
import {
  cosignPath,
  createTestBucket,
  kafkaBrokers,
  kafkaMtls,
  kafkaSaslSsl,
  pythonPath,
  redisUrl,
  restartKafka,
  restartRedis,
  restartS3,
  s3Address,
  s3Client,
  startKafka,
  startRedis,
  startS3,
  stopKafka,
  stopRedis,
  stopS3,
} from '../support/services.ts';

const run = promisify(execFile);

describe('Kafka', () => {
  it('gives back what was produced over the listener without security', async () => {
    expect(await roundTrip({ brokers: kafkaBrokers() })).toEqual(['one', 'two', 'three']);
  });

  it.each(KAFKA_USERS)('gives back what $username produced with $mechanism over TLS', async (user) => {
    const { brokers, caPem } = kafkaSaslSsl();
    expect(await roundTrip({ brokers, ssl: { ca: [caPem] }, sasl: user as SASLOptions })).toEqual([
      'one',
      'two',
      'three',
    ]);
  });

  it('gives back what was produced with a client certificate', async () => {
    const { brokers, caPem, certPem, keyPem } = kafkaMtls();
    expect(await roundTrip({ brokers, ssl: { ca: [caPem], cert: certPem, key: keyPem } })).toEqual([
      'one',
      'two',
      'three',
    ]);
  });

  it.each([
    ['a wrong password', () => ({ ...saslConfig(), sasl: { ...scramUser(), password: 'wrong' } as SASLOptions })],
    ['no SASL at all', () => ({ brokers: kafkaSaslSsl().brokers, ssl: { ca: [kafkaSaslSsl().caPem] } })],
    ['a CA that did not sign its certificate', () => ({ ...saslConfig(), ssl: true })],
    ['no client certificate', () => ({ brokers: kafkaMtls().brokers, ssl: { ca: [kafkaMtls().caPem] } })],
  ])('refuses a client with %s', async (_, config) => {
    await expect(roundTrip(config())).rejects.toThrow();
  });

  it('refuses to make a topic that nobody created', async () => {
    const producer = client({ brokers: kafkaBrokers() }).producer({ allowAutoTopicCreation: true });
    await producer.connect();
    try {
      await expect(producer.send({ topic: uniqueName(), messages: [{ value: 'x' }] })).rejects.toThrow(
        /topic-partition/,
      );
    } finally {
      await producer.disconnect();
    }
  });

  it('keeps records through a crash and a restart', { timeout: 120_000 }, async () => {
    const topic = uniqueName();
    await produce({ brokers: kafkaBrokers() }, topic);
    await restartKafka('SIGKILL');
    expect(await consume({ brokers: kafkaBrokers() }, topic)).toEqual(['one', 'two', 'three']);
    await stopKafka();
    await expect(produce({ brokers: kafkaBrokers() }, uniqueName())).rejects.toThrow(/ECONNREFUSED|Connection/);
    await startKafka();
    expect(await consume({ brokers: kafkaBrokers() }, topic)).toEqual(['one', 'two', 'three']);
  });
});

describe('the S3 server', () => {
  it.each([false, true])('lets exactly one of 16 racing create-only writes win (versioned: %s)', async (versioned) => {
    const bucket = await createTestBucket({ versioned });
    const store = s3Client();
    for (let round = 0; round < 10; round++) {
      const key = `race/${round}`;
      const bodies = Array.from({ length: 16 }, (_, writer) => `writer ${writer}`);
      const outcomes = await Promise.all(
        bodies.map((Body) =>
          store.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body, IfNoneMatch: '*' })).then(
            () => Body,
            (error: { $metadata?: { httpStatusCode?: number } }) => error.$metadata?.httpStatusCode,
          ),
        ),
      );
      const winners = outcomes.filter((outcome) => typeof outcome === 'string');
      expect(winners).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === 412)).toHaveLength(15);
      const stored = await store.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      expect(await stored.Body?.transformToString()).toBe(winners[0]);
    }
    store.destroy();
  });

  it('refuses an account that it does not know', async () => {
    await expect(pingS3({ ...s3Address(), secretAccessKey: 'wrong' })).rejects.toThrow(/signature/);
  });

  it('keeps the versions of an overwritten object', async () => {
    const bucket = await createTestBucket({ versioned: true });
    const store = s3Client();
    for (const Body of ['first', 'second']) await store.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body }));
    const { Versions } = await store.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    expect(Versions?.map((version) => version.Key)).toEqual(['k', 'k']);
    store.destroy();
  });

  it('keeps objects through a crash and a restart', { timeout: 60_000 }, async () => {
    const bucket = await createTestBucket();
    const store = s3Client();
    await store.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'kept' }));
    await restartS3('SIGKILL');
    const read = async (): Promise<string | undefined> =>
      (await store.send(new GetObjectCommand({ Bucket: bucket, Key: 'k' }))).Body?.transformToString();
    expect(await read()).toBe('kept');
    await stopS3();
    await expect(read()).rejects.toThrow(/ECONNREFUSED/);
    await startS3();
    expect(await read()).toBe('kept');
    store.destroy();
  });
});

describe('Redis', () => {
  it('answers PING and never evicts', async () => {
    expect(await redisReply('PING')).toBe('+PONG\r\n');
    expect(await redisReply('CONFIG GET maxmemory-policy')).toContain('noeviction');
  });

  it('keeps its data through a restart', { timeout: 60_000 }, async () => {
    const key = uniqueName();
    await redisReply(`SET ${key} kept`);
    await restartRedis();
    expect(await redisReply(`GET ${key}`)).toContain('kept');
    await stopRedis();
    await expect(redisReply('PING')).rejects.toThrow(/ECONNREFUSED/);
    await startRedis();
    expect(await redisReply(`GET ${key}`)).toContain('kept');
  });
});

describe('the programs', () => {
  it('include cosign in the pinned version', async () => {
    const { stdout } = await run(cosignPath(), ['version'], { env: { ...process.env, HOME: tmpdir() } });
    expect(stdout).toContain(`v${COSIGN_VERSION}`);
  });

  it('include Python with the pinned packages', async () => {
    const names = PYTHON_PACKAGES.map((each) => each.split('==')[0]);
    const script = `from importlib.metadata import version
import confluent_kafka, duckdb, numpy, pyarrow.parquet, scipy.stats
print(*[f"{name}=={version(name)}" for name in ${JSON.stringify(names)}], sep="\\n")`;
    const { stdout } = await run(pythonPath(), ['-c', script]);
    expect(stdout.trim().split('\n')).toEqual([...PYTHON_PACKAGES]);
  });

  it('include a Kafka client that reads what ours wrote', async () => {
    const topic = uniqueName();
    await produce({ brokers: kafkaBrokers() }, topic);
    const script = `import sys
from confluent_kafka import Consumer, TopicPartition
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[2], "check.crcs": True})
consumer.assign([TopicPartition(sys.argv[2], 0, 0)])
messages = consumer.consume(3, timeout=15)
consumer.close()
print(*[message.value().decode() for message in messages])`;
    const { stdout } = await run(pythonPath(), ['-c', script, kafkaBrokers().join(','), topic]);
    expect(stdout.trim()).toBe('one two three');
  });
});

const VALUES = ['one', 'two', 'three'];

function uniqueName(): string {
  return `services-${randomBytes(6).toString('hex')}`;
}

function scramUser(): { username: string; password: string; mechanism: string } {
  return kafkaSaslSsl().users.find((user) => user.mechanism === 'scram-sha-512')!;
}

function saslConfig(): KafkaConfig {
  const { brokers, caPem } = kafkaSaslSsl();
  return { brokers, ssl: { ca: [caPem] }, sasl: scramUser() as SASLOptions };
}

function client(config: KafkaConfig): Kafka {
  return new Kafka({
    connectionTimeout: 3_000,
    requestTimeout: 5_000,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
    ...config,
  });
}

async function roundTrip(config: KafkaConfig): Promise<string[]> {
  const topic = uniqueName();
  await produce(config, topic);
  return consume(config, topic);
}

async function produce(config: KafkaConfig, topic: string): Promise<void> {
  const kafka = client(config);
  const admin = kafka.admin();
  const producer = kafka.producer();
  try {
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }], waitForLeaders: true });
    await producer.connect();
    await producer.send({ topic, messages: VALUES.map((value) => ({ value })), acks: -1 });
  } finally {
    await producer.disconnect();
    await admin.disconnect();
  }
}

async function consume(config: KafkaConfig, topic: string): Promise<string[]> {
  // The first group of a fresh broker may have to wait for the offsets topic: here retries are right.
  const consumer = client({ ...config, retry: { retries: 20, initialRetryTime: 100 } }).consumer({
    groupId: uniqueName(),
  });
  const values: string[] = [];
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      consumer.on('consumer.crash', ({ payload }) => reject(payload.error));
      const eachMessage = ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
        values.push(String(message.value));
        if (values.length === VALUES.length) resolve();
        return Promise.resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return values;
}

/** One inline command and its reply, without a client library: this test is about the server. */
async function redisReply(command: string): Promise<string> {
  const { hostname, port } = new URL(redisUrl());
  const socket = connect({ host: hostname, port: Number(port), timeout: 5_000 });
  try {
    return await new Promise<string>((resolve, reject) => {
      socket.once('connect', () => socket.write(`${command}\r\n`));
      socket.once('data', (bytes) => resolve(bytes.toString('utf8')));
      socket.once('error', reject);
      socket.once('timeout', () => reject(new Error('No reply within 5 s')));
    });
  } finally {
    socket.destroy();
  }
}
