import { HISTORY_MAX } from '../detect/baseline/calibrate.ts';
import { BATCHES_MIN } from '../detect/baseline/reference.ts';
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
/** Batches that are read at most: small ones are joined, so that it takes many of them. */
const BATCHES_READ_MAX = 4_000;
/** Lines that are kept of all logs together, about: nobody knows yet which of them are the newest. */
const LINES_KEPT = 50_000;

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
  /** Batches that are older than those. */
  readonly older: number;
}

/** How {@link storedProfiles} reads. */
export interface HistoryOptions {
  /** Decoded rows below which batches are learned from only when they are joined; 0 = none are. */
  readonly recordsMin?: number;
  readonly told?: (history: StoredHistory) => void;
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
 * Profiles of a topic's batches in the newest snapshot, in commit order: of the newest as many as are learned from, which are
 * {@link HISTORY_MAX}, or more where small ones are joined.
 * @param from one or more; each batch counts once.
 * @throws NotFoundError when there are none; IntegrityError that names the batch and the way out where one is damaged;
 *   UnavailableError
 */
export async function storedProfiles(
  ledger: LedgerContext,
  ref: string,
  topic: string,
  from: readonly LearnFrom[],
  { recordsMin = 0, told = () => undefined }: HistoryOptions = {},
): Promise<Profile[]> {
  const { control, snapshots } = ledger;
  const snapshot: Snapshot = await snapshots.read(currentSnapshot(await control.head(), ref));
  const lines = new Map<string, BatchLine[]>();
  /** Lines of a log at which it is looked at again how many of them may be needed. */
  const trimAt = new Map<string, number>();
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
      lines.set(line.log, ofLog);
      const keptMax = Math.max(HISTORY_MAX, Math.floor(LINES_KEPT / lines.size));
      // What is held may be newer than what is published, or older: twice as many are kept until both are read.
      if (ofLog.length > 2 * HISTORY_MAX && ofLog.length >= (trimAt.get(line.log) ?? 0)) {
        const kept = newestOf(ofLog, recordsMin).slice(-keptMax);
        lines.set(line.log, kept);
        trimAt.set(line.log, 2 * kept.length);
      }
    }
  }
  if (lines.size === 0) {
    const wanted = from.map((each) => NAMES[each]).join(', and no ');
    throw new NotFoundError('NOT_FOUND', `Cannot learn a baseline of "${topic}": "${ref}" has no ${wanted}`);
  }
  const newest = [...lines.values()].map((ofLog) => newestOf(ofLog, recordsMin));
  const batches = await newestBatches(ledger, topic, newest, new Supply(recordsMin));
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
 * The newest of all batches, as many as are needed, in commit order. Only entries tell when a batch was committed, so each log
 * is read from its newest line back, and only as far as its batches are among the newest.
 * @param lines of each log, in order; each log at least one
 * Cost: a GET a batch that is given, and up to {@link READS_AT_ONCE} a log besides.
 */
async function newestBatches(
  { logs }: LedgerContext,
  topic: string,
  lines: readonly (readonly BatchLine[])[],
  supply: Supply,
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
    if (open.length === 0 || supply.isEnough) return newest.toSorted(byCommit);
    // Until one log has nothing read left: only its next entry says whether it goes on before the others.
    do {
      const next = open.reduce((x, y) => (byCommit(y.read[0]!, x.read[0]!) > 0 ? y : x)).read.shift()!;
      newest.push(next);
      supply.add(next.entry.records - next.entry.deadLetterRecords);
    } while (!supply.isEnough && open.every(({ read }) => read.length > 0));
  }
}

/** Counts batches until a baseline has all that it can be learned from; see learningUnits. */
class Supply {
  readonly #recordsMin: number;
  #batches = 0;
  #large = 0;
  #smallRows = 0;

  constructor(recordsMin: number) {
    this.#recordsMin = recordsMin;
  }

  add(rows: number): void {
    this.#batches++;
    if (rows >= this.#recordsMin) this.#large++;
    else this.#smallRows += rows;
  }

  get isEnough(): boolean {
    if (this.#large >= HISTORY_MAX || this.#batches >= BATCHES_READ_MAX) return true;
    // Where enough are large, small ones are left out.
    return this.#large < BATCHES_MIN && this.#large + this.#smallRows / this.#recordsMin >= HISTORY_MAX;
  }
}

/** As many of the newest lines of a log as would be enough if there were no other log, in order. */
function newestOf(ofLog: readonly BatchLine[], recordsMin: number): BatchLine[] {
  const sorted = ofLog.toSorted(byOffset);
  const supply = new Supply(recordsMin);
  let from = sorted.length;
  while (from > 0 && !supply.isEnough) supply.add(sorted[--from]!.rows);
  return sorted.slice(from);
}

function byOffset(a: BatchLine, b: BatchLine): number {
  return a.start - b.start;
}
