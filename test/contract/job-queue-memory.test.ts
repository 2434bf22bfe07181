import { MemoryJobQueue } from '../../src/adapters/memory-queue/memory-job-queue.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { systemRng } from '../../src/adapters/system/rng.ts';
import { jobQueueContract } from './job-queue.ts';

jobQueueContract('in memory', (options) => MemoryJobQueue.open({ clock: systemClock, rng: systemRng, ...options }));
