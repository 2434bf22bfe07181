import { createHash } from 'node:crypto';
import { appendFile } from 'node:fs/promises';

import { CompressionTypes, Kafka, logLevel } from 'kafkajs';

import { kafkaBrokers } from './services.ts';

/** What a producer sends: `value` of record i of this producer. */
export interface ProducerOptions {
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  /** Records a request. */
  readonly chunk?: number;
  readonly value: (index: number) => string;
  readonly gzip?: boolean;
  /** File that receives one line a record: what was acknowledged, and where. */
  readonly ledger: string;
}

/** A kafkajs client for tests. */
export function testKafka(): Kafka {
  return new Kafka({ brokers: kafkaBrokers(), clientId: 'test', logLevel: logLevel.NOTHING });
}

/** Makes a topic. */
export async function createTopic(topic: string, numPartitions: number): Promise<void> {
  const admin = testKafka().admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: true });
  await admin.disconnect();
}

/** Sends records round robin over the partitions and writes down every acknowledged one. */
export async function produce({
  topic,
  partitions,
  records,
  chunk = 1_000,
  value,
  gzip = false,
  ledger,
}: ProducerOptions): Promise<void> {
  const producer = testKafka().producer({ idempotent: true });
  await producer.connect();
  for (let at = 0, turn = 0; at < records; at += chunk, turn++) {
    const partition = turn % partitions;
    const values = Array.from({ length: Math.min(chunk, records - at) }, (_, i) => value(at + i));
    const [sent] = await producer.send({
      topic,
      acks: -1,
      compression: gzip ? CompressionTypes.GZIP : CompressionTypes.None,
      messages: values.map((text, i) => ({
        partition,
        key: String(at + i),
        value: text,
        headers: i % 10 === 0 ? { trace: `t${at + i}` } : {},
      })),
    });
    const base = Number(sent!.baseOffset);
    const lines = values.map((text, i) =>
      JSON.stringify({ topic, partition, offset: base + i, sha256: createHash('sha256').update(text).digest('hex') }),
    );
    await appendFile(ledger, `${lines.join('\n')}\n`);
  }
  await producer.disconnect();
}
