import type { Judgement } from '../../src/detect/judgement.ts';
import type { Layout } from '../../src/ledger/layout.ts';
import type { LoggedBatch } from '../../src/ledger/partition-log.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import type { Rejudged } from '../../src/publish/reconsider.ts';
import { encodeRejudgement } from '../../src/publish/rejudgement.ts';
import { sha256Hex } from '../../src/record/sha256.ts';

/** What a test wants judging again to say. */
export interface PlannedRejudgement {
  readonly as: 'union' | 'each';
  readonly batches: readonly LoggedBatch[];
  /** Digest of the baseline. */
  readonly baseline: string;
  /** Of a union, the same for all. */
  readonly outcomeOf: (batch: LoggedBatch) => Judgement['outcome'];
  /** More of the judgements, such as findings. */
  readonly judgement?: Partial<Judgement>;
}

/** Stores judgements in the form in which the publisher stores them; null, and nothing stored, when nothing is decided. */
export async function storeRejudgement(
  { store, layout }: { readonly store: ObjectStore; readonly layout: Layout },
  { as, batches, baseline, outcomeOf, judgement: more = {} }: PlannedRejudgement,
): Promise<Rejudged | null> {
  const outcomes = batches.map(outcomeOf);
  const of = (outcome: Judgement['outcome']): LoggedBatch[] => batches.filter((_, i) => outcomes[i] === outcome);
  if (of('undecided').length === batches.length) return null;
  const judge = (outcome: Judgement['outcome']): Judgement => ({
    outcome,
    reason: outcome === 'undecided' ? 'failed' : null,
    baseline,
    score: outcome === 'suspect' ? 9 : 0,
    pValue: outcome === 'suspect' ? 1e-9 : 1,
    families: [],
    findings: [],
    ...more,
  });
  const union = as === 'union' ? judge(outcomes[0]!) : null;
  const bytes = encodeRejudgement(
    as,
    batches,
    outcomes.map((outcome) => union ?? judge(outcome)),
  );
  const evidence = sha256Hex(bytes);
  await store.create(layout.judgement(evidence), bytes);
  return { clean: of('clean'), suspect: of('suspect'), evidence };
}
