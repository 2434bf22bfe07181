import { parquetFormat } from '../../src/adapters/parquet/format.ts';
import { HeadgateError } from '../../src/errors.ts';
import type { Alert } from '../../src/ports/alert-channel.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import { openLedger } from '../../src/respond/ledger-context.ts';
import { verifyPipeline } from '../../src/respond/verify.ts';
import { TRUST } from './genesis.ts';
import type { LedgerWatch } from './ledger-watch.ts';
import type { WatchedBatch } from './watched.ts';
import { PlainStore } from './plain-store.ts';
import type { Produced } from './produced.ts';
import type { Scenario } from './scenario.ts';
import type { SharedStore } from './store.ts';
import { Violation } from './world.ts';

const CHANGES_BASELINE: ReadonlySet<string> = new Set(['approve', 'schema', 'rollback']);

/** What of a run must come to an end once nothing goes wrong any more. */
export interface Run {
  readonly scenario: Scenario;
  readonly watch: LedgerWatch;
  readonly produced: Produced;
  readonly logs: readonly LogId[];
  /** In the order in which they came. */
  readonly delivered: readonly Alert[];
}

/** What is still to be done; null when all is. */
export function unsettled(run: Run): string | null {
  const { watch, produced, logs } = run;
  for (const log of logs) {
    const next = watch.logs.get(formatLogId(log))?.next ?? 0;
    if (isBeyondReach(run, log)) continue;
    // Offsets without a record make no batch by themselves.
    if (produced.records(log, next, produced.latest(log)).length > 0)
      return `${formatLogId(log)} is committed up to ${next} of ${produced.latest(log)}`;
  }
  if (watch.isOnHold) return 'the ref is on hold';
  return misplaced(watch) ?? untold(run);
}

/** Whether a rule has halted a log after the newest resume that its writer knew. */
export function waitsForResume({ acts, batches, logs }: LedgerWatch): boolean {
  const resumed = acts.findLastIndex(({ entry }) => entry.kind === 'resume');
  return [...batches.values()].some(
    ({ digest, entry, log }) =>
      entry.halt !== null && logs.get(formatLogId(log))?.digest === digest && entry.controlSeq >= resumed,
  );
}

/** Whether records were deleted before they were read, and the partition has to stop over it. */
export function isBeyondReach({ scenario, watch, produced }: Omit<Run, 'delivered'>, log: LogId): boolean {
  const next = watch.logs.get(formatLogId(log))?.next ?? null;
  return scenario.onGap === 'halt' && next !== null && produced.earliest(log) > next;
}

/** Whether a batch is not where its newest verdict or decision puts it. */
function misplaced({ snapshots, newestSnapshot, batches, acts }: LedgerWatch): string | null {
  const published = snapshots.digestsOf(newestSnapshot, 'batches');
  const held = new Map(
    newestSnapshot === null
      ? []
      : snapshots.linesOf(newestSnapshot, 'held').map(({ digest, standing }) => [digest, standing]),
  );
  for (const batch of batches.values()) {
    const { digest, log, entry } = batch;
    const isIn = isWanted(batch);
    if (isIn ? published.has(digest) : held.has(digest)) continue;
    // What was called clean by a baseline that is no longer in force, and cannot be judged by that which is, is held.
    const isStale = acts.some(({ entry: act }) => act.seq > entry.controlSeq && CHANGES_BASELINE.has(act.kind));
    if (isIn && isStale && held.get(digest) === 'failed') continue;
    return `batch ${formatLogId(log)}@${entry.start} is not ${isIn ? 'in the dataset' : 'held'}`;
  }
  return null;
}

/** Whether a batch belongs to the dataset. */
function isWanted({ entry, decision, verdict }: WatchedBatch): boolean {
  if (decision !== null) return decision === 'released';
  return entry.mode === 'observe' || (verdict ?? entry.verdict) === 'clean';
}

/** Whether something is left that nobody was told of: what people did, a suspect batch, a partition that has stopped. */
function untold(run: Run): string | null {
  const { watch, logs, delivered } = run;
  const told = new Set(delivered.map(({ id }) => id));
  for (const { entry, digest, isTold } of watch.acts)
    if (isTold && !told.has(`control-${digest.slice(0, 32)}`)) return `nobody was told of ${entry.kind} ${entry.seq}`;
  const inUnions = toldInUnions(run);
  for (const { digest, log, entry } of alarming(watch))
    if (!told.has(`batch-${digest.slice(0, 32)}`) && !inUnions.has(digest))
      return `nobody was told of batch ${formatLogId(log)}@${entry.start}`;
  for (const log of logs.filter((each) => isBeyondReach(run, each)))
    if (!delivered.some(({ data }) => data['code'] === 'GAP' && data['log'] === formatLogId(log)))
      return `nobody was told that ${formatLogId(log)} has stopped over a gap`;
  return null;
}

/** Digests of batches that were judged together and told of together: an alert about them names the entry of their verdict. */
function toldInUnions({ watch, delivered }: Pick<Run, 'watch' | 'delivered'>): ReadonlySet<string> {
  const entries = new Set(delivered.flatMap(({ id, subject }) => (id.startsWith('union-') ? [subject] : [])));
  return new Set(
    watch.acts.flatMap(({ entry }) =>
      entry.kind === 'verdict' && entries.has(`control/${entry.seq}`) ? entry.batches.map(({ digest }) => digest) : [],
    ),
  );
}

/** Suspect by their own verdict or by the one that stands, and nobody has decided on them yet. */
function alarming({ snapshots, newestSnapshot, batches }: LedgerWatch): WatchedBatch[] {
  const standings = new Map<string, string>();
  for (const sequence of ['batches', 'held'] as const)
    for (const { digest, standing } of newestSnapshot === null ? [] : snapshots.linesOf(newestSnapshot, sequence))
      standings.set(digest, standing);
  return [...batches.values()].filter(({ digest, entry, verdict, isKnown }) => {
    const standing = standings.get(digest);
    const isSuspect = entry.verdict === 'suspect' && verdict !== 'clean';
    return !isKnown && (isSuspect || standing === 'suspect' || standing === 'failed');
  });
}

/** Holds alerts to what they tell of: it is there, and has one id. @throws Violation I8 */
export function assertAlertsTrue({ watch, delivered }: Pick<Run, 'watch' | 'delivered'>): void {
  const known = new Set([
    ...watch.acts.map(({ digest }) => `control-${digest.slice(0, 32)}`),
    ...[...watch.batches.keys()].map((digest) => `batch-${digest.slice(0, 32)}`),
  ]);
  const subjects = new Map<string, string>();
  const verdicts = new Set(
    watch.acts.flatMap(({ entry }) => (entry.kind === 'verdict' ? [`control/${entry.seq}`] : [])),
  );
  for (const { id, subject } of delivered) {
    const isKnown = id.startsWith('halt-') || (id.startsWith('union-') ? verdicts.has(subject) : known.has(id));
    if (!isKnown) throw new Violation('I8', `alert "${id}" is about ${subject}, of which no entry tells`);
    if ((subjects.get(id) ?? subject) !== subject)
      throw new Violation('I8', `alert "${id}" is about ${subjects.get(id)}, and about ${subject} as well`);
    subjects.set(id, subject);
  }
}

/**
 * Has the verifier look at all that is stored: it must find nothing, and what an attacker has altered by its name.
 * @param deep whether it decodes every file. @throws Violation I10
 */
export async function assertVerified(
  store: SharedStore,
  { named }: LedgerWatch,
  clock: Clock,
  deep: boolean,
): Promise<void> {
  const ledger = openLedger(new PlainStore(store), TRUST, clock);
  const { signal } = new AbortController();
  const { ok, problems } = await verifyPipeline(ledger, { deep, format: parquetFormat, signal }).catch(
    (error: unknown) => {
      if (error instanceof HeadgateError)
        throw new Violation('I10', `verify gives up: ${error.message}`, { cause: error });
      throw error;
    },
  );
  const damaged = named.tampered.filter((key) => named.isDamaged(key));
  const missed = damaged.find((key) => !problems.some(({ object }) => object === key));
  const list = problems.map(({ object, reason }) => `${object}: ${reason}`).join('; ');
  if (missed !== undefined)
    throw new Violation('I10', `verify does not name ${missed}, which was altered; found: ${list}`);
  if (damaged.length === 0 && !ok) throw new Violation('I10', `verify finds what nobody did: ${list}`);
}
