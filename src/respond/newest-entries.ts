import { IntegrityError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { firstFree } from '../ledger/first-free.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import type { VerifiedEntry } from '../ledger/log-head.ts';
import type { LogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

const READS_AT_ONCE = 16;

/**
 * The newest entries of a partition log, newest first, each checked to be the one that the later one names; none for a log
 * without entries.
 * Trust: the end is found by probing, which a store can shorten; that nothing lies behind it is checked, and everything
 * that is given is signed.
 * Cost: O(log n) probes, and one GET an entry that is given.
 * @throws IntegrityError, UnavailableError
 */
export async function newestEntries(ledger: LedgerContext, log: LogId, limit: number): Promise<VerifiedEntry[]> {
  const { logs } = ledger;
  const end = await findEnd(ledger, log);
  if (end === 0) return [];
  // From the entry that was found on, as every reader of the log does: it meets holes, and what is written meanwhile.
  const head = await logs.head(log, await logs.headAt(log, end - 1));
  const newest = head!.slot;
  const slots = Array.from({ length: Math.min(limit, newest + 1) }, (_, i) => newest - i);
  const entries: VerifiedEntry[] = Array.from({ length: slots.length });
  await eachLimited(slots.entries(), READS_AT_ONCE, async ([i, slot]) => {
    const verified = await logs.read(log, slot);
    if (verified === null) throw missing(ledger.layout.slot(log, slot));
    entries[i] = verified;
  });
  entries.forEach(({ digest, key }, i) => {
    const wanted = i === 0 ? head!.digest : entries[i - 1]!.entry.previous;
    if (digest !== wanted)
      throw new IntegrityError(
        'CHAIN_BROKEN',
        key,
        `Cannot accept "${key}": its digest is ${digest}, wanted ${wanted}`,
      );
  });
  return entries;
}

/** First free slot. */
async function findEnd({ store, layout }: LedgerContext, log: LogId): Promise<number> {
  const hint = hintedSlot(await store.get(layout.headHint(log), BYTES_MAX.hint).catch(() => null));
  return firstFree(async (slot) => (await store.stat(layout.slot(log, slot))) !== null, hint);
}

/** The slot that a hint names; null for what is none. Trust: anything may stand there; a lie costs time, not truth. */
function hintedSlot(hint: Buffer | null): number | null {
  try {
    const { slot } = JSON.parse(hint?.toString('utf8') ?? '{}') as { slot?: unknown };
    return typeof slot === 'number' ? slot : null;
  } catch {
    return null;
  }
}

function missing(key: string): IntegrityError {
  return new IntegrityError('SLOT_MISSING', key, `Cannot read "${key}": it is missing although a later one exists`);
}
