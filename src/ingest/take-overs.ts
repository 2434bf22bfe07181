import { HaltError, type ConflictError } from '../errors.ts';

/** A process whose claim was lost waits this long, so that two of them do not take a partition from each other in turn. */
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 5_000;
const WINDOW_MS = 600_000;
const TAKE_OVERS_MAX = 3;

/** How often others took one partition over, with no rebalance between. */
export class TakeOvers {
  readonly #name: string;
  readonly #deployment: string;
  #atMs: number[] = [];

  /** @param name of the partition. @param deployment the one that gives way */
  constructor(name: string, deployment: string) {
    this.#name = name;
    this.#deployment = deployment;
  }

  /**
   * @param fenced how it was found out. @param nowMs monotonic. @param chance 0–1, so that two processes do not wait equally
   *   long.
   * @returns pause before the partition is claimed again, ms; FOREIGN_WRITER when it has happened too often
   */
  note({ fields }: ConflictError, nowMs: number, chance: number): number | HaltError {
    this.#atMs = [...this.#atMs, nowMs].filter((at) => nowMs - at < WINDOW_MS);
    if (this.#atMs.length < TAKE_OVERS_MAX) return PAUSE_MIN_MS + chance * (PAUSE_MAX_MS - PAUSE_MIN_MS);
    return new HaltError(
      'FOREIGN_WRITER',
      `Cannot go on with "${this.#name}": it was taken over three times in ten minutes (is another process, or another consumer group, writing to the same pipeline?)`,
      { fields: { ...fields, deployment: this.#deployment } },
    );
  }
}
