import { describe, expect, it } from 'vitest';

import { Patience } from '../../../../src/cli/commands/patience.ts';
import { UnavailableError } from '../../../../src/errors.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const refused = new UnavailableError('STORE_UNAVAILABLE', 'Cannot write "a": its disk is full');
const silent = new UnavailableError('SOURCE_UNAVAILABLE', 'Cannot read "t": no broker answers');

function patienceOf({ once = true } = {}) {
  const clock = new ManualClock();
  const stop = new AbortController();
  const patience = new Patience({ clock, stop: stop.signal, once });
  /** Fails every five seconds for so long. */
  const failFor = async (ms: number, error = refused): Promise<void> => {
    for (let at = 0; at <= ms; at += 5_000) {
      if (error === refused) patience.failed(error);
      else patience.retrying(error);
      await clock.advance(5_000);
    }
  };
  return { clock, stop, patience, failFor };
}

describe('a one-pass run', () => {
  it.each([refused, silent])('is given up after five minutes in which each try failed: $message', async (error) => {
    const { patience, failFor } = patienceOf();
    await failFor(4 * 60_000, error);
    expect(patience.ended.aborted).toBe(false);
    patience.assertGoesOn();
    await failFor(60_000, error);
    expect(patience.ended.aborted).toBe(true);
    expect(() => patience.assertGoesOn()).toThrow(
      expect.objectContaining({
        code: error.code,
        message: expect.stringMatching(/for 300 s nothing was written .* last of all: Cannot/) as string,
      }),
    );
  });

  it('begins to count anew with each write', async () => {
    const { patience, failFor } = patienceOf();
    await failFor(4 * 60_000);
    patience.written();
    await failFor(4 * 60_000);
    expect(patience.ended.aborted).toBe(false);
  });

  it('is given up though reads are answered, as a full disk does', async () => {
    const { clock, patience } = patienceOf();
    for (let at = 0; at <= 5 * 60_000; at += 5_000) {
      patience.failed(refused);
      patience.answered();
      await clock.advance(5_000);
    }
    expect(patience.ended.aborted).toBe(true);
  });

  it('does not count a failure of long ago', async () => {
    const { clock, patience } = patienceOf();
    patience.failed(refused);
    await clock.advance(6 * 60_000);
    patience.failed(refused);
    expect(patience.ended.aborted).toBe(false);
  });
});

describe('a service', () => {
  it('is never given up', async () => {
    const { patience, failFor } = patienceOf({ once: false });
    await failFor(24 * 3_600_000);
    expect(patience.ended.aborted).toBe(false);
  });

  it('waits no longer for a store that fails when it is told to stop', async () => {
    const { patience, stop, failFor } = patienceOf({ once: false });
    await failFor(5_000);
    stop.abort();
    expect(patience.ended.aborted).toBe(true);
    expect(() => patience.assertGoesOn()).toThrow(/^Stopped while the store could not be used: .* its disk is full$/);
  });

  it('gives a store that fails while it ends one second', async () => {
    const { clock, patience, stop } = patienceOf({ once: false });
    stop.abort();
    patience.failed(refused);
    await clock.advance(900);
    patience.failed(refused);
    expect(patience.ended.aborted).toBe(false);
    await clock.advance(100);
    patience.failed(refused);
    expect(patience.ended.aborted).toBe(true);
  });

  it.each(['answered', 'written'] as const)('still writes what it has when the store has %s since', async (took) => {
    const { clock, patience, stop, failFor } = patienceOf({ once: false });
    await failFor(3_600_000);
    patience[took]();
    stop.abort();
    await clock.advance(60_000);
    expect(patience.ended.aborted).toBe(false);
    // A failure in the midst of it changes nothing either.
    patience.failed(refused);
    await clock.advance(999);
    patience[took]();
    patience.failed(refused);
    await clock.advance(999);
    patience[took]();
    await clock.advance(60_000);
    expect(patience.ended.aborted).toBe(false);
    patience.assertGoesOn();
  });

  it('takes neither one failure nor those of long ago for a store that is away', async () => {
    const { clock, patience, stop, failFor } = patienceOf({ once: false });
    await failFor(60_000);
    await clock.advance(6 * 3_600_000);
    patience.failed(refused);
    await clock.advance(29_000);
    stop.abort();
    expect(patience.ended.aborted).toBe(false);
    await clock.advance(6 * 3_600_000);
    patience.failed(refused);
    expect(patience.ended.aborted).toBe(false);
  });

  it('still writes what it has when only the source is away', async () => {
    const { clock, patience, stop } = patienceOf({ once: false });
    patience.retrying(silent);
    await clock.advance(5_000);
    patience.retrying(silent);
    stop.abort();
    patience.retrying(silent);
    await clock.advance(60_000);
    expect(patience.ended.aborted).toBe(false);
    patience.assertGoesOn();
  });
});
