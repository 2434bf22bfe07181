import { onTestFinished } from 'vitest';

import { MemoryJobQueue } from '../../src/adapters/memory-queue/memory-job-queue.ts';
import { systemRng } from '../../src/adapters/system/rng.ts';
import { UnavailableError } from '../../src/errors.ts';
import type { VerifiedControlEntry } from '../../src/ledger/control-log.ts';
import type { LoggedBatch } from '../../src/ledger/partition-log.ts';
import type { Alert, AlertChannel } from '../../src/ports/alert-channel.ts';
import type { Job, JobHandler, JobQueue } from '../../src/ports/job-queue.ts';
import type { JobFailure } from '../../src/ports/job-rules.ts';
import { formatLogId } from '../../src/record/log-id.ts';
import { NewsFinder } from '../../src/publish/news.ts';
import type { AlertCause } from '../../src/respond/alert-cause.ts';
import { CauseFinder } from '../../src/respond/alert-causes.ts';
import { AlertDesk } from '../../src/respond/alerts.ts';
import type { LedgerContext } from '../../src/respond/ledger-context.ts';
import { LeapingClock } from './leaping-clock.ts';
import { settle } from './manual-clock.ts';

/** Tries of a job before the queue of a test gives it up. */
export const ATTEMPTS_MAX = 5;

/** Finds causes as a process does that has just started. */
export function finder(ledger: LedgerContext, ref = 'main'): CauseFinder {
  const { store, layout, logs, clock } = ledger;
  return new CauseFinder(ledger, ref, new NewsFinder({ store, layout, logs, clock, fullWalkIntervalMs: 600_000 }));
}

/** Remembers what it was told; fails as often as it is asked to. */
export class RecordingChannel implements AlertChannel {
  readonly name: string;
  readonly delivered: Alert[] = [];
  readonly tried: string[] = [];
  failures = 0;

  constructor(name = 'hook') {
    this.name = name;
  }

  async deliver(alert: Alert): Promise<void> {
    this.tried.push(alert.id);
    if (this.failures > 0) {
      this.failures--;
      throw new UnavailableError('ALERT_UNDELIVERED', `Cannot deliver alert "${alert.id}": planned fault`);
    }
    this.delivered.push(alert);
  }
}

/** A queue that remembers what was added to it. */
export class RecordingQueue implements JobQueue {
  readonly added: Job[] = [];
  readonly failures: readonly JobFailure[];
  readonly #inner: MemoryJobQueue;

  private constructor(inner: MemoryJobQueue, failures: readonly JobFailure[]) {
    this.#inner = inner;
    this.failures = failures;
  }

  static async open(): Promise<RecordingQueue> {
    const failures: JobFailure[] = [];
    const inner = await MemoryJobQueue.open({
      clock: new LeapingClock(),
      rng: systemRng,
      jobsMax: 100_000,
      retryRules: { attemptsMax: ATTEMPTS_MAX, firstPauseMs: 1_000, pauseMsMax: 300_000 },
      onFailure: (failure) => failures.push(failure),
    });
    return new RecordingQueue(inner, failures);
  }

  async add(job: Job): Promise<void> {
    await this.#inner.add(job);
    this.added.push(job);
  }

  handle(kind: string, concurrency: number, handler: JobHandler): void {
    this.#inner.handle(kind, concurrency, handler);
  }

  depth(): Promise<number> {
    return this.#inner.depth();
  }

  /** Waits until every job is done or given up. */
  async drain(): Promise<void> {
    while ((await this.depth()) > 0) await settle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#inner[Symbol.asyncDispose]();
  }
}

/** A desk and its queue. */
export interface OpenDesk {
  readonly desk: AlertDesk;
  readonly queue: RecordingQueue;
}

/** A process that sends alerts: it knows nothing but the store. */
export async function openDesk(
  ledger: LedgerContext,
  channels: readonly AlertChannel[],
  alertColumns: (topic: string) => readonly string[] = () => [],
): Promise<OpenDesk> {
  const queue = await RecordingQueue.open();
  onTestFinished(() => queue[Symbol.asyncDispose]());
  const desk = new AlertDesk({ ledger, queue, channels, alertColumns });
  desk.start();
  return { desk, queue };
}

/** Cause of an alert about a batch. */
export function causeOf({ log, entry, digest }: LoggedBatch): AlertCause {
  return { about: 'batch', log: formatLogId(log), slot: entry.slot, digest };
}

/** Cause of an alert about a control entry. */
export function controlCause({ entry, digest }: VerifiedControlEntry): AlertCause {
  return { about: 'control', seq: entry.seq, digest };
}
