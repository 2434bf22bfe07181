import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { ERROR_CODES, IntegrityError, type ErrorFields, type HeadgateError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { pagesOf } from '../ledger/listing.ts';
import { Count, Time } from '../ledger/stored-types.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { formatLogId, parseLogId, type LogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/** Longest message that is noted, in characters. */
const MESSAGE_MAX = 2_000;
const READS_AT_ONCE = 16;
/** A note that could not be deleted is tried again after so long, at the next sign of any partition that is read. */
const DELETE_RETRY_MS = 30_000;

const Note = Type.Object(
  {
    log: Type.String({ maxLength: 4_096 }),
    code: Type.Enum(Object.keys(ERROR_CODES)),
    message: Type.String({ maxLength: MESSAGE_MAX }),
    /** First offset that is not committed. */
    next: Count,
    since: Time,
    /** Of a halt over foreign writes: the newest slot at that time, and the deployment that gave way. */
    yielded: Type.Optional(
      Type.Object({ slot: Count, deployment: Type.String({ maxLength: 4_096 }) }, { additionalProperties: false }),
    ),
  },
  { additionalProperties: false },
);

/** What a process told of a partition that it has halted. */
export type HaltNote = Static<typeof Note>;

/** A halt that the store tells of. */
interface Noted extends Pick<HaltNote, 'code' | 'next'> {
  /** ISO 8601; never rejects. */
  readonly since: Promise<string>;
}

/**
 * Notes of the partitions that this process has halted, for those who look at the store and not at the process.
 *
 * A halt is no part of the log: nothing may be written to a log that cannot be trusted to go on. So this is a hint, not
 * signed, and it may be lost; what is noted is deleted when the partition goes on, or is not there any more. Until then
 * a halt at the same place is the same halt: it keeps its time, whichever process meets it.
 */
export class HaltNotes {
  readonly #ledger: Pick<LedgerContext, 'store' | 'layout' | 'clock'>;
  readonly #onError: (error: Error) => void;
  /** Halts that the store tells of, as far as this process knows; null where it has taken the note back. */
  readonly #noted = new Map<string, Noted | null>();
  /** Notes that are taken back and still in the store. */
  readonly #undeleted = new Map<string, { readonly log: LogId; readonly dueAtMs: number }>();
  #writes: Promise<void> = Promise.resolve();

  private constructor(ledger: LedgerContext, onError: (error: Error) => void) {
    this.#ledger = ledger;
    this.#onError = onError;
  }

  /** @param onError told when a note cannot be written; nothing else depends on it. @throws UnavailableError */
  static async open(ledger: LedgerContext, onError: (error: Error) => void): Promise<HaltNotes> {
    const notes = new HaltNotes(ledger, onError);
    for (const note of await readHaltNotes(ledger))
      notes.#noted.set(note.log, { ...note, since: Promise.resolve(note.since) });
    return notes;
  }

  /**
   * Notes a halt; one by a rule is not noted, for the log itself says so.
   * @returns since when it has halted, ISO 8601: as noted, if it was noted already and not taken back. Never rejects.
   */
  halted(log: LogId, { code, message, fields }: HeadgateError, next: number): Promise<string> {
    const name = formatLogId(log);
    const now = new Date(this.#ledger.clock.now()).toISOString();
    if (code === 'RULE' || name.length > 4_096) return Promise.resolve(now);
    const before = this.#noted.get(name);
    let since = Promise.resolve(now);
    if (before?.code === code && before.next === next) since = before.since;
    // Another process may have noted it since this one started, and the partition is ours now.
    else if (before === undefined) since = this.#writes.then(() => this.#sinceNoted(log, code, next, now));
    this.#noted.set(name, { code, next, since });
    this.#undeleted.delete(name);
    const note = { log: name, code, message: message.slice(0, MESSAGE_MAX), next, ...yieldedOf(code, fields) };
    this.#write(async (store, key) => {
      const halt: HaltNote = { ...note, since: await since };
      await store.put(key, Buffer.from(JSON.stringify({ halt }), 'utf8'));
    }, log);
    return since;
  }

  /** Takes the note of a partition back, if there is one. Called for whatever is read: cheap. */
  reading(log: LogId): void {
    if (this.#noted.size > 0) this.#takeBack(formatLogId(log), log);
    if (this.#undeleted.size > 0) this.#deleteAgain();
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
      if (this.#takeBack(name, log)) gone.push(name);
    }
    return gone;
  }

  /** Waits until everything is written. */
  settled(): Promise<void> {
    return this.#writes;
  }

  async #sinceNoted(log: LogId, code: string, next: number, otherwise: string): Promise<string> {
    try {
      const note = await readNote(this.#ledger, this.#ledger.layout.haltHint(log));
      return note?.code === code && note.next === next ? note.since : otherwise;
    } catch (error) {
      this.#onError(error as Error);
      return otherwise;
    }
  }

  /** @returns true if there was a note. */
  #takeBack(name: string, log: LogId): boolean {
    if ((this.#noted.get(name) ?? null) === null) return false;
    this.#noted.set(name, null);
    this.#delete(name, log);
    return true;
  }

  #delete(name: string, log: LogId): void {
    this.#write(async (store, key) => {
      try {
        await store.delete(key);
      } catch (error) {
        // Unless it has halted again meanwhile: then the note is true.
        if (this.#noted.get(name) === null)
          this.#undeleted.set(name, { log, dueAtMs: this.#ledger.clock.monotonic() + DELETE_RETRY_MS });
        throw error;
      }
    }, log);
  }

  #deleteAgain(): void {
    const now = this.#ledger.clock.monotonic();
    for (const [name, { log, dueAtMs }] of this.#undeleted) {
      if (now < dueAtMs) continue;
      this.#undeleted.delete(name);
      this.#delete(name, log);
    }
  }

  /** One after the other, so that the last word on a partition is the last one written. */
  #write(work: (store: ObjectStore, key: string) => Promise<void>, log: LogId): void {
    const { store, layout } = this.#ledger;
    this.#writes = this.#writes.then(() => work(store, layout.haltHint(log))).catch(this.#onError);
  }
}

/** Notes that were read, by key, each with the tag that its object had: one that has not changed need not be read again. */
export type KnownHaltNotes = Map<string, { readonly tag: string; readonly note: HaltNote | null }>;

/**
 * Every halt that processes have noted and not taken back.
 * Trust: none; whoever can write to the store can make them up, change them and hide them.
 * @param known what the last call has read, of a caller that asks again and again; brought up to date.
 * @returns in the order of their keys
 * Cost: one GET a note that is new. @throws UnavailableError
 */
export async function readHaltNotes(
  ledger: Pick<LedgerContext, 'store' | 'layout'>,
  known: KnownHaltNotes = new Map(),
): Promise<HaltNote[]> {
  const { store, layout } = ledger;
  const notes: HaltNote[] = [];
  const listed = new Set<string>();
  for await (const objects of pagesOf(store, layout.haltHints())) {
    await eachLimited(objects, READS_AT_ONCE, async ({ key, tag }) => {
      if (known.get(key)?.tag !== tag) known.set(key, { tag, note: await readNote(ledger, key) });
    });
    for (const { key } of objects) {
      listed.add(key);
      const { note } = known.get(key)!;
      if (note !== null) notes.push(note);
    }
  }
  for (const key of known.keys()) if (!listed.has(key)) known.delete(key);
  return notes;
}

/** The note under a key; null if there is none, or nothing of our making. @throws UnavailableError */
async function readNote(
  { store, layout }: Pick<LedgerContext, 'store' | 'layout'>,
  key: string,
): Promise<HaltNote | null> {
  const note = parseNote(
    await store.get(key, BYTES_MAX.halt).catch((error: unknown) => {
      // Too large to be a note. That the store is away must not pass for "nothing has halted".
      if (error instanceof IntegrityError) return null;
      throw error;
    }),
  );
  const log = note === null ? undefined : parseLogId(note.log);
  // A note that lies under another partition's key is not of our making.
  return log !== undefined && layout.haltHint(log) === key ? note : null;
}

function parseNote(bytes: Buffer | null): HaltNote | null {
  try {
    const { halt } = JSON.parse(bytes?.toString('utf8') ?? '{}') as { halt?: unknown };
    return Value.Check(Note, halt) ? halt : null;
  } catch {
    return null;
  }
}

function yieldedOf(code: string, { slot, deployment }: ErrorFields): Pick<HaltNote, 'yielded'> {
  if (code !== 'FOREIGN_WRITER' || typeof slot !== 'number' || typeof deployment !== 'string') return {};
  return { yielded: { slot, deployment } };
}
