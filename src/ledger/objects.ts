import { IntegrityError, UncertainError, UnavailableError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { sha256Hex } from '../record/sha256.ts';

const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 10_000;

/**
 * Reads an object that a signed entry names and checks its digest.
 * @throws IntegrityError OBJECT_MISSING, DIGEST_MISMATCH, SIZE_EXCEEDED naming the key (matrix M21–M25); UnavailableError
 */
export async function getVerified(store: ObjectStore, key: string, sha256: string, bytesMax: number): Promise<Buffer> {
  const bytes = await store.get(key, bytesMax);
  if (bytes === null) throw new IntegrityError('OBJECT_MISSING', key, `Cannot read "${key}": it is not in the store`);
  const actual = sha256Hex(bytes);
  if (actual !== sha256)
    throw new IntegrityError(
      'DIGEST_MISMATCH',
      key,
      `Cannot accept "${key}": its SHA-256 is ${actual}, wanted ${sha256}`,
    );
  return bytes;
}

/**
 * Stores an object whose key holds the digest of its bytes; it does not matter who stored it first.
 * An object that exists is read back: someone may have put other bytes under the key.
 * Outages only pause: the same bytes are written again until the store answers or `signal` aborts.
 * @throws IntegrityError DIGEST_MISMATCH when other bytes lie there; UnavailableError when aborted
 */
export async function putContent(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    try {
      if ((await store.create(key, bytes, { signal })) === 'created') return;
      await getVerified(store, key, sha256Hex(bytes), bytes.length);
      return;
    } catch (error) {
      const passing = error instanceof UnavailableError || error instanceof UncertainError;
      if (!passing) throw error;
      if (signal.aborted)
        throw new UnavailableError('STORE_UNAVAILABLE', `Cannot store "${key}": stopped before the store answered`, {
          cause: error,
        });
    }
    await clock.sleep(pauseMs, signal);
  }
}
