import { IntegrityError } from '../errors.ts';
import { nextSeq, type VerifiedControlEntry } from '../ledger/control-log.ts';
import { parseState } from '../ledger/control-state.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { LoggedBatch } from '../ledger/partition-log.ts';
import type { Standing } from '../ledger/snapshot.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/** Control entries that people are told of. */
const TOLD_KINDS: readonly string[] = ['rollback', 'hold', 'resume', 'approve', 'decision'];

/**
 * True when people are told of a control entry: what a person did, the schema that took the place of another included, for
 * that takes a baseline out of force. Of the first schema of a topic nobody is told.
 * Cost: for a schema at most one GET of the head and one of a state. @throws IntegrityError of the head; UnavailableError
 */
export async function isTold(ledger: LedgerContext, { entry }: VerifiedControlEntry): Promise<boolean> {
  if (entry.kind !== 'schema') return TOLD_KINDS.includes(entry.kind);
  const { control, store, layout } = ledger;
  const head = nextSeq(control.known) > entry.seq ? control.known : await control.head();
  const newest = head.state.repinned?.[entry.topic] ?? -1;
  if (newest <= entry.seq) return newest === entry.seq;
  const key = layout.state(entry.state);
  try {
    const state = parseState(await getVerified(store, key, entry.state, BYTES_MAX.state), key);
    return state.repinned?.[entry.topic] === entry.seq;
  } catch (error) {
    // Nobody can say whether it was the first: told once too often harms nobody.
    if (error instanceof IntegrityError) return true;
    throw error;
  }
}

/** True when people are told of a batch of this standing: something was found, or it could not be judged. */
export function isAlarming(standing: Standing): boolean {
  return standing === 'suspect' || standing === 'failed';
}

/**
 * True when people are told of a batch: by its own verdict, because a rule stopped its partition, or because it was found suspect
 * when it was judged again.
 * Cost: for a batch whose own verdict does not alarm, two pages of each ref's snapshot. @throws IntegrityError, UnavailableError
 */
export async function isToldBatch(
  { control, snapshots }: LedgerContext,
  { log, entry, digest }: LoggedBatch,
): Promise<boolean> {
  if (entry.halt !== null || entry.verdict === 'suspect' || entry.undecided === 'failed') return true;
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
