import type { Clock } from '../../src/ports/clock.ts';

/** A clock on which nobody waits: a sleep moves the time on and is over. */
export class LeapingClock implements Clock {
  #nowMs: number;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return;
    this.#nowMs += ms;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  /** Lets `ms` milliseconds pass. */
  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
