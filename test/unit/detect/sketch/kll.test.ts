import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KllSketch } from '../../../../src/detect/sketch/kll.ts';
import { randomOf } from '../../../support/flights.ts';

/** Largest distance between the sketch's ranks and the true ones, as a share of the count. */
function rankError(sketch: KllSketch, values: Float64Array): number {
  const sorted = values.slice().sort();
  const view = sketch.view();
  let worst = 0;
  for (let i = 0; i < sorted.length; i += Math.max(1, Math.floor(sorted.length / 997))) {
    // Ties: any rank between the first and the last of the equal values is right.
    const x = sorted[i]!;
    let last = i;
    while (last + 1 < sorted.length && sorted[last + 1] === x) last++;
    worst = Math.max(worst, Math.abs(view.rank(x) - (last + 1)) / sorted.length);
  }
  return worst;
}

const shapes: Record<string, (r: () => number, i: number) => number> = {
  uniform: (r) => r(),
  heavy: (r) => 1 / (r() + 1e-9),
  rising: (_, i) => i,
  falling: (_, i) => -i,
  'few values': (r) => Math.floor(10 * r()),
};

describe('quantile sketch', () => {
  it.each(Object.entries(shapes))('keeps every rank of %s values within 1.7 %%', (_, shape) => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = randomOf(seed);
      const values = Float64Array.from({ length: 60_000 }, (__, i) => shape(random, i));
      const sketch = new KllSketch(seed);
      sketch.updateAll(values, values.length);
      expect(rankError(sketch, values)).toBeLessThan(0.017);
      expect([sketch.min, sketch.max, sketch.count]).toEqual([
        values.reduce((a, b) => Math.min(a, b)),
        values.reduce((a, b) => Math.max(a, b)),
        60_000,
      ]);
    }
  });

  it('gives the same bytes for values one by one and all at once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 2_000 }),
        fc.integer(),
        (list, seed) => {
          const values = Float64Array.from(list);
          const one = new KllSketch(seed, 32);
          const all = new KllSketch(seed, 32);
          for (const value of values) one.update(value);
          all.updateAll(values, values.length);
          expect(all.toState()).toEqual(one.toState());
        },
      ),
    );
  });

  it('is exact up to k values', () => {
    const sketch = new KllSketch(1, 64);
    for (let i = 63; i >= 0; i--) sketch.update(i);
    const view = sketch.view();
    for (let i = 0; i < 64; i++) expect(view.rank(i)).toBe(i + 1);
    expect([view.quantile(0), view.quantile(0.5), view.quantile(1)]).toEqual([0, 31, 63]);
  });

  it('merges to the whole within the bound, keeping count and extremes exactly', () => {
    const random = randomOf(3);
    const values = Float64Array.from({ length: 40_000 }, () => random() ** 4);
    for (const parts of [2, 7, 40]) {
      const merged = new KllSketch(9);
      for (let p = 0; p < parts; p++) {
        const slice = values.subarray(
          Math.floor((p * values.length) / parts),
          Math.floor(((p + 1) * values.length) / parts),
        );
        const part = new KllSketch(p + 1);
        part.updateAll(slice, slice.length);
        merged.merge(part);
      }
      expect(merged.count).toBe(40_000);
      expect(merged.max).toBe(values.reduce((a, b) => Math.max(a, b)));
      expect(rankError(merged, values)).toBeLessThan(0.02);
    }
  });

  it('goes on after being stored as if it never had been', () => {
    const random = randomOf(4);
    const sketch = new KllSketch(5);
    for (let i = 0; i < 5_000; i++) sketch.update(random());
    const copy = KllSketch.fromState(JSON.parse(JSON.stringify(sketch.toState())))!;
    for (let i = 0; i < 5_000; i++) {
      const value = random() - 0.5;
      sketch.update(value);
      copy.update(value);
    }
    expect(copy.toState()).toEqual(sketch.toState());
  });

  it('refuses states whose weights, order or bounds are wrong', () => {
    const sketch = new KllSketch(5, 16);
    for (let i = 0; i < 100; i++) sketch.update(i);
    const state = sketch.toState();
    expect(KllSketch.fromState(state)).not.toBeNull();
    for (const broken of [
      { ...state, count: 101 },
      { ...state, k: 15 },
      { ...state, coin: 0 },
      { ...state, max: 50 },
      { ...state, levels: [...state.levels].reverse() },
      { ...state, levels: [] },
      { ...state, levels: ['i1:!!!!', ...state.levels.slice(1)] },
    ]) {
      expect(KllSketch.fromState(broken)).toBeNull();
    }
    expect(() => new KllSketch(1, 8)).toThrow(RangeError);
    expect(() => sketch.merge(new KllSketch(1, 32))).toThrow(RangeError);
  });
});
