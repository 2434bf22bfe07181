import { IntegrityError } from '../errors.ts';
import type { SourcePosition } from '../record/chunk.ts';
import type { LogId } from '../record/log-id.ts';
import { logOf, type BatchEntry, type PartitionEntry } from './partition-entry.ts';

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
  /** Kafka topic id of the newest batch; null before the first, and where there is none. */
  readonly topicId: string | null;
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
  const refuse = (why: string): IntegrityError =>
    new IntegrityError('CHAIN_BROKEN', key, `Cannot accept "${key}": ${why}`);
  const demand = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) throw refuse(`${what} is ${String(found)}, wanted ${String(wanted)}`);
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
      topicId: head?.topicId ?? null,
      position: head?.position ?? null,
      closed: false,
      haltedAt: head?.haltedAt ?? null,
    };
  }
  if (head === null) throw refuse(`a log begins with an open entry, not with a ${entry.kind}`);
  demand('log state', head.closed ? 'closed' : 'open', 'open');
  demand('epoch', entry.epoch, head.epoch);
  demand('writer', entry.writer, head.writer);
  demand('deployment', entry.deployment, head.deployment);
  if (entry.kind === 'close') return { ...head, ...same, closed: true };
  demand('start offset', entry.start, head.next);
  if (entry.end <= entry.start) throw refuse(`end ${entry.end} is not past start ${entry.start}`);
  if (entry.kind === 'gap') return { ...head, ...same, next: entry.end, leaderEpoch: null };
  const fault = countFault(entry);
  if (fault !== null) throw refuse(fault);
  if (head.haltedAt !== null && entry.controlSeq <= head.haltedAt)
    throw refuse(`control seq is ${entry.controlSeq}, wanted more than ${head.haltedAt}, where a rule halted the log`);
  return {
    ...head,
    ...same,
    next: entry.end,
    leaderEpoch: entry.leaderEpoch,
    topicId: entry.topicId,
    position: entry.position,
    haltedAt: entry.halt === null ? null : entry.controlSeq,
  };
}

/** Why the counts of a batch contradict each other; null if they do not. */
function countFault(entry: BatchEntry): string | null {
  const { start, end, records, deadLetterRecords, skipped, data, deadLetters } = entry;
  const accounted = records + skipped.aborted + skipped.control + skipped.compacted;
  if (accounted !== end - start) return `${accounted} offsets are accounted for, wanted ${end - start}`;
  const decoded = records - deadLetterRecords;
  if (decoded < 0 || (deadLetters === null) !== (deadLetterRecords === 0)) return 'its dead letters do not add up';
  if ((data === null) === (decoded === 0)) return null;
  return `it names ${data === null ? 'no data object' : 'a data object'} for ${decoded} decoded records`;
}

/**
 * The head after a batch whose past is not looked at: a batch entry states all of it.
 * Trust: for an entry whose digest is known from elsewhere, or is then chained to one that is.
 */
export function headOfBatch(entry: BatchEntry, digest: string): LogHead {
  const { slot, epoch, deployment, writer, end, leaderEpoch, topicId, position, halt, controlSeq } = entry;
  const haltedAt = halt === null ? null : controlSeq;
  return {
    log: logOf(entry),
    slot,
    digest,
    epoch,
    deployment,
    writer,
    next: end,
    leaderEpoch,
    topicId,
    position,
    closed: false,
    haltedAt,
  };
}
