import { ConflictError, HaltError, type HeadgateError } from '../errors.ts';
import type { LogHead } from '../ledger/log-head.ts';
import type { BatchFields, PartitionWriter } from '../ledger/partition-writer.ts';
import type { Clock } from '../ports/clock.ts';
import type { ReadRequest, ReadResult } from '../ports/record-source.ts';
import type { Rng } from '../ports/rng.ts';
import type { RecordChunk } from '../record/chunk.ts';
import { BATCH_KEY_BYTES } from '../record/leaf.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import { BatchBuilder, type BatchLimits } from './batch-builder.ts';
import { announceCommit, prepareBatch, type CommitContext } from './commit-batch.ts';
import type { IngestEvents } from './events.ts';
import type { BatchJudge, JudgedBatch } from './judge-batch.ts';
import { openPartition, settlePosition, type OpenContext } from './partition.ts';
import { PartitionSession, type OpenBatch } from './partition-session.ts';
import { ResumeWatch } from './resume-watch.ts';
import { assertNotHalted, ruleHalt } from './rule-halt.ts';
import type { Topics } from './topics.ts';
import { TakeOvers } from './take-overs.ts';
import { asHalt, isPassing } from './trouble.ts';

/** What every runner of a process shares. */
export interface RunnerContext extends OpenContext {
  readonly topics: Topics;
  readonly judge: BatchJudge;
  readonly commit: CommitContext;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly limits: BatchLimits & { readonly ageMaxMs: number };
  readonly events: IngestEvents;
  /** Read what is there now, then stop. */
  readonly once: boolean;
}

const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 10_000;

interface Halt {
  readonly error: HeadgateError;
  /** Null when no `resume` is the way out. */
  readonly resume: ResumeWatch | null;
}

/**
 * One partition for as long as it is ours: opened from its log, read into batches, committed in order.
 *
 * Trouble that passes drops what is buffered and opens the partition again from its log: nothing that was read counts
 * until its slot exists. Other trouble halts this partition alone.
 */
export class PartitionRunner {
  readonly log: LogId;
  readonly name: string;
  readonly #c: RunnerContext;
  readonly #signal: AbortSignal;
  readonly #start: (task: Promise<void>) => void;
  /** Null while it is opened, and once it has halted or is no longer ours. */
  #session: PartitionSession | null = null;
  /** Whose request the poll that is under way carries: what it brings means nothing to a session that was opened since. */
  #asking: PartitionSession | null = null;
  #halt: Halt | null = null;
  #left = false;
  /** Past this offset a one-pass run does not read on. */
  #stopAt: number | null = null;
  readonly #takeOvers: TakeOvers;

  /**
   * @param start keeps track of work in the background. @param signal ends everything; what is not committed is read again
   * next time. As many listen to it as there are partitions.
   */
  constructor(context: RunnerContext, log: LogId, start: (task: Promise<void>) => void, signal: AbortSignal) {
    this.log = log;
    this.name = formatLogId(log);
    this.#c = context;
    this.#takeOvers = new TakeOvers(this.name, context.writers.deployment);
    this.#start = start;
    this.#signal = signal;
    start(this.#open(0));
  }

  get opening(): boolean {
    return this.#session === null && this.#halt === null && !this.#left;
  }

  /** True when nothing more will come of this partition in a one-pass run. */
  get finished(): boolean {
    return this.#halt !== null || this.#session?.finished === true;
  }

  /** True while something of it may still be committed. */
  get busy(): boolean {
    return this.#session !== null && (this.#session.inFlight > 0 || this.#session.hasUncommitted);
  }

  /** Bytes that it holds: read, and on their way to the ledger. */
  get bytes(): number {
    return this.#session?.bytes ?? 0;
  }

  /** Bytes of the batch that could be sealed now. */
  get sealableBytes(): number {
    return this.#session?.sealableBytes ?? 0;
  }

  /** The partition is no longer ours: what is buffered is not ours to commit. */
  leave(): void {
    this.#left = true;
    this.#session = null;
  }

  /** What to read next; null for nothing. */
  request(): ReadRequest | null {
    const session = this.#session;
    this.#asking = session;
    if (session === null || !session.wantsRecords) return null;
    const { recordsMax, bytesMax } = this.#c.limits;
    return { log: this.log, offset: session.next, recordsMax: session.roomFor(recordsMax), bytesMax };
  }

  /** Takes in what the poll has brought that carried the newest request. */
  async receive(result: ReadResult): Promise<void> {
    const session = this.#session;
    if (session === null || session !== this.#asking) return;
    // What was read before the trouble is sound: it is committed first.
    if (result.kind === 'halt') session.endWith(result.error);
    if (result.kind === 'drained' && result.ended) session.end();
    if (result.kind === 'drained' && result.unread !== undefined) this.#c.events.unread(this.log, result.unread);
    try {
      if (result.kind === 'records') await session.receive(result.chunk, this.#c.clock.monotonic());
    } catch (error) {
      return this.#fail(session, error);
    }
    // It may have failed meanwhile.
    if (this.#session !== session) return;
    if (session.trouble === null && !this.busy) this.#c.events.reading(this.log);
    if (this.#stopAt !== null && session.next >= this.#stopAt) session.end();
    this.#conclude(session);
  }

  /** Sends a batch on its way if it is due, or, when forced, whatever there is. Looks for a `resume` where a rule halted. */
  tick(force: boolean): void {
    const { clock, limits, once } = this.#c;
    const now = clock.monotonic();
    const session = this.#session;
    if (session?.isDue(now, limits.ageMaxMs, force) === true) this.#start(this.#commit(session));
    const watch = this.#halt?.resume;
    if (watch?.isDue === true && !once && !this.#left) this.#start(this.#lookForResume(watch));
  }

  /** Lets go of records that no batch was begun with: whoever reads on reads them again. */
  letGo(): void {
    this.#session?.letGo();
  }

  async #open(pauseMs: number): Promise<void> {
    const { clock, source, topics, once } = this.#c;
    await clock.sleep(pauseMs, this.#signal);
    for (
      let retryMs = RETRY_FIRST_MS;
      !this.#left && !this.#signal.aborted;
      retryMs = Math.min(2 * retryMs, RETRY_MAX_MS)
    ) {
      let writer: PartitionWriter | null = null;
      let waitMs = retryMs;
      try {
        writer = await openPartition(this.#c, this.log, this.#signal);
        await assertNotHalted(this.#c.writers, writer.head!, () => topics.resumedSeq());
        await settlePosition(this.#c, writer, this.log, this.#signal);
        if (once) this.#stopAt ??= (await source.bounds(this.log)).latest;
        if (!this.#left) this.#session = new PartitionSession(this.log, writer, this.#openBatch.bind(this));
        return;
      } catch (error) {
        const next = error instanceof ConflictError ? this.#noteTakeOver(error) : isPassing(error) ? retryMs : error;
        if (typeof next !== 'number') return this.#haltAt(writer?.head ?? null, next);
        waitMs = next;
        this.#c.events.retrying(this.name, error as Error);
      }
      await clock.sleep(waitMs, this.#signal);
    }
  }

  /** Null while there are too few records to learn a schema from. */
  async #openBatch(
    start: number,
    waiting: readonly RecordChunk[],
    isLast: boolean,
  ): Promise<Omit<OpenBatch, 'openedAtMs'> | null> {
    const { clock, topics, judge, limits, rng, source, commit } = this.#c;
    const topic = await topics.context(this.log.topic, waiting, isLast, this.#signal);
    if (topic === null) return null;
    const observer = judge.observe();
    const builder = new BatchBuilder({
      log: this.log,
      topicId: source.topicId(this.log),
      start,
      nowMs: clock.now(),
      limits: { ...limits, recordsMax: Math.min(limits.recordsMax, topic.recordsMax) },
      decoder: topic.newDecoder(waiting[0]!.csvHeader),
      observer,
      batchKey: rng.bytes(BATCH_KEY_BYTES),
      memory: commit.encoder,
    });
    return { builder, observer, topic };
  }

  /** Sends one batch on its way: judged and encoded at once, committed when it is its turn. */
  async #commit(session: PartitionSession): Promise<void> {
    const { clock, judge, commit } = this.#c;
    session.inFlight++;
    const turn = session.takeTurn();
    let committed = false;
    try {
      const sealed = await session.seal(clock.monotonic());
      if (sealed === null) return;
      await session.claim(sealed.built.content.start, this.#signal);
      const judged = judge.judge(sealed);
      const fields = await prepareBatch(commit, session.writer, sealed.built, judged, sealed.topic, this.#signal);
      const isOurs = (await turn.before) && this.#session === session;
      // Someone else has committed meanwhile.
      if (!isOurs || session.writer.head!.next !== fields.start) return this.#reopen(session, 0);
      // Who resumed before the halt has not meant it: the entry names what had been decided when it was written.
      const isHalt = judged.brokenHaltRules.length > 0;
      const latest = isHalt ? { ...fields, controlSeq: await this.#c.topics.controlSeq() } : fields;
      const head = await session.writer.commit(latest, this.#signal);
      committed = true;
      session.committed(sealed.built.bytes);
      this.#start(this.#afterCommit(head, fields, judged));
      if (isHalt) this.#haltAt(head, ruleHalt(this.log, head.next, judged.brokenHaltRules));
    } catch (error) {
      if (error instanceof ConflictError) this.#fenced(session, error);
      else this.#fail(session, error);
    } finally {
      session.inFlight--;
      turn.pass(committed);
      this.#conclude(session);
    }
  }

  /** What follows the point of no return; all of it can be made again from the slot. */
  async #afterCommit(head: LogHead, fields: BatchFields, judged: JudgedBatch): Promise<void> {
    const { events, source, commit } = this.#c;
    const { slot, digest } = head;
    const { start, end, records, deadLetterRecords: deadLetters } = fields;
    events.committed({ log: this.log, slot, digest, start, end, records, deadLetters, judged });
    if (this.#halt === null) events.reading(this.log);
    await announceCommit(commit, source, head, (error) => events.retrying(this.name, error));
  }

  #fenced(session: PartitionSession, error: ConflictError): void {
    if (this.#session !== session) return;
    const next = this.#noteTakeOver(error);
    if (next instanceof HaltError) this.#haltAt(session.writer.head, next);
    else this.#reopen(session, next);
  }

  #noteTakeOver(error: ConflictError): number | HaltError {
    return this.#takeOvers.note(error, this.#c.clock.monotonic(), this.#c.rng.bytes(1)[0]! / 255);
  }

  #fail(session: PartitionSession, error: unknown): void {
    if (this.#session !== session) return;
    if (!isPassing(error)) return this.#haltAt(session.writer.head, error);
    if (!this.#signal.aborted) this.#c.events.retrying(this.name, error as Error);
    this.#reopen(session, RETRY_FIRST_MS);
  }

  /** Drops what is buffered and begins again from the log. */
  #reopen(session: PartitionSession, pauseMs: number): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.#start(this.#open(pauseMs));
  }

  /** Once everything that was read before some trouble is committed: the trouble. */
  #conclude(session: PartitionSession): void {
    const { trouble } = session;
    if (this.#session !== session || trouble === null || !session.finished) return;
    // Opening again signs the gap.
    if (trouble instanceof HaltError && trouble.code === 'GAP' && this.#c.onGap === 'continue')
      this.#reopen(session, 0);
    else this.#fail(session, trouble);
  }

  #haltAt(head: LogHead | null, error: unknown): void {
    if (this.#left || this.#halt !== null) return;
    const known = asHalt(this.name, error);
    const { topics, clock } = this.#c;
    const haltedAt = known.code === 'RULE' ? (head?.haltedAt ?? null) : null;
    this.#session = null;
    this.#halt = { error: known, resume: haltedAt === null ? null : new ResumeWatch(topics, clock, haltedAt) };
    this.#c.events.halted(this.log, known, head?.next ?? 0);
  }

  async #lookForResume(watch: ResumeWatch): Promise<void> {
    const isResumed = await watch.look();
    if (!isResumed || this.#left || this.#halt?.resume !== watch) return;
    this.#halt = null;
    this.#c.events.resumed(this.log);
    await this.#open(0);
  }
}
