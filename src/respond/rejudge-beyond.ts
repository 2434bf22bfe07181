import { IntegrityError, RequestError } from '../errors.ts';
import type { ControlAct } from '../ledger/control-entry.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { ControlState } from '../ledger/control-state.ts';
import { CoveredHeads } from '../ledger/covered-heads.ts';
import type { Layout } from '../ledger/layout.ts';
import type { HeadLine, Snapshot } from '../ledger/snapshot.ts';
import { evidenceFaults } from '../publish/batch-objects.ts';
import { LeftOut } from '../publish/left-out.ts';
import { NewsFinder, type DamagedLog, type NewBatch, type News } from '../publish/news.ts';
import { isPublished, standingOf } from '../publish/plan.ts';
import { groupsOf, refOf, type Rejudge } from '../publish/reconsider.ts';
import { formatLogId, parseLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/** What lies beyond a snapshot, as far as it can be judged again. */
export interface Rejudgeable {
  readonly batches: readonly NewBatch[];
  readonly verdicts: readonly ControlAct[];
  /** Logs that are damaged, and of which nothing is in the verdicts. */
  readonly damaged: readonly DamagedLog[];
}

/**
 * Judges the batches again that a snapshot does not cover and that no decision in force is about. A rollback voids the
 * releases before it, so a release counts only if it is newer; what is condemned stays so. A damaged log keeps no other back.
 * @param only logs that are meant, as control entries name them; null = all.
 * @throws RequestError naming the batches that need a decision; IntegrityError where what belongs to no log is damaged;
 *   UnavailableError
 */
export async function rejudgeBeyond(
  ledger: LedgerContext,
  base: Snapshot,
  head: ControlHead,
  only: ReadonlyMap<string, unknown> | null,
  { rejudge, by }: { readonly rejudge: Rejudge; readonly by: string },
  signal: AbortSignal,
): Promise<Rejudgeable> {
  const { layout, snapshots } = ledger;
  const news = new NewsFinder({ ...ledger, fullWalkIntervalMs: 0 });
  // Before the logs are read: others may commit and publish meanwhile.
  const published = await publishedHeads(ledger);
  const heads = await snapshots.heads(base.heads);
  const found = await news.since(heads);
  const cut = cutLogs(layout, found, heads, published);
  const leftOut = new LeftOut(ledger);
  const names = new Map(found.batches.map(({ log }) => [layout.headHint(log), formatLogId(log)]));
  const isMeant = (hint: string): boolean => only === null || only.has(hint);
  for (;;) {
    const batches = found.batches.filter(({ log, digest }) => {
      const hint = layout.headHint(log);
      return isMeant(hint) && !cut.has(hint) && !leftOut.logs.has(hint) && head.state.decisions[digest] === undefined;
    });
    try {
      const verdicts = await verdictsOn(batches, head, rejudge, by, signal);
      const unread = [...leftOut.logs].map(
        ([hint, log]) => [hint, { ...log, log: names.get(hint) ?? log.log }] as const,
      );
      const damaged = [...new Map([...cut, ...found.damaged, ...unread])].flatMap(([hint, log]) =>
        isMeant(hint) ? [log] : [],
      );
      return { batches, verdicts, damaged };
    } catch (error) {
      if (!(error instanceof IntegrityError) || !leftOut.add(error)) throw error;
      // Once for all of them: each look that ends at the next one would cost as much as all.
      for (const fault of await evidenceFaults(ledger, batches)) leftOut.add(fault.error);
    }
  }
}

/** How far logs were ever published; as far as nobody can tell any more, a store that hides it all is not seen through. */
async function publishedHeads({ control, snapshots }: LedgerContext): Promise<ReadonlyMap<string, HeadLine>> {
  try {
    return await new CoveredHeads(control, snapshots).all();
  } catch (error) {
    if (error instanceof IntegrityError) return new Map();
    throw error;
  }
}

/** Logs that end before what was published of them once: what was taken away may come back, on its old verdict. */
function cutLogs(
  layout: Layout,
  { heads: moved }: News,
  covered: ReadonlyMap<string, HeadLine>,
  published: ReadonlyMap<string, HeadLine>,
): Map<string, DamagedLog> {
  const ends = new Map([...covered.values()].map(({ log, slot }) => [log, slot]));
  for (const { log, slot } of moved) ends.set(formatLogId(log), slot);
  const cut = new Map<string, DamagedLog>();
  for (const { log: name, slot } of published.values()) {
    const log = parseLogId(name);
    const end = ends.get(name) ?? -1;
    if (log === undefined || end >= slot) continue;
    const message = `Cannot read log "${name}": slot ${end + 1} is missing, it was published up to slot ${slot} once`;
    cut.set(layout.headHint(log), { log: name, code: 'SLOT_MISSING', message });
  }
  return cut;
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
