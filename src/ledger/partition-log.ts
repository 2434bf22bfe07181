import { IntegrityError } from '../errors.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { SourcePosition } from '../record/chunk.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import { BYTES_MAX, type Layout } from './layout.ts';
import { logOf, parsePartitionEntry, type PartitionEntry } from './partition-entry.ts';
import { verifyBundle } from './statements/bundle.ts';
import type { TrustRoot } from './trust.ts';

/** A partition-log entry whose signature, role, shape and place have been checked; whether it follows is {@link advance}'s. */
export interface VerifiedEntry {
  readonly entry: PartitionEntry;
  /** SHA-256 of the stored bytes, hex: what the next entry and every reference name. */
  readonly digest: string;
  readonly key: string;
}

/** Where a partition log stands after its newest verified entry. */
export interface LogHead {
  readonly log: LogId;
  readonly slot: number;
  readonly digest: string;
  readonly epoch: number;
  readonly deployment: string;
  readonly writer: string;
  /** Next offset to be read. */
  readonly next: number;
  /** Kafka leader epoch at next − 1 if the newest offsets came from a batch; null otherwise. */
  readonly leaderEpoch: number | null;
  readonly position: SourcePosition | null;
  readonly closed: boolean;
  /** Control seq that a `resume` must exceed before anything may follow; null when the log is not halted. */
  readonly haltedAt: number | null;
}

/**
 * The head after `entry`: the one place that says what may follow what.
 *
 * Slots count up by one, each names the digest of the one before; offsets meet without hole or overlap; a claim raises
 * the epoch by one, everything else keeps epoch and writer of the claim; nothing follows a close but a claim.
 * @param head null before slot 0.
 * @throws IntegrityError CHAIN_BROKEN naming the entry's key
 */
export function advance(head: LogHead | null, { entry, digest, key }: VerifiedEntry): LogHead {
  const demand = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted)
      throw new IntegrityError(
        'CHAIN_BROKEN',
        key,
        `Cannot accept "${key}": ${what} is ${String(found)}, wanted ${String(wanted)}`,
      );
  };
  demand('slot', entry.slot, head === null ? 0 : head.slot + 1);
  demand('previous digest', entry.previous, head === null ? null : head.digest);
  const same = {
    log: logOf(entry),
    slot: entry.slot,
    digest,
    epoch: entry.epoch,
    deployment: entry.deployment,
    writer: entry.writer,
  };
  if (entry.kind === 'open') {
    demand('epoch', entry.epoch, head === null ? 0 : head.epoch + 1);
    if (head !== null) demand('next offset', entry.next, head.next);
    if (head !== null) demand('label', entry.label, null);
    return {
      ...same,
      next: entry.next,
      leaderEpoch: head?.leaderEpoch ?? null,
      position: head?.position ?? null,
      closed: false,
      haltedAt: head?.haltedAt ?? null,
    };
  }
  if (head === null)
    throw new IntegrityError(
      'CHAIN_BROKEN',
      key,
      `Cannot accept "${key}": a log begins with an open entry, not with a ${entry.kind}`,
    );
  demand('log state', head.closed ? 'closed' : 'open', 'open');
  demand('epoch', entry.epoch, head.epoch);
  demand('writer', entry.writer, head.writer);
  demand('deployment', entry.deployment, head.deployment);
  if (entry.kind === 'close') return { ...head, ...same, closed: true };
  demand('start offset', entry.start, head.next);
  if (entry.end <= entry.start)
    throw new IntegrityError(
      'CHAIN_BROKEN',
      key,
      `Cannot accept "${key}": end ${entry.end} is not past start ${entry.start}`,
    );
  if (entry.kind === 'gap') return { ...head, ...same, next: entry.end, leaderEpoch: null };
  assertCounts(entry, key);
  return {
    ...head,
    ...same,
    next: entry.end,
    leaderEpoch: entry.leaderEpoch,
    position: entry.position,
    haltedAt: entry.halt === null ? null : entry.controlSeq,
  };
}

function assertCounts(entry: Extract<PartitionEntry, { kind: 'batch' }>, key: string): void {
  const { aborted, control, compacted } = entry.skipped;
  const accounted = entry.records + aborted + control + compacted;
  if (accounted !== entry.end - entry.start) {
    throw new IntegrityError(
      'CHAIN_BROKEN',
      key,
      `Cannot accept "${key}": ${accounted} offsets are accounted for, wanted ${entry.end - entry.start}`,
    );
  }
  if (entry.deadLetterRecords > entry.records || (entry.deadLetters === null) !== (entry.deadLetterRecords === 0)) {
    throw new IntegrityError('CHAIN_BROKEN', key, `Cannot accept "${key}": its dead letters do not add up`);
  }
  if ((entry.data === null) !== (entry.deadLetterRecords === entry.records)) {
    throw new IntegrityError(
      'CHAIN_BROKEN',
      key,
      `Cannot accept "${key}": it names ${entry.data === null ? 'no data object' : 'a data object'} for ${entry.records - entry.deadLetterRecords} decoded records`,
    );
  }
}

/** The head that a batch or gap entry states by itself; its past is not looked at. */
function standalone({ entry, digest }: VerifiedEntry): LogHead {
  const { slot, epoch, deployment, writer } = entry;
  const same = { log: logOf(entry), slot, digest, epoch, deployment, writer, closed: false };
  if (entry.kind === 'batch')
    return {
      ...same,
      next: entry.end,
      leaderEpoch: entry.leaderEpoch,
      position: entry.position,
      haltedAt: entry.halt === null ? null : entry.controlSeq,
    };
  return { ...same, next: entry.kind === 'gap' ? entry.end : 0, leaderEpoch: null, position: null, haltedAt: null };
}

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
    const key = this.#layout.slot(log, slot);
    const { statement, keyId, digest } = verifyBundle(bytes, key, (id) => this.#trust.key(id));
    this.#trust.assertRole(keyId, ['ingest'], key);
    const entry = parsePartitionEntry(statement, key);
    const names = [entry.pipeline, formatLogId(logOf(entry)), entry.slot].join(' ');
    const wanted = [this.#trust.document.pipeline, formatLogId(log), slot].join(' ');
    if (names !== wanted)
      throw new IntegrityError('CHAIN_BROKEN', key, `Cannot accept "${key}": the entry in it belongs to "${names}"`);
    return { entry, digest, key };
  }

  /**
   * Entries after `head`, in order, each checked against the one before; ends at the first free slot.
   * @throws IntegrityError SLOT_MISSING when a later slot exists behind a free one
   */
  async *walk(
    log: LogId,
    head: LogHead | null,
  ): AsyncGenerator<{ readonly verified: VerifiedEntry; readonly head: LogHead }> {
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
   * The head as of a known slot, without walking from the beginning: from the newest batch or gap at or before it.
   * @throws IntegrityError SLOT_MISSING when the slot is free
   */
  async headAt(log: LogId, slot: number): Promise<LogHead> {
    const later: VerifiedEntry[] = [];
    for (let at = slot; ; at--) {
      const verified = await this.read(log, at);
      if (verified === null)
        throw new IntegrityError(
          'SLOT_MISSING',
          this.#layout.slot(log, at),
          `Cannot read log "${formatLogId(log)}": slot ${at} is missing`,
        );
      later.unshift(verified);
      if (verified.entry.kind === 'batch' || verified.entry.kind === 'gap' || at === 0) break;
    }
    const [first, ...rest] = later;
    let head = first!.entry.slot === 0 ? advance(null, first!) : standalone(first!);
    for (const verified of rest) head = advance(head, verified);
    return head;
  }

  /** All logs of the pipeline, found by listing. */
  async *list(): AsyncGenerator<LogId> {
    const root = this.#layout.logs();
    for (let startAfter = ''; ;) {
      const { objects } = await this.#store.list(root, { limit: 1, ...(startAfter === '' ? {} : { startAfter }) });
      const key = objects[0]?.key;
      if (key === undefined) return;
      const folder = key.slice(0, key.lastIndexOf('/') + 1);
      const first = await this.#store.get(key, BYTES_MAX.slot);
      if (first !== null) yield this.#logOfSlot(first, key);
      // Slots are digits, which sort before "~": go on behind this log.
      startAfter = `${folder}~`;
    }
  }

  #logOfSlot(bytes: Uint8Array, key: string): LogId {
    const { statement } = verifyBundle(bytes, key, (id) => this.#trust.key(id));
    const log = logOf(parsePartitionEntry(statement, key));
    if (!key.startsWith(this.#layout.log(log)))
      throw new IntegrityError(
        'CHAIN_BROKEN',
        key,
        `Cannot accept "${key}": the entry in it belongs to "${formatLogId(log)}"`,
      );
    return log;
  }

  /** A free slot is the end of the log only if nothing lies behind it; read again first, the slot may just have been written. */
  async #assertNoHole(log: LogId, slot: number): Promise<void> {
    const { objects } = await this.#store.list(this.#layout.log(log), {
      startAfter: this.#layout.slot(log, slot),
      limit: 1,
    });
    const later = objects[0]?.key;
    if (later === undefined || (await this.#store.stat(this.#layout.slot(log, slot))) !== null) return;
    throw new IntegrityError(
      'SLOT_MISSING',
      this.#layout.slot(log, slot),
      `Cannot read log "${formatLogId(log)}": slot ${slot} is missing but "${later}" exists`,
    );
  }
}
