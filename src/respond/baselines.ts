import { HISTORY_MAX } from '../detect/baseline/calibrate.ts';
import { encodeBaseline } from '../detect/baseline/format.ts';
import { learnBaseline, withoutCopies } from '../detect/baseline/learn.ts';
import type { Profile, Roles } from '../detect/profile.ts';
import { NotFoundError, RequestError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { putContent } from '../ledger/objects.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import { byCommit, type LoggedBatch } from '../ledger/partition-log.ts';
import type { BatchLine, Snapshot, Standing } from '../ledger/snapshot.ts';
import { readEvidence } from '../ledger/evidence.ts';
import { parseLogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { LedgerContext } from './ledger-context.ts';
import { newestFirst } from '../ledger/newest-first.ts';
import { currentSnapshot, type Actor } from './refs.ts';
import { storedDigests } from './stored-digests.ts';

/** Entries and evidence read at once. */
const READS_AT_ONCE = 16;

/** A learned baseline that waits for approval. */
export interface LearnedBaseline {
  readonly topic: string;
  readonly baseline: string;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  /** Batches left out because no record of them decoded, before a schema was pinned. */
  readonly skipped: number;
  /** Batches left out because they were read with another label or time than the newest one. */
  readonly otherRoles: number;
  /** Batches left out because all of their rows are those of an earlier one. */
  readonly copies: number;
  /** Batches left out because {@link HISTORY_MAX} newer ones are enough. */
  readonly older: number;
  readonly roles: Roles;
}

/**
 * Which stored batches a baseline is learned from: those that are held for want of one; those that are published and were
 * not found suspect; all that are published, for observe mode after a change that has come to stay. Several may be joined.
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
 * @param from one or more; each batch counts once.
 * @param leftOut told how many older ones there are.
 * @throws NotFoundError when there are none
 */
export async function storedProfiles(
  ledger: LedgerContext,
  ref: string,
  topic: string,
  from: readonly LearnFrom[],
  leftOut: (batches: number) => void = () => undefined,
): Promise<Profile[]> {
  const { control, snapshots } = ledger;
  const snapshot: Snapshot = await snapshots.read(currentSnapshot(await control.head(), ref));
  const lines = new Map<string, BatchLine[]>();
  let count = 0;
  for (const sequence of ['held', 'batches'] as const) {
    const taken = from.filter((each) => (each === 'held') === (sequence === 'held'));
    if (taken.length === 0) continue;
    for await (const line of snapshots.batches(snapshot[sequence])) {
      if (parseLogId(line.log)?.topic !== topic || !taken.some((each) => isLearnedFrom[each](line.standing))) continue;
      const ofLog = lines.get(line.log) ?? [];
      ofLog.push(line);
      count++;
      // What is held may be newer than what is published, or older: twice as many are kept until both are read.
      if (ofLog.length > 2 * HISTORY_MAX) ofLog.sort(byOffset).splice(0, HISTORY_MAX);
      lines.set(line.log, ofLog);
    }
  }
  if (lines.size === 0) {
    const wanted = from.map((each) => NAMES[each]).join(', and no ');
    throw new NotFoundError('NOT_FOUND', `Cannot learn a baseline of "${topic}": "${ref}" has no ${wanted}`);
  }
  const newest = [...lines.values()].map((ofLog) => ofLog.toSorted(byOffset).slice(-HISTORY_MAX));
  const batches = await newestBatches(ledger, newest);
  leftOut(count - batches.length);
  const profiles: Profile[] = Array.from({ length: batches.length });
  await eachLimited(batches.entries(), READS_AT_ONCE, async ([i, batch]) => {
    profiles[i] = (await readEvidence(ledger, batch)).profile;
  });
  return profiles;
}

/**
 * The newest {@link HISTORY_MAX} of all batches, in commit order. Only entries tell when a batch was committed, so each log
 * is read from its newest line back, and only as far as its batches are among the newest.
 * @param lines of each log, in order; each log at least one
 * Cost: a GET a batch that is given, and up to {@link READS_AT_ONCE} a log besides.
 */
async function newestBatches(
  { logs }: LedgerContext,
  lines: readonly (readonly BatchLine[])[],
): Promise<LoggedBatch[]> {
  const queues = lines.map((ofLog) => ({ left: [...ofLog], read: [] as LoggedBatch[] }));
  let atOnce = Math.max(1, Math.min(READS_AT_ONCE, Math.ceil(HISTORY_MAX / lines.length)));
  const newest: LoggedBatch[] = [];
  for (;;) {
    const wanted = queues.flatMap((queue) => {
      if (queue.read.length > 0) return [];
      const next = queue.left.splice(-atOnce).toReversed();
      return next.map((line, i) => ({ queue, line, i }));
    });
    await eachLimited(wanted, READS_AT_ONCE, async ({ queue, line, i }) => {
      queue.read[i] = await logs.readBatch(line);
    });
    atOnce = READS_AT_ONCE;
    const open = queues.filter(({ read }) => read.length > 0);
    if (open.length === 0 || newest.length === HISTORY_MAX) return newest.toSorted(byCommit);
    // Until one log has nothing read left: only its next entry says whether it goes on before the others.
    do newest.push(open.toSorted((x, y) => byCommit(y.read[0]!, x.read[0]!))[0]!.read.shift()!);
    while (newest.length < HISTORY_MAX && open.every(({ read }) => read.length > 0));
  }
}

function byOffset(a: BatchLine, b: BatchLine): number {
  return a.start - b.start;
}

/**
 * Learns a baseline from profiles, stores it, and makes it the topic's candidate; nothing is judged by it before it is
 * approved. Batches of which no record decoded, read before the schema was pinned, say nothing and are left out, and so are
 * those that were read with another label or time than the newest one: what they say of it is nothing, or of something else.
 * Copies of earlier batches are left out as well.
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
  const usable = profiles.filter(({ schema, rows }) => rows > 0 || schema === pinned);
  const skipped = profiles.length - usable.length;
  if (usable.length === 0 && skipped > 0)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot learn a baseline for "${topic}": no record decoded in ${skipped === 1 ? 'the only batch' : `any of ${skipped} batches`} (headgate show and the dead letters tell why)`,
    );
  const stray = usable.find(({ schema }) => pinned !== undefined && schema !== pinned);
  if (stray !== undefined)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot learn a baseline for "${topic}": a batch has schema ${stray.schema.slice(0, 12)}, ${pinned!.slice(0, 12)} is pinned`,
    );
  const newest = usable.at(-1)?.roles;
  const alike = usable.filter(({ roles }) => roles.label === newest?.label && roles.time === newest?.time);
  const distinct = withoutCopies(alike);
  const learned = learnBaseline(distinct);
  const bytes = encodeBaseline(learned);
  const baseline = sha256Hex(bytes);
  await putContent(store, layout.baseline(baseline), bytes, clock, signal);
  await control.append(signer, () => ({ kind: 'learn', by, topic, baseline, reason }), signal);
  const used = distinct.slice(-HISTORY_MAX);
  return {
    topic,
    baseline,
    batches: used.length,
    records: used.reduce((sum, { counts }) => sum + counts.records, 0),
    bytes: bytes.length,
    skipped,
    otherRoles: usable.length - alike.length,
    copies: alike.length - distinct.length,
    older: distinct.length - used.length,
    roles: learned.roles,
  };
}

/**
 * Puts a baseline in force.
 * @param id its digest or the first digits; undefined for the topic's newest candidate.
 * @throws NotFoundError when there is no such candidate
 */
export async function approve(
  ledger: LedgerContext,
  topic: string,
  id: string | undefined,
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<string> {
  const head = await ledger.control.head();
  const candidate = head.state.candidates[topic];
  const baseline = id === undefined || id === candidate ? candidate : await findLearned(ledger, head, topic, id);
  if (baseline === undefined)
    throw new NotFoundError(
      'NOT_FOUND',
      `Cannot approve a baseline of "${topic}": ${id === undefined ? 'none waits for approval (headgate baseline learn makes one)' : `none begins with "${id}"`}`,
    );
  await ledger.control.append(signer, () => ({ kind: 'approve', by, topic, baseline, reason }), signal);
  return baseline;
}

/**
 * The baseline of a topic that was learned under an id or a prefix of it. Cost: one GET an entry since then.
 * @throws NotFoundError when several begin like that
 */
async function findLearned(
  { store, layout, control }: LedgerContext,
  head: ControlHead,
  topic: string,
  id: string,
): Promise<string | undefined> {
  if (!/^[0-9a-f]{0,64}$/.test(id)) return undefined;
  const stored = await storedDigests(store, (sha256) => layout.baseline(sha256), id);
  const found = new Set<string>();
  for await (const { entry } of newestFirst(control, head)) {
    if (entry.kind !== 'learn' || entry.topic !== topic || !entry.baseline.startsWith(id)) continue;
    found.add(entry.baseline);
    if (stored !== null && [...stored].every((sha256) => found.has(sha256))) break;
  }
  const [match, ...others] = found;
  if (others.length > 0)
    throw new NotFoundError('NOT_FOUND', `Cannot tell which baseline "${id}" is: ${found.size} begin with it`);
  return match;
}
