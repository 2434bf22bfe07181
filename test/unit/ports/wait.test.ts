import { getEventListeners } from 'node:events';

import { describe, expect, it } from 'vitest';

import { systemClock } from '../../../src/adapters/system/clock.ts';
import { waitForAny } from '../../../src/ports/wait.ts';

const NEVER = new Promise<never>(() => undefined);
const LONG_MS = 60_000;

describe('waiting for the first of several things', () => {
  it('ends when the time has passed', async () => {
    await waitForAny(systemClock, 5, [NEVER], new AbortController().signal);
  });

  it('ends with the first promise, and fails as it fails', async () => {
    const { signal } = new AbortController();
    await waitForAny(systemClock, LONG_MS, [NEVER, Promise.resolve(1)], signal);
    await expect(waitForAny(systemClock, LONG_MS, [Promise.reject(new Error('gone'))], signal)).rejects.toThrow('gone');
  });

  it('ends with the signal, and at once if that was aborted before', async () => {
    const stop = new AbortController();
    const waiting = waitForAny(systemClock, LONG_MS, [NEVER], stop.signal);
    stop.abort();
    await waiting;
    await waitForAny(systemClock, LONG_MS, [NEVER], stop.signal);
  });

  it('leaves nothing behind on the signal, however it ends', async () => {
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i++) await waitForAny(systemClock, LONG_MS, [Promise.resolve()], signal);
    await waitForAny(systemClock, LONG_MS, [Promise.reject(new Error('gone'))], signal).catch(() => undefined);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
