import { IntegrityError } from '../errors.ts';
import type { BatchLine } from '../ledger/snapshot.ts';
import type { ControlState } from '../ledger/control-state.ts';
import { timeFault } from '../ledger/entry-time.ts';
import { linesOf, rootOfLines, rootOfPages } from '../ledger/sequence.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { LedgerContext } from './ledger-context.ts';
import type { Problem } from './verify/findings.ts';

/** May a training job read this ref? */
export interface GateReport {
  readonly verdict: 'pass' | 'refused' | 'tampered' | 'stale';
  readonly ref: string;
  readonly snapshot: string | null;
  readonly records: number;
  readonly batches: number;
  /** Batches kept out of the snapshot. */
  readonly held: number;
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
  readonly ref: string;
  /** The newest control entry must not be older than this; null = any age. */
  readonly maxAgeMs: number | null;
  readonly signal: AbortSignal;
}

const READS_AT_ONCE = 16;

/**
 * Answers whether a ref may be trained on: it exists, nobody holds it, the signed state and the snapshot's pages and roots
 * are as signed, each of its batches was judged clean, released by a person, or let through in observe mode, none has
 * been condemned since, and every data file is there with the right size. Reading the data itself is `verify` and `pull`;
 * whether each standing was come by rightly is `verify`.
 * @throws UnavailableError
 */
export async function gate(ledger: LedgerContext, { ref, maxAgeMs, signal }: GateOptions): Promise<GateReport> {
  const report = {
    ref,
    snapshot: null as string | null,
    records: 0,
    batches: 0,
    held: 0,
    reasons: [] as string[],
    warnings: [] as string[],
    problems: [] as Problem[],
    newestTime: null as string | null,
  };
  try {
    const { newest, state } = await ledger.control.head();
    report.newestTime = newest?.entry.time ?? null;
    const fault = newest === null ? null : timeFault(newest.entry.time, ledger.clock.now());
    if (newest !== null && fault !== null)
      report.problems.push({ object: newest.key, code: 'CHAIN_BROKEN', reason: fault });
    report.snapshot = state.refs[ref] ?? null;
    if (state.holds[ref] !== undefined)
      report.reasons.push(`"${ref}" is on hold since control entry ${state.holds[ref]}`);
    if (report.snapshot === null) report.reasons.push(`"${ref}" was never published`);
    else await checkSnapshot(ledger, state, report.snapshot, report, signal);
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    report.problems.push({ object: error.object, code: error.code, reason: error.reason });
  }
  const ageMs = report.newestTime === null ? 0 : ledger.clock.now() - Date.parse(report.newestTime);
  const isStale = maxAgeMs !== null && ageMs > maxAgeMs;
  if (isStale)
    report.reasons.push(
      `the newest control entry is ${Math.round(ageMs / 1_000)} s old, at most ${Math.round(maxAgeMs / 1_000)} s are allowed`,
    );
  const verdict =
    report.problems.length > 0
      ? 'tampered'
      : report.reasons.length > (isStale ? 1 : 0)
        ? 'refused'
        : isStale
          ? 'stale'
          : 'pass';
  return { ...report, verdict };
}

type Draft = Omit<GateReport, 'verdict' | 'reasons' | 'warnings' | 'problems'> & {
  records: number;
  batches: number;
  held: number;
  reasons: string[];
  warnings: string[];
  problems: Problem[];
};

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
  for (const page of snapshot.batches.pages) {
    const key = ledger.layout.page(page.sha256);
    const lines = linesOf(await getVerified(ledger.store, key, page.sha256, BYTES_MAX.page));
    if (rootOfLines(lines) !== page.root)
      report.problems.push({
        object: key,
        code: 'ROOT_MISMATCH',
        reason: 'its lines do not give the root that the snapshot names',
      });
  }
  if (rootOfPages(snapshot.batches.pages) !== snapshot.batches.root)
    report.problems.push({
      object: ledger.layout.snapshot(sha256),
      code: 'ROOT_MISMATCH',
      reason: 'the roots of its pages do not give the root that it names',
    });
  if (snapshot.records === 0) report.reasons.push('the snapshot holds no records');
  let observed = 0;
  await eachLimited(ledger.snapshots.batches(snapshot.batches), READS_AT_ONCE, async (line) => {
    if (signal.aborted) return;
    if (await checkBatch(ledger, state, line, report)) observed++;
  });
  if (observed > 0)
    report.warnings.push(
      `let through in observe mode without a clean verdict: ${observed} of ${report.batches} batches`,
    );
  if (report.held > 0) report.warnings.push(`batches held back: ${report.held}`);
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
