/** How far the clock of a writer may be ahead of the reader's. */
const AHEAD_MAX_MS = 86_400_000;

/**
 * Why a signed time cannot be true, or null if it can. A time far ahead would pass every freshness check for ever
 * (matrix M29); one far back only makes the ledger look stale, which is what the checks are for.
 * @param nowMs wall clock of the reader, ms since 1970.
 */
export function timeFault(time: string, nowMs: number): string | null {
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return `its time "${time}" does not exist`;
  return ms - nowMs > AHEAD_MAX_MS ? `its time "${time}" lies more than a day ahead of this machine's clock` : null;
}
