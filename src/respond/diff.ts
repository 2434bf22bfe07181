import type { BatchLine } from '../ledger/snapshot.ts';
import type { LedgerContext } from './ledger-context.ts';

/** What two snapshots have apart. */
export interface SnapshotDiff {
  readonly from: string;
  readonly to: string;
  readonly added: readonly BatchLine[];
  readonly removed: readonly BatchLine[];
  readonly recordsDelta: number;
}

/** Batches that only one of two snapshots has. Pages that both have are skipped without being read. */
export async function diffSnapshots({ snapshots }: LedgerContext, from: string, to: string): Promise<SnapshotDiff> {
  const [older, newer] = await Promise.all([snapshots.read(from), snapshots.read(to)]);
  const known = new Set(older.batches.pages.map(({ sha256 }) => sha256));
  const shared = new Set(newer.batches.pages.map(({ sha256 }) => sha256).filter((sha256) => known.has(sha256)));
  const only = async (sequence: typeof older.batches): Promise<Map<string, BatchLine>> => {
    const lines = new Map<string, BatchLine>();
    const pages = sequence.pages.filter(({ sha256 }) => !shared.has(sha256));
    for await (const line of snapshots.batches({ ...sequence, pages })) lines.set(line.digest, line);
    return lines;
  };
  const [before, after] = [await only(older.batches), await only(newer.batches)];
  return {
    from,
    to,
    added: [...after.values()].filter(({ digest }) => !before.has(digest)),
    removed: [...before.values()].filter(({ digest }) => !after.has(digest)),
    recordsDelta: newer.records - older.records,
  };
}
