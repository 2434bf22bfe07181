import type { Clock } from '../ports/clock.ts';
import type { Topics } from './topics.ts';
import { isPassing } from './trouble.ts';

/** A partition that a rule has halted looks this often for the `resume` that lets it go on. */
const CHECK_MS = 5_000;

/** Looks now and then whether somebody has resumed; never twice at once, however long a look takes. */
export class ResumeWatch {
  readonly #topics: Pick<Topics, 'resumedSeq'>;
  readonly #clock: Clock;
  readonly #after: number;
  #isLooking = false;
  #lookedAtMs: number;

  /** @param after control seq that the `resume` must exceed. */
  constructor(topics: Pick<Topics, 'resumedSeq'>, clock: Clock, after: number) {
    this.#topics = topics;
    this.#clock = clock;
    this.#after = after;
    this.#lookedAtMs = clock.monotonic();
  }

  /** Whether it is time for another look. */
  get isDue(): boolean {
    return !this.#isLooking && this.#clock.monotonic() - this.#lookedAtMs >= CHECK_MS;
  }

  /** @returns true when somebody has resumed; false also while the store is away. @throws IntegrityError */
  async look(): Promise<boolean> {
    this.#isLooking = true;
    try {
      return (await this.#topics.resumedSeq()) > this.#after;
    } catch (error) {
      if (!isPassing(error)) throw error;
      return false;
    } finally {
      this.#isLooking = false;
      this.#lookedAtMs = this.#clock.monotonic();
    }
  }
}
