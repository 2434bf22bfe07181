import { HISTORY_MAX } from '../detect/baseline/calibrate.ts';
import type { Profile } from '../detect/profile.ts';
import { IntegrityError, NotFoundError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { readEvidence } from '../ledger/evidence.ts';
import { byCommit, type LoggedBatch } from '../ledger/partition-log.ts';
import type { BatchLine, Snapshot, Standing } from '../ledger/snapshot.ts';
import { formatLogId, parseLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';
import { currentSnapshot } from './refs.ts';

/** Entries and evidence read at once. */
const READS_AT_ONCE = 16;

/** Where a profile is of. */
export interface ProfilePlace {
  /** `LOG@OFFSET` of its first record. */
  readonly place: string;
  /** `file`: it is in no ledger. */
  readonly standing: 'held' | 'published' | 'file';
}

/** What {@link storedProfiles} tells of the profiles it returns. */
export interface StoredHistory {
  /** Of each profile, in order. */
  readonly places: readonly ProfilePlace[];
  /** Batches that are older than the newest {@link HISTORY_MAX}. */
  readonly older: number;
}

/**
 * Which stored batches a baseline is learned from: those that are held for want of one; those that are published and were
 * not found suspect; and, after a change that has come to stay, the suspect ones of either too. Several may be joined.
 */
export type LearnFrom = 'held' | 'held-suspect' | 'published' | 'published-suspect';

const NAMES: Readonly<Record<LearnFrom, string>> = {
  held: 'batches that are held for want of one',
  'held-suspect': 'batches that are held for want of one or as suspect',
  published: 'published batches that are not suspect (--with-suspect takes those too)',
  'published-suspect': 'published batches',
};

const isLearnedFrom: Readonly<Record<LearnFrom, (standing: Standing) => boolean>> = {
  held: (standing) => standing === 'no-baseline',
  'held-suspect': (standing) => standing === 'no-baseline' || standing === 'suspect',
  published: (standing) => standing !== 'suspect' && standing !== 'failed',
  'published-suspect': () => true,
};

/**
 * Profiles of a topic's batches in the newest snapshot, in commit order; the newest {@link HISTORY_MAX}, for no more are
 * learned from.
 * @param from one or more; each batch counts once.
 * @param told of the places of the batches, and of how many older ones there are.
 * @throws NotFoundError when there are none; IntegrityError that names the batch and the way out where one is damaged;
 *   UnavailableError
 */
export async function storedProfiles(
  ledger: LedgerContext,
  ref: string,
  topic: string,
  from: readonly LearnFrom[],
  told: (history: StoredHistory) => void = () => undefined,
): Promise<Profile[]> {
  const { control, snapshots } = ledger;
  const snapshot: Snapshot = await snapshots.read(currentSnapshot(await control.head(), ref));
  const lines = new Map<string, BatchLine[]>();
  const published = new Set<string>();
  let count = 0;
  for (const sequence of ['held', 'batches'] as const) {
    const taken = from.filter((each) => each.startsWith('held') === (sequence === 'held'));
    if (taken.length === 0) continue;
    for await (const line of snapshots.batches(snapshot[sequence])) {
      if (parseLogId(line.log)?.topic !== topic || !taken.some((each) => isLearnedFrom[each](line.standing))) continue;
      const ofLog = lines.get(line.log) ?? [];
      ofLog.push(line);
      if (sequence === 'batches') published.add(line.digest);
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
  const batches = await newestBatches(ledger, topic, newest);
  const places = batches.map(({ log, entry, digest }): ProfilePlace => ({
    place: `${formatLogId(log)}@${entry.start}`,
    standing: published.has(digest) ? 'published' : 'held',
  }));
  told({ places, older: count - batches.length });
  const profiles: Profile[] = Array.from({ length: batches.length });
  const damaged: Damaged[] = [];
  await eachLimited(batches.entries(), READS_AT_ONCE, async ([i, batch]) => {
    try {
      profiles[i] = (await readEvidence(ledger, batch)).profile;
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      damaged.push({ batch, error });
    }
  });
  if (damaged.length > 0) throw unlearnable(topic, damaged);
  return profiles;
}

/** A batch whose evidence is not what was signed. */
interface Damaged {
  readonly batch: LoggedBatch;
  readonly error: IntegrityError;
}

/**
 * Whoever can damage what is stored must not choose what is learned: a batch is left out only by a decision that a person
 * signs.
 */
function unlearnable(topic: string, damaged: readonly Damaged[]): IntegrityError {
  const [first, ...others] = damaged.toSorted((a, b) => byCommit(a.batch, b.batch));
  const { batch, error } = first!;
  const ids = [first!, ...others].map((each) => each.batch.digest.slice(0, 12)).join(' ');
  const wayOut = `put the evidence back as it was, or leave such batches out: headgate quarantine condemn ${ids} --reason …, then headgate publish --once`;
  return new IntegrityError(
    error.code,
    error.object,
    `${cannotLearnFrom(topic, batch.digest, formatLogId(batch.log), batch.entry.start)}${others.length === 0 ? '' : `, nor from ${others.length} more`}: ${error.message} (mend: ${wayOut})`,
    { cause: error },
  );
}

function cannotLearnFrom(topic: string, digest: string, log: string, start: number): string {
  return `Cannot learn a baseline of "${topic}" from batch ${digest.slice(0, 12)} (${log}@${start})`;
}

/**
 * The newest {@link HISTORY_MAX} of all batches, in commit order. Only entries tell when a batch was committed, so each log
 * is read from its newest line back, and only as far as its batches are among the newest.
 * @param lines of each log, in order; each log at least one
 * Cost: a GET a batch that is given, and up to {@link READS_AT_ONCE} a log besides.
 */
async function newestBatches(
  { logs }: LedgerContext,
  topic: string,
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
      queue.read[i] = await logs.readBatch(line).catch((error: unknown) => {
        if (!(error instanceof IntegrityError)) throw error;
        throw new IntegrityError(
          error.code,
          error.object,
          `${cannotLearnFrom(topic, line.digest, line.log, line.start)}: ${error.message} (mend: put the slots of the log back as they were, from a copy of the store; headgate verify tells which)`,
          { cause: error },
        );
      });
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
