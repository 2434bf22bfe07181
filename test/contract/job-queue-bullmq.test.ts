import { randomUUID } from 'node:crypto';

import { BullmqJobQueue } from '../../src/adapters/bullmq/bullmq-job-queue.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { systemRng } from '../../src/adapters/system/rng.ts';
import { redisUrl } from '../support/services.ts';
import { jobQueueContract } from './job-queue.ts';

jobQueueContract('BullMQ', (options) =>
  BullmqJobQueue.open({
    url: redisUrl(),
    prefix: `headgate-test-${randomUUID()}`,
    clock: systemClock,
    rng: systemRng,
    ...options,
  }),
);
