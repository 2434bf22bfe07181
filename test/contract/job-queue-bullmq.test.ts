import { randomUUID } from 'node:crypto';

import { Redis } from 'ioredis';
import { afterAll } from 'vitest';

import { BullmqJobQueue } from '../../src/adapters/bullmq/bullmq-job-queue.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { systemRng } from '../../src/adapters/system/rng.ts';
import { redisUrl } from '../support/services.ts';
import { jobQueueContract } from './job-queue.ts';

const RUN = `headgate-test-${randomUUID()}`;

jobQueueContract('BullMQ', (options) =>
  BullmqJobQueue.open({
    url: redisUrl(),
    prefix: `${RUN}-${randomUUID()}`,
    clock: systemClock,
    rng: systemRng,
    ...options,
  }),
);

afterAll(async () => {
  const admin = new Redis(redisUrl());
  const keys = await admin.keys(`${RUN}*`);
  if (keys.length > 0) await admin.unlink(...keys);
  admin.disconnect();
});
