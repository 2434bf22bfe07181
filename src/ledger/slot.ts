import { IntegrityError, UncertainError, UnavailableError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { BYTES_MAX } from './layout.ts';
import { assertFits } from './objects.ts';

const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 5_000;

/** Who owns a slot after an attempt to create it. */
export type SlotOutcome = { readonly owner: 'us' } | { readonly owner: 'other'; readonly bytes: Buffer };

/**
 * Creates a log slot and finds out for certain whose bytes it holds.
 *
 * The answer to a create can be lost, and a late apply can make our own write answer "exists"; so every outcome but a
 * plain success is settled by reading the slot: our bytes are success, other bytes belong to someone else, nothing means
 * writing the *same* bytes again. Retrying for ever is safe for that reason; an outage only pauses the caller.
 * @throws UncertainError when `signal` aborts first: the slot is then unknown and the caller must re-read the log;
 *   RequestError SIZE_EXCEEDED for bytes that no reader would accept, before anything is written;
 *   IntegrityError SLOT_INVALID when the slot holds more bytes than an entry can have (matrix M26, M28)
 */
export async function createSlot(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  clock: Clock,
  signal: AbortSignal,
): Promise<SlotOutcome> {
  assertFits(key, bytes, BYTES_MAX.slot);
  for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    if (signal.aborted)
      throw new UncertainError(
        'STORE_UNCERTAIN',
        `Cannot tell whether "${key}" was created: stopped before the store answered`,
      );
    try {
      if ((await store.create(key, bytes, { signal })) === 'created') return { owner: 'us' };
    } catch (error) {
      if (!(error instanceof UncertainError) && !(error instanceof UnavailableError)) throw error;
    }
    const found = await readSlot(store, key, signal);
    if (found !== undefined && found !== null)
      return found.equals(bytes) ? { owner: 'us' } : { owner: 'other', bytes: found };
    await clock.sleep(pauseMs, signal);
  }
}

/** The slot's bytes, null if free, undefined if the store does not answer. */
async function readSlot(store: ObjectStore, key: string, signal: AbortSignal): Promise<Buffer | null | undefined> {
  try {
    return await store.get(key, BYTES_MAX.slot, { signal });
  } catch (error) {
    if (error instanceof UnavailableError) return undefined;
    if (!(error instanceof IntegrityError)) throw error;
    throw new IntegrityError(
      'SLOT_INVALID',
      key,
      `Cannot append at "${key}": the slot is taken by bytes that are no entry`,
      {
        cause: error,
      },
    );
  }
}
