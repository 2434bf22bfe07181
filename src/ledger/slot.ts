import { IntegrityError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { BYTES_MAX } from './layout.ts';
import { createOrRead } from './objects.ts';

/** Who owns a slot after an attempt to create it. */
export type SlotOutcome = { readonly owner: 'us' } | { readonly owner: 'other'; readonly bytes: Buffer };

/**
 * Creates a log slot and finds out for certain whose bytes it holds: our bytes are success, other bytes belong to someone
 * else.
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
  try {
    const found = await createOrRead(store, key, bytes, BYTES_MAX.slot, clock, signal);
    return found === null || found.equals(bytes) ? { owner: 'us' } : { owner: 'other', bytes: found };
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause;
    const message = `Cannot append at "${key}": the slot is taken by bytes that are no entry`;
    throw new IntegrityError('SLOT_INVALID', key, message, { cause });
  }
}
