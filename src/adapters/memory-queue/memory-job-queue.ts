import { UnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Job, JobHandler, JobQueue } from '../../ports/job-queue.ts';
import {
  assertJob,
  DEFAULT_JOB_RETRY_RULES,
  isJobKind,
  type JobFailure,
  type JobRetryRules,
  retryPauseMs,
  RunningWork,
} from '../../ports/job-rules.ts';
import type { Rng } from '../../ports/rng.ts';

/** How long `dispose` waits for handlers that were told to stop, in milliseconds. */
const ABORT_GRACE_MS = 1_000;

/** What an in-process queue is made of. */
export interface MemoryJobQueueOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Jobs known at once: waiting, running and pausing. Default 10,000. */
  readonly jobsMax?: number;
  readonly retryRules?: JobRetryRules;
  /** How long `dispose` lets running handlers go on, in milliseconds. Default 3,000. */
  readonly drainTimeoutMs?: number;
  /** Told of every failed try. Must not throw. */
  readonly onFailure?: (failure: JobFailure) => void;
}

/** A job that is not done. */
interface Entry {
  readonly key: string;
  readonly job: Job;
  /** Failed tries so far. */
  failures: number;
}

/** The jobs of one kind and who does them. */
interface Lane {
  readonly waiting: Set<Entry>;
  handler: JobHandler | null;
  concurrency: number;
  running: number;
}

/**
 * Jobs in the memory of this process: the embedded default, and the queue of the simulator.
 *
 * Nothing outlives the process: the reconciler makes the jobs again from the ledger. First come, first served within a
 * kind; a retry goes to the end of the line. All time comes from the clock and all chance from the generator it is given.
 */
export class MemoryJobQueue implements JobQueue {
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #jobsMax: number;
  readonly #rules: JobRetryRules;
  readonly #drainTimeoutMs: number;
  readonly #onFailure: (failure: JobFailure) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #lanes = new Map<string, Lane>();
  readonly #handlers = new RunningWork();
  /** Aborts pauses as soon as the queue closes. */
  readonly #closing = new AbortController();
  /** Aborts handlers when the drain time is over. */
  readonly #stopping = new AbortController();
  #disposal: Promise<void> | null = null;

  private constructor(options: MemoryJobQueueOptions) {
    this.#clock = options.clock;
    this.#rng = options.rng;
    this.#jobsMax = options.jobsMax ?? 10_000;
    this.#rules = options.retryRules ?? DEFAULT_JOB_RETRY_RULES;
    this.#drainTimeoutMs = options.drainTimeoutMs ?? 3_000;
    this.#onFailure = options.onFailure ?? (() => {});
  }

  /** Opens an empty queue. */
  static open(options: MemoryJobQueueOptions): Promise<MemoryJobQueue> {
    return Promise.resolve(new MemoryJobQueue(options));
  }

  async add(job: Job): Promise<void> {
    assertJob(job);
    if (this.#closing.signal.aborted) throw unavailable(`Cannot add job "${job.id}": the queue is closed`);
    const key = `${job.kind}/${job.id}`;
    if (this.#entries.has(key)) return;
    if (this.#entries.size >= this.#jobsMax) {
      throw unavailable(
        `Cannot add job "${job.id}": the queue holds ${this.#entries.size} jobs, at most ${this.#jobsMax} are allowed`,
      );
    }
    // A copy, as a queue outside the process would make one: the caller may go on to change its object.
    const entry: Entry = { key, job: { id: job.id, kind: job.kind, data: { ...job.data } }, failures: 0 };
    this.#entries.set(key, entry);
    this.#enqueue(entry);
  }

  handle(kind: string, concurrency: number, handler: JobHandler): void {
    if (!isJobKind(kind)) throw new RangeError(`Cannot handle jobs of kind "${kind}": not the name of a kind`);
    if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
      throw new RangeError(
        `Cannot handle jobs of kind "${kind}": concurrency is ${concurrency}, must be a whole number from 1`,
      );
    }
    const lane = this.#lane(kind);
    if (lane.handler !== null) throw new RangeError(`Cannot handle jobs of kind "${kind}": it has a handler already`);
    lane.handler = handler;
    lane.concurrency = concurrency;
    this.#pump(lane);
  }

  async depth(): Promise<number> {
    if (this.#closing.signal.aborted) throw unavailable('Cannot count jobs: the queue is closed');
    return this.#entries.size;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposal ??= this.#dispose());
  }

  async #dispose(): Promise<void> {
    this.#closing.abort();
    await this.#handlers.settle(this.#drainTimeoutMs, this.#clock);
    this.#stopping.abort();
    await this.#handlers.settle(ABORT_GRACE_MS, this.#clock);
    this.#entries.clear();
    this.#lanes.clear();
  }

  #lane(kind: string): Lane {
    let lane = this.#lanes.get(kind);
    if (lane === undefined) {
      lane = { waiting: new Set(), handler: null, concurrency: 0, running: 0 };
      this.#lanes.set(kind, lane);
    }
    return lane;
  }

  #enqueue(entry: Entry): void {
    const lane = this.#lane(entry.job.kind);
    lane.waiting.add(entry);
    this.#pump(lane);
  }

  /** Starts waiting jobs while the lane has room. */
  #pump(lane: Lane): void {
    if (lane.handler === null || this.#closing.signal.aborted) return;
    for (const entry of lane.waiting) {
      if (lane.running >= lane.concurrency) return;
      lane.waiting.delete(entry);
      lane.running += 1;
      void this.#handlers.during(() => this.#run(lane, lane.handler as JobHandler, entry));
    }
  }

  /** One try of one job, and what follows from it. Never rejects. */
  async #run(lane: Lane, handler: JobHandler, entry: Entry): Promise<void> {
    const attempt = entry.failures + 1;
    // The handler begins in a later microtask, so that `add` never runs it inside the caller's stack.
    const failed = await Promise.resolve()
      .then(() => handler(entry.job, { attempt, signal: this.#stopping.signal }))
      .then(
        () => null,
        (error: unknown) => ({ error }),
      );
    lane.running -= 1;
    if (failed === null) this.#entries.delete(entry.key);
    else this.#retry(entry, attempt, failed.error);
    this.#pump(lane);
  }

  #retry(entry: Entry, attempt: number, error: unknown): void {
    entry.failures = attempt;
    const last = attempt >= this.#rules.attemptsMax;
    const retryInMs = last ? null : retryPauseMs(attempt, error, this.#rules, this.#rng);
    if (retryInMs === null) this.#entries.delete(entry.key);
    else void this.#enqueueAfter(entry, retryInMs);
    this.#onFailure({ job: entry.job, attempt, error, retryInMs });
  }

  async #enqueueAfter(entry: Entry, pauseMs: number): Promise<void> {
    await this.#clock.sleep(pauseMs, this.#closing.signal);
    if (!this.#closing.signal.aborted) this.#enqueue(entry);
  }
}

function unavailable(message: string): UnavailableError {
  return new UnavailableError('QUEUE_UNAVAILABLE', message);
}
