import type { IntegrityError } from '../errors.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { Layout } from '../ledger/layout.ts';
import type { Clock } from '../ports/clock.ts';
import { parseLogId } from '../record/log-id.ts';
import type { DamagedLog } from './news.ts';

/** A log that was left out, and what waits while the ref is on hold, is looked at again after so long. */
export const LOOK_AGAIN_MS = 600_000;

/**
 * Logs that a resume after a rollback could not judge again, by the keys of their hints: on their old verdicts nothing of them
 * may be published.
 */
export function unjudgedLogs(layout: Layout, { unjudged }: ControlState, ref: string): Map<string, DamagedLog> {
  const logs = new Map<string, DamagedLog>();
  for (const name of unjudged?.[ref] ?? []) {
    const message = `Cannot publish log "${name}": it was damaged when "${ref}" was resumed after a rollback, and is to be judged again (way out: mend it, then headgate resume --reason TEXT)`;
    const log = parseLogId(name);
    // Of a log that does not say whose it is, only the folder is known.
    const damaged: DamagedLog = { log: name, code: 'UNJUDGED', message };
    for (const hint of [layout.headHints() + name, ...(log === undefined ? [] : [layout.headHint(log)])])
      logs.set(hint, damaged);
  }
  return logs;
}

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
