import { nextSeq, type ControlHead } from '../ledger/control-log.ts';
import type { SequenceChange } from '../ledger/sequence.ts';
import { formatHeadLine, type BatchLine, type Snapshot, type Snapshots } from '../ledger/snapshot.ts';
import { formatLogId } from '../record/log-id.ts';
import type { News } from './news.ts';
import type { Plan } from './plan.ts';

/**
 * The snapshot that a plan makes of `base`, as far as the logs were read; its pages are stored, it itself is not.
 * @throws RequestError SIZE_EXCEEDED; IntegrityError; UnavailableError when stopped
 */
export async function nextSnapshot(
  snapshots: Snapshots,
  head: ControlHead,
  base: Snapshot,
  { found, plan }: { readonly found: News; readonly plan: Plan },
  signal: AbortSignal,
): Promise<Snapshot> {
  const headChanges = found.heads.map(({ log, slot, digest, next }): SequenceChange => {
    const name = formatLogId(log);
    return { key: [name, 0], line: formatHeadLine({ log: name, slot, digest, next }) };
  });
  const gain = (field: (line: BatchLine) => number): number => total(plan.added, field) - total(plan.removed, field);
  return {
    ...base,
    controlSeq: nextSeq(head) - 1,
    baselines: head.state.baselines,
    records: base.records + gain(({ rows }) => rows),
    bytes: base.bytes + gain(({ data }) => data?.bytes ?? 0),
    batches: (await snapshots.update(base.batches, plan.batches, signal)) as Snapshot['batches'],
    held: (await snapshots.update(base.held, plan.held, signal)) as Snapshot['held'],
    heads: (await snapshots.update(base.heads, headChanges, signal)) as Snapshot['heads'],
  };
}

function total(lines: readonly BatchLine[], field: (line: BatchLine) => number): number {
  return lines.reduce((sum, line) => sum + field(line), 0);
}
