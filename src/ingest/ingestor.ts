import { setMaxListeners } from 'node:events';

import type { Assignment, ReadRequest, ReadResult, StartPosition } from '../ports/record-source.ts';
import { waitForAny } from '../ports/wait.ts';
import { formatLogId } from '../record/log-id.ts';
import type { BatchLimits } from './batch-builder.ts';
import { Beginnings } from './beginnings.ts';
import { PartitionRunner, type RunnerContext } from './partition-runner.ts';
import { isPassing } from './trouble.ts';

/** How reading is bounded. */
export interface IngestLimits extends BatchLimits {
  readonly ageMaxMs: number;
  /** Bytes that all batches may hold together, those on their way to the ledger included; reading pauses above. */
  readonly memoryBytesMax: number;
}

/** What the consume loop is made of. */
export interface IngestorOptions extends Omit<RunnerContext, 'beginnings'> {
  /** Where a topic begins that is read for the first time. */
  readonly start: StartPosition;
  readonly limits: IngestLimits;
}

const POLL_WAIT_MS = 250;
/** While nothing can be read, the loop looks again this often. */
const IDLE_MS = 25;
const SOURCE_RETRY_MS = 200;
/** Partitions that are opened at once. */
const OPENING_MAX = 16;

/**
 * The consume loop: polls the partitions that are ours, hands what comes to their runners, and says when batches must go.
 *
 * One loop, pull only; trouble with one partition never stops another. Each has at most two batches on their way.
 */
export class Ingestor {
  readonly #o: IngestorOptions & RunnerContext;
  readonly #runners = new Map<string, PartitionRunner>();
  readonly #tasks = new Set<Promise<void>>();
  #assignment: Assignment | null = null;
  /** Something that no runner foresaw: ends the loop. */
  #failure: { readonly error: unknown } | null = null;

  constructor(options: IngestorOptions) {
    const { writers, source, start } = options;
    this.#o = { ...options, beginnings: new Beginnings(writers.logs, source, start) };
  }

  /**
   * Reads until `signal` aborts (open batches are then sealed and committed), or, in a one-pass run, until everything is
   * read. `killSignal` ends even that: what is not committed is read again next time. Nothing runs on afterwards.
   */
  async run(signal: AbortSignal, killSignal: AbortSignal): Promise<void> {
    const crash = new AbortController();
    const kill = AbortSignal.any([killSignal, crash.signal]);
    // Partitions wait by the hundred, and a signal that many listen to would be taken for a leak.
    setMaxListeners(0, kill);
    try {
      await this.#o.source.join();
      await this.#loop(signal, kill);
      await this.#drain(kill);
      if (this.#failure !== null) throw this.#failure.error;
    } finally {
      crash.abort();
      await Promise.allSettled(this.#tasks);
    }
  }

  async #loop(signal: AbortSignal, kill: AbortSignal): Promise<void> {
    while (!signal.aborted && !kill.aborted && this.#failure === null && !this.#isDone()) {
      this.#followAssignment(kill);
      const requests = this.#requests();
      for (const result of await this.#poll(requests, signal))
        await this.#runners.get(formatLogId(result.log))?.receive(result);
      this.#tick();
      // A round that read nothing and waits for commits must not spin.
      if (requests.length === 0) await this.#o.clock.sleep(IDLE_MS, signal);
    }
  }

  /** Opens what is newly ours, forgets what is not. A partition that left and came back starts over from its log. */
  #followAssignment(kill: AbortSignal): void {
    const assignment = this.#o.source.assignment();
    if (assignment?.token !== this.#assignment?.token) {
      this.#assignment = assignment;
      if (assignment?.retained !== true) this.#leaveAll();
    }
    let opening = [...this.#runners.values()].filter((runner) => runner.opening).length;
    for (const log of assignment?.logs ?? []) {
      const name = formatLogId(log);
      if (this.#runners.has(name)) continue;
      if (++opening > OPENING_MAX) return;
      this.#runners.set(name, new PartitionRunner(this.#o, log, (task) => this.#start(task), kill));
    }
  }

  #leaveAll(): void {
    for (const runner of this.#runners.values()) runner.leave();
    this.#runners.clear();
  }

  #requests(): ReadRequest[] {
    if (this.#bytes() >= this.#o.limits.memoryBytesMax) return [];
    return [...this.#runners.values()].flatMap((runner) => runner.request() ?? []);
  }

  async #poll(requests: readonly ReadRequest[], signal: AbortSignal): Promise<readonly ReadResult[]> {
    if (requests.length === 0) return [];
    const token = this.#assignment?.token;
    try {
      const results = await this.#o.source.poll(requests, POLL_WAIT_MS, signal);
      return this.#o.source.assignment()?.token === token ? results : [];
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (!signal.aborted) this.#o.events.retrying('source', error as Error);
      await this.#o.clock.sleep(SOURCE_RETRY_MS, signal);
      return [];
    }
  }

  /** Lets every runner act on the time. When memory is full, the largest batch goes, so that slow partitions keep theirs. */
  #tick(): void {
    const runners = [...this.#runners.values()];
    const largest =
      this.#bytes() >= this.#o.limits.memoryBytesMax
        ? runners.reduce((a, b) => (b.sealableBytes > a.sealableBytes ? b : a))
        : null;
    for (const runner of runners) runner.tick(runner === largest);
  }

  #bytes(): number {
    let bytes = 0;
    for (const runner of this.#runners.values()) bytes += runner.bytes;
    return bytes;
  }

  async #drain(kill: AbortSignal): Promise<void> {
    for (const runner of this.#runners.values()) runner.letGo();
    while (!kill.aborted && this.#failure === null) {
      for (const runner of this.#runners.values()) runner.tick(true);
      const busy = [...this.#runners.values()].some((runner) => runner.busy);
      if (!busy && this.#tasks.size === 0) return;
      await waitForAny(this.#o.clock, POLL_WAIT_MS, [...this.#tasks], kill);
    }
  }

  #isDone(): boolean {
    if (!this.#o.once || this.#assignment === null) return false;
    return this.#assignment.logs.every((log) => this.#runners.get(formatLogId(log))?.finished === true);
  }

  #start(task: Promise<void>): void {
    const watched = task.catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#tasks.add(watched);
    void watched.then(() => this.#tasks.delete(watched));
  }
}
