/** How far ahead of the reader's clock a time may lie before it cannot be true: beyond that, no wrong clock explains it. */
const AHEAD_MAX_MS = 86_400_000;
/** How far ahead of the reader's clock a time may lie and still tell how old something is: what synchronized clocks differ by, and more. */
export const FRESH_AHEAD_MAX_MS = 300_000;

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

/**
 * Why a signed time does not tell how old its entry is, or null if it does: one of two clocks is wrong.
 * @param nowMs wall clock of the reader, ms since 1970.
 */
export function aheadWarning(time: string, nowMs: number): string | null {
  const aheadMs = Date.parse(time) - nowMs;
  if (!(aheadMs > FRESH_AHEAD_MAX_MS)) return null;
  return `the newest control entry is dated ${time}, ${Math.round(aheadMs / 60_000)} min ahead of this machine's clock: one of the two clocks is wrong, and nobody can tell how old the entry is`;
}
