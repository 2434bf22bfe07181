/* Long (under 400 lines): the loop, what it opens and how it ends are one state machine over the same slots. */
import {
  ConflictError,
  HaltError,
  HeadgateError,
  IntegrityError,
  UnavailableError,
  UncertainError,
} from '../errors.ts';
import type { BatchFields, WriterContext } from '../ledger/partition-writer.ts';
import type { LogHead } from '../ledger/log-head.ts';
import type { Clock } from '../ports/clock.ts';
import type { Assignment, ReadRequest, ReadResult, RecordSource, StartPosition } from '../ports/record-source.ts';
import type { Rng } from '../ports/rng.ts';
import { BATCH_KEY_BYTES } from '../record/leaf.ts';
import type { RecordChunk } from '../record/chunk.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import { BatchBuilder, type BatchLimits } from './batch-builder.ts';
import { prepareBatch, ruleHalt, type CommitContext } from './commit-batch.ts';
import type { BatchJudge, JudgedBatch } from './judge-batch.ts';
import { openPartition, settlePosition, type GapPolicy } from './partition.ts';
import { PartitionSession } from './partition-session.ts';
import type { Topics } from './topics.ts';

/** What happened, for whoever watches: metrics, progress, alerts. All calls are synchronous and cheap. */
export interface IngestEvents {
  committed(batch: CommittedBatch): void;
  /** @param next first offset that is not committed; 0 if that could not be read */
  halted(log: LogId, error: HeadgateError, next: number): void;
  /** Something went wrong that mends itself. */
  retrying(where: string, error: Error): void;
}

/** One batch after its point of no return. */
export interface CommittedBatch {
  readonly log: LogId;
  readonly slot: number;
  readonly digest: string;
  readonly start: number;
  readonly end: number;
  readonly records: number;
  readonly deadLetters: number;
  readonly judged: JudgedBatch;
}

/** How reading is bounded. */
export interface IngestLimits extends BatchLimits {
  readonly ageMaxMs: number;
  /** Bytes that all open batches may hold together; reading pauses above. */
  readonly memoryBytesMax: number;
}

/** What the consume loop is made of. */
export interface IngestorOptions {
  readonly source: RecordSource;
  readonly topics: Topics;
  readonly judge: BatchJudge;
  readonly writers: WriterContext;
  readonly commit: CommitContext;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly limits: IngestLimits;
  readonly start: StartPosition;
  readonly onGap: GapPolicy;
  readonly events: IngestEvents;
  /** Read what is there now, then stop. */
  readonly once: boolean;
}

const POLL_WAIT_MS = 250;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 10_000;
/** A fenced process waits this long, so that two of them do not take a partition from each other in turn. */
const FENCED_PAUSE_MS = 1_000;
const FENCES_MAX = 3;
const FENCE_WINDOW_MS = 600_000;
const OPENING_MAX = 16;

type Slot =
  | { readonly state: 'opening' }
  | { readonly state: 'open'; readonly session: PartitionSession }
  | { readonly state: 'halted'; readonly error: HeadgateError };

/**
 * The consume loop: polls the partitions that are ours, fills batches, and sends full ones to the ledger.
 *
 * One loop, pull only. Each partition has at most two batches on their way; trouble with one partition never stops another.
 * A lost claim or an outage drops the buffer and opens the partition again from its log: nothing that was read counts
 * until its slot exists.
 */
export class Ingestor {
  readonly #o: IngestorOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #fences = new Map<string, number[]>();
  #assignment: Assignment | null = null;
  /** Past this offset a one-pass run does not read on, by partition name. */
  readonly #stopAt = new Map<string, number>();

  constructor(options: IngestorOptions) {
    this.#o = options;
  }

  /** Partitions that have stopped themselves, with the reason. */
  get halted(): readonly HeadgateError[] {
    return [...this.#slots.values()].flatMap((slot) => (slot.state === 'halted' ? [slot.error] : []));
  }

  /**
   * Reads until `signal` aborts (open batches are then sealed and committed), or, in a one-pass run, until everything is
   * read. `killSignal` ends even that: what is not committed is read again next time.
   */
  async run(signal: AbortSignal, killSignal: AbortSignal): Promise<void> {
    await this.#o.source.join();
    while (!signal.aborted && !this.#isDone()) {
      this.#followAssignment(killSignal);
      const requests = this.#requests();
      const results = await this.#poll(requests, signal);
      await this.#receive(results, killSignal);
      this.#sealDue(false, killSignal);
      // A tick that read nothing and waits for commits must not spin.
      if (requests.length === 0) await this.#o.clock.sleep(POLL_WAIT_MS / 10, signal);
    }
    await this.#drain(killSignal);
  }

  /** Opens what is newly ours, forgets what is not. A partition that left and came back starts over from its log. */
  #followAssignment(killSignal: AbortSignal): void {
    const assignment = this.#o.source.assignment();
    if (assignment?.token !== this.#assignment?.token) {
      this.#assignment = assignment;
      if (assignment?.retained !== true) this.#slots.clear();
    }
    if (assignment === null) return;
    let opening = [...this.#slots.values()].filter(({ state }) => state === 'opening').length;
    for (const log of assignment.logs) {
      if (opening >= OPENING_MAX) return;
      const name = formatLogId(log);
      if (this.#slots.has(name)) continue;
      opening++;
      const slot: Slot = { state: 'opening' };
      this.#slots.set(name, slot);
      this.#start(this.#openUntilDone(log, name, slot, killSignal));
    }
  }

  async #openUntilDone(log: LogId, name: string, slot: Slot, signal: AbortSignal): Promise<void> {
    let next = 0;
    for (
      let pauseMs = RETRY_FIRST_MS;
      !signal.aborted && this.#slots.get(name) === slot;
      pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)
    ) {
      try {
        const writer = await openPartition(this.#o, log, signal);
        next = writer.head!.next;
        await settlePosition(this.#o, writer, log, signal);
        if (this.#o.once) this.#stopAt.set(name, (await this.#o.source.bounds(log)).latest);
        await this.#assertNotHalted(log, writer.head!.haltedAt);
        const session = new PartitionSession(log, writer, async (start, sample) => {
          const topic = await this.#o.topics.context(log.topic, sample, signal);
          const observer = this.#o.judge.observe();
          const builder = new BatchBuilder({
            log,
            topicId: this.#o.source.topicId(log),
            start,
            limits: this.#o.limits,
            decoder: topic.newDecoder(sample.csvHeader),
            observer,
            batchKey: this.#o.rng.bytes(BATCH_KEY_BYTES),
          });
          return { builder, observer, topic, openedAtMs: this.#o.clock.monotonic() };
        });
        if (this.#slots.get(name) === slot) this.#slots.set(name, { state: 'open', session });
        return;
      } catch (error) {
        if (!this.#isPassing(error)) return this.#halt(log, name, slot, error, next);
        this.#o.events.retrying(name, error as Error);
      }
      await this.#o.clock.sleep(pauseMs, signal);
    }
  }

  async #assertNotHalted(log: LogId, haltedAt: number | null): Promise<void> {
    if (haltedAt !== null && (await this.#o.topics.resumedSeq()) <= haltedAt) throw ruleHalt('halt', formatLogId(log));
  }

  #requests(): ReadRequest[] {
    const { limits } = this.#o;
    const sessions = this.#sessions();
    const held = sessions.reduce((sum, session) => sum + session.bytes, 0);
    if (held >= limits.memoryBytesMax) return [];
    return sessions
      .filter((session) => session.wantsRecords)
      .map((session) => ({
        log: session.log,
        offset: session.next,
        recordsMax: session.roomFor(limits.recordsMax),
        bytesMax: limits.bytesMax,
      }));
  }

  async #poll(requests: readonly ReadRequest[], signal: AbortSignal): Promise<readonly ReadResult[]> {
    if (requests.length === 0) return [];
    const token = this.#assignment?.token;
    try {
      const results = await this.#o.source.poll(requests, POLL_WAIT_MS, signal);
      return this.#o.source.assignment()?.token === token ? results : [];
    } catch (error) {
      if (!this.#isPassing(error)) throw error;
      if (!signal.aborted) this.#o.events.retrying('source', error as Error);
      await this.#o.clock.sleep(RETRY_FIRST_MS, signal);
      return [];
    }
  }

  async #receive(results: readonly ReadResult[], killSignal: AbortSignal): Promise<void> {
    for (const result of results) {
      const name = formatLogId(result.log);
      const slot = this.#slots.get(name);
      if (slot?.state !== 'open') continue;
      const { session } = slot;
      if (result.kind === 'halt') {
        this.#sealAndHalt(session, slot, result.error, killSignal);
        continue;
      }
      if (result.kind === 'records' && !(await this.#take(session, slot, result.chunk))) continue;
      if (result.kind === 'drained' && result.ended) session.end();
      if (this.#o.once && session.next >= (this.#stopAt.get(name) ?? Infinity)) session.end();
    }
  }

  /** @returns false when the partition cannot take the chunk in now: its schema cannot be had. */
  async #take(session: PartitionSession, slot: Slot, chunk: RecordChunk): Promise<boolean> {
    try {
      await session.receive(chunk, this.#o.clock.monotonic());
      return true;
    } catch (error) {
      if (!this.#isPassing(error)) this.#haltSession(session, slot, error);
      else this.#reopen(session, slot);
      return false;
    }
  }

  /** What was read before the trouble is sound: commit it, then stop. */
  #sealAndHalt(session: PartitionSession, slot: Slot, error: Error, killSignal: AbortSignal): void {
    session.end();
    const settle = async (): Promise<void> => {
      while (!session.finished && this.#slots.get(session.name) === slot)
        await this.#o.clock.sleep(POLL_WAIT_MS / 10, killSignal);
      this.#haltSession(session, slot, error);
    };
    this.#start(settle());
  }

  #sealDue(force: boolean, killSignal: AbortSignal): void {
    const { clock, limits } = this.#o;
    const now = clock.monotonic();
    const sessions = this.#sessions();
    const crowded = sessions.reduce((sum, session) => sum + session.bytes, 0) >= limits.memoryBytesMax;
    for (const session of sessions) {
      if (!session.isDue(now, limits.ageMaxMs, force || crowded)) continue;
      session.inFlight++;
      this.#start(this.#commit(session, killSignal));
    }
  }

  /** Sends one batch on its way: judged and encoded at once, committed when it is its turn. */
  async #commit(session: PartitionSession, signal: AbortSignal): Promise<void> {
    const slot = this.#slots.get(session.name);
    const turn = session.takeTurn();
    let committed = false;
    try {
      const sealed = await session.seal(this.#o.clock.monotonic());
      await session.claim(sealed.built.content.start, signal);
      const judged = this.#o.judge.judge(sealed);
      const prepared = await prepareBatch(this.#o.commit, session.writer, sealed.built, judged, sealed.topic, signal);
      // Someone else committed meanwhile, or the partition was taken away or halted: what was buffered is not ours to commit.
      const isOurs = (await turn.before) && this.#slots.get(session.name) === slot;
      if (!isOurs || session.writer.head!.next !== prepared.start) return this.#reopen(session, slot);
      const head = await session.writer.commit(prepared, signal);
      committed = true;
      if (judged.brokenHaltRule !== null)
        this.#haltSession(session, slot, ruleHalt(judged.brokenHaltRule, session.name));
      this.#start(this.#afterCommit(session, head, prepared, judged));
    } catch (error) {
      if (error instanceof ConflictError) return this.#fenced(session, slot, signal);
      if (!this.#isPassing(error)) return this.#haltSession(session, slot, error);
      if (!signal.aborted) this.#o.events.retrying(session.name, error as Error);
      this.#reopen(session, slot);
    } finally {
      session.inFlight--;
      turn.pass(committed);
    }
  }

  /** What follows the point of no return; all of it can be made again from the slot. */
  async #afterCommit(
    session: PartitionSession,
    { slot, digest }: LogHead,
    fields: BatchFields,
    judged: JudgedBatch,
  ): Promise<void> {
    const { log } = session;
    const { start, end, records, deadLetterRecords: deadLetters } = fields;
    this.#o.events.committed({ log, slot, digest, start, end, records, deadLetters, judged });
    const retrying = (error: Error): void => this.#o.events.retrying(session.name, error);
    await Promise.all([
      this.#hint(log, slot, digest, end),
      this.#o.source.commit(log, end, `${slot}:${digest}`).catch(retrying),
    ]);
  }

  /** Tells publishers where to look; losing it costs them a full walk. */
  async #hint(log: LogId, slot: number, digest: string, end: number): Promise<void> {
    const { store, layout } = this.#o.commit;
    const hint = Buffer.from(JSON.stringify({ slot, digest, end }), 'utf8');
    await store.put(layout.headHint(log), hint).catch((error: Error) => this.#o.events.retrying('hint', error));
  }

  async #fenced(session: PartitionSession, slot: Slot | undefined, signal: AbortSignal): Promise<void> {
    const now = this.#o.clock.monotonic();
    const recent = [...(this.#fences.get(session.name) ?? []), now].filter((at) => now - at < FENCE_WINDOW_MS);
    this.#fences.set(session.name, recent);
    if (recent.length >= FENCES_MAX) {
      const halt = new HaltError(
        'FOREIGN_WRITER',
        `Cannot go on with "${session.name}": it was taken over ${recent.length} times in ten minutes (is another consumer group writing to the same pipeline?)`,
      );
      return this.#haltSession(session, slot, halt);
    }
    await this.#o.clock.sleep(FENCED_PAUSE_MS + (this.#o.rng.bytes(1)[0]! / 256) * 4 * FENCED_PAUSE_MS, signal);
    this.#reopen(session, slot);
  }

  /** Drops the session; the next look at the assignment opens the partition again from its log. */
  #reopen(session: PartitionSession, slot: Slot | undefined): void {
    if (slot !== undefined && this.#slots.get(session.name) === slot) this.#slots.delete(session.name);
  }

  #haltSession({ log, name, writer }: PartitionSession, slot: Slot | undefined, error: unknown): void {
    this.#halt(log, name, slot, error, writer.head!.next);
  }

  #halt(log: LogId, name: string, slot: Slot | undefined, error: unknown, next: number): void {
    if (slot === undefined || this.#slots.get(name) !== slot) return;
    const halt =
      error instanceof HeadgateError
        ? error
        : new HaltError('SLOT_INVALID', `Cannot go on with "${name}": ${String(error)}`, { cause: error });
    this.#slots.set(name, { state: 'halted', error: halt });
    this.#o.events.halted(log, halt, next);
  }

  async #drain(killSignal: AbortSignal): Promise<void> {
    while (!killSignal.aborted) {
      this.#sealDue(true, killSignal);
      const busy = this.#sessions().some((session) => session.inFlight > 0 || session.records > 0);
      if (!busy && this.#tasks.size === 0) return;
      await Promise.race([...this.#tasks, this.#o.clock.sleep(POLL_WAIT_MS, killSignal)]);
    }
    await Promise.allSettled(this.#tasks);
  }

  #isDone(): boolean {
    if (!this.#o.once || this.#assignment === null) return false;
    const slots = this.#assignment.logs.map((log) => this.#slots.get(formatLogId(log)));
    return slots.every((slot) => slot?.state === 'halted' || (slot?.state === 'open' && slot.session.finished));
  }

  #sessions(): PartitionSession[] {
    return [...this.#slots.values()].flatMap((slot) => (slot.state === 'open' ? [slot.session] : []));
  }

  #start(task: Promise<void>): void {
    this.#tasks.add(task);
    const forget = (): void => {
      this.#tasks.delete(task);
    };
    task.then(forget, forget);
  }

  #isPassing(error: unknown): boolean {
    return (error instanceof UnavailableError || error instanceof UncertainError) && !(error instanceof IntegrityError);
  }
}
