import { decodeBaseline } from '../detect/baseline/format.ts';
import { OwnRows } from '../detect/baseline/own-rows.ts';
import { prepareBaseline, type PreparedBaseline } from '../detect/baseline/prepare.ts';
import { canonicalJson } from '../record/canonical.ts';
import type { Profile } from '../detect/profile.ts';
import { mergeProfiles } from '../detect/profile/merge.ts';
import type { Judgement } from '../detect/judgement.ts';
import { judge, type JudgeSettings } from '../detect/verdict.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { readEvidence } from '../ledger/evidence.ts';
import { byCommit } from '../ledger/partition-log.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, putContent } from '../ledger/objects.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { NewBatch } from './news.ts';
import { Recent } from '../ledger/recent.ts';
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
/** Stored bytes of the profiles that are kept: a batch that cannot be judged by itself is next judged together with others. */
const PROFILE_BYTES_MAX = 16 * 1_024 * 1_024;
/** Batches that are known to be undecidable by themselves. */
const UNDECIDED_MAX = 100_000;

/** By which baseline a batch could not be decided by itself, and why. */
interface Undecided {
  readonly baseline: string;
  readonly reason: Judgement['reason'];
}

/** Judges stored batches again, from their profiles alone: no data is read, and no profile again for what was asked before. */
export function makeRejudge(context: RejudgeContext): Rejudge {
  let inForce: InForce | null = null;
  const profiles = new Recent<Profile>(PROFILE_BYTES_MAX);
  const undecided = new Recent<Undecided>(UNDECIDED_MAX);
  /** The union of each topic that was asked for last, where it could not be decided. */
  const unions = new Map<string, string>();
  const read = async (batch: NewBatch): Promise<Stored> => {
    const profile = profiles.get(batch.digest) ?? (await readEvidence(context, batch)).profile;
    profiles.set(batch.digest, profile, batch.entry.evidence.bytes);
    return { batch, profile };
  };
  return async (topic, batches, as, baselineSha256, signal) => {
    const aloneOf = ({ digest }: NewBatch): Undecided | null => {
      const known = undecided.get(digest);
      return known?.baseline === baselineSha256 ? known : null;
    };
    const asked = as === 'union' ? batches : batches.filter((batch) => aloneOf(batch) === null);
    const question = sha256Hex(Buffer.from([baselineSha256, ...asked.map(({ digest }) => digest)].join(' '), 'utf8'));
    if (asked.length === 0 || (as === 'union' && unions.get(topic) === question)) return null;
    if (inForce?.prepared.digest !== baselineSha256) {
      const prepared = await readBaseline(context, baselineSha256);
      inForce = { prepared, own: new OwnRows(prepared) };
    }
    const { own } = inForce;
    const stored: Stored[] = Array.from({ length: asked.length });
    await eachLimited(asked.entries(), READS_AT_ONCE, async ([i, batch]) => {
      stored[i] = await read(batch);
    });
    // A batch that waited for its first baseline may be one of those that it was learned from.
    for (const { batch, profile } of stored.toSorted((a, b) => byCommit(a.batch, b.batch)))
      if (batch.entry.undecided === 'no-baseline') own.claim(profile, batch.digest);
    const isSmall = (batch: NewBatch): boolean =>
      batch.entry.undecided === 'small' || aloneOf(batch)?.reason === 'small';
    const judgements =
      as === 'union' ? judgeUnions(context, stored, own, isSmall) : stored.map((each) => judgeOne(context, each, own));
    const of = (outcome: Judgement['outcome']): NewBatch[] =>
      asked.filter((_, i) => judgements[i]!.outcome === outcome);
    if (as === 'each')
      for (const [i, { digest }] of asked.entries())
        if (judgements[i]!.outcome === 'undecided')
          undecided.set(digest, { baseline: baselineSha256, reason: judgements[i]!.reason }, 1);
    if (of('undecided').length < asked.length) {
      const evidence = await storeEvidence(context, as, asked, judgements, signal);
      return { clean: of('clean'), suspect: of('suspect'), evidence };
    }
    if (as === 'union') unions.set(topic, question);
    return null;
  };
}

/** The baseline object under a digest, ready for judging. @throws IntegrityError, UnavailableError */
export async function readBaseline(
  { store, layout }: Pick<RejudgeContext, 'store' | 'layout'>,
  sha256: string,
): Promise<PreparedBaseline> {
  return prepareBaseline(decodeBaseline(await getVerified(store, layout.baseline(sha256), sha256, BYTES_MAX.baseline)));
}

/** A baseline, and which waiting batches it was learned from. */
interface InForce {
  readonly prepared: PreparedBaseline;
  readonly own: OwnRows;
}

/** A batch with its profile. */
interface Stored {
  readonly batch: NewBatch;
  readonly profile: Profile;
}

function judgeOne({ settings }: RejudgeContext, { batch, profile }: Stored, own: OwnRows): Judgement {
  return judge(profile, comparable(profile, own.without(new Set([batch.digest]))), settings);
}

/**
 * The baseline, if a profile can be compared with it: columns of another schema are others, be they named alike. A batch of
 * which no record decoded has none.
 */
function comparable({ rows, schema }: Profile, prepared: PreparedBaseline): PreparedBaseline | null {
  return rows === 0 || schema === prepared.baseline.schema ? prepared : null;
}

/**
 * The judgement of the union that each batch belongs to. Only batches of one schema and the same roles have a union. One that
 * was never judged is in it only if it is too small to be judged by itself; else it has its own judgement.
 * @param isSmall true for a batch that is known to be too small: it need not be judged to find out.
 */
function judgeUnions(
  context: RejudgeContext,
  stored: readonly Stored[],
  own: OwnRows,
  isSmall: (batch: NewBatch) => boolean,
): Judgement[] {
  const unions = new Map<string, Stored[]>();
  const judgements = new Map<Stored, Judgement>();
  for (const each of stored) {
    const alone = isSmall(each.batch) ? null : judgeOne(context, each, own);
    if (alone !== null && alone.reason !== 'small') {
      judgements.set(each, alone);
      continue;
    }
    const { schema, roles } = each.profile;
    const shape = canonicalJson({ schema, roles });
    const union = unions.get(shape) ?? [];
    unions.set(shape, union);
    union.push(each);
  }
  for (const union of unions.values()) {
    const baseline = own.without(new Set(union.map(({ batch }) => batch.digest)));
    const merged = mergeProfiles(union.map(({ profile }) => profile));
    const judgement = judge(merged, comparable(merged, baseline), context.settings);
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
