import { describe, expect, it } from 'vitest';

import { IntegrityError, UnavailableError } from '../../../src/errors.ts';
import { ResumeWatch } from '../../../src/ingest/resume-watch.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';

describe('a watch for a resume', () => {
  const clock = new LeapingClock();
  const watchFor = (resumedSeq: () => Promise<number>): ResumeWatch => new ResumeWatch({ resumedSeq }, clock, 7);

  it('finds one that is newer than the halt', async () => {
    expect(await watchFor(async () => 8).look()).toBe(true);
    expect(await watchFor(async () => 7).look()).toBe(false);
  });

  it('is due five seconds after the look before', async () => {
    const watch = watchFor(async () => 0);
    clock.advance(4_999);
    expect(watch.isDue).toBe(false);
    clock.advance(1);
    expect(watch.isDue).toBe(true);
    await watch.look();
    expect(watch.isDue).toBe(false);
    clock.advance(5_000);
    expect(watch.isDue).toBe(true);
  });

  it('never looks twice at once, however slow the store is', async () => {
    let answer: (seq: number) => void = () => undefined;
    const watch = watchFor(() => new Promise((resolve) => (answer = resolve)));
    const looking = watch.look();
    clock.advance(60_000);
    expect(watch.isDue).toBe(false);
    answer(8);
    expect(await looking).toBe(true);
  });

  it('takes a store that is away for one that shows no resume, and a damaged one for neither', async () => {
    const away = new UnavailableError('STORE_UNAVAILABLE', 'Cannot reach the store: planned fault');
    const watch = watchFor(() => Promise.reject(away));
    expect(await watch.look()).toBe(false);
    clock.advance(5_000);
    expect(watch.isDue).toBe(true);
    const damaged = new IntegrityError('CHAIN_BROKEN', 'control/8', 'Cannot accept "control/8": planned fault');
    await expect(watchFor(() => Promise.reject(damaged)).look()).rejects.toBe(damaged);
  });
});
