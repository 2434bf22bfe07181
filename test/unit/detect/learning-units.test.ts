import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { learningUnits } from '../../../src/detect/baseline/units.ts';
import type { Profile } from '../../../src/detect/profile.ts';
import { profileRows } from '../../support/flights.ts';

const ROLES = { label: null, source: null, time: null };
const profileOf = (size: number): Profile =>
  profileRows(
    Array.from({ length: size }, (_, a) => ({ a })),
    null,
    { a: 'int64' },
    ROLES,
  );
const sizesOf = (profiles: readonly Profile[]): number[] => profiles.map(({ rows }) => rows);
const repeat = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe('what is learned from', () => {
  const [full, tail, half] = [profileOf(100), profileOf(3), profileOf(60)];

  it('are batches large enough to be judged, where there are eight of them', () => {
    const { units, parts, ...told } = learningUnits([...repeat(4, full), tail, half, ...repeat(4, full), tail], 100);
    expect(sizesOf(units)).toEqual(repeat(8, 100));
    expect(parts).toEqual(units);
    expect(told).toEqual({ joined: 0, small: 3, onlySmall: false });
  });

  it('are unions of small batches that follow each other, where there are fewer', () => {
    const { units, parts, ...told } = learningUnits([half, full, half, half, half, tail], 100);
    expect(sizesOf(units)).toEqual([100, 120, 120]);
    expect(parts).toHaveLength(5);
    expect(told).toEqual({ joined: 4, small: 1, onlySmall: false });
  });

  it('are all batches as they are, where they are too small together', () => {
    expect(learningUnits([tail, tail], 100)).toEqual({
      units: [tail, tail],
      parts: [tail, tail],
      joined: 0,
      small: 0,
      onlySmall: true,
    });
    expect(learningUnits([], 100)).toMatchObject({ units: [], small: 0, onlySmall: false });
  });

  it('is every batch in one place at most, in a union with those of the same source alone', () => {
    const sourced = { ...half, roles: { ...ROLES, source: 'a' } };
    expect(sizesOf(learningUnits([half, sourced, sourced], 100).units)).toEqual([120]);
    const sizes = fc.array(fc.constantFrom(full, tail, half), { maxLength: 20 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 200 }), (profiles, recordsMin) => {
        const { units, parts, small } = learningUnits(profiles, recordsMin);
        expect(parts.length + small).toBe(profiles.length);
        const sum = (all: readonly Profile[]): number => sizesOf(all).reduce((a, b) => a + b, 0);
        expect(sum(units)).toBe(sum(parts));
      }),
      { numRuns: 30 },
    );
  });
});
