import { nextSeq, type ControlHead } from '../ledger/control-log.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import type { AlertCause } from './alert-cause.ts';
import type { LedgerContext } from './ledger-context.ts';
import { isTold } from './told.ts';

const READS_AT_ONCE = 16;
/** Control entries that one look reads besides those that are new. */
const PART_ENTRIES = 4_096;
/** Entries read before room is looked for again. */
const STEP_ENTRIES = 64;
/** Acts that are owed at once, give or take a step. */
const OWED_MAX = 3_000;

/** An act that people are told of. */
export type ControlCause = Extract<AlertCause, { about: 'control' }>;

/**
 * The acts of people that are owed, out of a control log of any length.
 *
 * All entries from `#from` up to `#next` have been read, and what is owed of them is remembered; those below are read a part
 * at a time, the newest first, down to where all is settled. Where there is no more room, the oldest are forgotten, and read again
 * when there is. So nothing is lost but by a receipt.
 */
export class OwedActs {
  readonly #control: LedgerContext['control'];
  /** In the order of the log. */
  #owed: ControlCause[] = [];
  #from: number;
  #next: number;
  /** Every act before this entry is settled. */
  #settledTo: number;

  /** @param settledTo number of the control entry before which every act is known to be settled, 0 = none */
  constructor(control: LedgerContext['control'], settledTo: number) {
    this.#control = control;
    this.#settledTo = this.#from = this.#next = settledTo;
  }

  /** Every act before this control entry is settled. */
  get settledTo(): number {
    return this.#settledTo;
  }

  /** True when there is room for what has not been read. */
  get hasMore(): boolean {
    return this.#from > this.#settledTo && this.#owed.length < OWED_MAX;
  }

  /** What is owed, as far as there is room, up to a head. @throws IntegrityError, UnavailableError */
  async find(head: ControlHead): Promise<readonly ControlCause[]> {
    const end = nextSeq(head);
    // Nothing beyond the end can be settled: who says so knows nothing.
    if (this.#settledTo > end) this.#settledTo = 0;
    if (end - this.#next > PART_ENTRIES || this.#next > end) {
      // Too much is new to be read at once: all of it again, the newest first.
      [this.#owed, this.#from, this.#next] = [[], end, end];
    } else {
      this.#owed.push(...(await this.#read(this.#next, end)));
      this.#next = end;
    }
    const dropped = this.#owed.splice(0, Math.max(0, this.#owed.length - OWED_MAX)).at(-1);
    if (dropped !== undefined) this.#from = dropped.seq + 1;
    for (let left = PART_ENTRIES; this.hasMore && left > 0; left -= STEP_ENTRIES) {
      const start = Math.max(this.#settledTo, this.#from - STEP_ENTRIES);
      this.#owed.unshift(...(await this.#read(start, this.#from)));
      this.#from = start;
    }
    this.#settle();
    return this.#owed;
  }

  /** Forgets what every channel has confirmed. */
  settle(told: ReadonlySet<AlertCause>): void {
    this.#owed = this.#owed.filter((cause) => !told.has(cause));
    this.#settle();
  }

  #settle(): void {
    if (this.#from <= this.#settledTo) this.#settledTo = this.#owed[0]?.seq ?? this.#next;
    this.#from = Math.max(this.#from, this.#settledTo);
  }

  async #read(from: number, to: number): Promise<ControlCause[]> {
    const causes: (ControlCause | null)[] = Array.from({ length: to - from }, () => null);
    await eachLimited(causes.keys(), READS_AT_ONCE, async (i) => {
      const seq = from + i;
      const verified = await this.#control.read(seq);
      // Of one that is lost nothing can be told; verify names it.
      if (verified !== null && isTold(verified)) causes[i] = { about: 'control', seq, digest: verified.digest };
    });
    return causes.filter((cause) => cause !== null);
  }
}
