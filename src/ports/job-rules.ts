import { HeadgateError } from '../errors.ts';
import type { Clock } from './clock.ts';
import type { Job } from './job-queue.ts';
import type { Rng } from './rng.ts';

/** Most bytes of a job's data as JSON: a job is ids and digests, never a payload. */
export const JOB_DATA_BYTES_MAX = 16_384;

/** Longest pause that a receiver may ask for (`retryAfterMs` in the fields of the error): one hour. */
export const RETRY_AFTER_MS_MAX = 3_600_000;

/** How often and how fast a failed job is tried again. */
export interface JobRetryRules {
  /** Tries in all, the first one included; at least 1. */
  readonly attemptsMax: number;
  /** Longest pause after the first failed try, in milliseconds; doubles with each try. */
  readonly firstPauseMs: number;
  /** Where the doubling ends, in milliseconds. */
  readonly pauseMsMax: number;
}

/** Ten tries over four to nine minutes; the reconciler begins anew while the receipt is missing. */
export const DEFAULT_JOB_RETRY_RULES: JobRetryRules = { attemptsMax: 10, firstPauseMs: 1_000, pauseMsMax: 300_000 };

/** A try that failed, for logs and metrics. */
export interface JobFailure {
  readonly job: Job;
  /** 1 for the first try. */
  readonly attempt: number;
  /** What the handler threw. */
  readonly error: unknown;
  /** Pause before the next try; null when this was the last one and the job is forgotten. */
  readonly retryInMs: number | null;
}

const KIND = /^[a-z][a-z0-9-]{0,63}$/;
const ID = /^[A-Za-z0-9_-]{1,200}$/;
const DIGITS = /^[0-9]+$/;

/** Whether `kind` may name a kind of job: lower-case letters, digits and `-`, at most 64, a letter first. */
export function isJobKind(kind: string): boolean {
  return KIND.test(kind);
}

/**
 * Refuses a job that some queue could not hold, so that all queues refuse the same ones.
 * @throws {RangeError} if kind, id or data break the contract of {@link Job}: a fault of the calling code.
 */
export function assertJob(job: Job): void {
  if (!isJobKind(job.kind)) throw new RangeError(`Cannot add a job of kind "${job.kind}": must match ${KIND.source}`);
  if (!ID.test(job.id) || DIGITS.test(job.id)) {
    throw new RangeError(`Cannot add job "${job.id}": its id must match ${ID.source} and hold more than digits`);
  }
  for (const [name, value] of Object.entries(job.data)) {
    const plain = value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
    if (!plain) throw new RangeError(`Cannot add job "${job.id}": data "${name}" is not a plain JSON value`);
  }
  const bytes = Buffer.byteLength(JSON.stringify(job.data), 'utf8');
  if (bytes > JOB_DATA_BYTES_MAX) {
    throw new RangeError(
      `Cannot add job "${job.id}": its data has ${bytes} bytes, at most ${JOB_DATA_BYTES_MAX} are allowed`,
    );
  }
}

/**
 * Milliseconds to wait after the failed try number `attempt`: between half and all of `firstPauseMs · 2^(attempt − 1)`,
 * capped at `pauseMsMax`, so that pauses grow for sure while many jobs never come back at one instant; more when the
 * error asks for it by a number `retryAfterMs` in its fields, up to {@link RETRY_AFTER_MS_MAX}.
 * @param attempt the try that failed; 1 for the first.
 * @param error what the handler threw.
 */
export function retryPauseMs(attempt: number, error: unknown, rules: JobRetryRules, rng: Rng): number {
  const longest = Math.min(rules.firstPauseMs * 2 ** Math.min(attempt - 1, 60), rules.pauseMsMax);
  const pause = Math.ceil(longest * (0.5 + 0.5 * randomFraction(rng)));
  const wanted = error instanceof HeadgateError ? error.fields['retryAfterMs'] : undefined;
  return typeof wanted === 'number' ? Math.max(pause, Math.min(wanted, RETRY_AFTER_MS_MAX)) : pause;
}

/** Uniform in [0, 1), from 32 random bits. */
function randomFraction(rng: Rng): number {
  const [a = 0, b = 0, c = 0, d = 0] = rng.bytes(4);
  return (a * 0x1000000 + b * 0x10000 + c * 0x100 + d) / 0x100000000;
}

/** Counts work that is under way, so that a dispose can wait for it, for a bounded time. */
export class RunningWork {
  #count = 0;
  #whenIdle: (() => void) | null = null;

  /** How many pieces of work are under way. */
  get count(): number {
    return this.#count;
  }

  /** Runs `work` and counts it until it has settled. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#count += 1;
    try {
      return await work();
    } finally {
      this.#count -= 1;
      if (this.#count === 0) this.#whenIdle?.();
    }
  }

  /** Waits until nothing is under way, at most `waitMs` milliseconds. One caller at a time. */
  async settle(waitMs: number, clock: Clock): Promise<void> {
    if (this.#count === 0) return;
    const idle = new AbortController();
    this.#whenIdle = () => idle.abort();
    await clock.sleep(waitMs, idle.signal);
    this.#whenIdle = null;
  }
}
