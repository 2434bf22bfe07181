import { decodeBaseline } from '../detect/baseline/format.ts';
import { withoutOwnRows } from '../detect/baseline/own-rows.ts';
import { prepareBaseline, type PreparedBaseline } from '../detect/baseline/prepare.ts';
import { canonicalJson } from '../record/canonical.ts';
import { decodeEvidence, type Evidence } from '../detect/evidence.ts';
import type { Profile } from '../detect/profile.ts';
import { mergeProfiles } from '../detect/profile/merge.ts';
import type { Judgement } from '../detect/judgement.ts';
import { judge, type JudgeSettings } from '../detect/verdict.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, putContent } from '../ledger/objects.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { NewBatch } from './news.ts';
import type { Rejudge } from './reconsider.ts';
import { encodeRejudgement } from './rejudgement.ts';

/** What judging again needs: the ledger it reads and the rules in force. */
export interface RejudgeContext {
  readonly store: ObjectStore;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly settings: JudgeSettings;
}

/** Evidence objects read at once. */
const READS_AT_ONCE = 16;

/** Judges stored batches again, from their profiles alone: no data is read. */
export function makeRejudge(context: RejudgeContext): Rejudge {
  let prepared: PreparedBaseline | null = null;
  /** What was asked last and could not be decided, by topic and way: a slow topic must not cost reads in every round. */
  const undecided = new Map<string, string>();
  return async (topic, batches, as, baselineSha256, signal) => {
    const question = sha256Hex(Buffer.from([baselineSha256, ...batches.map(({ digest }) => digest)].join(' '), 'utf8'));
    if (undecided.get(`${as} ${topic}`) === question) return null;
    if (prepared?.digest !== baselineSha256) prepared = await readBaseline(context, baselineSha256);
    const profiles: Profile[] = Array.from({ length: batches.length });
    await eachLimited(batches.entries(), READS_AT_ONCE, async ([i, batch]) => {
      profiles[i] = (await readEvidence(context, batch)).profile;
    });
    const stored = batches.map((batch, i) => ({ batch, profile: profiles[i]! }));
    const judgements =
      as === 'union'
        ? judgeUnions(context, stored, prepared)
        : stored.map((each) => judgeOne(context, each, prepared!));
    const of = (outcome: Judgement['outcome']): NewBatch[] =>
      batches.filter((_, i) => judgements[i]!.outcome === outcome);
    if (of('undecided').length < batches.length) {
      const evidence = await storeEvidence(context, as, batches, judgements, signal);
      return { clean: of('clean'), suspect: of('suspect'), evidence };
    }
    undecided.set(`${as} ${topic}`, question);
    return null;
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

/** A batch with its profile. */
interface Stored {
  readonly batch: NewBatch;
  readonly profile: Profile;
}

function judgeOne({ settings }: RejudgeContext, stored: Stored, baseline: PreparedBaseline): Judgement {
  return judge(stored.profile, asSeenBy(stored, baseline), settings);
}

/** A batch that waited for its first baseline may be one of those that it was learned from. */
function asSeenBy({ batch, profile }: Stored, baseline: PreparedBaseline): PreparedBaseline {
  return batch.entry.undecided === 'no-baseline' ? withoutOwnRows(baseline, profile) : baseline;
}

/**
 * The judgement of the union that each batch belongs to. Only batches of one schema and the same roles have a union. One that
 * was never judged is in it only if it is too small to be judged by itself; else it has its own judgement.
 */
function judgeUnions(context: RejudgeContext, stored: readonly Stored[], baseline: PreparedBaseline): Judgement[] {
  const unions = new Map<string, Stored[]>();
  const judgements = new Map<Stored, Judgement>();
  for (const each of stored) {
    const own = each.batch.entry.undecided === 'small' ? null : judgeOne(context, each, baseline);
    if (own !== null && own.reason !== 'small') {
      judgements.set(each, own);
      continue;
    }
    const { schema, roles } = each.profile;
    const shape = canonicalJson({ schema, roles });
    const union = unions.get(shape) ?? [];
    unions.set(shape, union);
    union.push(each);
  }
  for (const union of unions.values()) {
    const past = union.reduce((before, each) => asSeenBy(each, before), baseline);
    const judgement = judge(mergeProfiles(union.map(({ profile }) => profile)), past, context.settings);
    for (const each of union) judgements.set(each, judgement);
  }
  return stored.map((each) => judgements.get(each)!);
}

async function storeEvidence(
  { store, layout, clock }: RejudgeContext,
  as: 'union' | 'each',
  batches: readonly NewBatch[],
  judgements: readonly Judgement[],
  signal: AbortSignal,
): Promise<string> {
  const bytes = encodeRejudgement(as, batches, judgements);
  const sha256 = sha256Hex(bytes);
  await putContent(store, layout.judgement(sha256), bytes, clock, signal);
  return sha256;
}
