import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { ERROR_CODES, type HeadgateError } from '../errors.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { Count, Time } from '../ledger/stored-types.ts';
import { formatLogId, parseLogId, type LogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/** Longest message that is noted, in characters. */
const MESSAGE_MAX = 2_000;
const LIST_PAGE = 1_000;

const Note = Type.Object(
  {
    log: Type.String({ maxLength: 4_096 }),
    code: Type.Enum(Object.keys(ERROR_CODES)),
    message: Type.String({ maxLength: MESSAGE_MAX }),
    /** First offset that is not committed. */
    next: Count,
    since: Time,
  },
  { additionalProperties: false },
);

/** What a process told of a partition that it has halted. */
export type HaltNote = Static<typeof Note>;

/**
 * Notes of the partitions that this process has halted, for those who look at the store and not at the process.
 *
 * A halt is no part of the log: nothing may be written to a log that cannot be trusted to go on. So this is a hint, not
 * signed, and it may be lost; what is noted is taken back when the partition is read on, or is not there any more.
 */
export class HaltNotes {
  readonly #ledger: Pick<LedgerContext, 'store' | 'layout' | 'clock'>;
  readonly #onError: (error: Error) => void;
  /** Halts that the store tells of, as far as this process knows. */
  readonly #noted = new Map<string, HaltNote>();
  #writes: Promise<void> = Promise.resolve();

  private constructor(ledger: LedgerContext, onError: (error: Error) => void) {
    this.#ledger = ledger;
    this.#onError = onError;
  }

  /** @param onError told when a note cannot be written; nothing else depends on it. @throws UnavailableError */
  static async open(ledger: LedgerContext, onError: (error: Error) => void): Promise<HaltNotes> {
    const notes = new HaltNotes(ledger, onError);
    for (const note of await readHaltNotes(ledger)) notes.#noted.set(note.log, note);
    return notes;
  }

  /** Notes a halt; one by a rule is not noted, for the log itself says so. */
  halted(log: LogId, { code, message }: HeadgateError, next: number): void {
    const name = formatLogId(log);
    if (code === 'RULE' || name.length > 4_096) return;
    const before = this.#noted.get(name);
    const isSame = before?.code === code && before.next === next;
    const since = isSame ? before.since : new Date(this.#ledger.clock.now()).toISOString();
    const note: HaltNote = { log: name, code, message: message.slice(0, MESSAGE_MAX), next, since };
    this.#noted.set(name, note);
    this.#write(log, note);
  }

  /** Takes the note of a partition back, if there is one. Called for whatever is read: cheap. */
  reading(log: LogId): void {
    if (this.#noted.size > 0 && this.#noted.delete(formatLogId(log))) this.#write(log, null);
  }

  /**
   * Takes the notes back of partitions that are not there any more: nobody reads their logs again, so that nothing else
   * would. One that comes back halts again, for the same reason.
   * @param present all partitions of one topic of one cluster, and nobody else reads others of it.
   * @returns the logs whose notes are taken back, as {@link formatLogId} prints them
   */
  gone({ cluster, topic }: Omit<LogId, 'partition'>, present: readonly LogId[]): readonly string[] {
    const names = new Set(present.map(formatLogId));
    const gone: string[] = [];
    for (const name of this.#noted.keys()) {
      const log = parseLogId(name);
      if (log?.cluster !== cluster || log.topic !== topic || names.has(name)) continue;
      this.#noted.delete(name);
      this.#write(log, null);
      gone.push(name);
    }
    return gone;
  }

  /** Waits until everything is written. */
  settled(): Promise<void> {
    return this.#writes;
  }

  /** One after the other, so that the last word on a partition is the last one written. */
  #write(log: LogId, note: HaltNote | null): void {
    const { store, layout } = this.#ledger;
    this.#writes = this.#writes
      .then(() => store.put(layout.haltHint(log), Buffer.from(JSON.stringify({ halt: note }), 'utf8')))
      .catch(this.#onError);
  }
}

/**
 * Every halt that processes have noted and not taken back.
 * Trust: none; whoever can write to the store can make them up, change them and hide them.
 * Cost: one GET a partition that was ever halted. @throws UnavailableError
 */
export async function readHaltNotes({ store, layout }: Pick<LedgerContext, 'store' | 'layout'>): Promise<HaltNote[]> {
  const notes: HaltNote[] = [];
  for (let after: string | null = ''; after !== null;) {
    const page = await store.list(layout.haltHints(), {
      limit: LIST_PAGE,
      ...(after === '' ? {} : { startAfter: after }),
    });
    for (const { key } of page.objects) {
      const note = parseNote(await store.get(key, BYTES_MAX.halt).catch(() => null));
      const log = note === null ? undefined : parseLogId(note.log);
      // A note that lies under another partition's key is not of our making.
      if (note !== null && log !== undefined && layout.haltHint(log) === key) notes.push(note);
    }
    after = page.next;
  }
  return notes;
}

function parseNote(bytes: Buffer | null): HaltNote | null {
  try {
    const { halt } = JSON.parse(bytes?.toString('utf8') ?? '{}') as { halt?: unknown };
    return Value.Check(Note, halt) ? halt : null;
  } catch {
    return null;
  }
}
