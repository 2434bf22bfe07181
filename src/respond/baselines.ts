import { HISTORY_MAX } from '../detect/baseline/calibrate.ts';
import { encodeBaseline } from '../detect/baseline/format.ts';
import { learnBaseline } from '../detect/baseline/learn.ts';
import type { Profile } from '../detect/profile.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import { putContent } from '../ledger/objects.ts';
import type { Snapshot, Standing } from '../ledger/snapshot.ts';
import { readEvidence } from '../publish/rejudge.ts';
import { parseLogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { LedgerContext } from './ledger-context.ts';
import { currentSnapshot, type Actor } from './refs.ts';

/** A learned baseline that waits for approval. */
export interface LearnedBaseline {
  readonly topic: string;
  readonly baseline: string;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
}

/**
 * Which stored batches a baseline is learned from: those that are held for want of one; those that are published and were
 * not found suspect; all that are published, for observe mode after a change that has come to stay.
 */
export type LearnFrom = 'held' | 'published' | 'published-suspect';

const NAMES: Readonly<Record<LearnFrom, string>> = {
  held: 'batches that are held for want of one',
  published: 'published batches that are not suspect (--with-suspect takes those too)',
  'published-suspect': 'published batches',
};

const isLearnedFrom: Readonly<Record<LearnFrom, (standing: Standing) => boolean>> = {
  held: (standing) => standing === 'no-baseline',
  published: (standing) => standing !== 'suspect' && standing !== 'failed',
  'published-suspect': () => true,
};

/**
 * Profiles of a topic's batches in the newest snapshot, in commit order; the newest {@link HISTORY_MAX}, for no more are
 * learned from.
 * @throws NotFoundError when there are none
 */
export async function storedProfiles(
  ledger: LedgerContext,
  ref: string,
  topic: string,
  from: LearnFrom,
): Promise<Profile[]> {
  const { control, snapshots, logs } = ledger;
  const snapshot: Snapshot = await snapshots.read(currentSnapshot(await control.head(), ref));
  const found = [];
  for await (const line of snapshots.batches(from === 'held' ? snapshot.held : snapshot.batches)) {
    if (parseLogId(line.log)?.topic === topic && isLearnedFrom[from](line.standing))
      found.push(await logs.readBatch(line));
  }
  if (found.length === 0)
    throw new NotFoundError('NOT_FOUND', `Cannot learn a baseline of "${topic}": "${ref}" has no ${NAMES[from]}`);
  found.sort((a, b) =>
    a.entry.time < b.entry.time ? -1 : a.entry.time > b.entry.time ? 1 : a.entry.start - b.entry.start,
  );
  const profiles: Profile[] = [];
  for (const batch of found.slice(-HISTORY_MAX)) profiles.push((await readEvidence(ledger, batch)).profile);
  return profiles;
}

/**
 * Learns a baseline from profiles, stores it, and makes it the topic's candidate; nothing is judged by it before it is
 * approved.
 * @param profiles in time order; of more than {@link HISTORY_MAX} the newest are used.
 * @throws RequestError when they cannot be learned from
 */
export async function learn(
  { store, layout, clock, control }: LedgerContext,
  topic: string,
  profiles: readonly Profile[],
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<LearnedBaseline> {
  const { state } = await control.head();
  const pinned = state.schemas[topic];
  const stray = profiles.find(({ schema }) => pinned !== undefined && schema !== pinned);
  if (stray !== undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot learn a baseline for "${topic}": a batch has schema ${stray.schema.slice(0, 12)}, ${pinned!.slice(0, 12)} is pinned`,
    );
  const bytes = encodeBaseline(learnBaseline(profiles));
  const baseline = sha256Hex(bytes);
  await putContent(store, layout.baseline(baseline), bytes, clock, signal);
  await control.append(signer, () => ({ kind: 'learn', by, topic, baseline, reason }), signal);
  const used = profiles.slice(-HISTORY_MAX);
  return {
    topic,
    baseline,
    batches: used.length,
    records: used.reduce((sum, { counts }) => sum + counts.records, 0),
    bytes: bytes.length,
  };
}

/**
 * Puts a baseline in force.
 * @param id its digest or the first digits; undefined for the topic's newest candidate.
 * @throws NotFoundError when there is no such candidate
 */
export async function approve(
  { control }: LedgerContext,
  topic: string,
  id: string | undefined,
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<string> {
  const known = new Set<string>();
  for await (const { entry } of control.walk())
    if (entry.kind === 'learn' && entry.topic === topic) known.add(entry.baseline);
  const { state } = await control.head();
  const matches =
    id === undefined
      ? [state.candidates[topic]].filter((each) => each !== undefined)
      : [...known].filter((each) => each.startsWith(id));
  const [baseline, ...others] = matches;
  if (baseline === undefined)
    throw new NotFoundError(
      'NOT_FOUND',
      `Cannot approve a baseline of "${topic}": ${id === undefined ? 'none waits for approval (headgate baseline learn makes one)' : `none begins with "${id}"`}`,
    );
  if (others.length > 0)
    throw new NotFoundError('NOT_FOUND', `Cannot tell which baseline "${id}" is: ${matches.length} begin with it`);
  await control.append(signer, () => ({ kind: 'approve', by, topic, baseline, reason }), signal);
  return baseline;
}
