import { NotFoundError } from '../errors.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { Snapshot, Snapshots } from '../ledger/snapshot.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';
import { newestFirst } from '../ledger/newest-first.ts';

/** True when `from`, or a snapshot that it grew out of, is `to`. Cost: one GET a snapshot between them. */
export async function isAncestor(snapshots: Snapshots, to: string, from: string): Promise<boolean> {
  for (let at: string | null = from; at !== null; at = (await snapshots.read(at)).parent) if (at === to) return true;
  return false;
}

/**
 * The newest of `from` and its ancestors that holds no condemned batch.
 * @throws NotFoundError when all of them do; IntegrityError when the entry of a condemned batch cannot be read, for then
 *   nobody knows where to look for it
 */
export async function lastClean(
  { logs, snapshots }: LedgerContext,
  { state }: ControlHead,
  from: string,
): Promise<string> {
  const refs = Object.entries(state.decisions).flatMap(([digest, { outcome, log, slot }]) =>
    outcome === 'condemned' ? [{ digest, log, slot }] : [],
  );
  const condemned = await Promise.all(refs.map((ref) => logs.readBatch(ref)));
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

/**
 * The snapshot that a ref named at a time, by the clocks of those who moved it: where the newest move leads whose time is
 * not later. One wrong clock cannot end the search, and who does not move the ref has no say.
 * @param text the time as it was given, for messages.
 * @throws NotFoundError when the ref was first published later
 * Cost: one GET an entry since then.
 */
export async function namedAt(
  { control }: LedgerContext,
  head: ControlHead,
  ref: string,
  timeMs: number,
  text: string,
): Promise<string> {
  for await (const { entry } of newestFirst(control, head)) {
    if (entry.kind !== 'publish' && entry.kind !== 'rollback') continue;
    if (entry.ref !== ref || Date.parse(entry.time) > timeMs) continue;
    return entry.kind === 'publish' ? entry.snapshot : entry.to;
  }
  throw new NotFoundError('NOT_FOUND', `Cannot find what "${ref}" named at ${text}: it was first published later`);
}
