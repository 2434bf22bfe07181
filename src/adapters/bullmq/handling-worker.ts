import { type Job as StoredJob, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';

import { HeadgateError } from '../../errors.ts';
import type { Job, JobHandler } from '../../ports/job-queue.ts';
import { assertJob, type JobFailure, type JobRetryRules, retryPauseMs, RunningWork } from '../../ports/job-rules.ts';
import type { Rng } from '../../ports/rng.ts';
import { type EndableClient, endClient } from './redis-client.ts';

/** Name of our own back-off in a stored job; BullMQ asks the worker's strategy for any name it does not know. */
export const BACKOFF_TYPE = 'headgate';

/**
 * What stands before the ids of stored jobs. BullMQ keeps a job under `<prefix>:<queue>:<id>` beside its own keys
 * (`…:meta`, `…:wait`), so that a job with the id `meta` would be taken for one that is known, and never run.
 */
const ID_PREFIX = 'j-';

/** What a worker is made of. */
export interface HandlingWorkerOptions {
  readonly kind: string;
  readonly concurrency: number;
  readonly handler: JobHandler;
  /** Connection for all but the blocking read, which BullMQ makes a copy for. */
  readonly redis: Redis;
  readonly prefix: string;
  readonly rules: JobRetryRules;
  readonly rng: Rng;
  /** How long a job stays ours without a sign of life, in milliseconds. */
  readonly lockMs: number;
  /** Aborts when handlers must stop. */
  readonly signal: AbortSignal;
  readonly onFailure: (failure: JobFailure) => void;
}

/** The id under which BullMQ keeps a job. */
export function storedId(id: string): string {
  return `${ID_PREFIX}${id}`;
}

/**
 * A try that failed, as it is put into Redis: the code alone. Messages may hold names from records, and an error whose
 * name or message happens to be one of BullMQ's signals (`DelayedError`, …) must not steer it.
 */
class FailedTry extends Error {
  readonly pauseMs: number;

  constructor(cause: unknown, pauseMs: number) {
    super(cause instanceof HeadgateError ? cause.code : 'HANDLER_FAILED');
    this.pauseMs = pauseMs;
  }
}

/** Runs the jobs of one kind, and knows which are not yet recorded as done or failed, so that a dispose can wait for them. */
export class HandlingWorker extends Worker<Job['data'], void> {
  /** Handlers under way. */
  readonly handlers = new RunningWork();
  /** Jobs under way, up to and with the record of their end in Redis. */
  readonly jobs = new RunningWork();
  /** The connection of the blocking read; null until BullMQ has it ready. */
  #blocking: EndableClient | null = null;

  constructor(options: HandlingWorkerOptions) {
    const { rules, rng } = options;
    super(options.kind, (stored) => this.#run(options, stored), {
      connection: options.redis,
      prefix: options.prefix,
      concurrency: options.concurrency,
      autorun: false,
      lockDuration: options.lockMs,
      stalledInterval: options.lockMs,
      // What stalls twice is given up; the reconciler brings it back.
      maxStalledCount: 1,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
      // BullMQ's own 15 s would keep the process, and every alert, waiting after a restart of Redis.
      runRetryDelay: 1_000,
      settings: {
        backoffStrategy: (attempts, _type, error) =>
          error instanceof FailedTry ? error.pauseMs : retryPauseMs(attempts, error, rules, rng),
      },
    });
    const remember = (client: EndableClient): void => {
      this.#blocking = client;
    };
    // A connection that cannot be made is reported by the worker's 'error' event.
    this.getBackend().blockingClient?.then(remember, () => {});
  }

  /** Closes without waiting for anything, also while Redis is away: BullMQ alone would leave its blocking read, and a timer for it. */
  closeNow(): Promise<void> {
    const closed = this.close(true);
    if (this.#blocking !== null) endClient(this.#blocking);
    return closed;
  }

  override processJob(
    ...job: Parameters<Worker<Job['data'], void>['processJob']>
  ): ReturnType<Worker<Job['data'], void>['processJob']> {
    return this.jobs.during(() => super.processJob(...job));
  }

  async #run({ handler, signal, rules, rng, onFailure }: HandlingWorkerOptions, stored: StoredJob): Promise<void> {
    const job = readJob(stored);
    const attempt = stored.attemptsMade + 1;
    try {
      await this.handlers.during(() => handler(job, { attempt, signal }));
    } catch (error) {
      const isLast = attempt >= (stored.opts.attempts ?? 1);
      const retryInMs = isLast ? null : retryPauseMs(attempt, error, rules, rng);
      onFailure({ job, attempt, error, retryInMs });
      throw new FailedTry(error, retryInMs ?? 0);
    }
  }
}

/**
 * The job as it was added.
 * Trust: whoever can write to Redis can put anything there; what no `add` could have put there is dropped for good.
 */
function readJob(stored: StoredJob): Job {
  const id = stored.id ?? '';
  const job: Job = { id: id.slice(ID_PREFIX.length), kind: stored.name, data: stored.data as Job['data'] };
  try {
    if (!id.startsWith(ID_PREFIX) || stored.name !== stored.queueName) throw new RangeError('not ours');
    assertJob(job);
  } catch {
    throw new UnrecoverableError('JOB_INVALID');
  }
  return job;
}
