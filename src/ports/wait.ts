import type { Clock } from './clock.ts';

/**
 * Waits for time to pass, for one of `others`, or for the signal, whatever comes first; leaves nothing behind on the signal.
 *
 * `AbortSignal.any` would: on Node 20 each of its signals stays with the one it follows, as long as that lives.
 * @throws what one of `others` rejects with
 */
export async function waitForAny(
  clock: Clock,
  ms: number,
  others: readonly Promise<unknown>[],
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  const end = (): void => enough.abort();
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  try {
    await Promise.race([clock.sleep(ms, enough.signal), ...others]);
  } finally {
    signal.removeEventListener('abort', end);
    end();
  }
}
