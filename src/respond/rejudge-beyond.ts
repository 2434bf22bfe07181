import { RequestError } from '../errors.ts';
import type { ControlAct } from '../ledger/control-entry.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { Snapshot } from '../ledger/snapshot.ts';
import type { NewBatch } from '../publish/news.ts';
import { isPublished, standingOf } from '../publish/plan.ts';
import { groupsOf, refOf, type Rejudge } from '../publish/reconsider.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/**
 * Batches that a snapshot does not cover and that no decision in force is about. A rollback voids the releases before it,
 * so a release counts only if it is newer; what is condemned stays so. @throws IntegrityError, UnavailableError
 */
export async function batchesBeyond(
  { logs, snapshots }: LedgerContext,
  base: Snapshot,
  { state }: ControlHead,
): Promise<NewBatch[]> {
  const heads = await snapshots.heads(base.heads);
  const batches: NewBatch[] = [];
  for await (const log of logs.list()) {
    for await (const { verified } of logs.walkSince(log, heads.get(formatLogId(log)))) {
      const { entry, digest } = verified;
      if (entry.kind === 'batch' && state.decisions[digest] === undefined) batches.push({ log, entry, digest });
    }
  }
  return batches;
}

/**
 * The verdict entries of batches by the baselines now in force. A batch that stays undecided is left as it was if that
 * keeps it out of the dataset; one that would enter it on its old verdict needs a person.
 * @throws RequestError naming the batches that need a decision
 */
export async function verdictsOn(
  batches: readonly NewBatch[],
  { state }: ControlHead,
  rejudge: Rejudge,
  by: string,
  signal: AbortSignal,
): Promise<ControlAct[]> {
  const acts: ControlAct[] = [];
  const undecided: NewBatch[] = [];
  for (const topic of new Set(batches.map(({ log }) => log.topic))) {
    const mine = batches.filter(({ log }) => log.topic === topic);
    const baseline = state.baselines[topic];
    for (const group of groupsOf(mine)) {
      const judged = baseline === undefined ? null : await rejudge(topic, group, 'each', baseline, signal);
      const decided = new Set([...(judged?.clean ?? []), ...(judged?.suspect ?? [])]);
      undecided.push(...group.filter((batch) => !decided.has(batch)));
      if (judged === null || baseline === undefined) continue;
      for (const outcome of ['clean', 'suspect'] as const) {
        const named = judged[outcome].map(refOf);
        if (named.length > 0)
          acts.push({ kind: 'verdict', by, batches: named, outcome, baseline, evidence: judged.evidence });
      }
    }
  }
  assertNoneWouldEnter(undecided, state);
  return acts;
}

/** Where a batch stands may come from a resume that was overtaken half-way: its verdict is by a baseline of then. */
function assertNoneWouldEnter(undecided: readonly NewBatch[], state: ControlState): void {
  const entering = undecided.filter((batch) => isPublished(standingOf(batch, state), batch.entry));
  if (entering.length === 0) return;
  const names = entering.slice(0, 10).map(({ log, entry }) => `${formatLogId(log)}@${entry.start}`);
  throw new RequestError(
    'REQUEST_INVALID',
    `Cannot resume: ${entering.length === 1 ? '1 batch' : `${entering.length} batches`} cannot be judged again and would enter the dataset without a decision, among them ${names.join(', ')} (way out: headgate quarantine release or condemn)`,
  );
}
