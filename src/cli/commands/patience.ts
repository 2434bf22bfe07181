import { HeadgateError, UnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/** Longest that a one-pass run goes on while store or source fail and nothing is written, in ms. */
export const STALLED_MS = 5 * 60_000;
/** Longest that a store which fails is waited for once the process was told to stop, in ms. */
const STOPPED_MS = 1_000;

/** What cannot be used. */
type Place = 'store' | 'source';

/** What {@link Patience} is made of. */
export interface PatienceOptions {
  readonly clock: Clock;
  /** Aborts when the process is told to stop. */
  readonly stop: AbortSignal;
  /** True if the process is to read what there is and end. */
  readonly once: boolean;
  /** Default {@link STALLED_MS}. */
  readonly stalledMs?: number;
}

/**
 * Says when trying again is of no more use. What cannot be written or read is tried again for ever, which is right for a
 * service: an outage only pauses it. A one-pass run has someone who waits for its end, and who tells a process to stop waits
 * for nothing that a store which refuses will ever take.
 */
export class Patience {
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  readonly #stalledMs: number;
  readonly #ended = new AbortController();
  /** Since when a place has failed, and when it did last; monotonic ms. */
  readonly #failing = new Map<Place, { sinceMs: number; lastMs: number }>();
  #last: Error | null = null;
  #error: UnavailableError | null = null;

  constructor({ clock, stop, once, stalledMs = STALLED_MS }: PatienceOptions) {
    this.#clock = clock;
    this.#stop = stop;
    this.#stalledMs = once ? stalledMs : Infinity;
    if (stop.aborted) return;
    stop.addEventListener('abort', () => this.#watchStopped(), { once: true });
  }

  /** Aborts when it is at an end: nothing is to be waited for any longer. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** @throws UnavailableError once it is at an end */
  assertGoesOn(): void {
    if (this.#error !== null) throw this.#error;
  }

  /** A call of the store has failed. */
  failed(error: Error): void {
    this.#note('store', error);
  }

  /** Reading is tried again. Where the store is at fault, its own calls tell it. */
  retrying(error: Error): void {
    if (!(error instanceof HeadgateError && error.code.startsWith('STORE_'))) this.#note('source', error);
  }

  /** The store took something. */
  written(): void {
    this.#failing.clear();
  }

  #note(place: Place, error: Error): void {
    const nowMs = this.#clock.monotonic();
    const known = this.#failing.get(place);
    // What was followed by so long a silence is over.
    const sinceMs = known === undefined || nowMs - known.lastMs > this.#stalledMs ? nowMs : known.sinceMs;
    this.#failing.set(place, { sinceMs, lastMs: nowMs });
    this.#last = error;
    if (this.#stop.aborted) return this.#watchStopped();
    if (nowMs - sinceMs >= this.#stalledMs)
      this.#end(
        `Cannot go on: for ${Math.round((nowMs - sinceMs) / 1_000)} s nothing was written and each try has failed, so this one-pass run gives up; what is committed stays, the rest is left to the next run`,
      );
  }

  /** The source has nothing to do with what is read already: only the store is waited for. */
  #watchStopped(): void {
    const failing = this.#failing.get('store');
    if (failing === undefined || this.#error !== null) return;
    const restMs = failing.sinceMs + STOPPED_MS - this.#clock.monotonic();
    if (restMs > 0) {
      void this.#clock.sleep(restMs, this.ended).then(() => this.#watchStopped());
      return;
    }
    this.#end('Stopped while the store could not be used: what is committed stays, the rest is left to the next run');
  }

  #end(what: string): void {
    if (this.#error !== null) return;
    const { message = '' } = this.#last ?? {};
    const code = this.#last instanceof HeadgateError ? this.#last.code : 'STORE_UNAVAILABLE';
    this.#error = new UnavailableError(code, `${what}; last of all: ${message}`, { cause: this.#last });
    this.#ended.abort();
  }
}
