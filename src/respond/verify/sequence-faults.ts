import { rootOfLines, rootOfPages, type PageRef } from '../../ledger/sequence.ts';
import type { BatchLine, Snapshot } from '../../ledger/snapshot.ts';

/** Why a snapshot or a page of it is not what it says. */
export interface SequenceFault {
  readonly code: 'ROOT_MISMATCH' | 'CHAIN_BROKEN';
  readonly reason: string;
}

/** Sums over batches of a snapshot. */
export interface BatchTotals {
  readonly rows: number;
  readonly bytes: number;
}

/** Sums over the lines of batches. */
export function totalsOf(lines: Iterable<BatchLine>): BatchTotals {
  let [rows, bytes] = [0, 0];
  for (const line of lines) {
    rows += line.rows;
    bytes += line.data?.bytes ?? 0;
  }
  return { rows, bytes };
}

/** Why a page does not hold what the snapshot says of it; null if it does. */
export function pageFault(page: PageRef, lines: readonly string[]): SequenceFault | null {
  return lines.length === page.count && rootOfLines(lines) === page.root
    ? null
    : { code: 'ROOT_MISMATCH', reason: 'its lines do not give the root that the snapshot names' };
}

/**
 * What a snapshot says of one of its sequences that its pages contradict.
 * @param totals sums over all batches of the sequence; null where not all could be read.
 */
export function sequenceFaults(
  snapshot: Snapshot,
  name: 'batches' | 'held' | 'heads',
  totals: BatchTotals | null,
): SequenceFault[] {
  const { pages, root, count } = snapshot[name];
  const faults: SequenceFault[] = [];
  if (rootOfPages(pages) !== root)
    faults.push({
      code: 'ROOT_MISMATCH',
      reason: `the roots of the pages of "${name}" do not give the root that it names`,
    });
  const lines = pages.reduce((sum, page) => sum + page.count, 0);
  if (lines !== count)
    faults.push({ code: 'CHAIN_BROKEN', reason: `it says ${count} ${name}, its pages have ${lines}` });
  const { records, bytes } = snapshot;
  if (name === 'batches' && totals !== null && (totals.rows !== records || totals.bytes !== bytes))
    faults.push({
      code: 'CHAIN_BROKEN',
      reason: `it says ${records} records in ${bytes} bytes, its batches have ${totals.rows} in ${totals.bytes}`,
    });
  return faults;
}
