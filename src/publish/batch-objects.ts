import { IntegrityError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { readEvidence } from '../ledger/evidence.ts';
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

/** Objects that are looked for or read at once. */
const CHECKS_AT_ONCE = 16;

/** What is wrong with an object of a batch. */
export interface Loss {
  readonly batch: NewBatch;
  readonly error: IntegrityError;
}

/**
 * Objects of batches that are gone or have another size: nothing of them is read. In the order of the batches.
 * @param objectsOf what of a batch is looked for; @param what the act that a loss stands in the way of, such as `publish`
 * @throws UnavailableError
 */
export function lossesOf(
  store: ObjectStore,
  batches: readonly NewBatch[],
  objectsOf: (batch: NewBatch) => readonly NamedObject[],
  what: string,
): Promise<Loss[]> {
  return collect(batches, async (batch) => {
    const found: IntegrityError[] = [];
    for (const object of objectsOf(batch)) {
      const loss = await lossOf(store, object, what);
      if (loss !== null) found.push(loss);
    }
    return found;
  });
}

/** Evidence that cannot be read as it was signed; all of it is read. In the order of the batches. @throws UnavailableError */
export function evidenceFaults(stored: { readonly store: ObjectStore }, batches: readonly NewBatch[]): Promise<Loss[]> {
  return collect(batches, (batch) => faultsIn(() => readEvidence(stored, batch)));
}

/** The fault that keeps `work` from being done, if one does. @throws what it throws but IntegrityError */
export async function faultsIn(work: () => Promise<unknown>): Promise<IntegrityError[]> {
  try {
    await work();
    return [];
  } catch (error) {
    if (error instanceof IntegrityError) return [error];
    throw error;
  }
}

async function collect(
  batches: readonly NewBatch[],
  look: (batch: NewBatch) => Promise<IntegrityError[]>,
): Promise<Loss[]> {
  const found: Loss[][] = batches.map(() => []);
  await eachLimited(batches.entries(), CHECKS_AT_ONCE, async ([i, batch]) => {
    found[i] = (await look(batch)).map((error) => ({ batch, error }));
  });
  return found.flat();
}

async function lossOf(store: ObjectStore, { key, bytes }: NamedObject, what: string): Promise<IntegrityError | null> {
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
