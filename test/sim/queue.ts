import { UnavailableError } from '../../src/errors.ts';
import type { Job, JobHandler, JobQueue } from '../../src/ports/job-queue.ts';
import { assertJob, DEFAULT_JOB_RETRY_RULES, retryPauseMs } from '../../src/ports/job-rules.ts';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

/** A job that runs longer is taken for stalled, and given to someone else, ms. */
const STALLED_MS = 30_000;

interface Entry {
  readonly job: Job;
  failures: number;
}

interface Handler {
  readonly process: SimProcess;
  readonly handle: JobHandler;
  readonly concurrency: number;
  running: number;
}

/** The queue's server: it knows jobs until they are done, gives each to one of those that handle its kind, and may lose all. */
export class SharedQueue {
  readonly #world: World;
  readonly #jobs = new Map<string, Entry>();
  readonly #waiting: Entry[] = [];
  #handlers: Handler[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  get depth(): number {
    return this.#jobs.size;
  }

  add(job: Job): void {
    const key = keyOf(job);
    if (this.#jobs.has(key)) return;
    const entry = { job, failures: 0 };
    this.#jobs.set(key, entry);
    this.#enqueue(entry);
  }

  /** Loses all jobs; those that run, run on. */
  wipe(): void {
    this.#jobs.clear();
    this.#waiting.length = 0;
  }

  handle(process: SimProcess, concurrency: number, handle: JobHandler): void {
    this.#handlers.push({ process, handle, concurrency, running: 0 });
    this.#pump();
  }

  #enqueue(entry: Entry): void {
    this.#waiting.push(entry);
    this.#pump();
  }

  #pump(): void {
    this.#handlers = this.#handlers.filter(({ process }) => !process.isDead);
    for (;;) {
      const handler = this.#handlers.find(({ running, concurrency }) => running < concurrency);
      const entry = handler === undefined ? undefined : this.#waiting.shift();
      if (entry === undefined) return;
      this.#run(handler!, entry);
    }
  }

  #run(handler: Handler, entry: Entry): void {
    const { process } = handler;
    handler.running++;
    let isOver = false;
    const settle = (failure: { readonly error: unknown } | null): void => {
      if (isOver) return;
      isOver = true;
      handler.running--;
      this.#settled(process, entry, failure);
      this.#pump();
    };
    this.#world.after(STALLED_MS, () => {
      if (isOver) return;
      isOver = true;
      handler.running--;
      if (this.#jobs.get(keyOf(entry.job)) === entry) this.#enqueue(entry);
    });
    process.hear(1, () => void this.#handle(handler, entry, settle));
  }

  /** Has the process do the job, and say how it went. */
  async #handle(
    { process, handle }: Handler,
    { job, failures }: Entry,
    settle: (failure: { readonly error: unknown } | null) => void,
  ): Promise<void> {
    const { signal } = new AbortController();
    let failure: { readonly error: unknown } | null = null;
    try {
      await handle(job, { attempt: failures + 1, signal });
    } catch (error) {
      failure = { error };
    }
    await process.call(`job ${job.id} ${failure === null ? 'done' : 'failed'}`, () => settle(failure));
  }

  #settled(process: SimProcess, entry: Entry, failure: { readonly error: unknown } | null): void {
    const key = keyOf(entry.job);
    if (this.#jobs.get(key) !== entry) return;
    if (failure === null) this.#jobs.delete(key);
    else if (++entry.failures >= DEFAULT_JOB_RETRY_RULES.attemptsMax) this.#jobs.delete(key);
    else {
      const pauseMs = retryPauseMs(entry.failures, failure.error, DEFAULT_JOB_RETRY_RULES, process.rng);
      this.#world.after(pauseMs, () => {
        if (this.#jobs.get(key) === entry) this.#enqueue(entry);
      });
    }
  }
}

/** The queue as one process sees it. */
export class SimQueue implements JobQueue {
  readonly #shared: SharedQueue;
  readonly #process: SimProcess;
  readonly #refusedChance: number;

  /** @param refusedChance probability that the server does not take a job. */
  constructor(shared: SharedQueue, process: SimProcess, refusedChance: number) {
    this.#shared = shared;
    this.#process = process;
    this.#refusedChance = refusedChance;
  }

  add(job: Job): Promise<void> {
    assertJob(job);
    return this.#process.call(`queue ${job.id}`, (strikes) => {
      if (strikes('refused', this.#refusedChance))
        throw new UnavailableError('QUEUE_UNAVAILABLE', `Cannot add job "${job.id}": simulated fault`);
      this.#shared.add(job);
    });
  }

  /** There is one kind of job: alerts. */
  handle(_kind: string, concurrency: number, handler: JobHandler): void {
    this.#shared.handle(this.#process, concurrency, handler);
  }

  depth(): Promise<number> {
    return this.#process.call('queue depth', () => this.#shared.depth);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function keyOf({ kind, id }: Job): string {
  return `${kind} ${id}`;
}
