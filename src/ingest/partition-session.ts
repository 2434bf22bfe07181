import { formatLogId, type LogId } from '../record/log-id.ts';
import type { RecordChunk } from '../record/chunk.ts';
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
 * One partition while it is ours: the position, the batch being built, and what was read beyond its cut.
 * Batches reach the ledger in order and one at a time; the next one is encoded meanwhile and a third may fill, then reading
 * pauses.
 */
export class PartitionSession {
  readonly log: LogId;
  readonly name: string;
  readonly writer: PartitionWriter;
  /** Makes a builder for the next batch; awaits the topic's schema at the first one. */
  readonly #openBatch: (start: number, sample: RecordChunk) => Promise<OpenBatch>;
  #open: OpenBatch | null = null;
  #rest: { readonly chunk: RecordChunk; readonly from: number } | null = null;
  #next: number;
  #ended = false;
  /** Batches on their way to the ledger: one is encoded while the one before it is committed. */
  inFlight = 0;
  /** Resolves to true once the newest sealed batch is committed, to false if it never will be. */
  #tail: Promise<boolean> = Promise.resolve(true);
  #claim: Promise<LogHead> | null = null;
  /** Records that were delivered again and dropped. */
  redelivered = 0;

  constructor(
    log: LogId,
    writer: PartitionWriter,
    openBatch: (start: number, sample: RecordChunk) => Promise<OpenBatch>,
  ) {
    this.log = log;
    this.name = formatLogId(log);
    this.writer = writer;
    this.#openBatch = openBatch;
    this.#next = writer.head!.next;
  }

  /** Next offset to ask the source for. */
  get next(): number {
    return this.#rest?.chunk.nextOffset ?? this.#next;
  }

  /** Bytes held in the open batch and beyond its cut. */
  get bytes(): number {
    return (this.#open?.builder.bytes ?? 0) + (this.#rest === null ? 0 : this.#rest.chunk.bytes.length);
  }

  get records(): number {
    return this.#open?.builder.records ?? 0;
  }

  /** True when more can be taken in: the open batch has room and nothing waits behind its cut. */
  get wantsRecords(): boolean {
    return !this.#ended && this.#rest === null && this.#open?.builder.full !== true;
  }

  /** Records that the open batch still has room for, so that a file source can end a chunk at the cut. */
  roomFor(recordsMax: number): number {
    return Math.max(1, recordsMax - this.records);
  }

  /** True when the source said that nothing will follow, and everything read is on its way. */
  get finished(): boolean {
    return this.#ended && this.#rest === null && this.records === 0 && this.inFlight === 0;
  }

  /** The source said that nothing will follow. */
  end(): void {
    this.#ended = true;
  }

  /** Takes a chunk in, up to the cut of the open batch; the rest waits for the next one. */
  async receive(chunk: RecordChunk, monotonicMs: number): Promise<void> {
    const fresh = dropDelivered(chunk, this.#next);
    if (fresh === null) return;
    this.redelivered += fresh.dropped;
    await this.#fill(fresh, monotonicMs);
  }

  /** True when the open batch should be sealed now. */
  isDue(monotonicMs: number, ageMaxMs: number, force: boolean): boolean {
    if (this.#open === null || this.records === 0 || this.inFlight >= IN_FLIGHT_MAX) return false;
    return force || this.#ended || this.#open.builder.full || monotonicMs - this.#open.openedAtMs >= ageMaxMs;
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

  /** Takes the open batch out, to be committed; what waited behind its cut begins the next one. */
  async seal(monotonicMs: number): Promise<SealedBatch> {
    const { builder, observer, topic } = this.#open!;
    this.#open = null;
    const built = builder.finish();
    // It stays where it is until it is taken in: a look at the position meanwhile must not see it unread.
    if (this.#rest !== null) await this.#fill(this.#rest, monotonicMs);
    return { built, observer, topic };
  }

  async #fill(
    { chunk, from }: { readonly chunk: RecordChunk; readonly from: number },
    monotonicMs: number,
  ): Promise<void> {
    this.#open ??= await this.#openBatch(this.#next, chunk);
    const { builder } = this.#open;
    if (builder.records === 0) this.#open = { ...this.#open, openedAtMs: monotonicMs };
    const taken = builder.add(chunk, from);
    this.#next = builder.end;
    this.#rest = taken < chunk.count ? { chunk, from: taken } : null;
  }
}
