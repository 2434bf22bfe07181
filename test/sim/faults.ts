import { fractionOf, hashText } from './rng.ts';

/**
 * Decides which of the faults that could happen do happen. Whether one does depends on the seed and its name alone, so
 * that leaving others out does not change it: a failing run can be made smaller one fault at a time.
 */
export class FaultPlan {
  readonly #seed: number;
  readonly #only: ReadonlySet<string> | null;
  #endsAtMs = Infinity;
  readonly #happened: string[] = [];

  /** @param only names of the faults that may happen; null = all. */
  constructor(seed: number, only: ReadonlySet<string> | null) {
    this.#seed = seed;
    this.#only = only;
  }

  /** Names of the faults that have happened so far, in order. */
  get happened(): readonly string[] {
    return this.#happened;
  }

  /** Simulated time from which on nothing goes wrong any more. */
  endAt(ms: number): void {
    this.#endsAtMs = ms;
  }

  /** Whether a fault named `<where>#<count>:<kind>` happens, of the given probability. */
  strikes(nowMs: number, where: string, count: number, kind: string, probability: number): boolean {
    if (probability === 0 || nowMs >= this.#endsAtMs) return false;
    if (fractionOf(this.#seed, hashText(`${where}:${kind}`), count) >= probability) return false;
    return this.allows(`${where}#${count}:${kind}`);
  }

  /** Whether a fault that was planned by name happens. */
  allows(name: string): boolean {
    if (this.#only !== null && !this.#only.has(name)) return false;
    this.#happened.push(name);
    return true;
  }
}
