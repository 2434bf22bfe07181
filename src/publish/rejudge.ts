import { decodeBaseline } from '../detect/baseline/format.ts';
import { withoutOwnRows } from '../detect/baseline/own-rows.ts';
import { prepareBaseline, type PreparedBaseline } from '../detect/baseline/prepare.ts';
import { canonicalJson } from '../detect/canonical.ts';
import { decodeEvidence, type Evidence } from '../detect/evidence.ts';
import { mergeProfiles } from '../detect/profile/merge.ts';
import { judge, type Judgement, type JudgeSettings } from '../detect/verdict.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, putContent } from '../ledger/objects.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { formatLogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { NewBatch } from './news.ts';
import type { Rejudge, Rejudged } from './reconsider.ts';

export interface RejudgeContext {
  readonly store: ObjectStore;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly settings: JudgeSettings;
}

/** Judges stored batches again, from their profiles alone: no data is read. */
export function makeRejudge(context: RejudgeContext): Rejudge {
  let prepared: PreparedBaseline | null = null;
  return async (_topic, batches, as, baselineSha256, signal) => {
    if (prepared?.digest !== baselineSha256) prepared = await readBaseline(context, baselineSha256);
    const evidence = await Promise.all(batches.map((batch) => readEvidence(context, batch)));
    return as === 'union'
      ? judgeUnion(context, batches, evidence, prepared, signal)
      : judgeEach(context, batches, evidence, prepared, signal);
  };
}

/** The baseline object under a digest, ready for judging. @throws IntegrityError, UnavailableError */
export async function readBaseline({ store, layout }: RejudgeContext, sha256: string): Promise<PreparedBaseline> {
  return prepareBaseline(decodeBaseline(await getVerified(store, layout.baseline(sha256), sha256, BYTES_MAX.baseline)));
}

/** Evidence that a batch's entry names. @throws IntegrityError, UnavailableError */
export async function readEvidence(
  { store }: Pick<RejudgeContext, 'store'>,
  { entry }: Pick<NewBatch, 'entry'>,
): Promise<Evidence> {
  const { key, sha256, bytes } = entry.evidence;
  return decodeEvidence(await getVerified(store, key, sha256, Math.max(1, bytes)), key);
}

async function judgeUnion(
  context: RejudgeContext,
  batches: readonly NewBatch[],
  evidence: readonly Evidence[],
  baseline: PreparedBaseline,
  signal: AbortSignal,
): Promise<Rejudged | null> {
  const judgement = judge(mergeProfiles(evidence.map(({ profile }) => profile)), baseline, context.settings);
  if (judgement.outcome === 'undecided') return null;
  const sha256 = await store(context, { as: 'union', batches: batches.map(nameOf), judgements: [judgement] }, signal);
  return {
    clean: judgement.outcome === 'clean' ? batches : [],
    suspect: judgement.outcome === 'suspect' ? batches : [],
    evidence: sha256,
  };
}

/** A batch that stays undecided by itself is left as it was. */
async function judgeEach(
  context: RejudgeContext,
  batches: readonly NewBatch[],
  evidence: readonly Evidence[],
  baseline: PreparedBaseline,
  signal: AbortSignal,
): Promise<Rejudged | null> {
  const judgements = evidence.map(({ profile }, i) => {
    // A batch that waited for its first baseline may be one of those that it was learned from.
    const learnedFrom = batches[i]!.entry.undecided === 'no-baseline';
    return judge(profile, learnedFrom ? withoutOwnRows(baseline, profile) : baseline, context.settings);
  });
  const of = (outcome: Judgement['outcome']): NewBatch[] =>
    batches.filter((_, i) => judgements[i]!.outcome === outcome);
  if (of('undecided').length === batches.length) return null;
  const sha256 = await store(context, { as: 'each', batches: batches.map(nameOf), judgements }, signal);
  return { clean: of('clean'), suspect: of('suspect'), evidence: sha256 };
}

function nameOf({ log, entry, digest }: NewBatch): Record<string, string | number> {
  return { log: formatLogId(log), slot: entry.slot, digest };
}

async function store(
  { store: objects, layout, clock }: RejudgeContext,
  judgement: unknown,
  signal: AbortSignal,
): Promise<string> {
  const bytes = Buffer.from(canonicalJson({ version: 1, ...(judgement as object) }), 'utf8');
  const sha256 = sha256Hex(bytes);
  await putContent(objects, layout.judgement(sha256), bytes, clock, signal);
  return sha256;
}
