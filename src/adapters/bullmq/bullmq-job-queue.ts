import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

import { ConfigError, UnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Job, JobHandler, JobQueue } from '../../ports/job-queue.ts';
import {
  assertJob,
  DEFAULT_JOB_RETRY_RULES,
  isJobKind,
  type JobFailure,
  type JobRetryRules,
} from '../../ports/job-rules.ts';
import type { Rng } from '../../ports/rng.ts';
import { assertNoEviction } from './eviction-policy.ts';
import { BACKOFF_TYPE, HandlingWorker, storedId } from './handling-worker.ts';
import { readRedisUrl, type RedisAddress, type RedisTls } from './redis-address.ts';
import {
  cleanError,
  connectClient,
  createAddingClient,
  createWorkingClient,
  endClient,
  unavailable,
} from './redis-client.ts';

/** How long `open` waits for Redis, in milliseconds. */
const OPEN_TIMEOUT_MS = 5_000;

/** How long `dispose` waits for the ends of jobs to be recorded, and then for BullMQ to let go, each in milliseconds. */
const SETTLE_MS = 750;

/** Events that BullMQ keeps per queue; nobody reads them. */
const EVENTS_MAX = 100;

const PREFIX = /^[A-Za-z0-9_.-]{1,100}$/;

/** What a queue in Redis is made of. */
export interface BullmqJobQueueOptions {
  /** `redis://[[user]:password@]host[:port][/db]`, `rediss://` for TLS. */
  readonly url: string;
  readonly tls?: RedisTls;
  /** Before all keys; one a pipeline, so that pipelines share a Redis without meeting. At most 100 of `[A-Za-z0-9_.-]`. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Kinds that `depth` counts beside those that were added or are handled here. */
  readonly kinds?: readonly string[];
  readonly retryRules?: JobRetryRules;
  /** How long `dispose` lets running handlers go on, in milliseconds. Default 3,000. */
  readonly drainTimeoutMs?: number;
  /** How long a job stays with a worker that shows no sign of life, in milliseconds. Default 30,000. */
  readonly lockMs?: number;
  /** Told of every failed try. Must not throw. */
  readonly onFailure?: (failure: JobFailure) => void;
  /** Told of every lost connection and other trouble, without secrets; it mends itself. Must not throw. */
  readonly onError?: (error: Error) => void;
}

/**
 * Jobs in Redis by BullMQ: one BullMQ queue a kind.
 *
 * Jobs vanish when they are done or given up; what is known of them afterwards is the receipt in the store. A job may run
 * more than once: when its worker dies or its event loop stands still for longer than `lockMs`, another worker takes it
 * (once; the second time it is given up). A restart or a FLUSHALL of Redis is survived: adding and handling go on with
 * what comes after, the reconciler brings back what was lost.
 * Trust: job data are clear text in Redis, hence ids only; of a failed try only the error's code is kept there.
 */
export class BullmqJobQueue implements JobQueue {
  readonly #options: BullmqJobQueueOptions;
  readonly #address: RedisAddress;
  readonly #adding: Redis;
  readonly #rules: JobRetryRules;
  readonly #onError: (error: Error) => void;
  readonly #queues = new Map<string, Promise<Queue>>();
  readonly #workers = new Map<string, HandlingWorker>();
  /** Aborts handlers when the drain time is over. */
  readonly #stopping = new AbortController();
  #working: Redis | null = null;
  #disposal: Promise<void> | null = null;

  private constructor(
    options: BullmqJobQueueOptions,
    address: RedisAddress,
    adding: Redis,
    onError: (error: Error) => void,
  ) {
    this.#options = options;
    this.#address = address;
    this.#adding = adding;
    this.#rules = options.retryRules ?? DEFAULT_JOB_RETRY_RULES;
    this.#onError = onError;
  }

  /**
   * Connects, and refuses a Redis that may lose jobs by itself.
   * @throws ConfigError CONFIG_INVALID for the URL, the prefix, a kind or refused credentials; QUEUE_UNSAFE for the eviction policy
   * @throws UnavailableError QUEUE_UNAVAILABLE if Redis does not answer within five seconds
   */
  static async open(options: BullmqJobQueueOptions): Promise<BullmqJobQueue> {
    const address = readRedisUrl(options.url, options.tls);
    assertNames(options);
    const onError = options.onError ?? (() => {});
    const adding = createAddingClient(address, onError);
    try {
      await connectClient(adding, address, OPEN_TIMEOUT_MS, options.clock);
      await assertNoEviction(adding, address);
    } catch (error) {
      endClient(adding);
      throw error;
    }
    return new BullmqJobQueue(options, address, adding, onError);
  }

  async add(job: Job): Promise<void> {
    assertJob(job);
    const queue = await this.#queue(job.kind, 'add a job to');
    try {
      await queue.add(job.kind, job.data, {
        jobId: storedId(job.id),
        attempts: this.#rules.attemptsMax,
        backoff: { type: BACKOFF_TYPE },
        removeOnComplete: true,
        removeOnFail: true,
        stackTraceLimit: 0,
      });
    } catch (cause) {
      throw unavailable('add a job to', this.#address, cause);
    }
  }

  handle(kind: string, concurrency: number, handler: JobHandler): void {
    if (!isJobKind(kind)) throw new RangeError(`Cannot handle jobs of kind "${kind}": not the name of a kind`);
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new RangeError(
        `Cannot handle jobs of kind "${kind}": concurrency is ${concurrency}, must be a whole number from 1`,
      );
    }
    if (this.#workers.has(kind)) throw new RangeError(`Cannot handle jobs of kind "${kind}": it has a handler already`);
    if (this.#disposal !== null) return;
    this.#working ??= createWorkingClient(this.#address);
    const worker = new HandlingWorker({
      kind,
      concurrency,
      handler,
      redis: this.#working,
      prefix: this.#options.prefix,
      rules: this.#rules,
      rng: this.#options.rng,
      lockMs: this.#options.lockMs ?? 30_000,
      signal: this.#stopping.signal,
      onFailure: this.#options.onFailure ?? (() => {}),
    });
    const report = (error: unknown): void => this.#onError(cleanError(error, this.#address));
    worker.on('error', report);
    this.#workers.set(kind, worker);
    worker.run().catch(report);
  }

  async depth(): Promise<number> {
    const kinds = new Set([...(this.#options.kinds ?? []), ...this.#queues.keys(), ...this.#workers.keys()]);
    this.#assertThere('count jobs in');
    let jobs = 0;
    for (const kind of kinds) {
      const queue = await this.#queue(kind, 'count jobs in');
      try {
        jobs += await queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized');
      } catch (cause) {
        throw unavailable('count jobs in', this.#address, cause);
      }
    }
    return jobs;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposal ??= this.#dispose());
  }

  /**
   * Stops taking jobs, lets handlers finish, then tells them to stop, lets BullMQ record what ended, then cuts the connections.
   * Each step has its bound, because none of BullMQ's own closing does when Redis is away.
   */
  async #dispose(): Promise<void> {
    const { clock } = this.#options;
    const workers = [...this.#workers.values()];
    const all = (step: (worker: HandlingWorker) => Promise<unknown>): Promise<unknown> =>
      Promise.allSettled(workers.map((worker) => step(worker)));
    await all((worker) => worker.pause(true));
    await all((worker) => worker.handlers.settle(this.#options.drainTimeoutMs ?? 3_000, clock));
    this.#stopping.abort();
    await all((worker) => worker.jobs.settle(SETTLE_MS, clock));
    const closed = new AbortController();
    const closing = all((worker) => worker.closeNow()).then(() => closed.abort());
    await Promise.race([closing, clock.sleep(SETTLE_MS, closed.signal)]);
    if (this.#working !== null) endClient(this.#working);
    endClient(this.#adding);
  }

  /** The BullMQ queue of a kind. Made only on a live connection: BullMQ waits for one, and gives a queue up for good when its first command fails. */
  async #queue(kind: string, work: string): Promise<Queue> {
    this.#assertThere(work);
    let queue = this.#queues.get(kind);
    if (queue === undefined) {
      queue = openQueue(kind, this.#adding, this.#options.prefix).catch((cause: unknown) => {
        this.#queues.delete(kind);
        throw unavailable(work, this.#address, cause);
      });
      this.#queues.set(kind, queue);
    }
    return queue;
  }

  /** @throws UnavailableError before anything is sent, if nothing can be */
  #assertThere(work: string): void {
    const why =
      this.#disposal !== null ? 'the queue is closed' : this.#adding.status === 'ready' ? null : 'not connected';
    if (why !== null) {
      throw new UnavailableError('QUEUE_UNAVAILABLE', `Cannot ${work} Redis at ${this.#address.label}: ${why}`);
    }
  }
}

async function openQueue(kind: string, connection: Redis, prefix: string): Promise<Queue> {
  const queue = new Queue(kind, { connection, prefix, streams: { events: { maxLen: EVENTS_MAX } } });
  // The connection's own listener reports.
  queue.on('error', () => {});
  try {
    await queue.waitUntilReady();
    return queue;
  } catch (error) {
    await queue.close();
    throw error;
  }
}

function assertNames({ prefix, kinds = [] }: BullmqJobQueueOptions): void {
  const faults = kinds
    .filter((kind) => !isJobKind(kind))
    .map((kind) => ({ path: 'queue.kinds', message: `expected names of kinds, got "${kind}"` }));
  if (!PREFIX.test(prefix))
    faults.push({ path: 'queue.prefix', message: `expected a match of ${PREFIX.source}, got "${prefix}"` });
  if (faults.length > 0) throw new ConfigError('CONFIG_INVALID', 'Cannot open the job queue', faults);
}
