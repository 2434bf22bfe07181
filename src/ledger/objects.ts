import { IntegrityError, RequestError, UncertainError, UnavailableError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { sha256Hex } from '../record/sha256.ts';
import { contentBytesMax } from './layout.ts';

/** Pause after the first failure of a create, in ms; it doubles with each, up to the longest. */
export const PAUSE_FIRST_MS = 100;
export const PAUSE_MAX_MS = 5_000;

/**
 * Reads an object that a signed entry names and checks its digest.
 * @throws IntegrityError OBJECT_MISSING, DIGEST_MISMATCH, SIZE_EXCEEDED naming the key (matrix M21–M25); UnavailableError
 */
export async function getVerified(store: ObjectStore, key: string, sha256: string, bytesMax: number): Promise<Buffer> {
  const bytes = await store.get(key, bytesMax);
  if (bytes === null) throw new IntegrityError('OBJECT_MISSING', key, `Cannot read "${key}": it is not in the store`);
  assertDigest(key, bytes, sha256);
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
 * Creates an object, again and again until the store has answered for certain.
 *
 * The answer to a create can be lost, and a late apply can make our own write answer "exists". So only `created` is believed
 * as it is; after `exists` the object is read, and after anything else the *same* bytes are written again: on a disk, too, an
 * object that can be read is not durable before a create has said so. Trying for ever is safe for that reason; an outage
 * only pauses the caller.
 * @returns null when it was created; else what lies there, which may be our own bytes.
 * @throws UncertainError when `signal` aborts first: whether the object is there is unknown then; IntegrityError SIZE_EXCEEDED
 *   when more than `bytesMax` lie there
 */
export async function createOrRead(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  bytesMax: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Buffer | null> {
  assertFits(key, bytes, bytesMax);
  let cause: unknown;
  for (let pauseMs = PAUSE_FIRST_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    try {
      if ((await store.create(key, bytes, { signal })) === 'created') return null;
      const found = await store.get(key, bytesMax, { signal });
      if (found !== null) return found;
    } catch (error) {
      if (!(error instanceof UncertainError) && !(error instanceof UnavailableError)) throw error;
      cause = error;
    }
    await clock.sleep(pauseMs, signal);
  }
  throw new UncertainError(
    'STORE_UNCERTAIN',
    `Cannot tell whether "${key}" was created: stopped before the store answered`,
    { cause },
  );
}

/**
 * Stores an object whose key holds the digest of its bytes; it does not matter who stored it first.
 * An object that exists is read back: someone may have put other bytes under the key.
 * @throws RequestError SIZE_EXCEEDED for bytes that no reader would accept, before anything is written; IntegrityError
 *   DIGEST_MISMATCH when other bytes lie there, SIZE_EXCEEDED when more do; UncertainError when aborted
 */
export async function putContent(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  assertFits(key, bytes, contentBytesMax(key));
  const found = await createOrRead(store, key, bytes, bytes.length, clock, signal);
  if (found !== null) assertDigest(key, found, sha256Hex(bytes));
}

function assertDigest(key: string, bytes: Uint8Array, sha256: string): void {
  const actual = sha256Hex(bytes);
  if (actual === sha256) return;
  throw new IntegrityError(
    'DIGEST_MISMATCH',
    key,
    `Cannot accept "${key}": its SHA-256 is ${actual}, wanted ${sha256}`,
  );
}
