import type { Judgement } from '../detect/judgement.ts';
import type { BatchRef } from '../ledger/control-entry.ts';
import { nextSeq, type ControlHead } from '../ledger/control-log.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { NewBatch } from '../publish/news.ts';
import { readEvidence } from '../ledger/evidence.ts';
import { findJudgement } from '../publish/rejudgement.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/** What was last said of a batch, and by whom. */
export interface JudgementInForce {
  readonly judgement: Judgement;
  /** Digest of the baseline it was judged by; null = there was none. */
  readonly baseline: string | null;
  /** The verdict entry of the control log; null when it is the batch's own, from the time it was read. */
  readonly seq: number | null;
  /** When it was said, ISO 8601. */
  readonly time: string;
  /** Batches that were judged as one with it, itself included; 1 = judged alone. */
  readonly together: number;
  /** Those; none when it was judged alone. */
  readonly union: readonly BatchRef[];
  /** Key of the stored evidence of this judgement. */
  readonly evidence: string;
}

/**
 * The newest judgement of a batch: that of the publisher where it was judged again, otherwise its own. What the publisher
 * said after the snapshot that a rollback went back to is void, for nothing is published on it any more; and so is that it is
 * clean, where another baseline or schema was put in force before a publish took that up.
 * Cost: the evidence, and at most one control entry where the newest state tells which; otherwise the control entries since
 * the batch was committed, newest first, until one speaks about it, and a snapshot for each rollback among them.
 * @throws IntegrityError, UnavailableError
 */
export async function judgementInForce(ledger: LedgerContext, batch: NewBatch): Promise<JudgementInForce> {
  const { control, snapshots, store, layout } = ledger;
  const [newest, oldest] = searched(await control.head(), batch);
  let isCleanVoid = false;
  for (let seq = newest; seq >= oldest; seq--) {
    const entry = (await control.read(seq))?.entry;
    if (entry?.kind === 'rollback') {
      // Down to what the target was made of; the publish that named it comes next to that.
      seq = Math.min(seq, (await snapshots.read(entry.to)).controlSeq + 1);
      isCleanVoid = false;
    }
    if (entry?.kind === 'publish' && entry.waiting?.includes(formatLogId(batch.log)) !== true) isCleanVoid = false;
    if ((entry?.kind === 'approve' || entry?.kind === 'schema') && entry.topic === batch.log.topic) isCleanVoid = true;
    if (entry?.kind !== 'verdict' || (isCleanVoid && entry.outcome === 'clean')) continue;
    if (!entry.batches.some(({ digest }) => digest === batch.digest)) continue;
    const key = layout.judgement(entry.evidence);
    const bytes = await getVerified(store, key, entry.evidence, BYTES_MAX.evidence);
    const found = findJudgement(bytes, key, batch.digest);
    if (found !== null) return { ...found, baseline: entry.baseline, seq, time: entry.time, evidence: key };
  }
  const { judgement } = await readEvidence(ledger, batch);
  const { baseline, evidence, time } = batch.entry;
  return { judgement, baseline, seq: null, time, together: 1, union: [], evidence: evidence.key };
}

/** Newest and oldest control entry that may hold the newest verdict on a batch; an empty range if none can. */
function searched(head: ControlHead, { entry, digest }: NewBatch): readonly [newest: number, oldest: number] {
  const { verdicts, resumed } = head.state;
  const open = verdicts[digest];
  if (open !== undefined) return [open.seq, open.seq];
  const end = nextSeq(head) - 1;
  // Only a resume has a batch judged again whose own verdict is that it is suspect, or that judging it failed.
  const isFinal = entry.verdict === 'suspect' || entry.undecided === 'failed';
  const isResumed = Object.values(resumed).some((seq) => seq > entry.controlSeq);
  return isFinal && !isResumed ? [end, end + 1] : [end, entry.controlSeq + 1];
}
