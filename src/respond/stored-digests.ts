import type { ObjectStore } from '../ports/object-store.ts';

/** More objects than this with the same first digits: then nothing is gained by knowing them. */
const FOUND_MAX = 16;

/**
 * Which objects of one kind have a digest that begins with `digits`; null where the store cannot narrow it down.
 * Trust: only a hint about how far to search. Whoever uses it must find each one in a signed log: a store may hold
 * objects that nobody has signed, and may hide others.
 * @param keyOf key of the object under a digest, which is its folder, the digest, and what follows.
 * @throws UnavailableError
 */
export async function storedDigests(
  store: ObjectStore,
  keyOf: (sha256: string) => string,
  digits: string,
): Promise<ReadonlySet<string> | null> {
  if (digits.length === 64) return new Set([digits]);
  const start = keyOf(digits).slice(0, keyOf(digits).lastIndexOf(digits) + digits.length);
  const folder = start.slice(0, start.lastIndexOf('/') + 1);
  const { objects } = await store.list(folder, { startAfter: start, limit: FOUND_MAX + 1 });
  const found = objects.flatMap(({ key }) =>
    key.startsWith(start) ? [key.slice(folder.length, folder.length + 64)] : [],
  );
  return found.length === 0 || found.length > FOUND_MAX ? null : new Set(found);
}
