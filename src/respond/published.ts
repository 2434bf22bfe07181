import { NotFoundError } from '../errors.ts';
import type { ControlEntry } from '../ledger/control-entry.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import { newestFirst } from '../ledger/newest-first.ts';
import type { LedgerContext } from './ledger-context.ts';
import { storedDigests } from './stored-digests.ts';

/** A snapshot that was published once, and what became of it. */
export interface PublishedSnapshot {
  readonly snapshot: string;
  /** Number of the control entry that published it. */
  readonly seq: number;
  /** Ref that it was published for. */
  readonly ref: string;
  /** True when the ref names it, or one that grew out of it; false when a rollback has left it behind. */
  readonly isInLine: boolean;
}

/**
 * Finds a snapshot in the control log by its id or a unique prefix of it (≥ 6 digits); null if there is none.
 * Cost: one GET an entry since it was published, and one listing for a prefix.
 * @param onPassed told of each entry that was looked at, newest first, and perhaps of some before the snapshot's own.
 * @throws NotFoundError when several begin like that; IntegrityError, UnavailableError
 */
export async function findPublished(
  { store, layout, control }: Pick<LedgerContext, 'store' | 'layout' | 'control'>,
  head: ControlHead,
  name: string,
  onPassed: (entry: ControlEntry) => void = () => undefined,
): Promise<PublishedSnapshot | null> {
  if (!/^[0-9a-f]{6,64}$/.test(name)) return null;
  const stored = await storedDigests(store, (sha256) => layout.snapshot(sha256), name);
  const found = new Map<string, PublishedSnapshot>();
  for await (const { entry, isInLine } of entriesInLine(control, head)) {
    onPassed(entry);
    if (entry.kind !== 'publish') continue;
    const { ref, snapshot, seq } = entry;
    if (snapshot.startsWith(name) && !found.has(snapshot)) found.set(snapshot, { snapshot, seq, ref, isInLine });
    if (stored !== null && [...stored].every((sha256) => found.has(sha256))) break;
  }
  const [match, ...others] = found.values();
  if (others.length > 0)
    throw new NotFoundError('NOT_FOUND', `Cannot tell which snapshot "${name}" is: ${found.size} begin with it`);
  return match ?? null;
}

/**
 * The control entries from a head back, newest first, each with whether it published a snapshot that its ref names at that
 * head, or one that this grew out of. Cost: as {@link newestFirst}. @throws IntegrityError, UnavailableError
 */
export async function* entriesInLine(
  control: LedgerContext['control'],
  head: ControlHead,
): AsyncGenerator<{ readonly entry: ControlEntry; readonly isInLine: boolean }> {
  /** Where each ref's line of ancestors goes on, as seen from the entries already passed. */
  const line = new Map(Object.entries(head.state.refs));
  for await (const { entry } of newestFirst(control, head)) {
    const isInLine = entry.kind === 'publish' && line.get(entry.ref) === entry.snapshot;
    if (isInLine) line.set(entry.ref, entry.parent ?? '');
    yield { entry, isInLine };
  }
}
