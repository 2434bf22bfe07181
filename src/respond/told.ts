import type { VerifiedControlEntry } from '../ledger/control-log.ts';
import type { LoggedBatch } from '../ledger/partition-log.ts';
import type { Standing } from '../ledger/snapshot.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/** Control entries that people are told of. */
const TOLD_KINDS: readonly string[] = ['rollback', 'hold', 'resume', 'approve', 'decision'];

/** True when people are told of a control entry. */
export function isTold({ entry }: VerifiedControlEntry): boolean {
  return TOLD_KINDS.includes(entry.kind);
}

/** True when people are told of a batch of this standing: something was found, or it could not be judged. */
export function isAlarming(standing: Standing): boolean {
  return standing === 'suspect' || standing === 'failed';
}

/**
 * True when people are told of a batch: by its own verdict, or because it was found suspect when it was judged again.
 * Cost: for a batch whose own verdict does not alarm, two pages of each ref's snapshot. @throws IntegrityError, UnavailableError
 */
export async function isToldBatch(
  { control, snapshots }: LedgerContext,
  { log, entry, digest }: LoggedBatch,
): Promise<boolean> {
  if (entry.verdict === 'suspect' || entry.undecided === 'failed') return true;
  const { state } = await control.head();
  if (state.verdicts[digest]?.outcome === 'suspect') return true;
  for (const sha256 of new Set(Object.values(state.refs))) {
    const { held, batches } = await snapshots.read(sha256);
    for (const sequence of [held, batches]) {
      const line = await snapshots.find(sequence, [formatLogId(log), entry.start]);
      if (line?.digest === digest && isAlarming(line.standing)) return true;
    }
  }
  return false;
}
