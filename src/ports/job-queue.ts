/** A unit of work that can be made again from the store at any time: ids only, never record values. */
export interface Job {
  /** Same kind and id = same job: adding it again while it is known changes nothing. At most 200 of `[A-Za-z0-9_-]`, not all digits. */
  readonly id: string;
  /** What kind of work, e.g. `alert`. */
  readonly kind: string;
  /** Small JSON object of ids and digests. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
}

/** What a handler is told about this try. */
export interface JobAttempt {
  /** 1 for the first try. */
  readonly attempt: number;
  readonly signal: AbortSignal;
}

/**
 * Does the job; must be idempotent, since a queue may run a job again. Throwing means: try later, with back-off; an error
 * whose fields hold a number `retryAfterMs` sets the least pause.
 * Trust: whoever can write to the queue's server can make up jobs, so a handler takes nothing from one but names to look up.
 */
export type JobHandler = (job: Job, attempt: JobAttempt) => Promise<void>;

/**
 * A cache of work, at-least-once. Losing all of it loses nothing: the reconciler makes jobs again from the ledger.
 *
 * Contract (test/contract/job-queue.ts runs it on every adapter):
 * - an added job is handed to a handler of its kind at least once, or is lost only together with the queue's whole state;
 * - a job whose handler throws is tried again with growing pauses, at most `attemptsMax` times, then forgotten (the
 *   reconciler brings it back while its receipt is missing);
 * - `dispose` stops taking jobs and waits for running ones up to the drain time.
 */
export interface JobQueue extends AsyncDisposable {
  /** @throws UnavailableError QUEUE_UNAVAILABLE fast, without buffering; RangeError if the job breaks the contract of {@link Job} */
  add(job: Job): Promise<void>;
  /** Starts handling jobs of `kind` with at most `concurrency` at once. @throws RangeError for a second handler of one kind */
  handle(kind: string, concurrency: number, handler: JobHandler): void;
  /** Jobs waiting, running and waiting for a retry. @throws UnavailableError */
  depth(): Promise<number>;
}
