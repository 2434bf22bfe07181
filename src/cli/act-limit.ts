import type { ActWatch } from '../compose/ledger.ts';
import type { StoreWatch } from '../compose/watched-store.ts';
import { HeadgateError, UncertainError, UnavailableError } from '../errors.ts';
import type { VerifiedControlEntry } from '../ledger/control-log.ts';
import type { Clock } from '../ports/clock.ts';

/** Longest that an act goes on while the store takes nothing, in ms. */
export const ACT_STALLED_MS = 60_000;
/** Longest that is waited for the answer to what was sent when an act ended, in ms: more than one request takes. */
const SETTLE_MS = 20_000;

/** What {@link ActLimit} is made of. */
export interface ActLimitOptions {
  readonly clock: Clock;
  /** Aborts when the process is told to stop. */
  readonly stop: AbortSignal;
  /** Aborts when it is told so again. */
  readonly kill: AbortSignal;
  /** Default {@link ACT_STALLED_MS}. */
  readonly stalledMs?: number;
}

/**
 * Ends a command that signs what a person decided. Someone waits for it, and must not find later that it has acted after
 * all: it ends with the first signal, and after a bounded time in which the store took nothing. Nothing is sent any more
 * then; what was sent is found out, for a while.
 */
export class ActLimit implements Disposable {
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  readonly #kill: AbortSignal;
  readonly #stalledMs: number;
  readonly #ended = new AbortController();
  readonly #settled = new AbortController();
  readonly #done = new AbortController();
  readonly #appended: VerifiedControlEntry[] = [];
  /** Since when nothing was written and creates have failed, monotonic ms; null while they do not. */
  #sinceMs: number | null = null;
  /** For how long, in ms, when that was too long; null when it was not. */
  #stalledForMs: number | null = null;
  #last: Error | null = null;

  constructor({ clock, stop, kill, stalledMs = ACT_STALLED_MS }: ActLimitOptions) {
    this.#clock = clock;
    this.#stop = stop;
    this.#kill = kill;
    this.#stalledMs = stalledMs;
    stop.addEventListener('abort', this.#end);
    kill.addEventListener('abort', this.#settle);
    if (stop.aborted) this.#end();
    if (kill.aborted) this.#settle();
  }

  /** Aborts when nothing is to be begun any more. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** For the store that everything but the entries themselves goes through. */
  get watch(): StoreWatch {
    return this.#watch(this.#ended.signal);
  }

  /** For the entries. */
  get act(): ActWatch {
    return { watch: this.#watch(this.#settled.signal), appended: (entry) => this.#appended.push(entry) };
  }

  /** The error to tell in the place of one that this limit has caused; any other one as it is. */
  explain(error: unknown): unknown {
    if (!this.#ended.signal.aborted || !(error instanceof UnavailableError || error instanceof UncertainError))
      return error;
    const done = this.#appended.map(({ entry }) => `${entry.seq} (${entry.kind})`).join(', ');
    const slot = error.fields['slot'];
    if (slot !== undefined)
      return new UncertainError(
        'STORE_UNCERTAIN',
        `Cannot tell whether "${slot}" was signed and stored: it was sent, and the store did not answer before this call ended (mend: headgate log tells, once the store answers)${done === '' ? '' : `; signed before it: control entries ${done}`}`,
        { cause: error, fields: error.fields },
      );
    const outcome =
      done === ''
        ? 'nothing was signed, and the same call may be made again'
        : `control entries ${done} are signed and stand, the rest was not done (headgate log shows them; call it again for the rest)`;
    if (this.#stalledForMs === null) return new UnavailableError('STOPPED', `Stopped: ${outcome}`, { cause: error });
    const { message = '' } = this.#last ?? {};
    return new UnavailableError(
      this.#last instanceof HeadgateError ? this.#last.code : 'STORE_UNAVAILABLE',
      `Cannot go on: for ${Math.round(this.#stalledForMs / 1_000)} s the store has taken nothing, so this call gives up; ${outcome}; last of all: ${message}`,
      { cause: this.#last },
    );
  }

  [Symbol.dispose](): void {
    this.#done.abort();
    this.#stop.removeEventListener('abort', this.#end);
    this.#kill.removeEventListener('abort', this.#settle);
  }

  #watch(ended: AbortSignal): StoreWatch {
    return {
      failed: (error) => this.#failed(error),
      answered: () => undefined,
      written: () => (this.#sinceMs = null),
      ended,
    };
  }

  #failed(error: Error): void {
    const nowMs = this.#clock.monotonic();
    this.#sinceMs ??= nowMs;
    this.#last = error;
    const forMs = nowMs - this.#sinceMs;
    if (this.#ended.signal.aborted || forMs < this.#stalledMs) return;
    this.#stalledForMs = forMs;
    this.#end();
  }

  readonly #end = (): void => {
    this.#ended.abort();
    void this.#clock.sleep(SETTLE_MS, this.#done.signal).then(this.#settle);
  };

  readonly #settle = (): void => this.#settled.abort();
}
