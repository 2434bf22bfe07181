import { IntegrityError } from '../errors.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, putContent } from '../ledger/objects.ts';
import type { Standing } from '../ledger/snapshot.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { NewBatch } from './news.ts';
import { isPublished } from './plan.ts';

/** An object as a batch's entry names it. */
interface NamedObject {
  readonly key: string;
  readonly bytes: number;
}

/**
 * What is wrong with an object by its presence and size alone: nothing of it is read. Null if nothing is.
 * @param what the act that it stands in the way of, such as `publish`. @throws UnavailableError
 */
export async function lossOf(
  store: ObjectStore,
  { key, bytes }: NamedObject,
  what: string,
): Promise<IntegrityError | null> {
  const found = await store.stat(key);
  if (found?.bytes === bytes) return null;
  return new IntegrityError(
    found === null ? 'OBJECT_MISSING' : 'DIGEST_MISMATCH',
    key,
    `Cannot ${what} "${key}": ${found === null ? 'it is not in the store' : `it has ${found.bytes} bytes instead of ${bytes}`}`,
  );
}

/** What a publish needs of a batch: the data of one that enters, the evidence of one that is still to be judged. */
export function neededObjects({ entry }: NewBatch, standing: Standing): readonly NamedObject[] {
  if (isPublished(standing, entry)) return entry.data === null ? [] : [entry.data];
  return standing === 'small' || standing === 'no-baseline' ? [entry.evidence] : [];
}

/**
 * Sees to it that the data file of a batch lies where readers look.
 * @throws IntegrityError where it is gone or not what was signed; UnavailableError
 */
export async function copyToData(
  { store, layout, clock }: { readonly store: ObjectStore; readonly layout: Layout; readonly clock: Clock },
  { log, entry }: NewBatch,
  signal: AbortSignal,
): Promise<void> {
  if (entry.data === null) return;
  const target = layout.data('data', { log, ...entry }, entry.data.sha256);
  if (entry.data.key === target) {
    const loss = await lossOf(store, entry.data, 'publish');
    if (loss !== null) throw loss;
    return;
  }
  const bytes = await getVerified(store, entry.data.key, entry.data.sha256, BYTES_MAX.data);
  await putContent(store, target, bytes, clock, signal);
}
