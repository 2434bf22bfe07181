import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll } from 'vitest';

import { KafkaFixture } from '../support/kafka-fixture.ts';
import { recordSourceContract } from './record-source.ts';

let kafka: KafkaFixture;
let cluster: string;

beforeAll(async () => {
  kafka = await KafkaFixture.start();
  cluster = (await kafka.admin.describeCluster()).clusterId;
});

afterAll(async () => {
  await kafka[Symbol.asyncDispose]();
});

recordSourceContract('Kafka', async () => {
  const topic = await kafka.createTopic();
  return {
    log: { cluster, topic, partition: '0' },
    append: async (values) => {
      await kafka.producer.send({ topic, acks: -1, messages: values.map((value) => ({ value })) });
    },
    isCoarse: true,
    // A group of its own: the members of one group would share the only partition.
    open: () => kafka.open(topic, { groupId: randomUUID() }),
  };
});
