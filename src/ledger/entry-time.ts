import { HaltError } from '../errors.ts';

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
  if (Number.isNaN(Date.parse(time))) return `its time "${time}" does not exist`;
  return isFarAhead(time, nowMs) ? `its time "${time}" lies more than a day ahead of this machine's clock` : null;
}

/** True for a time that lies so far ahead of the clock that one of two clocks is badly wrong. @param nowMs as {@link timeFault} */
export function isFarAhead(time: string, nowMs: number): boolean {
  return Date.parse(time) - nowMs > AHEAD_MAX_MS;
}

/**
 * Refuses to sign under a clock that is more than a day off, as the newest entry or the store's own clock tells: what is
 * dated ahead cannot be taken back, and is tampering to whoever reads it.
 * @param newest time of the newest control entry and its author; null if there is none.
 * @param offsetMs how far the store's clock is ahead of this one, ms; null if it has none.
 * @throws HaltError CLOCK_WRONG
 */
export function assertClock(
  newest: { readonly time: string; readonly by: string; readonly seq: number } | null,
  offsetMs: number | null,
  nowMs: number,
): void {
  if (offsetMs !== null && Math.abs(offsetMs) > AHEAD_MAX_MS)
    throw new HaltError(
      'CLOCK_WRONG',
      `Cannot sign under this clock: it says ${new Date(nowMs).toISOString()}, the store's says ${new Date(nowMs + offsetMs).toISOString()} (mend: set this machine's clock, NTP)`,
    );
  if (newest !== null && isFarAhead(newest.time, nowMs))
    throw new HaltError(
      'CLOCK_WRONG',
      `Cannot sign under this clock: it says ${new Date(nowMs).toISOString()}, and control entry ${newest.seq} by ${newest.by} is dated ${newest.time} (mend: set this machine's clock, NTP; if it is right, that of ${newest.by} was wrong: headgate hold --reason TEXT, then headgate resume --reason TEXT, which date anew)`,
    );
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
