import { eachLimited } from '../ledger/each-limited.ts';

/** Bytes of objects that are held at once while many are read; a larger object is held alone. */
export const HELD_BYTES_MAX = 128 * 1_024 * 1_024;

/**
 * As {@link eachLimited}, and no more at once than hold {@link HELD_BYTES_MAX} together, so that memory does not follow the
 * size of a store's objects times their number.
 * @param bytesOf bytes that an item holds while it is worked on, at least 0
 */
export async function eachWithin<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  limit: number,
  bytesOf: (item: Item) => number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let held = 0;
  const waiting: (() => void)[] = [];
  await eachLimited(items, limit, async (item) => {
    // One that is larger than all room takes all of it.
    const bytes = Math.min(bytesOf(item), HELD_BYTES_MAX);
    const hasRoom = (): boolean => held + bytes <= HELD_BYTES_MAX;
    while (!hasRoom())
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    held += bytes;
    try {
      await work(item);
    } finally {
      held -= bytes;
      for (const wake of waiting.splice(0)) wake();
    }
  });
}
