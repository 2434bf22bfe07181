import { formatLogId, type LogId } from '../record/log-id.ts';
import { ownBytes, type RecordChunk } from '../record/chunk.ts';
import type { LogHead } from '../ledger/log-head.ts';
import type { PartitionWriter } from '../ledger/partition-writer.ts';
import type { BatchBuilder } from './batch-builder.ts';
import type { BatchObserver, SealedBatch } from './judge-batch.ts';
import type { TopicContext } from './topic.ts';
import { dropDelivered } from './partition.ts';

/** A batch that is being built, with what it will be judged with. */
export interface OpenBatch {
  readonly builder: BatchBuilder;
  readonly observer: BatchObserver;
  readonly topic: TopicContext;
  /** Monotonic time of the first record, ms. */
  readonly openedAtMs: number;
}

const IN_FLIGHT_MAX = 2;

/**
 * Makes a builder for the next batch.
 * @param waiting chunks that are not taken in yet, the first of the batch first.
 * @param isLast true when no more will come before the batch must begin.
 * @returns null when more records are needed first
 */
export type OpenNext = (
  start: number,
  waiting: readonly RecordChunk[],
  isLast: boolean,
) => Promise<Omit<OpenBatch, 'openedAtMs'> | null>;

interface Waiting {
  readonly chunk: RecordChunk;
  /** Index of the first record that is not taken in. */
  readonly from: number;
}

/**
 * One partition while it is open: the position, the batch being built, and what was read beyond its cut.
 * Batches reach the ledger in order and one at a time; the next one is encoded meanwhile and a third may fill, then reading
 * pauses.
 */
export class PartitionSession {
  readonly log: LogId;
  readonly name: string;
  readonly writer: PartitionWriter;
  readonly #openNext: OpenNext;
  #open: OpenBatch | null = null;
  /** Read and not taken in: beyond the cut of the open batch, or too few to begin the first one with. */
  readonly #waiting: Waiting[] = [];
  /** Monotonic time since when records wait for more of them, ms; null when they do not. */
  #gatheringSinceMs: number | null = null;
  /** Fills come one after the other. */
  #filling: Promise<void> = Promise.resolve();
  #next: number;
  #ended = false;
  #trouble: Error | null = null;
  /** Batches on their way to the ledger: one is encoded while the one before it is committed. */
  inFlight = 0;
  #inFlightBytes = 0;
  /** Resolves to true once the newest sealed batch is committed, to false if it never will be. */
  #tail: Promise<boolean> = Promise.resolve(true);
  #claim: Promise<LogHead> | null = null;
  /** Records that were delivered again and dropped. */
  redelivered = 0;

  constructor(log: LogId, writer: PartitionWriter, openNext: OpenNext) {
    this.log = log;
    this.name = formatLogId(log);
    this.writer = writer;
    this.#openNext = openNext;
    this.#next = writer.head!.next;
  }

  /** Next offset to ask the source for. */
  get next(): number {
    return this.#waiting.at(-1)?.chunk.nextOffset ?? this.#next;
  }

  /** Bytes held in the open batch, beyond its cut, and on their way to the ledger. */
  get bytes(): number {
    const waiting = this.#waiting.reduce((sum, { chunk }) => sum + chunk.bytes.length, 0);
    return (this.#open?.builder.bytes ?? 0) + waiting + this.#inFlightBytes;
  }

  /** Bytes of the batch that could be sealed now. */
  get sealableBytes(): number {
    return this.inFlight >= IN_FLIGHT_MAX ? 0 : (this.#open?.builder.bytes ?? 0);
  }

  get records(): number {
    return this.#open?.builder.records ?? 0;
  }

  /** True when records are held that no batch on its way has. */
  get hasUncommitted(): boolean {
    return this.records > 0 || this.#waiting.length > 0;
  }

  /** True when more can be taken in: the open batch has room and nothing waits behind its cut, or more are needed to begin one. */
  get wantsRecords(): boolean {
    if (this.#ended) return false;
    if (this.#waiting.length > 0) return this.#gatheringSinceMs !== null;
    return this.#open?.builder.full !== true;
  }

  /** Records that the open batch still has room for, so that a file source can end a chunk at the cut. */
  roomFor(recordsMax: number): number {
    return Math.max(1, recordsMax - this.records);
  }

  /** True when nothing will follow, and everything read is committed. */
  get finished(): boolean {
    return this.#ended && !this.hasUncommitted && this.inFlight === 0;
  }

  /** Why nothing will follow; null if nothing is wrong. */
  get trouble(): Error | null {
    return this.#trouble;
  }

  /** The source said that nothing will follow. */
  end(): void {
    this.#ended = true;
  }

  /** The source cannot go on. */
  endWith(trouble: Error): void {
    this.#ended = true;
    this.#trouble ??= trouble;
  }

  /** Takes a chunk in, up to the cut of the open batch; the rest waits for the next one. */
  async receive(chunk: RecordChunk, monotonicMs: number): Promise<void> {
    const fresh = dropDelivered(chunk, this.next);
    if (fresh === null) return;
    this.redelivered += fresh.dropped;
    this.#waiting.push(fresh);
    await this.#fill(monotonicMs, false);
  }

  /** True when a batch should be sealed now. */
  isDue(monotonicMs: number, ageMaxMs: number, force: boolean): boolean {
    if (this.inFlight >= IN_FLIGHT_MAX || !this.hasUncommitted) return false;
    if (force || this.#ended || this.#open?.builder.full === true) return true;
    const sinceMs = this.records > 0 ? this.#open!.openedAtMs : this.#gatheringSinceMs;
    return sinceMs !== null && monotonicMs - sinceMs >= ageMaxMs;
  }

  /** Claims the log at the first batch; later ones find it claimed. @throws as PartitionWriter.claim */
  claim(next: number, signal: AbortSignal): Promise<LogHead> {
    return (this.#claim ??= this.writer.claim({ next, label: null }, signal));
  }

  /**
   * Takes a place in the order of commits.
   * @returns a promise for whether everything sealed before is committed, and a function to tell the next in line.
   */
  takeTurn(): { readonly before: Promise<boolean>; readonly pass: (committed: boolean) => void } {
    const before = this.#tail;
    let pass: (committed: boolean) => void = () => undefined;
    this.#tail = new Promise((resolve) => {
      pass = resolve;
    });
    return { before, pass };
  }

  /**
   * Takes the open batch out, to be committed; what waited behind its cut begins the next one.
   * @returns null when there is no record to commit after all
   */
  async seal(monotonicMs: number): Promise<SealedBatch | null> {
    // Records that waited for more of them must begin with what there is.
    if (this.#open === null) await this.#fill(monotonicMs, true);
    const open = this.#open;
    if (open === null || open.builder.records === 0) return null;
    this.#open = null;
    const built = open.builder.finish();
    this.#inFlightBytes += built.bytes;
    await this.#fill(monotonicMs, false);
    return { built, observer: open.observer, topic: open.topic };
  }

  /**
   * Lets go of records that wait for more of them: a schema that is pinned for good must not follow from the few that
   * happened to be there when somebody stopped the process.
   */
  letGo(): void {
    this.#filling = this.#filling.then(() => this.#letGoNow());
  }

  /** A batch of so many bytes is committed. */
  committed(bytes: number): void {
    this.#inFlightBytes -= bytes;
  }

  #letGoNow(): void {
    if (this.#gatheringSinceMs === null || this.#ended) return;
    this.#waiting.length = 0;
    this.#gatheringSinceMs = null;
  }

  #fill(monotonicMs: number, isLast: boolean): Promise<void> {
    const filled = this.#filling.then(() => this.#fillNow(monotonicMs, isLast));
    this.#filling = filled.catch(() => undefined);
    return filled;
  }

  async #fillNow(monotonicMs: number, isLast: boolean): Promise<void> {
    await this.#takeIn(monotonicMs, isLast);
    for (const [i, { chunk, from }] of this.#waiting.entries()) this.#waiting[i] = { chunk: ownBytes(chunk), from };
  }

  async #takeIn(monotonicMs: number, isLast: boolean): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#open === null) {
        const chunks = this.#waiting.map(({ chunk }) => chunk);
        const next = await this.#openNext(this.#next, chunks, isLast || this.#ended);
        this.#gatheringSinceMs = next === null ? (this.#gatheringSinceMs ?? monotonicMs) : null;
        if (next === null) return;
        this.#open = { ...next, openedAtMs: monotonicMs };
      }
      const { builder } = this.#open;
      if (builder.full) return;
      // What waits stays where it is until it is taken in: a look at the position meanwhile must not see it unread.
      const { chunk, from } = this.#waiting[0]!;
      const taken = builder.add(chunk, from);
      this.#next = builder.end;
      if (taken < chunk.count) this.#waiting[0] = { chunk, from: taken };
      else this.#waiting.shift();
    }
  }
}
