import { getEventListeners } from 'node:events';

import { beforeEach, describe, expect, it } from 'vitest';

import { ACT_STALLED_MS, ActLimit } from '../../../src/cli/act-limit.ts';
import { IntegrityError, UncertainError, UnavailableError } from '../../../src/errors.ts';
import type { VerifiedControlEntry } from '../../../src/ledger/control-log.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const full = new UnavailableError('STORE_UNAVAILABLE', 'Cannot write "a": its disk is full');
const cut = new UncertainError('STORE_UNCERTAIN', 'Cannot tell whether "a" was created: planned');
const unknown = new UncertainError('STORE_UNCERTAIN', 'Cannot tell', { fields: { slot: 'shop/control/7' } });
const entry = (seq: number, kind: string) => ({ entry: { seq, kind } }) as unknown as VerifiedControlEntry;

describe('the limit of an act', () => {
  let clock: ManualClock;
  let stop: AbortController;
  let kill: AbortController;
  let limit: ActLimit;
  const told = (error: unknown): unknown => {
    const { code, message } = limit.explain(error) as UnavailableError;
    return { code, message };
  };

  beforeEach(() => {
    clock = new ManualClock();
    [stop, kill] = [new AbortController(), new AbortController()];
    limit = new ActLimit({ clock, stop: stop.signal, kill: kill.signal });
  });

  it('ends with the first signal, and says that nothing was signed', () => {
    expect(limit.ended.aborted).toBe(false);
    stop.abort();
    expect(limit.ended.aborted).toBe(true);
    expect(limit.act.watch.ended.aborted).toBe(false);
    expect(told(cut)).toEqual({
      code: 'STOPPED',
      message: 'Stopped: nothing was signed, and the same call may be made again',
    });
  });

  it('ends an act that is begun after the signal', () => {
    stop.abort();
    expect(new ActLimit({ clock, stop: stop.signal, kill: kill.signal }).ended.aborted).toBe(true);
  });

  it('ends once the store has taken nothing for a minute, whatever it answers to reads, and says for how long and why', async () => {
    for (let at = 0; at < ACT_STALLED_MS; at += 5_000) {
      limit.watch.failed(full);
      limit.watch.answered();
      expect(limit.ended.aborted).toBe(false);
      await clock.advance(5_000);
    }
    limit.watch.failed(full);
    expect(limit.ended.aborted).toBe(true);
    expect(told(cut)).toEqual({
      code: 'STORE_UNAVAILABLE',
      message:
        'Cannot go on: for 60 s the store has taken nothing, so this call gives up; nothing was signed, and the same call may be made again; last of all: Cannot write "a": its disk is full',
    });
  });

  it('counts from the last write, failures of the entries themselves, too', async () => {
    limit.watch.failed(full);
    await clock.advance(ACT_STALLED_MS - 1);
    limit.watch.written();
    limit.act.watch.failed(full);
    await clock.advance(ACT_STALLED_MS - 1);
    limit.act.watch.failed(full);
    expect(limit.ended.aborted).toBe(false);
    await clock.advance(1);
    limit.act.watch.failed(full);
    expect(limit.ended.aborted).toBe(true);
  });

  it('names what was signed before it ended, and what nobody knows', () => {
    limit.act.appended(entry(5, 'verdict'));
    limit.act.appended(entry(6, 'verdict'));
    stop.abort();
    expect(told(full)).toMatchObject({
      code: 'STOPPED',
      message: expect.stringContaining('control entries 5 (verdict), 6 (verdict) are signed and stand') as string,
    });
    expect(told(unknown)).toMatchObject({
      code: 'STORE_UNCERTAIN',
      message: expect.stringMatching(
        /^Cannot tell whether "shop\/control\/7" was signed .*headgate log tells.* 5 \(verdict\), 6 \(verdict\)$/,
      ) as string,
    });
  });

  it('leaves alone what it has not caused', () => {
    expect(limit.explain(full)).toBe(full);
    stop.abort();
    const damaged = new IntegrityError('DIGEST_MISMATCH', 'a', 'Cannot accept "a"');
    expect(limit.explain(damaged)).toBe(damaged);
  });

  it.each(['20 s', 'a second signal'])(
    'finds out what became of what was sent, but for no longer than %s',
    async (what) => {
      const { ended } = limit.act.watch;
      stop.abort();
      await clock.advance(19_999);
      expect(ended.aborted).toBe(false);
      if (what === '20 s') await clock.advance(1);
      else kill.abort();
      await Promise.resolve();
      expect(ended.aborted).toBe(true);
    },
  );

  it('leaves nothing on the signals', () => {
    limit[Symbol.dispose]();
    for (const { signal } of [stop, kill]) expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
