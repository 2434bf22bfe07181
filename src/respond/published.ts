import { NotFoundError } from '../errors.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { LedgerContext } from './ledger-context.ts';
import { newestFirst } from '../ledger/newest-first.ts';
import { storedDigests } from './stored-digests.ts';

/** A snapshot that was published once, and what became of it. */
export interface PublishedSnapshot {
  readonly snapshot: string;
  /** Ref that it was published for. */
  readonly ref: string;
  /** True when the ref names it, or one that grew out of it; false when a rollback has left it behind. */
  readonly isInLine: boolean;
}

/**
 * Finds a snapshot in the control log by its id or a unique prefix of it (≥ 6 digits); null if there is none.
 * Cost: one GET an entry since it was published, and one listing for a prefix.
 * @throws NotFoundError when several begin like that; IntegrityError, UnavailableError
 */
export async function findPublished(
  { store, layout, control }: Pick<LedgerContext, 'store' | 'layout' | 'control'>,
  head: ControlHead,
  name: string,
): Promise<PublishedSnapshot | null> {
  if (!/^[0-9a-f]{6,64}$/.test(name)) return null;
  const stored = await storedDigests(store, (sha256) => layout.snapshot(sha256), name);
  const found = new Map<string, PublishedSnapshot>();
  /** Where each ref's line of ancestors goes on, as seen from the entries already passed. */
  const line = new Map(Object.entries(head.state.refs));
  for await (const { entry } of newestFirst(control, head)) {
    if (entry.kind !== 'publish') continue;
    const { ref, snapshot, parent } = entry;
    const isInLine = line.get(ref) === snapshot;
    if (isInLine) line.set(ref, parent ?? '');
    if (snapshot.startsWith(name) && !found.has(snapshot)) found.set(snapshot, { snapshot, ref, isInLine });
    if (stored !== null && [...stored].every((sha256) => found.has(sha256))) break;
  }
  const [match, ...others] = found.values();
  if (others.length > 0)
    throw new NotFoundError('NOT_FOUND', `Cannot tell which snapshot "${name}" is: ${found.size} begin with it`);
  return match ?? null;
}
