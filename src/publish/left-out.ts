import type { IntegrityError } from '../errors.ts';
import type { Layout } from '../ledger/layout.ts';
import type { Clock } from '../ports/clock.ts';
import type { DamagedLog } from './news.ts';

/** A log that was left out is looked at again after so long. */
const LOOK_AGAIN_MS = 600_000;

/** Logs with a batch that cannot be judged or published as it was signed, by the keys of the logs' hints. */
export class LeftOut {
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #logs = new Map<string, DamagedLog>();
  #sinceMs = 0;

  constructor({ layout, clock }: { readonly layout: Layout; readonly clock: Clock }) {
    this.#layout = layout;
    this.#clock = clock;
  }

  get logs(): ReadonlyMap<string, DamagedLog> {
    return this.#logs;
  }

  /** Leaves out the log that an error is about. @returns false when it is about none, or leaving it out has not helped. */
  add({ object, code, message }: IntegrityError): boolean {
    const hint = this.#layout.headHintOf(object);
    if (hint === null || this.#logs.has(hint)) return false;
    if (this.#logs.size === 0) this.#sinceMs = this.#clock.monotonic();
    this.#logs.set(hint, { log: hint.slice(this.#layout.headHints().length), code, message });
    return true;
  }

  /** Leaves none out any more once it is time to look again. @returns true when it was */
  clearIfDue(): boolean {
    if (this.#logs.size === 0 || this.#clock.monotonic() - this.#sinceMs < LOOK_AGAIN_MS) return false;
    this.#logs.clear();
    return true;
  }
}
