import { NotFoundError, RequestError } from '../errors.ts';
import type { ControlAct } from '../ledger/control-entry.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { Signer } from '../ports/signer.ts';
import type { Rejudge } from '../publish/reconsider.ts';
import type { LogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';
import { findPublished } from './published.ts';
import { batchesBeyond, verdictsOn } from './rejudge-beyond.ts';
import { isAncestor, lastClean, namedAt } from './rollback-target.ts';

/** Who acts and why; both are signed. */
export interface Actor {
  readonly signer: Signer;
  readonly by: string;
  readonly reason: string;
}

/** What a rollback did. */
export interface RollbackReport {
  readonly ref: string;
  readonly from: string;
  readonly to: string;
  /**
   * How many batches and records fewer the ref names; negative when those that were condemned since outnumber the rest.
   * From totals alone: a rollback must not depend on pages of the snapshot that it leaves.
   */
  readonly batchesRemoved: number;
  readonly recordsRemoved: number;
  /** True when the ref names the target already; it is on hold all the same. */
  readonly unchanged: boolean;
}

/** Stops a ref until `resume`. Idempotent. @throws NotFoundError for a ref that was never published */
export async function hold(
  { control }: LedgerContext,
  ref: string,
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<{ readonly unchanged: boolean }> {
  const entry = await control.append(
    signer,
    (head) => {
      currentSnapshot(head, ref);
      return head.state.holds[ref] === undefined ? { kind: 'hold', by, ref, reason } : null;
    },
    signal,
  );
  return { unchanged: entry === null };
}

/**
 * Lets a ref move again, and partitions that a rule has halted go on.
 *
 * After a rollback, everything between the target and what was read since is judged again first, from stored profiles
 * against the baseline now in force; earlier releases there are void. Refuses while a batch would enter the dataset that
 * can neither be judged nor has a fresh decision.
 * @throws RequestError naming the batches that need a decision, or when someone puts the ref on hold again, or another
 *   baseline in force, meanwhile
 */
export async function resume(
  ledger: LedgerContext,
  ref: string,
  actor: Actor,
  rejudge: Rejudge,
  publisher: Signer,
  signal: AbortSignal,
): Promise<{ readonly rejudged: number }> {
  const { control, snapshots } = ledger;
  const before = await control.head();
  const pending = (await isRolledBack(ledger, ref, before))
    ? await batchesBeyond(ledger, await snapshots.read(currentSnapshot(before, ref)), before)
    : [];
  // Lifting a hold that nobody had seen would let two people pass each other; and what was judged by a baseline that is no
  // longer in force would have to be judged again.
  const unlessOvertaken =
    (act: ControlAct) =>
    ({ state }: ControlHead): ControlAct => {
      const now = overtakenBy(state, before.state, ref, pending);
      if (now === null) return act;
      throw new RequestError('REQUEST_INVALID', `Cannot resume "${ref}": meanwhile ${now}`);
    };
  for (const verdict of await verdictsOn(pending, before, rejudge, actor.by, signal))
    await control.append(publisher, unlessOvertaken(verdict), signal);
  const act: ControlAct = { kind: 'resume', by: actor.by, ref, reason: actor.reason };
  await control.append(actor.signer, unlessOvertaken(act), signal);
  return { rejudged: pending.length };
}

/**
 * Points a ref at an older snapshot and holds it there: metadata only, reversible.
 * @param target `last-clean`, a snapshot id or a unique prefix of one (≥ 6 digits), or an ISO 8601 time.
 * @throws NotFoundError when no snapshot matches; RequestError when the target is not an ancestor of the ref (matrix R3, R4)
 */
export async function rollback(
  ledger: LedgerContext,
  ref: string,
  target: string,
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<RollbackReport> {
  const { control, snapshots } = ledger;
  let report: RollbackReport | undefined;
  await control.append(
    signer,
    async (head) => {
      const from = currentSnapshot(head, ref);
      const to = await findTarget(ledger, head, ref, from, target);
      const [newer, older] = await Promise.all([snapshots.read(from), snapshots.read(to)]);
      const batchesRemoved = newer.batches.count - older.batches.count;
      const recordsRemoved = newer.records - older.records;
      report = { ref, from, to, batchesRemoved, recordsRemoved, unchanged: from === to };
      if (from !== to) return { kind: 'rollback', by, ref, from, to, baselines: older.baselines, reason };
      if (head.state.holds[ref] !== undefined) return null;
      if (target === 'last-clean') return { kind: 'hold', by, ref, reason };
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot roll "${ref}" back to "${to}": it names that already (headgate hold stops it there)`,
      );
    },
    signal,
  );
  return report!;
}

/** Snapshot that a ref names. @throws NotFoundError */
export function currentSnapshot({ state }: ControlHead, ref: string): string {
  const sha256 = state.refs[ref];
  if (sha256 === undefined)
    throw new NotFoundError('NOT_FOUND', `Cannot find ref "${ref}": ${known(Object.keys(state.refs))}`);
  return sha256;
}

/**
 * Finds a snapshot by ref name, id, or unique prefix of an id (≥ 6 digits).
 * @throws NotFoundError
 */
export async function resolveSnapshot(ledger: LedgerContext, name: string): Promise<string> {
  return snapshotOf(ledger, await ledger.control.head(), name);
}

async function snapshotOf(ledger: LedgerContext, head: ControlHead, name: string): Promise<string> {
  const { refs } = head.state;
  const found = refs[name] ?? (await findPublished(ledger, head, name))?.snapshot;
  if (found !== undefined) return found;
  throw new NotFoundError(
    'NOT_FOUND',
    `Cannot find "${name}": it is neither a ref nor a snapshot (${known(Object.keys(refs))})`,
  );
}

function known(refs: readonly string[]): string {
  return refs.length === 0 ? 'nothing has been published yet' : `published refs are ${refs.join(', ')}`;
}

async function findTarget(
  ledger: LedgerContext,
  head: ControlHead,
  ref: string,
  from: string,
  target: string,
): Promise<string> {
  if (target === 'last-clean') return lastClean(ledger, head, from);
  const timeMs = /^\d{4}-\d\d-\d\d/.test(target) ? Date.parse(target) : Number.NaN;
  const to = Number.isNaN(timeMs)
    ? await snapshotOf(ledger, head, target)
    : await namedAt(ledger, head, ref, timeMs, target);
  if (await isAncestor(ledger.snapshots, to, from)) return to;
  throw new RequestError('REQUEST_INVALID', `Cannot roll "${ref}" back to "${to}": it is not an ancestor of ${from}`);
}

/** What happened since a resume looked at the state that makes its look worthless; null if nothing did. */
function overtakenBy(
  now: ControlState,
  seen: ControlState,
  ref: string,
  judged: readonly { readonly log: LogId }[],
): string | null {
  const heldAt = now.holds[ref];
  if (heldAt !== seen.holds[ref])
    return heldAt === undefined ? 'the hold is lifted already' : `control entry ${heldAt} holds it`;
  const stale = judged.find(({ log }) => now.baselines[log.topic] !== seen.baselines[log.topic]);
  return stale === undefined ? null : `another baseline of "${stale.log.topic}" was put in force`;
}

/** True when a rollback put the ref on hold. */
async function isRolledBack({ control }: LedgerContext, ref: string, { state }: ControlHead): Promise<boolean> {
  const heldAt = state.holds[ref];
  return heldAt !== undefined && (await control.read(heldAt))?.entry.kind === 'rollback';
}
