import { NotFoundError, RequestError } from '../errors.ts';
import type { ControlAct } from '../ledger/control-entry.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { Snapshot } from '../ledger/snapshot.ts';
import type { Signer } from '../ports/signer.ts';
import { readBatch, type Rejudge } from '../publish/reconsider.ts';
import type { NewBatch } from '../publish/news.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

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
  /** Batches and records that the ref no longer names. */
  readonly batchesRemoved: number;
  readonly recordsRemoved: number;
  /** True when the ref already names the target: nothing was written. */
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
    ({ state }) => (state.holds[ref] === undefined ? { kind: 'hold', by, ref, reason } : null),
    signal,
  );
  return { unchanged: entry === null };
}

/**
 * Lets a ref move again, and partitions that a rule has halted go on.
 *
 * After a rollback, everything between the target and what was read since is judged again first, from stored profiles
 * against the baseline now in force; earlier releases there are void. Refuses while a batch can neither be judged nor
 * has a fresh decision.
 * @throws RequestError naming the batches that need a decision
 */
export async function resume(
  ledger: LedgerContext,
  ref: string,
  actor: Actor,
  rejudge: Rejudge,
  publisher: Signer,
  signal: AbortSignal,
): Promise<{ readonly rejudged: number }> {
  const { control } = ledger;
  const before = await control.head();
  const rolledBackAt = await newestRollback(ledger, ref, before);
  const pending = rolledBackAt === null ? [] : await batchesBeyond(ledger, ref, before, rolledBackAt);
  for (const act of await verdictsFor(pending, before, rejudge, actor, signal))
    await control.append(publisher, () => act, signal);
  await control.append(actor.signer, () => ({ kind: 'resume', by: actor.by, ref, reason: actor.reason }), signal);
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
      report = {
        ref,
        from,
        to,
        batchesRemoved: newer.batches.count - older.batches.count,
        recordsRemoved: newer.records - older.records,
        unchanged: from === to,
      };
      return from === to && head.state.holds[ref] !== undefined
        ? null
        : { kind: 'rollback', by, ref, from, to, baselines: older.baselines, reason };
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
 * Finds a snapshot by ref name, id, or unique prefix of an id.
 * @throws NotFoundError
 */
export async function resolveSnapshot({ control }: LedgerContext, name: string): Promise<string> {
  const { state } = await control.head();
  if (state.refs[name] !== undefined) return state.refs[name];
  const matches = new Set<string>();
  if (/^[0-9a-f]{6,64}$/.test(name)) {
    for await (const { entry } of control.walk())
      if (entry.kind === 'publish' && entry.snapshot.startsWith(name)) matches.add(entry.snapshot);
  }
  const [match, ...others] = matches;
  if (match === undefined)
    throw new NotFoundError(
      'NOT_FOUND',
      `Cannot find "${name}": it is neither a ref nor a snapshot (${known(Object.keys(state.refs))})`,
    );
  if (others.length > 0)
    throw new NotFoundError('NOT_FOUND', `Cannot tell which snapshot "${name}" is: ${matches.size} begin with it`);
  return match;
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
  if (!Number.isNaN(timeMs)) return asOf(ledger, ref, timeMs, target);
  const to = await resolveSnapshot(ledger, target);
  for (let at: string | null = from; at !== null; at = (await ledger.snapshots.read(at)).parent)
    if (at === to) return to;
  throw new RequestError('REQUEST_INVALID', `Cannot roll "${ref}" back to "${to}": it is not an ancestor of ${from}`);
}

/** Newest ancestor without a condemned batch. */
async function lastClean({ logs, snapshots }: LedgerContext, { state }: ControlHead, from: string): Promise<string> {
  const refs = Object.entries(state.decisions).flatMap(([digest, { outcome, log, slot }]) =>
    outcome === 'condemned' ? [{ digest, log, slot }] : [],
  );
  const condemned = (await Promise.all(refs.map((ref) => readBatch(logs, ref)))).filter((batch) => batch !== null);
  for (let at: string | null = from; at !== null;) {
    const snapshot: Snapshot = await snapshots.read(at);
    const lines = await Promise.all(
      condemned.map(({ log, entry }) => snapshots.find(snapshot.batches, [formatLogId(log), entry.start])),
    );
    if (lines.every((line) => line === null)) return at;
    at = snapshot.parent;
  }
  throw new NotFoundError('NOT_FOUND', 'Cannot find a clean snapshot: every ancestor holds a condemned batch');
}

async function asOf({ control }: LedgerContext, ref: string, timeMs: number, target: string): Promise<string> {
  let found: string | undefined;
  for await (const { entry } of control.walk()) {
    if (Date.parse(entry.time) > timeMs) break;
    if (entry.kind === 'publish' && entry.ref === ref) found = entry.snapshot;
    if (entry.kind === 'rollback' && entry.ref === ref) found = entry.to;
  }
  if (found === undefined)
    throw new NotFoundError('NOT_FOUND', `Cannot find what "${ref}" named at ${target}: it was first published later`);
  return found;
}

/** Seq of the rollback that put the ref on hold, if that is why it is. */
async function newestRollback({ control }: LedgerContext, ref: string, { state }: ControlHead): Promise<number | null> {
  const heldAt = state.holds[ref];
  if (heldAt === undefined) return null;
  const entry = (await control.read(heldAt))?.entry;
  return entry?.kind === 'rollback' ? heldAt : null;
}

/** Batches that a ref does not cover, among them those that it covered before the rollback. */
async function batchesBeyond(
  { logs, snapshots }: LedgerContext,
  ref: string,
  head: ControlHead,
  rolledBackAt: number,
): Promise<NewBatch[]> {
  const base = await snapshots.read(currentSnapshot(head, ref));
  const heads = await snapshots.heads(base.heads);
  const batches: NewBatch[] = [];
  for await (const log of logs.list()) {
    const covered = heads.get(formatLogId(log));
    const from = covered === undefined ? null : await logs.headAt(log, covered.slot);
    for await (const { verified } of logs.walk(log, from)) {
      if (verified.entry.kind !== 'batch') continue;
      const decision = head.state.decisions[verified.digest];
      // Only what a person decided after the rollback counts.
      if (decision === undefined || decision.seq < rolledBackAt)
        batches.push({ log, entry: verified.entry, digest: verified.digest });
    }
  }
  return batches;
}

async function verdictsFor(
  batches: readonly NewBatch[],
  head: ControlHead,
  rejudge: Rejudge,
  { by }: Actor,
  signal: AbortSignal,
): Promise<ControlAct[]> {
  const acts: ControlAct[] = [];
  for (const topic of new Set(batches.map(({ log }) => log.topic))) {
    const mine = batches.filter(({ log }) => log.topic === topic);
    const baseline = head.state.baselines[topic];
    const judged = baseline === undefined ? null : await rejudge(topic, mine, 'each', baseline, signal);
    if (judged === null || baseline === undefined) {
      const names = mine.map(({ log, entry }) => `${formatLogId(log)} [${entry.start}, ${entry.end})`).slice(0, 10);
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot resume: ${mine.length} batches of "${topic}" cannot be judged again and have no fresh decision, among them ${names.join(', ')}`,
      );
    }
    for (const outcome of ['clean', 'suspect'] as const) {
      const refs = judged[outcome].map(({ log, entry, digest }) => ({
        log: formatLogId(log),
        slot: entry.slot,
        digest,
      }));
      for (let i = 0; i < refs.length; i += 1_000)
        acts.push({
          kind: 'verdict',
          by,
          batches: refs.slice(i, i + 1_000),
          outcome,
          baseline,
          evidence: judged.evidence,
        });
    }
  }
  return acts;
}
