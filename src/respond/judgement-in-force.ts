import type { Judgement } from '../detect/verdict.ts';
import { nextSeq } from '../ledger/control-log.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { NewBatch } from '../publish/news.ts';
import { readEvidence } from '../publish/rejudge.ts';
import { findJudgement } from '../publish/rejudgement.ts';
import type { LedgerContext } from './ledger-context.ts';

/** What was last said of a batch, and by whom. */
export interface JudgementInForce {
  readonly judgement: Judgement;
  /** Digest of the baseline it was judged by; null = there was none. */
  readonly baseline: string | null;
  /** The verdict entry of the control log; null when it is the batch's own, from the time it was read. */
  readonly seq: number | null;
  /** Batches that were judged as one with it, itself included; 1 = judged alone. */
  readonly together: number;
}

/**
 * The newest judgement of a batch: that of the publisher where it was judged again, otherwise its own.
 * Cost: reads the control entries since the batch was committed, newest first, until one speaks about it.
 * @throws IntegrityError, UnavailableError
 */
export async function judgementInForce(ledger: LedgerContext, batch: NewBatch): Promise<JudgementInForce> {
  const { control, store, layout } = ledger;
  for (let seq = nextSeq(await control.head()) - 1; seq > batch.entry.controlSeq; seq--) {
    const entry = (await control.read(seq))?.entry;
    if (entry?.kind !== 'verdict' || !entry.batches.some(({ digest }) => digest === batch.digest)) continue;
    const key = layout.judgement(entry.evidence);
    const bytes = await getVerified(store, key, entry.evidence, BYTES_MAX.evidence);
    const found = findJudgement(bytes, key, batch.digest);
    if (found !== null) return { ...found, baseline: entry.baseline, seq };
  }
  const { judgement } = await readEvidence(ledger, batch);
  return { judgement, baseline: batch.entry.baseline, seq: null, together: 1 };
}
