import { IntegrityError, RequestError, UncertainError, UnavailableError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { sha256Hex } from '../record/sha256.ts';
import { contentBytesMax } from './layout.ts';

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
 * Refuses to write what no reader would accept: an entry above the cap of its kind would end its log for good.
 * @throws RequestError SIZE_EXCEEDED
 */
export function assertFits(key: string, bytes: Uint8Array, bytesMax: number): void {
  if (bytes.length <= bytesMax) return;
  throw new RequestError(
    'SIZE_EXCEEDED',
    `Cannot store "${key}": it has ${bytes.length} bytes, at most ${bytesMax} are allowed`,
  );
}

/** JSON of an object whose digest was checked. @throws IntegrityError PAYLOAD_INVALID if it is none */
export function parseJson(bytes: Uint8Array, object: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": it is not JSON`, { cause });
  }
}

/**
 * Stores an object whose key holds the digest of its bytes; it does not matter who stored it first.
 * An object that exists is read back: someone may have put other bytes under the key.
 * Outages only pause: the same bytes are written again until the store answers or `signal` aborts.
 * @throws RequestError SIZE_EXCEEDED for bytes that no reader would accept, before anything is written; IntegrityError
 *   DIGEST_MISMATCH when other bytes lie there; UnavailableError when aborted
 */
export async function putContent(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  assertFits(key, bytes, contentBytesMax(key));
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
