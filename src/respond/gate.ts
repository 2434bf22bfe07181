import { IntegrityError } from '../errors.ts';
import { DEAD_LETTERS_TOLD } from '../record/dead-letter.ts';
import { parseBatchLine, type BatchLine, type Snapshot, type Standing } from '../ledger/snapshot.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { ControlState } from '../ledger/control-state.ts';
import { aheadWarning, timeFault } from '../ledger/entry-time.ts';
import { linesOf } from '../ledger/sequence.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { LedgerContext } from './ledger-context.ts';
import { findPublished } from './published.ts';
import type { Problem } from './verify/findings.ts';
import { pageFault, sequenceFaults, totalsOf, type BatchTotals } from './verify/sequence-faults.ts';

/** May a training job read this? */
export interface GateReport {
  readonly verdict: 'pass' | 'refused' | 'tampered' | 'stale';
  /** The ref that was asked for, or that the snapshot belongs to. */
  readonly ref: string;
  /** What was looked at, and the only thing that the verdict is about: a ref may move on at any time. */
  readonly snapshot: string | null;
  readonly records: number;
  /** Records of its batches that are in none of its rows, because they did not decode. */
  readonly deadLetters: number;
  readonly batches: number;
  /** Batches kept out of the snapshot. */
  readonly held: number;
  /** Batches that only observe mode let in, by where they stand: none of them was judged clean or released. */
  readonly observed: Readonly<Partial<Record<Standing, number>>>;
  /** Why not, one sentence each; empty for a pass. */
  readonly reasons: readonly string[];
  /** What a careful reader should know although it passes. */
  readonly warnings: readonly string[];
  readonly problems: readonly Problem[];
  /** Time of the newest control entry. */
  readonly newestTime: string | null;
}

/** What a training job asks for. */
export interface GateOptions {
  /** A ref, or a snapshot: its id or a unique prefix of it (≥ 6 digits). */
  readonly ref: string;
  /** The newest control entry must not be older than this; null = any age. */
  readonly maxAgeMs: number | null;
  readonly signal: AbortSignal;
}

const READS_AT_ONCE = 16;

/**
 * Answers whether a ref, or a snapshot that it named once, may be trained on: it exists, nobody holds the ref, no rollback
 * has left the snapshot behind, the signed state and the snapshot's pages and roots are as signed, each of its batches was
 * judged clean, released by a person, or let through in observe mode, none has been condemned since, and every data file
 * is there with the right size. Reading the data itself is `verify` and `pull`; whether each standing was come by rightly
 * is `verify`.
 * @throws NotFoundError when several snapshots begin with `ref`; UnavailableError
 */
export async function gate(ledger: LedgerContext, { ref, maxAgeMs, signal }: GateOptions): Promise<GateReport> {
  const report: Draft = {
    ref,
    snapshot: null,
    records: 0,
    deadLetters: 0,
    batches: 0,
    held: 0,
    observed: {},
    reasons: [],
    warnings: [],
    problems: [],
    newestTime: null,
  };
  try {
    const head = await ledger.control.head();
    const { newest, state } = head;
    report.newestTime = newest?.entry.time ?? null;
    const fault = newest === null ? null : timeFault(newest.entry.time, ledger.clock.now());
    if (newest !== null && fault !== null)
      report.problems.push({ object: newest.key, code: 'CHAIN_BROKEN', reason: fault });
    await findSnapshot(ledger, head, report);
    if (state.holds[report.ref] !== undefined)
      report.reasons.push(`"${report.ref}" is on hold since control entry ${state.holds[report.ref]}`);
    if (report.snapshot === null) report.reasons.push(`"${ref}" was never published`);
    else await checkSnapshot(ledger, state, report.snapshot, report, signal);
    if (signal.aborted) report.reasons.push('it was interrupted before everything was checked');
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    report.problems.push({ object: error.object, code: error.code, reason: error.reason });
  }
  const ageMs = report.newestTime === null ? 0 : ledger.clock.now() - Date.parse(report.newestTime);
  const ahead = report.newestTime === null ? null : aheadWarning(report.newestTime, ledger.clock.now());
  if (ahead !== null && maxAgeMs === null) report.warnings.push(ahead);
  const isStale = maxAgeMs !== null && (ageMs > maxAgeMs || ahead !== null);
  const isRefused = report.reasons.length > 0;
  if (isStale)
    report.reasons.push(
      ahead ??
        `the newest control entry is ${Math.round(ageMs / 1_000)} s old, at most ${Math.round(maxAgeMs / 1_000)} s are allowed`,
    );
  const verdict = report.problems.length > 0 ? 'tampered' : isRefused ? 'refused' : isStale ? 'stale' : 'pass';
  return { ...report, verdict };
}

type Draft = Omit<GateReport, 'verdict' | 'observed' | 'reasons' | 'warnings' | 'problems'> & {
  ref: string;
  snapshot: string | null;
  newestTime: string | null;
  records: number;
  deadLetters: number;
  batches: number;
  held: number;
  observed: Partial<Record<Standing, number>>;
  reasons: string[];
  warnings: string[];
  problems: Problem[];
};

/** Fills in which snapshot is meant and whose it is. */
async function findSnapshot(ledger: LedgerContext, head: ControlHead, report: Draft): Promise<void> {
  const { refs } = head.state;
  report.snapshot = refs[report.ref] ?? null;
  if (report.snapshot !== null) return;
  const published = await findPublished(ledger, head, report.ref);
  if (published === null) return;
  const { snapshot, ref, isInLine } = published;
  report.ref = ref;
  report.snapshot = snapshot;
  if (!isInLine) report.reasons.push(`a rollback of "${ref}" has left snapshot ${snapshot.slice(0, 12)} behind`);
  else if (refs[ref] !== snapshot)
    report.warnings.push(`not the newest: "${ref}" names ${refs[ref]!.slice(0, 12)} now`);
}

async function checkSnapshot(
  ledger: LedgerContext,
  state: ControlState,
  sha256: string,
  report: Draft,
  signal: AbortSignal,
): Promise<void> {
  const snapshot = await ledger.snapshots.read(sha256);
  report.records = snapshot.records;
  report.batches = snapshot.batches.count;
  report.held = snapshot.held.count;
  if (snapshot.records === 0) report.reasons.push('the snapshot holds no records');
  const totals: BatchTotals[] = [];
  await eachLimited(batchesOf(ledger, snapshot, totals, report), READS_AT_ONCE, async (line) => {
    if (signal.aborted) return;
    report.deadLetters += line.records - line.rows;
    if (await checkBatch(ledger, state, line, report))
      report.observed[line.standing] = (report.observed[line.standing] ?? 0) + 1;
  });
  const sum = (of: keyof BatchTotals): number => totals.reduce((total, page) => total + page[of], 0);
  for (const fault of sequenceFaults(snapshot, 'batches', { rows: sum('rows'), bytes: sum('bytes') }))
    report.problems.push({ object: ledger.layout.snapshot(sha256), ...fault });
  const warning = observedWarning(report);
  if (warning !== null) report.warnings.push(warning);
  const deadShare = report.deadLetters / (report.records + report.deadLetters);
  if (deadShare > DEAD_LETTERS_TOLD)
    report.warnings.push(
      `${Number((100 * deadShare).toPrecision(3))} % of the records of its batches do not decode and are in no row (headgate status names the logs, headgate log LOG the batches)`,
    );
  if (report.held > 0) report.warnings.push(`batches held back: ${report.held}`);
}

/** The batches of a snapshot, each page read once and compared with what the snapshot says of it. */
async function* batchesOf(
  { store, layout }: LedgerContext,
  { batches }: Snapshot,
  totals: BatchTotals[],
  { problems }: Draft,
): AsyncGenerator<BatchLine> {
  for (const page of batches.pages) {
    const key = layout.page(page.sha256);
    const texts = linesOf(await getVerified(store, key, page.sha256, BYTES_MAX.page));
    const fault = pageFault(page, texts);
    if (fault !== null) problems.push({ object: key, ...fault });
    const lines = texts.map(parseBatchLine);
    totals.push(totalsOf(lines));
    yield* lines;
  }
}

/** How a batch stands that was not judged clean. */
const STANDING_WORDS: Readonly<Partial<Record<Standing, string>>> = {
  suspect: 'suspect',
  'no-baseline': 'without a baseline',
  small: 'too small to be judged',
  failed: 'that could not be judged',
};

function observedWarning({ observed, batches }: Draft): string | null {
  const counts = Object.entries(observed);
  if (counts.length === 0) return null;
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  const each = counts.map(([standing, count]) => `${count} ${STANDING_WORDS[standing as Standing] ?? standing}`);
  return `let through in observe mode without a clean verdict: ${all} of ${batches} ${batches === 1 ? 'batch' : 'batches'} (${each.toSorted().join(', ')}; headgate quarantine list --published names them)`;
}

/** Returns true for a batch that only observe mode let through. */
async function checkBatch(
  ledger: LedgerContext,
  { decisions }: ControlState,
  line: BatchLine,
  report: Draft,
): Promise<boolean> {
  const batch = await ledger.logs.readBatch(line);
  const name = line.digest.slice(0, 12);
  const decision = decisions[line.digest];
  // The snapshot without it is the publisher's next work; until then nobody must train on this one.
  if (decision?.outcome === 'condemned')
    report.reasons.push(`batch ${name} was condemned by control entry ${decision.seq} and is still in the snapshot`);
  if (line.data !== null) {
    const key = ledger.layout.data(
      'data',
      { log: batch.log, epoch: line.epoch, start: line.start, end: line.end },
      line.data.sha256,
    );
    const found = await ledger.store.stat(key);
    if (found?.bytes !== line.data.bytes)
      report.problems.push({
        object: key,
        code: 'OBJECT_MISSING',
        reason: found === null ? 'it is not in the store' : `it has ${found.bytes} bytes, wanted ${line.data.bytes}`,
      });
  }
  if (line.standing === 'clean' || line.standing === 'released') return false;
  if (batch.entry.mode !== 'observe') report.reasons.push(`batch ${name} is ${line.standing}`);
  return batch.entry.mode === 'observe';
}
