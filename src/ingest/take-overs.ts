/** A process whose claim was lost waits this long, so that two of them do not take a partition from each other in turn. */
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 5_000;
const WINDOW_MS = 600_000;
const TAKE_OVERS_MAX = 3;

/** How often others took one partition over, with no rebalance between. */
export class TakeOvers {
  #atMs: number[] = [];

  /**
   * @param nowMs monotonic. @param chance 0–1, so that two processes do not wait equally long.
   * @returns pause before the partition is claimed again, ms; null when it has happened too often
   */
  note(nowMs: number, chance: number): number | null {
    this.#atMs = [...this.#atMs, nowMs].filter((at) => nowMs - at < WINDOW_MS);
    return this.#atMs.length < TAKE_OVERS_MAX ? PAUSE_MIN_MS + chance * (PAUSE_MAX_MS - PAUSE_MIN_MS) : null;
  }
}
