import { IntegrityError, RequestError } from '../errors.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { Layout } from '../ledger/layout.ts';
import type { Clock } from '../ports/clock.ts';
import type { DamagedLog } from './news.ts';

/** A log that was left out, and what waits while the ref is on hold, is looked at again after so long. */
export const LOOK_AGAIN_MS = 600_000;

/** Most logs that one control entry can name, and how long their names may be as JSON: what readers accept. */
const NAMED_MAX = 1_000;
const NAMED_BYTES_MAX = 131_072;

/**
 * Logs that a resume after a rollback could not judge again, by the keys of their hints: on their old verdicts nothing of them
 * may be published.
 */
export function unjudgedLogs(layout: Layout, { unjudged }: ControlState, ref: string): Map<string, DamagedLog> {
  const logs = new Map<string, DamagedLog>();
  for (const name of unjudged?.[ref] ?? []) {
    const hint = layout.headHintNamed(name);
    const message = `Cannot publish log "${name}": it was damaged when "${ref}" was resumed after a rollback, and is to be judged again (way out: mend it, then headgate resume --reason TEXT)`;
    if (hint !== null) logs.set(hint, { log: name, code: 'UNJUDGED', message });
  }
  return logs;
}

/**
 * Names of damaged logs as a control entry can hold them, in order; the entry has no other way to leave them open.
 * @param what the act, such as `resume "main"`; @param wayOut what helps besides mending the logs
 * @throws RequestError when they are more than an entry can name
 */
export function namesOfDamaged(names: Iterable<string>, what: string, wayOut: string): string[] {
  const sorted = [...names].toSorted();
  const bytes = Buffer.byteLength(JSON.stringify(sorted), 'utf8');
  if (sorted.length <= NAMED_MAX && bytes <= NAMED_BYTES_MAX) return sorted;
  throw new RequestError(
    'REQUEST_INVALID',
    `Cannot ${what}: ${sorted.length} damaged logs would have to be named in one control entry, whose limit is ${NAMED_MAX} logs and ${NAMED_BYTES_MAX} bytes of names (here ${bytes}), among them ${sorted.slice(0, 3).join(', ')} (way out: put them back as they were, from a copy of the store or from earlier versions of its objects, until few enough are left: headgate verify names what differs; ${wayOut})`,
  );
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

  /** Leaves out the log that an error is about. @returns false when it is about none, or leaving it out has not helped */
  add({ object, code, message }: IntegrityError): boolean {
    const hint = this.#layout.headHintOf(object);
    if (hint === null || this.#logs.has(hint)) return false;
    if (this.#logs.size === 0) this.#sinceMs = this.#clock.monotonic();
    this.#logs.set(hint, { log: hint.slice(this.#layout.headHints().length), code, message });
    return true;
  }

  /**
   * Leaves out the logs of all faults but the one that it throws, so that whoever catches that one and adds it starts over
   * once, however many logs are damaged. One that is about no log is thrown before all others.
   */
  assertNone(faults: readonly IntegrityError[]): void {
    const hintOf = ({ object }: IntegrityError): string | null => this.#layout.headHintOf(object);
    const thrown = faults.find((fault) => hintOf(fault) === null) ?? faults[0];
    if (thrown === undefined) return;
    for (const fault of faults) if (hintOf(fault) !== hintOf(thrown)) this.add(fault);
    throw thrown;
  }

  /** Leaves none out any more once it is time to look again. @returns true when it was */
  clearIfDue(): boolean {
    if (this.#logs.size === 0 || this.#clock.monotonic() - this.#sinceMs < LOOK_AGAIN_MS) return false;
    this.#logs.clear();
    return true;
  }
}
