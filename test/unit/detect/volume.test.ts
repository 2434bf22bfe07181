import { describe, expect, it } from 'vitest';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import type { BatchTimes, Profile } from '../../../src/detect/profile.ts';
import { judge } from '../../../src/detect/verdict.ts';
import { profileRows, randomOf } from '../../support/flights.ts';

/* Streams of a thousand records a batch: what the records' times say counts, what the reader does counts nothing. */

const START = 1.7e12;

function profileOf(seed: number, records: number, times: BatchTimes): Profile {
  const random = randomOf(seed);
  const rows = Array.from({ length: records }, () => ({ a: random(), b: random() < 0.3 ? 'x' : 'y' }));
  const types = { a: 'float64', b: 'string' } as const;
  return { ...profileRows(rows, null, types, { label: null, source: null, time: null }), times };
}

/** Of records that are `spanMs` apart at most, read `lagMs` after the last. */
const spanning = (spanMs: number, lagMs = 500): BatchTimes => ({
  firstMs: START,
  lastMs: START + spanMs,
  sealedMs: START + spanMs + lagMs,
});

function learnFrom(timesOf: (random: () => number) => BatchTimes) {
  const random = randomOf(1);
  return prepareBaseline(learnBaseline(Array.from({ length: 20 }, (_, i) => profileOf(i, 1_000, timesOf(random)))));
}

const outcomeOf = (baseline: ReturnType<typeof learnFrom>, records: number, times: BatchTimes): string =>
  judge(profileOf(999, records, times), baseline).outcome;

describe('volume', () => {
  const steady = learnFrom((random) => spanning(9_500 + 1_000 * random()));
  const burst = learnFrom((random) => spanning(800 + 200 * random()));

  it('holds nothing because it was read late: after an outage, a pause, a restart', () => {
    for (const lagMs of [0, 60_000, 864e5, -5_000])
      expect(outcomeOf(steady, 1_000, spanning(10_000, lagMs))).toBe('clean');
  });

  it('holds no batch that was cut short by its age, the end of a file, or a shutdown', () => {
    for (const baseline of [steady, burst]) {
      expect(outcomeOf(baseline, 700, spanning(700))).toBe('clean');
      expect(outcomeOf(baseline, 700, spanning(0))).toBe('clean');
      expect(outcomeOf(baseline, 510, spanning(5_000))).toBe('clean');
    }
    expect(outcomeOf(steady, 900, spanning(9_000))).toBe('clean');
    expect(outcomeOf(burst, 900, spanning(500))).toBe('clean');
  });

  it('holds no batch with a gap or one late record in it', () => {
    for (const baseline of [steady, burst])
      for (const spanMs of [60_000, 36e5, 864e5]) expect(outcomeOf(baseline, 1_000, spanning(spanMs))).toBe('clean');
  });

  it('holds a flood: many more records than usual in the time that they say', () => {
    expect(outcomeOf(steady, 1_000, spanning(1_500))).toBe('suspect');
    expect(outcomeOf(steady, 1_000, spanning(0))).toBe('suspect');
    expect(outcomeOf(steady, 8_000, spanning(10_000))).toBe('suspect');
    expect(outcomeOf(steady, 10_000, spanning(100_000))).toBe('clean');
  });

  it('holds a flood of larger records, whose batches are full by their bytes before they have the usual records', () => {
    const outcome = (records: number, size: number, times: BatchTimes, baseline = steady): string => {
      const profile = profileOf(999, records, times);
      const counts = { ...profile.counts, bytes: size * profile.counts.bytes };
      return judge({ ...profile, counts }, baseline).outcome;
    };
    expect(outcome(500, 2, spanning(700))).toBe('suspect');
    expect(outcome(500, 2, spanning(5_000))).toBe('clean');
    expect(outcome(500, 1, spanning(700))).toBe('clean');
    const statistics = steady.baseline.statistics.filter(({ id }) => id !== 'volume/bytes');
    const old = prepareBaseline({ ...steady.baseline, statistics });
    expect(outcome(500, 2, spanning(700), old)).toBe('clean');
    expect(outcome(1_000, 1, spanning(700), old)).toBe('suspect');
  });

  it('holds no batch that was cut short after one burst of records where bursts are an hour apart', () => {
    const hourly = learnFrom(() => spanning(36e5));
    expect(hourly.histories.has('volume/rate')).toBe(true);
    expect(outcomeOf(hourly, 700, spanning(0))).toBe('clean');
  });

  it('says nothing of streams whose batches take less than a second, which are not told apart', () => {
    expect(burst.histories.has('volume/rate')).toBe(false);
    expect(outcomeOf(burst, 10_000, spanning(900))).toBe('clean');
  });

  it('takes the time column where records have no time of their own', () => {
    const types = { at: 'timestamp', a: 'float64' } as const;
    const make = (seed: number, records: number, stepMs: number): Profile => {
      const random = randomOf(seed);
      const rows = Array.from({ length: records }, (_, i) => ({ at: START + seed * 1e8 + i * stepMs, a: random() }));
      return profileRows(rows, null, types, { label: null, source: null, time: 'at' });
    };
    const baseline = prepareBaseline(learnBaseline(Array.from({ length: 20 }, (_, i) => make(i, 1_000, 50 + (i % 3)))));
    const verdictOn = (profile: Profile) => judge(profile, baseline);
    expect(verdictOn(make(50, 600, 20)).outcome).toBe('clean');
    expect(verdictOn(make(50, 1_000, 500)).outcome).toBe('clean');
    expect(verdictOn(make(50, 1_000, 5))).toMatchObject({ outcome: 'suspect', findings: [{ columns: ['at'] }] });
  });

  it('is silent under a baseline that does not say what is usual', () => {
    const statistics = steady.baseline.statistics.filter(({ id }) => !/^volume\/(records|bytes|span)/.test(id));
    const old = prepareBaseline({ ...steady.baseline, statistics });
    expect(outcomeOf(old, 1_000, spanning(10))).toBe('clean');
  });
});
