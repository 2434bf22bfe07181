/** A topic of orders on a real broker, and where that broker is. */
import { readFileSync } from 'node:fs';

import { CompressionTypes, Kafka, logLevel } from 'kafkajs';

import { order } from './orders.ts';

/** Partitions of the topic. */
export const PARTITIONS = 4;
const SEND_RECORDS = 5_000;
const STATE = '.services/state.json';

/** The broker that `npm run services -- start` has started; null when there is none. */
export function startedBroker(): string | null {
  try {
    const state = JSON.parse(readFileSync(STATE, 'utf8')) as { addresses: { kafka?: { brokers: string[] } } };
    return state.addresses.kafka?.brokers[0] ?? null;
  } catch {
    return null;
  }
}

/** Makes `topic` and fills it with orders 0 to `count` − 1, uncompressed, by turns over its partitions. */
export async function fillTopic(broker: string, topic: string, count: number): Promise<void> {
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: true });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  for (let i = 0, turn = 0; i < count; i += SEND_RECORDS, turn++) {
    const messages = Array.from({ length: Math.min(SEND_RECORDS, count - i) }, (_, j) => ({
      partition: turn % PARTITIONS,
      value: order(i + j),
    }));
    await producer.send({ topic, messages, compression: CompressionTypes.None });
  }
  await producer.disconnect();
}

/** Removes the topic, so that a broker does not fill up with measurements. */
export async function deleteTopic(broker: string, topic: string): Promise<void> {
  const admin = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
}
