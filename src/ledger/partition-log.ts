import { IntegrityError } from '../errors.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { formatLogId, parseLogId, type LogId } from '../record/log-id.ts';
import type { BatchRef } from './control-entry.ts';
import { BYTES_MAX, type Layout } from './layout.ts';
import { firstBehind, pagesOf } from './listing.ts';
import { advance, headOfBatch, type LogHead, type VerifiedEntry } from './log-head.ts';
import { logOf, parsePartitionEntry, type BatchEntry } from './partition-entry.ts';
import { verifyBundle } from './statements/bundle.ts';
import type { TrustRoot } from './trust.ts';

/** One entry of a log and the head after it. */
export interface LogStep {
  readonly verified: VerifiedEntry;
  readonly head: LogHead;
}

/** A batch and the digest of its entry, which every reference to it names. */
export interface LoggedBatch {
  readonly log: LogId;
  readonly entry: BatchEntry;
  readonly digest: string;
}

const LIST_PAGE = 1_000;
/** Slots without an entry, through which one is looked for. */
const STRAYS_MAX = 1_000;

/** Reads and verifies partition logs. Trust: the store is hostile; keys come from the pinned trust root only. */
export class PartitionLogs {
  readonly #store: ObjectStore;
  readonly #layout: Layout;
  readonly #trust: TrustRoot;

  constructor(store: ObjectStore, layout: Layout, trust: TrustRoot) {
    this.#store = store;
    this.#layout = layout;
    this.#trust = trust;
  }

  /** The entry in a slot; null if the slot is free. @throws IntegrityError, UnavailableError */
  async read(log: LogId, slot: number): Promise<VerifiedEntry | null> {
    const key = this.#layout.slot(log, slot);
    const bytes = await this.#store.get(key, BYTES_MAX.slot);
    return bytes === null ? null : this.verify(log, slot, bytes);
  }

  /** Verifies `bytes` as the entry of one slot: signature, role, shape, and that it names this log and slot (matrix M2, M6). */
  verify(log: LogId, slot: number, bytes: Uint8Array): VerifiedEntry {
    return this.#verifyAt(this.#layout.slot(log, slot), bytes);
  }

  /** No two slots of any logs share a key: an entry belongs where it lies if the slot that it names has that key. */
  #verifyAt(key: string, bytes: Uint8Array): VerifiedEntry {
    const { statement, keyId, digest } = verifyBundle(bytes, key, (id) => this.#trust.key(id));
    this.#trust.assertRole(keyId, ['ingest'], key);
    const entry = parsePartitionEntry(statement, key);
    const { pipeline, slot } = entry;
    const log = logOf(entry);
    if (pipeline === this.#trust.document.pipeline && this.#layout.slot(log, slot) === key)
      return { entry, digest, key };
    const names = [pipeline, formatLogId(log), slot].join(' ');
    throw new IntegrityError('CHAIN_BROKEN', key, `Cannot accept "${key}": the entry in it belongs to "${names}"`);
  }

  /**
   * The batch that a control entry or a snapshot names.
   * @throws IntegrityError SLOT_MISSING when its slot is free, CHAIN_BROKEN when another entry lies there; UnavailableError
   */
  async readBatch({ log: name, slot, digest }: BatchRef): Promise<LoggedBatch> {
    const log = parseLogId(name);
    if (log === undefined)
      throw new IntegrityError('CHAIN_BROKEN', name, `Cannot read log "${name}": no log has such a name`);
    const { entry, digest: found, key } = await this.#readWritten(log, slot);
    if (entry.kind === 'batch' && found === digest) return { log, entry, digest };
    throw new IntegrityError(
      'CHAIN_BROKEN',
      key,
      `Cannot accept "${key}": its digest is ${found}, wanted that of batch ${digest}`,
    );
  }

  /**
   * Entries after `head`, in order, each checked against the one before; ends at the first free slot.
   * @throws IntegrityError SLOT_MISSING when a later slot exists behind a free one
   */
  async *walk(log: LogId, head: LogHead | null): AsyncGenerator<LogStep> {
    for (let at = head; ;) {
      const slot = at === null ? 0 : at.slot + 1;
      const verified = await this.read(log, slot);
      if (verified === null) {
        await this.#assertNoHole(log, slot);
        return;
      }
      at = advance(at, verified);
      yield { verified, head: at };
    }
  }

  /** The head of a log from `known` on; null for a log without entries. @throws IntegrityError, UnavailableError */
  async head(log: LogId, known: LogHead | null = null): Promise<LogHead | null> {
    let newest = known;
    for await (const { head } of this.walk(log, known)) newest = head;
    return newest;
  }

  /**
   * The head of a log, looked for from what a snapshot covers of it.
   * @param covered undefined if the snapshot does not know the log. @throws IntegrityError, UnavailableError
   */
  async headSince(log: LogId, covered: { readonly slot: number } | undefined): Promise<LogHead | null> {
    return this.head(log, covered === undefined ? null : await this.headAt(log, covered.slot));
  }

  /**
   * The head as of a known slot, without walking from the beginning: from the newest batch at or before it.
   * @param digest of the entry in that slot, where a snapshot or a witness states it.
   * @throws IntegrityError SLOT_MISSING when the slot is free, CHAIN_BROKEN when another entry lies there
   */
  async headAt(log: LogId, slot: number, digest?: string): Promise<LogHead> {
    const verified = await this.#readWritten(log, slot);
    if (digest !== undefined && verified.digest !== digest)
      throw new IntegrityError(
        'CHAIN_BROKEN',
        verified.key,
        `Cannot accept "${verified.key}": its digest is ${verified.digest}, wanted ${digest}`,
      );
    return this.headAfter(log, verified);
  }

  /** The head as of an entry of this log, from the newest batch at or before it. @throws as {@link headAt} */
  async headAfter(log: LogId, verified: VerifiedEntry): Promise<LogHead> {
    const later: VerifiedEntry[] = [];
    let at = verified;
    while (at.entry.kind !== 'batch' && at.entry.slot > 0) {
      later.unshift(at);
      at = await this.#readWritten(log, at.entry.slot - 1);
    }
    let head = at.entry.kind === 'batch' ? headOfBatch(at.entry, at.digest) : advance(null, at);
    for (const each of later) head = advance(head, each);
    return head;
  }

  /** The newest batch at or before a slot, which a head vouches for; null without one. Cost: one GET an entry. */
  async newestBatch(log: LogId, slot: number): Promise<LoggedBatch | null> {
    for (let at = slot; at >= 0; at--) {
      const { entry, digest } = await this.#readWritten(log, at);
      if (entry.kind === 'batch') return { log, entry, digest };
    }
    return null;
  }

  /**
   * Entries that a snapshot does not cover, in order, each checked against the one before.
   * @param covered how far the snapshot covers the log; undefined if it does not know it.
   * @throws IntegrityError, UnavailableError
   */
  async *walkSince(
    log: LogId,
    covered: { readonly slot: number; readonly digest: string } | undefined,
  ): AsyncGenerator<LogStep> {
    yield* this.walk(log, covered === undefined ? null : await this.headAt(log, covered.slot, covered.digest));
  }

  /** All logs of the pipeline, found by listing. @throws IntegrityError at an object that is no entry of the log it lies in */
  async *list(): AsyncGenerator<LogId> {
    for await (const key of this.firstKeys()) {
      const log = await this.logAt(key);
      if (log !== null) yield log;
    }
  }

  /**
   * Whether the topic that a log is of has a log, be it another one. An object that is no entry says nothing of it: whoever can
   * put one there can take away as well what was there. What was signed counts, whatever lies before it.
   * Cost: one GET if there is an entry and nothing strange before it. @throws IntegrityError as logBelow does; UnavailableError
   */
  async hasTopic(log: LogId): Promise<boolean> {
    return (await this.logBelow(this.#layout.topic(log))) !== null;
  }

  /**
   * The log of the first entry below a folder, if any object there is one.
   * Cost: one GET for each object before it that has a name of a slot, and one LIST a thousand objects.
   * @throws IntegrityError when there are too many of them to say that none is an entry; UnavailableError
   */
  async logBelow(folder: string): Promise<LogId | null> {
    let strays = 0;
    for await (const objects of pagesOf(this.#store, folder))
      for (const { key } of objects) {
        if (!this.#layout.isSlot(key)) continue;
        const log = await this.#logIfAny(key);
        if (log !== null) return log;
        if (++strays === STRAYS_MAX)
          throw new IntegrityError(
            'SLOT_INVALID',
            folder,
            `Cannot tell whether there is a log below "${folder}": the first ${STRAYS_MAX} slots there hold no entries (mend: take away what headgate verify names there)`,
          );
      }
    return null;
  }

  async #logIfAny(key: string): Promise<LogId | null> {
    try {
      return await this.logAt(key);
    } catch (error) {
      if (error instanceof IntegrityError) return null;
      throw error;
    }
  }

  /** The first key of each log: of each folder that holds slots, and every other key below the logs or before its first slot. */
  async *firstKeys(): AsyncGenerator<string> {
    let limit = 1;
    for (let startAfter = ''; ;) {
      const { objects } = await this.#store.list(this.#layout.logs(), {
        limit,
        ...(startAfter === '' ? {} : { startAfter }),
      });
      if (objects.length === 0) return;
      // A stray object must not hide what lies behind it, and where there is one, there may be many.
      limit = LIST_PAGE;
      for (const { key } of objects) {
        yield key;
        startAfter = key;
        if (!this.#layout.isSlot(key)) continue;
        // Slots are digits, which sort before "~": go on behind this log.
        startAfter = `${key.slice(0, key.lastIndexOf('/') + 1)}~`;
        limit = 1;
        break;
      }
    }
  }

  /**
   * The log that the entry under a key belongs to, which must lie in the slot that it names; null when nothing is there any more.
   * @throws IntegrityError, UnavailableError
   */
  async logAt(key: string): Promise<LogId | null> {
    if (!this.#layout.isSlot(key))
      throw new IntegrityError('SLOT_INVALID', key, `Cannot accept "${key}": no entry has such a name`);
    const bytes = await this.#store.get(key, BYTES_MAX.slot);
    return bytes === null ? null : logOf(this.#verifyAt(key, bytes).entry);
  }

  async #readWritten(log: LogId, slot: number): Promise<VerifiedEntry> {
    const verified = await this.read(log, slot);
    if (verified !== null) return verified;
    throw new IntegrityError(
      'SLOT_MISSING',
      this.#layout.slot(log, slot),
      `Cannot read log "${formatLogId(log)}": slot ${slot} is missing`,
    );
  }

  /** A free slot is the end of the log only if nothing lies behind it; read again first, the slot may just have been written. */
  async #assertNoHole(log: LogId, slot: number): Promise<void> {
    const later = await firstBehind(this.#store, this.#layout.log(log), this.#layout.slot(log, slot), (key) =>
      this.#layout.isSlot(key),
    );
    if (later === null || (await this.#store.stat(this.#layout.slot(log, slot))) !== null) return;
    throw new IntegrityError(
      'SLOT_MISSING',
      this.#layout.slot(log, slot),
      `Cannot read log "${formatLogId(log)}": slot ${slot} is missing but "${later}" exists`,
    );
  }
}

/** Orders batches as they were committed, for toSorted. */
export function byCommit({ entry: a }: LoggedBatch, { entry: b }: LoggedBatch): number {
  return a.time < b.time ? -1 : a.time > b.time ? 1 : a.start - b.start;
}
