import { IntegrityError, UnavailableError, UncertainError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { BYTES_MAX } from './layout.ts';
import { PAUSE_FIRST_MS, PAUSE_MAX_MS, assertFits, createOrRead } from './objects.ts';

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
    return ownerOf(await createOrRead(store, key, bytes, BYTES_MAX.slot, clock, signal), bytes);
  } catch (cause) {
    throw asInvalid(key, cause);
  }
}

/** How it is found out what became of a slot whose writer was told to stop. */
export interface Settling {
  /** The same store; whatever stops the writer does not end its calls. */
  readonly store: ObjectStore;
  /** Ends finding out. */
  readonly ended: AbortSignal;
}

/**
 * As {@link createSlot}, for a writer who waits for the outcome: once `signal` aborts nothing more is sent, and what was sent
 * before is found out. No create is cut off: the answer to one on its way is the surest there is.
 * @throws UnavailableError STOPPED when nothing was written, nor will be; UncertainError, with the slot in its fields, when
 *   `settling.ended` aborts before that is known; RequestError and IntegrityError as createSlot
 */
export async function createSlotOrSettle(
  { store, ended }: Settling,
  key: string,
  bytes: Uint8Array,
  clock: Clock,
  signal: AbortSignal,
): Promise<SlotOutcome> {
  assertFits(key, bytes, BYTES_MAX.slot);
  let isSent = false;
  let cause: unknown;
  const isOurs = async (): Promise<SlotOutcome | null> => {
    const found = await store.get(key, BYTES_MAX.slot, { signal: ended });
    return found === null ? null : ownerOf(found, bytes);
  };
  for (let pauseMs = PAUSE_FIRST_MS; !ended.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
    if (signal.aborted && !isSent) break;
    try {
      // On a disk, what can be read may not be durable; that a create of what is there already has answered says that it is.
      const seen = signal.aborted ? await isOurs() : null;
      if (seen !== null && (seen.owner === 'other' || store.arbiter === 'server')) return seen;
      if (seen !== null || !signal.aborted) {
        if ((await store.create(key, bytes, { signal: ended })) === 'created') return { owner: 'us' };
        isSent = true;
        const outcome = await isOurs();
        if (outcome !== null) return outcome;
      }
    } catch (error) {
      if (!(error instanceof UncertainError) && !(error instanceof UnavailableError)) throw asInvalid(key, error);
      isSent ||= error instanceof UncertainError;
      cause = error;
    }
    await clock.sleep(pauseMs, signal.aborted ? ended : signal);
  }
  if (!isSent)
    throw new UnavailableError('STOPPED', `Cannot append at "${key}": stopped before it was written`, { cause });
  throw new UncertainError(
    'STORE_UNCERTAIN',
    `Cannot tell whether "${key}" was written: it was sent, and the store has not said what became of it`,
    { cause, fields: { slot: key } },
  );
}

function ownerOf(found: Buffer | null, bytes: Uint8Array): SlotOutcome {
  return found === null || found.equals(bytes) ? { owner: 'us' } : { owner: 'other', bytes: found };
}

/** The error for a slot that holds more than an entry can have; any other one as it is. */
function asInvalid(key: string, cause: unknown): unknown {
  if (!(cause instanceof IntegrityError)) return cause;
  const message = `Cannot append at "${key}": the slot is taken by bytes that are no entry`;
  return new IntegrityError('SLOT_INVALID', key, message, { cause });
}
