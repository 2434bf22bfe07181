import type { BatchRef, ControlAct } from '../ledger/control-entry.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { PartitionLogs } from '../ledger/partition-log.ts';
import type { Snapshot, Snapshots } from '../ledger/snapshot.ts';
import { formatLogId, parseLogId } from '../record/log-id.ts';
import type { NewBatch } from './news.ts';

/** Outcome of judging stored profiles again. */
export interface Rejudged {
  readonly clean: readonly NewBatch[];
  readonly suspect: readonly NewBatch[];
  /** Digest of the stored evidence. */
  readonly evidence: string;
}

/**
 * Judges batches of one topic from their stored profiles against a baseline: all together, or each by itself.
 * @returns null when there is too little to judge.
 * @throws IntegrityError when evidence is missing or changed; UnavailableError
 */
export type Rejudge = (
  topic: string,
  batches: readonly NewBatch[],
  as: 'union' | 'each',
  baseline: string,
  signal: AbortSignal,
) => Promise<Rejudged | null>;

/** Most batches that one verdict entry names, so that it fits its size cap. */
const BATCHES_MAX = 1_000;

/**
 * The verdict entry that the publisher owes before it may publish, or null when there is none:
 * - small batches of a topic are judged together, so that a slow topic is not held for ever;
 * - batches held for want of a baseline are judged once there is one;
 * - a clean batch that was judged by a baseline no longer in force at the last publish is judged again.
 */
export async function owedVerdict(
  context: {
    readonly logs: PartitionLogs;
    readonly snapshots: Snapshots;
    readonly rejudge: Rejudge;
    readonly by: string;
  },
  state: ControlState,
  base: Snapshot,
  fresh: readonly NewBatch[],
  signal: AbortSignal,
): Promise<ControlAct | null> {
  const waiting = [...fresh.filter(({ entry }) => entry.mode === 'enforce'), ...(await heldBatches(context, base))];
  const open = waiting.filter(
    ({ log, digest }) =>
      state.baselines[log.topic] !== undefined &&
      state.verdicts[digest] === undefined &&
      state.decisions[digest] === undefined,
  );
  for (const topic of new Set(open.map(({ log }) => log.topic))) {
    const mine = open.filter(({ log }) => log.topic === topic).slice(0, BATCHES_MAX);
    const baseline = state.baselines[topic]!;
    const stale = mine.filter(
      (batch) => batch.entry.undecided === 'no-baseline' || isStale(batch, [baseline, base.baselines[topic]]),
    );
    const small = mine.filter(({ entry }) => entry.undecided === 'small');
    const act =
      (stale.length > 0 &&
        verdictAct(context.by, baseline, await context.rejudge(topic, stale, 'each', baseline, signal))) ||
      (small.length > 0 &&
        verdictAct(context.by, baseline, await context.rejudge(topic, small, 'union', baseline, signal)));
    if (act) return act;
  }
  return null;
}

/** A batch that was called clean by a baseline that is neither in force now nor was at the last publish. */
function isStale({ entry }: NewBatch, inForce: readonly (string | undefined)[]): boolean {
  return entry.verdict === 'clean' && entry.baseline !== null && !inForce.includes(entry.baseline);
}

function verdictAct(by: string, baseline: string, judged: Rejudged | null): ControlAct | null {
  if (judged === null) return null;
  const outcome = judged.clean.length > 0 ? 'clean' : 'suspect';
  const batches = judged[outcome].map(({ log, entry, digest }): BatchRef => ({
    log: formatLogId(log),
    slot: entry.slot,
    digest,
  }));
  return { kind: 'verdict', by, batches, outcome, baseline, evidence: judged.evidence };
}

async function heldBatches(
  { logs, snapshots }: { readonly logs: PartitionLogs; readonly snapshots: Snapshots },
  base: Snapshot,
): Promise<NewBatch[]> {
  const held: NewBatch[] = [];
  for await (const line of snapshots.batches(base.held)) {
    if (line.standing !== 'small' && line.standing !== 'no-baseline') continue;
    const batch = await readBatch(logs, line);
    if (batch !== null) held.push(batch);
  }
  return held;
}

/** The batch that a reference names; null when the entry there is another one. */
export async function readBatch(logs: PartitionLogs, { log, slot, digest }: BatchRef): Promise<NewBatch | null> {
  const id = parseLogId(log);
  const verified = id === undefined ? null : await logs.read(id, slot);
  if (id === undefined || verified?.digest !== digest || verified.entry.kind !== 'batch') return null;
  return { log: id, entry: verified.entry, digest };
}
