import { ControlLog, type ActSettling } from '../ledger/control-log.ts';
import { Layout } from '../ledger/layout.ts';
import { PartitionLogs } from '../ledger/partition-log.ts';
import { Snapshots } from '../ledger/snapshot.ts';
import type { TrustRoot } from '../ledger/trust.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';

/** One pipeline's ledger, open for reading with a pinned trust root. */
export interface LedgerContext {
  readonly store: ObjectStore;
  readonly layout: Layout;
  readonly trust: TrustRoot;
  readonly clock: Clock;
  readonly logs: PartitionLogs;
  readonly control: ControlLog;
  readonly snapshots: Snapshots;
}

/**
 * Opens the ledger of the pipeline that the trust root names.
 * @param settling see ControlLog
 */
export function openLedger(
  store: ObjectStore,
  trust: TrustRoot,
  clock: Clock,
  settling: ActSettling | null = null,
): LedgerContext {
  const layout = new Layout(trust.document.pipeline);
  return {
    store,
    layout,
    trust,
    clock,
    logs: new PartitionLogs(store, layout, trust),
    control: new ControlLog(store, layout, trust, clock, settling),
    snapshots: new Snapshots(store, layout, clock),
  };
}
