import { nextSeq } from '../ledger/control-log.ts';
import type { AlertCause } from './alert-cause.ts';
import type { LedgerContext } from './ledger-context.ts';
import { isAlarming, isTold } from './told.ts';

/** Control entries looked back at: older ones were told long ago. */
const CONTROL_ENTRIES_MAX = 200;

/**
 * Everything in the ledger that people should have been told of: held batches, batches that observe mode let through, and
 * the newest acts. From this all alert jobs can be made again.
 * Cost: the held pages, and the pages of published batches only in observe mode.
 */
export async function alertCauses({ control, snapshots }: LedgerContext, ref: string): Promise<AlertCause[]> {
  const head = await control.head();
  const causes: AlertCause[] = [];
  for (let seq = Math.max(0, nextSeq(head) - CONTROL_ENTRIES_MAX); seq < nextSeq(head); seq++) {
    const verified = await control.read(seq);
    if (verified !== null && isTold(verified)) causes.push({ about: 'control', seq, digest: verified.digest });
  }
  const sha256 = head.state.refs[ref];
  if (sha256 === undefined) return causes;
  const snapshot = await snapshots.read(sha256);
  for (const sequence of [snapshot.held, snapshot.batches]) {
    for await (const { log, slot, digest, standing } of snapshots.batches(sequence)) {
      if (isAlarming(standing)) causes.push({ about: 'batch', log, slot, digest });
    }
  }
  return causes;
}
