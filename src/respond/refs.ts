import { IntegrityError, NotFoundError, RequestError } from '../errors.ts';
import type { ControlAct } from '../ledger/control-entry.ts';
import { baselinesInForce } from '../ledger/control-rules.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { Snapshot } from '../ledger/snapshot.ts';
import type { Signer } from '../ports/signer.ts';
import { namesOfDamaged, unjudgedLogs } from '../publish/left-out.ts';
import type { DamagedLog } from '../publish/news.ts';
import type { Rejudge } from '../publish/reconsider.ts';
import type { LogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';
import { findPublished } from './published.ts';
import { rejudgeBeyond } from './rejudge-beyond.ts';
import { RollbackTarget, notFound, publishedRefs } from './rollback-target.ts';

/** Who acts and why; both are signed. */
export interface Actor {
  readonly signer: Signer;
  readonly by: string;
  readonly reason: string;
}

/** A baseline that a rollback put in force, or out of it. */
export interface BaselineChange {
  readonly topic: string;
  /** Digests of the baselines in force before and after; null = none. */
  readonly from: string | null;
  readonly to: string | null;
}

/** What a rollback did. */
export interface RollbackReport {
  readonly ref: string;
  readonly from: string;
  readonly to: string;
  /**
   * How many batches and records fewer the ref names; negative when those that were condemned since outnumber the rest; null
   * when the snapshot that was left cannot be read. From totals alone: a rollback must not depend on what it leaves.
   */
  readonly batchesRemoved: number | null;
  readonly recordsRemoved: number | null;
  /** Batches that were released since the target was published: the releases are void. */
  readonly releasesVoided: number;
  /** Baselines in force that are others now: those of the target. */
  readonly baselines: readonly BaselineChange[];
  /** True when the ref names the target already; it is on hold all the same. */
  readonly unchanged: boolean;
}

/** What a resume did. */
export interface ResumeReport {
  /** Batches beyond a rollback's target that were judged again, and what was found of those that could be judged. */
  readonly rejudged: number;
  readonly clean: number;
  readonly suspect: number;
  readonly damaged: readonly DamagedLog[];
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
 * against the baseline now in force; earlier releases there are void. Damaged logs are named in the entry, and nothing of them is
 * published before another resume has judged them: on their old verdicts they must not come back. Refuses while a batch would enter the dataset that
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
): Promise<ResumeReport> {
  const { control, layout, snapshots } = ledger;
  const before = await control.head();
  const isBack = await isRolledBack(ledger, ref, before);
  const owed = unjudgedLogs(layout, before.state, ref);
  const { batches, verdicts, damaged } =
    isBack || owed.size > 0
      ? await rejudgeBeyond(
          ledger,
          await snapshots.read(currentSnapshot(before, ref)),
          before,
          isBack ? null : owed,
          { rejudge, by: actor.by },
          signal,
        )
      : { batches: [], verdicts: [], damaged: [] };
  // Lifting a hold that nobody had seen would let two people pass each other; and what was judged by a baseline that is no
  // longer in force would have to be judged again.
  const unlessOvertaken =
    (act: ControlAct) =>
    ({ state }: ControlHead): ControlAct => {
      const now = overtakenBy(state, before.state, ref, batches);
      if (now === null) return act;
      throw new RequestError('REQUEST_INVALID', `Cannot resume "${ref}": meanwhile ${now}`);
    };
  const unjudged = damaged.length === 0 ? {} : { unjudged: namesToOwe(damaged, ref) };
  for (const verdict of verdicts) await control.append(publisher, unlessOvertaken(verdict), signal);
  const act: ControlAct = { kind: 'resume', by: actor.by, ref, reason: actor.reason, ...unjudged };
  await control.append(actor.signer, unlessOvertaken(act), signal);
  const count = (outcome: 'clean' | 'suspect'): number =>
    verdicts.flatMap((verdict) => (verdict.kind === 'verdict' && verdict.outcome === outcome ? verdict.batches : []))
      .length;
  return { rejudged: batches.length, clean: count('clean'), suspect: count('suspect'), damaged };
}

/**
 * Points a ref at an older snapshot and holds it there: metadata only, reversible.
 * @param to `last-clean`: the newest of the ref's snapshot and its ancestors that can be read and hold no condemned batch; a ref, a
 *   snapshot id or a unique prefix of one (≥ 6 digits), or an ISO 8601 time.
 * @throws NotFoundError when no snapshot matches; RequestError when the target is not an ancestor of the ref (matrix R3, R4)
 */
export async function rollback(
  ledger: LedgerContext,
  ref: string,
  to: string,
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<RollbackReport> {
  const target = new RollbackTarget(ledger, ref, to);
  const read = new Map<string, Snapshot>();
  let report: RollbackReport | undefined;
  await ledger.control.append(
    signer,
    async (head) => {
      const from = currentSnapshot(head, ref);
      const sha256 = await target.at(head);
      const older = read.get(sha256) ?? (await ledger.snapshots.read(sha256));
      read.set(sha256, older);
      const isSame = from === sha256;
      const baselines = baselinesInForce(head.state, older);
      report = {
        ref,
        from,
        to: sha256,
        batchesRemoved: 0,
        recordsRemoved: 0,
        releasesVoided: isSame ? 0 : target.releasesVoided(head),
        baselines: isSame ? [] : changesOf(head.state.baselines, baselines),
        unchanged: isSame,
      };
      if (!isSame) return { kind: 'rollback', by, ref, from, to: sha256, baselines, reason };
      if (head.state.holds[ref] !== undefined) return null;
      if (to === 'last-clean') return { kind: 'hold', by, ref, reason };
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot roll "${ref}" back to "${sha256}": it names that already (headgate hold stops it there)`,
      );
    },
    signal,
  );
  return report!.unchanged ? report! : { ...report!, ...(await removed(ledger, report!.from, read.get(report!.to)!)) };
}

function changesOf(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): readonly BaselineChange[] {
  return Object.keys({ ...before, ...after })
    .map((topic) => ({ topic, from: before[topic] ?? null, to: after[topic] ?? null }))
    .filter(({ from, to }) => from !== to);
}

async function removed(
  { snapshots }: LedgerContext,
  from: string,
  older: Snapshot,
): Promise<Pick<RollbackReport, 'batchesRemoved' | 'recordsRemoved'>> {
  try {
    const newer = await snapshots.read(from);
    return {
      batchesRemoved: newer.batches.count - older.batches.count,
      recordsRemoved: newer.records - older.records,
    };
  } catch (error) {
    if (error instanceof IntegrityError) return { batchesRemoved: null, recordsRemoved: null };
    throw error;
  }
}

/** Snapshot that a ref names. @throws NotFoundError */
export function currentSnapshot({ state }: ControlHead, ref: string): string {
  const sha256 = state.refs[ref];
  if (sha256 === undefined)
    throw new NotFoundError('NOT_FOUND', `Cannot find ref "${ref}": ${publishedRefs(Object.keys(state.refs))}`);
  return sha256;
}

/**
 * Finds a snapshot by ref name, id, or unique prefix of an id (≥ 6 digits).
 * @throws NotFoundError
 */
export async function resolveSnapshot(ledger: LedgerContext, name: string): Promise<string> {
  const head = await ledger.control.head();
  const found = head.state.refs[name] ?? (await findPublished(ledger, head, name))?.snapshot;
  if (found === undefined) throw notFound(head, name);
  return found;
}

/** Logs that a resume leaves to another one. @throws RequestError when they are more than an entry can name */
function namesToOwe(damaged: readonly DamagedLog[], ref: string): string[] {
  const names = damaged.map(({ log }) => log);
  return namesOfDamaged(names, `resume "${ref}"`, 'the hold stays until then');
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

/**
 * True when a rollback put the ref on hold. The state tells; where it does not, because another ref names what was left again,
 * the entry does, and one that is lost or altered counts as a rollback: then what lies beyond is judged once more.
 */
async function isRolledBack({ control }: LedgerContext, ref: string, { state }: ControlHead): Promise<boolean> {
  const heldAt = state.holds[ref];
  if (heldAt === undefined) return false;
  if (Object.values(state.left).includes(heldAt)) return true;
  try {
    return (await control.read(heldAt))?.entry.kind !== 'hold';
  } catch (error) {
    if (error instanceof IntegrityError) return true;
    throw error;
  }
}
