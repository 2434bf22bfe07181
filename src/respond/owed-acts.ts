import { IntegrityError } from '../errors.ts';
import { nextSeq, type ControlHead } from '../ledger/control-log.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import type { AlertCause } from './alert-cause.ts';
import type { LedgerContext } from './ledger-context.ts';
import { joinRanges, type SeqRange } from './seq-ranges.ts';
import { isTold } from './told.ts';

const READS_AT_ONCE = 16;
/** Control entries that one look reads. */
const PART_ENTRIES = 4_096;
/** Entries read before room is looked for again. */
const STEP_ENTRIES = 64;
/** Acts that are owed at once, give or take a step. */
const OWED_MAX = 3_000;
/** Ranges of entries that are told apart. */
const RANGES_MAX = 64;

/** An act that people are told of. */
export type ControlCause = Extract<AlertCause, { about: 'control' }>;

/** What is settled of a control log: all before `next`, but for what lies in some ranges. */
export interface ActsProgress {
  readonly next: number;
  /** At most 64, lowest first, apart from each other. */
  readonly unsettled: readonly SeqRange[];
}

/** Nothing is settled, or nobody knows. */
export const NOTHING_SETTLED: ActsProgress = { next: 0, unsettled: [] };

/**
 * The acts of people that are owed, out of a control log of any length.
 *
 * What has been read is remembered as far as it is owed; what has not is read a part at a time, the newest first, and what has
 * just come even where there is no room. Then the oldest are forgotten, and read again when there is. So nothing is lost but by a
 * receipt.
 */
export class OwedActs {
  readonly #ledger: LedgerContext;
  /** In the order of the log, but while a look runs. */
  #owed: ControlCause[] = [];
  /** What was not read of the entries before `#next`, lowest first. */
  #unread: SeqRange[];
  /** Entries that are lost or altered: they may be put back. */
  #damaged: SeqRange[] = [];
  #next: number;

  /** @param progress what is known to be settled. */
  constructor(ledger: LedgerContext, { next, unsettled }: ActsProgress) {
    this.#ledger = ledger;
    this.#next = next;
    this.#unread = [...unsettled];
  }

  /** What is settled by now, for a process that starts. */
  get progress(): ActsProgress {
    return {
      next: this.#next,
      unsettled: joinRanges([...this.#unread, ...this.#damaged, ...this.#owed.map(rangeOf)], RANGES_MAX),
    };
  }

  /** True when there is room for what has not been read. */
  get hasMore(): boolean {
    return this.#unread.length > 0 && this.#owed.length < OWED_MAX;
  }

  /** What is owed, as far as there is room, up to a head. @throws UnavailableError */
  async find(head: ControlHead): Promise<readonly ControlCause[]> {
    const end = nextSeq(head);
    // Nothing beyond the end can be settled: who says so knows nothing.
    if (this.#next > end) [this.#owed, this.#unread, this.#damaged, this.#next] = [[], [], [], 0];
    const before = this.#next;
    const isNew = ({ from }: SeqRange): boolean => from >= before;
    if (before < end) {
      this.#unread = joinRanges([...this.#unread, ...this.#damaged], RANGES_MAX);
      this.#damaged = [];
      this.#unread.push({ from: before, to: end });
    }
    this.#next = end;
    for (let left = PART_ENTRIES; left > 0; left -= STEP_ENTRIES) {
      const range = this.#unread.at(-1);
      if (range === undefined || !(isNew(range) || this.hasMore)) break;
      await this.#readTop(range);
    }
    this.#owed.sort((a, b) => a.seq - b.seq);
    if (this.#owed.length > OWED_MAX + STEP_ENTRIES) {
      const forgotten = this.#owed.splice(0, this.#owed.length - OWED_MAX).map(rangeOf);
      this.#unread = joinRanges([...this.#unread, ...forgotten], RANGES_MAX);
    }
    return [...this.#owed];
  }

  /** Forgets what every channel has confirmed. */
  settle(told: ReadonlySet<AlertCause>): void {
    this.#owed = this.#owed.filter((cause) => !told.has(cause));
  }

  /** Reads the newest entries of the newest range. */
  async #readTop({ from, to }: SeqRange): Promise<void> {
    const start = Math.max(from, to - STEP_ENTRIES);
    const causes = await this.#read(start, to);
    this.#unread.splice(-1, 1, ...(start > from ? [{ from, to: start }] : []));
    const known = new Set(this.#owed.map(({ seq }) => seq));
    for (const cause of causes) if (!known.has(cause.seq)) this.#owed.push(cause);
  }

  async #read(from: number, to: number): Promise<ControlCause[]> {
    const causes: (ControlCause | null)[] = Array.from({ length: to - from }, () => null);
    await eachLimited(causes.keys(), READS_AT_ONCE, async (i) => {
      causes[i] = await this.#causeAt(from + i);
    });
    return causes.filter((cause) => cause !== null);
  }

  /**
   * Of an entry that is lost or altered nothing can be told, and it must not keep the others from being: verify names it. Where
   * it is put back, a later look finds it.
   */
  async #causeAt(seq: number): Promise<ControlCause | null> {
    try {
      const verified = await this.#ledger.control.read(seq);
      if (verified === null) return this.#noteDamaged(seq);
      return (await isTold(this.#ledger, verified)) ? { about: 'control', seq, digest: verified.digest } : null;
    } catch (error) {
      if (error instanceof IntegrityError) return this.#noteDamaged(seq);
      throw error;
    }
  }

  #noteDamaged(seq: number): null {
    this.#damaged.push({ from: seq, to: seq + 1 });
    return null;
  }
}

function rangeOf({ seq }: ControlCause): SeqRange {
  return { from: seq, to: seq + 1 };
}
