import type { ControlState } from '../ledger/control-state.ts';
import type { BatchEntry } from '../ledger/partition-entry.ts';
import type { SequenceChange } from '../ledger/sequence.ts';
import { formatBatchLine, type BatchLine, type Standing } from '../ledger/snapshot.ts';
import { formatLogId } from '../record/log-id.ts';
import type { NewBatch } from './news.ts';

/** What the next snapshot changes, decided before anything is written. */
export interface Plan {
  readonly batches: SequenceChange[];
  readonly held: SequenceChange[];
  /** Batches that enter and leave the dataset. */
  readonly added: BatchLine[];
  readonly removed: BatchLine[];
  /** Batches whose data file must lie where readers look. */
  readonly toCopy: NewBatch[];
  /** Logs of which something was judged or decided that cannot be carried out, and is not lost by it. */
  readonly waiting: Set<string>;
}

/** The plan that changes nothing. */
export function emptyPlan(): Plan {
  return { batches: [], held: [], added: [], removed: [], toCopy: [], waiting: new Set() };
}

/** Where a batch stands: the newest decision beats the publisher's verdict, which beats the batch's own. */
export function standingOf({ entry, digest }: NewBatch, { decisions, verdicts }: ControlState): Standing {
  const decision = decisions[digest];
  if (decision !== undefined) return decision.outcome;
  const verdict = verdicts[digest];
  if (verdict !== undefined) return verdict.outcome;
  return entry.verdict === 'undecided' ? (entry.undecided ?? 'failed') : entry.verdict;
}

/** True when a batch of this standing belongs to the dataset; observe mode keeps out only what a person condemned. */
export function isPublished(standing: Standing, { mode }: BatchEntry): boolean {
  if (standing === 'condemned') return false;
  return mode === 'observe' || standing === 'clean' || standing === 'released';
}

/**
 * Puts a batch where its standing says.
 * @param current where the parent snapshot has it; null for a batch that is new.
 */
export function placeBatch(plan: Plan, batch: NewBatch, standing: Standing, current: 'batches' | 'held' | null): void {
  const line = lineOf(batch, standing);
  const target = isPublished(standing, batch.entry) ? 'batches' : 'held';
  plan[target].push({ key: [line.log, line.start], line: formatBatchLine(line) });
  if (current !== null && current !== target) plan[current].push({ key: [line.log, line.start], line: null });
  if (target === 'batches' && current !== 'batches') {
    plan.added.push(line);
    plan.toCopy.push(batch);
  }
  if (target === 'held' && current === 'batches') plan.removed.push(line);
}

/**
 * Holds a batch as condemned whose entry cannot be read: what the parent snapshot says of it is all that is needed.
 * @param current where the parent snapshot has it.
 */
export function condemnLine(plan: Plan, line: BatchLine, current: 'batches' | 'held'): void {
  const key = [line.log, line.start] as const;
  plan.held.push({ key, line: formatBatchLine({ ...line, standing: 'condemned' }) });
  if (current === 'held') return;
  plan.batches.push({ key, line: null });
  plan.removed.push(line);
}

/** The line of a batch in a snapshot that has it at this standing. */
export function lineOf({ log, entry, digest }: NewBatch, standing: Standing): BatchLine {
  const { start, end, slot, epoch, records, deadLetterRecords, data } = entry;
  return {
    log: formatLogId(log),
    start,
    end,
    slot,
    epoch,
    digest,
    records,
    rows: records - deadLetterRecords,
    data: data === null ? null : { sha256: data.sha256, bytes: data.bytes },
    standing,
  };
}
