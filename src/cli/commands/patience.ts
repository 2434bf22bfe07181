import { HeadgateError, UnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/** Longest that a one-pass run goes on while store or source fail and nothing is written, in ms. */
export const STALLED_MS = 5 * 60_000;
/** Failures of the store so far apart, in ms, with no answer between them: it is away. One alone is an accident. */
const AWAY_MS = 1_000;
/**
 * A failure longer ago, in ms, says nothing of the store now: where it still fails, a write that waits (5 s at most) and is
 * sent again (15 s, unless configured otherwise) has failed since.
 */
const STALE_MS = 30_000;

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

/** Failures that follow each other with no success between them; monotonic ms. */
interface Failing {
  readonly sinceMs: number;
  readonly lastMs: number;
}

/**
 * Says when trying again is of no more use. What cannot be written or read is tried again for ever, which is right for a
 * service: an outage only pauses it. A one-pass run has someone who waits for its end, and who tells a process to stop waits
 * for nothing that a store which refuses will ever take. But what a store that answers can take is written first: a process
 * that stops gives up only where call after call has failed and none was answered.
 */
export class Patience {
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  readonly #stalledMs: number;
  readonly #ended = new AbortController();
  /** Failures since the last write. Reads are no progress: a full disk answers them for ever. */
  readonly #failing = new Map<Place, Failing>();
  /** Failures of the store since it last answered anything. */
  #away: Failing | null = null;
  #last: Error | null = null;
  #error: UnavailableError | null = null;

  constructor({ clock, stop, once, stalledMs = STALLED_MS }: PatienceOptions) {
    this.#clock = clock;
    this.#stop = stop;
    this.#stalledMs = once ? stalledMs : Infinity;
    if (stop.aborted) return;
    stop.addEventListener('abort', () => this.#endIfAway(), { once: true });
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
    this.#away = this.#following(this.#away, STALE_MS);
    this.#note('store', error);
    this.#endIfAway();
  }

  /** The store has answered a call. */
  answered(): void {
    this.#away = null;
  }

  /** Reading is tried again. Where the store is at fault, its own calls tell it. */
  retrying(error: Error): void {
    if (!(error instanceof HeadgateError && error.code.startsWith('STORE_'))) this.#note('source', error);
  }

  /** The store took something. */
  written(): void {
    this.#failing.clear();
    this.#away = null;
  }

  #note(place: Place, error: Error): void {
    const failing = this.#following(this.#failing.get(place) ?? null, this.#stalledMs);
    this.#failing.set(place, failing);
    this.#last = error;
    const forMs = failing.lastMs - failing.sinceMs;
    if (!this.#stop.aborted && forMs >= this.#stalledMs)
      this.#end(
        `Cannot go on: for ${Math.round(forMs / 1_000)} s nothing was written and each try has failed, so this one-pass run gives up; what is committed stays, the rest is left to the next run`,
      );
  }

  /** A failure more. What was followed by so long a silence is over. */
  #following(known: Failing | null, silenceMs: number): Failing {
    const lastMs = this.#clock.monotonic();
    return { sinceMs: known === null || lastMs - known.lastMs > silenceMs ? lastMs : known.sinceMs, lastMs };
  }

  /** The source has nothing to do with what is read already: only the store is waited for. */
  #endIfAway(): void {
    const away = this.#away;
    if (!this.#stop.aborted || away === null || this.#clock.monotonic() - away.lastMs > STALE_MS) return;
    if (away.lastMs - away.sinceMs < AWAY_MS) return;
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
