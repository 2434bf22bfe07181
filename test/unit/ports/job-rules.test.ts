import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { UnavailableError } from '../../../src/errors.ts';
import {
  DEFAULT_JOB_RETRY_RULES,
  type JobRetryRules,
  RETRY_AFTER_MS_MAX,
  retryPauseMs,
  RunningWork,
} from '../../../src/ports/job-rules.ts';
import type { Rng } from '../../../src/ports/rng.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';

const RULES: JobRetryRules = { attemptsMax: 10, firstPauseMs: 1_000, pauseMsMax: 300_000 };
const LEAST: Rng = { bytes: (count) => new Uint8Array(count) };
const MOST: Rng = { bytes: (count) => new Uint8Array(count).fill(0xff) };

const anyRng = fc
  .uint8Array({ minLength: 4, maxLength: 4 })
  .map((bytes): Rng => ({ bytes: (count) => bytes.subarray(0, count) }));

function pauses(rng: Rng, attempts: readonly number[]): readonly number[] {
  return attempts.map((attempt) => retryPauseMs(attempt, undefined, RULES, rng));
}

function asking(retryAfterMs: number): number {
  const error = new UnavailableError('ALERT_UNDELIVERED', 'Later', { fields: { retryAfterMs } });
  return retryPauseMs(1, error, RULES, MOST);
}

describe('the pause before the next try', () => {
  it('doubles with each try up to the cap', () => {
    expect(pauses(MOST, [1, 2, 3, 9, 10, 500])).toEqual([1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
  });

  it('is at least half of its longest', () => {
    expect(pauses(LEAST, [1, 2, 3, 9, 10, 500])).toEqual([500, 1_000, 2_000, 128_000, 150_000, 150_000]);
  });

  it('never shrinks from one try to the next below the cap, whatever the dice say', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), anyRng, anyRng, (attempt, first, second) => {
        const before = retryPauseMs(attempt, null, RULES, first);
        expect(retryPauseMs(attempt + 1, null, RULES, second)).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  it('spreads: many jobs that fail together do not come back together', () => {
    let seed = 1;
    const rng: Rng = {
      bytes: (count) => Uint8Array.from({ length: count }, () => (seed = (seed * 48_271) % 0x7fffffff) & 0xff),
    };
    const spread = new Set(Array.from({ length: 1_000 }, () => retryPauseMs(5, null, RULES, rng)));
    expect(spread.size).toBeGreaterThan(800);
  });

  it('is what the error asks for, if that is longer, up to an hour', () => {
    expect([0, 999, 60_000, RETRY_AFTER_MS_MAX, 1e12].map(asking)).toEqual([
      1_000, 1_000, 60_000, 3_600_000, 3_600_000,
    ]);
  });

  it('adds up to four to nine minutes by default', () => {
    const { attemptsMax } = DEFAULT_JOB_RETRY_RULES;
    const total = (rng: Rng): number =>
      Array.from({ length: attemptsMax - 1 }, (_, index) =>
        retryPauseMs(index + 1, null, DEFAULT_JOB_RETRY_RULES, rng),
      ).reduce((a, b) => a + b);
    expect([total(LEAST), total(MOST)]).toEqual([255_500, 511_000]);
  });
});

describe('running work', () => {
  it('settles when the last piece has, whether it failed or not', async () => {
    const work = new RunningWork();
    const clock = new ManualClock();
    let finish!: () => void;
    const first = work.during(() => new Promise<void>((resolve) => (finish = resolve)));
    const second = work.during(() => Promise.reject(new Error('no')));
    await expect(second).rejects.toThrow('no');
    let isSettled = false;
    const settled = work.settle(1_000, clock).then(() => (isSettled = true));
    await settle();
    expect(isSettled).toBe(false);
    finish();
    await Promise.all([first, settled]);
    expect([work.count, clock.sleeping]).toEqual([0, []]);
  });

  it('waits no longer than it was told', async () => {
    const work = new RunningWork();
    const clock = new ManualClock();
    void work.during(() => new Promise<void>(() => {}));
    const settled = work.settle(1_000, clock);
    await clock.advance(1_000);
    await settled;
    expect(work.count).toBe(1);
  });

  it('does not wait when nothing runs', async () => {
    await new RunningWork().settle(1_000, new ManualClock());
  });
});
