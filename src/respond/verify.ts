import { aheadWarning } from '../ledger/entry-time.ts';
import type { BatchEntry } from '../ledger/partition-entry.ts';
import type { FileFormat } from '../ports/file-format.ts';
import type { LedgerContext } from './ledger-context.ts';
import { ControlVerification } from './verify/control-log.ts';
import { Findings, type Problem } from './verify/findings.ts';
import { verifyPartitionLogs } from './verify/partition-logs.ts';

/** What was checked, and what was found. */
export interface VerifyReport {
  /** True when everything was checked and nothing found. */
  readonly ok: boolean;
  /** False when it was interrupted. */
  readonly complete: boolean;
  readonly problems: readonly Problem[];
  /** What a careful reader should know although nothing contradicts itself. */
  readonly warnings: readonly string[];
  readonly controlEntries: number;
  readonly logs: number;
  readonly batches: number;
  readonly records: number;
  /** Of them, those that did not decode. */
  readonly deadLetters: number;
  readonly objects: number;
  readonly bytes: number;
  readonly deep: boolean;
}

/** How deep to look. */
export interface VerifyOptions {
  /** Decode every file and recompute every leaf. */
  readonly deep: boolean;
  readonly format: FileFormat;
  readonly signal: AbortSignal;
  readonly onProgress?: (batches: number) => void;
}

/**
 * Checks a whole pipeline from its bytes: every signature, both chains, every state, every snapshot that was ever
 * published with its pages and roots, every object that an entry names, and that they agree with each other; with `deep`
 * every record against its leaf and root.
 *
 * Never stops at the first problem: each is named with its object and reason. What it cannot see is a store that shows an
 * older past as a whole: entries behind which nothing lies and which nothing names. The marks see that.
 * @throws UnavailableError when the store cannot be read
 */
export async function verifyPipeline(ledger: LedgerContext, options: VerifyOptions): Promise<VerifyReport> {
  const { deep, format, signal, onProgress } = options;
  const findings = new Findings(ledger.store);
  let batches = 0;
  let records = 0;
  let deadLetters = 0;
  const onBatch = (entry: Pick<BatchEntry, 'records' | 'deadLetterRecords'>): void => {
    batches++;
    records += entry.records;
    deadLetters += entry.deadLetterRecords;
    onProgress?.(batches);
  };
  const index = await verifyPartitionLogs({ ledger, findings, deep: deep ? format : null, signal, onBatch });
  const control = new ControlVerification(ledger, findings, index);
  await control.verify(signal);
  const { problems, objects, bytes } = findings;
  const complete = !signal.aborted;
  const ahead = control.newestTime === null ? null : aheadWarning(control.newestTime, ledger.clock.now());
  return {
    ok: complete && problems.length === 0,
    complete,
    problems,
    warnings: [...control.warnings, ...(ahead === null ? [] : [ahead])],
    controlEntries: control.entries,
    logs: index.logs.size,
    batches,
    records,
    deadLetters,
    objects,
    bytes,
    deep,
  };
}
