import type { Clock } from '../../src/ports/clock.ts';

interface Sleeper {
  readonly wakesAtMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is told to go on; sleepers wake in the order of their times. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #sleepers: Sleeper[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  /** Milliseconds asked for by each sleep that is under way, soonest first. */
  get sleeping(): readonly number[] {
    return this.#sleepers.map(({ wakesAtMs }) => wakesAtMs - this.#nowMs).sort((a, b) => a - b);
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const sleeper: Sleeper = { wakesAtMs: this.#nowMs + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => this.#wake(sleeper), { once: true });
    });
  }

  /** Lets `ms` milliseconds pass, one wake-up at a time, each followed by everything it sets off. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const [next] = this.#sleepers.toSorted((a, b) => a.wakesAtMs - b.wakesAtMs);
      if (next === undefined || next.wakesAtMs > endMs) break;
      this.#nowMs = next.wakesAtMs;
      this.#wake(next);
      await settle();
    }
    this.#nowMs = endMs;
  }

  #wake(sleeper: Sleeper): void {
    const at = this.#sleepers.indexOf(sleeper);
    if (at < 0) return;
    this.#sleepers.splice(at, 1);
    sleeper.wake();
  }
}

/** Until all promises that can settle without time or I/O have settled. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
