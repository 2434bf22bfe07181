import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chiSquare, gTest, jensenShannon, ks, psi, regroup, wasserstein } from '../../../src/detect/divergence.ts';
import { combine } from '../../../src/detect/verdict.ts';
import { familyTail, fitFamily, scoreOfTail } from '../../../src/detect/baseline/calibrate.ts';
import { fitLabelModel, measureLosses } from '../../../src/detect/baseline/label-model.ts';

interface Vectors {
  divergences: Record<'positions' | 'a' | 'b', number[]>[] &
    Record<'ks' | 'wasserstein' | 'jensenShannon' | 'psi' | 'chiSquare' | 'g' | 'freedom', number>[];
  tails: { gumbel: [number, number, number, number][]; cauchy: [number[], number][] };
  logistic: { codes: [number, number][]; labels: number[]; features: number[]; weights: number[]; loss: number };
}
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/detect/scipy.json', import.meta.url), 'utf8'),
) as Vectors;
const histogram = fc
  .array(fc.nat({ max: 1_000 }), { minLength: 6, maxLength: 6 })
  .map((rows) => Float64Array.from(rows));

describe('distances between histograms', () => {
  it('agree with SciPy', () => {
    for (const c of vectors.divergences) {
      const [a, b] = [Float64Array.from(c.a), Float64Array.from(c.b)];
      expect(ks(a, b)).toBeCloseTo(c.ks, 12);
      expect(wasserstein(a, b, c.positions)).toBeCloseTo(c.wasserstein, 11);
      expect(jensenShannon(a, b)).toBeCloseTo(c.jensenShannon, 10);
      expect(psi(a, b)).toBeCloseTo(c.psi, 11);
      expect(chiSquare(a, b)).toBeCloseTo(c.chiSquare, 9);
      expect(gTest(a, b).g).toBeCloseTo(c.g, 9);
      expect(gTest(a, b).freedom).toBe(c.freedom);
    }
  });

  it('are zero for equal shares, bounded, and never NaN', () => {
    fc.assert(
      fc.property(histogram, histogram, fc.integer({ min: 1, max: 50 }), (a, b, times) => {
        const scaled = a.map((rows) => rows * times);
        for (const distance of [ks, psi, jensenShannon]) {
          expect(distance(a, scaled)).toBeLessThan(1e-7);
          expect(distance(a, b)).toBeGreaterThanOrEqual(0);
        }
        expect(ks(a, b)).toBeLessThanOrEqual(1 + 1e-12);
        expect(jensenShannon(a, b)).toBeLessThanOrEqual(1 + 1e-12);
        expect(gTest(a, b).g).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('grow with the share of rows that move', () => {
    const reference = Float64Array.of(400, 300, 200, 100);
    const moved = [0, 40, 80, 160, 320].map((rows) => Float64Array.of(400 - rows, 300, 200, 100 + rows));
    for (const distance of [ks, psi, jensenShannon, (a: Float64Array, b: Float64Array) => gTest(a, b).g]) {
      const values = moved.map((rows) => distance(rows, reference));
      expect(values).toEqual([...values].sort((a, b) => a - b));
    }
  });

  it('regroup bins without losing rows', () => {
    expect([...regroup(Float64Array.of(1, 2, 3, 4), [0, 0, 1, 2])]).toEqual([3, 3, 4]);
  });
});

describe('tails', () => {
  it('combine p-values as the truncated Cauchy combination of SciPy does', () => {
    for (const [ps, p] of vectors.tails.cauchy) expect(combine(ps) / p).toBeCloseTo(1, 9);
    expect(combine([])).toBe(1);
  });

  it('are those of a Gumbel law, never thinner than a normal one', () => {
    for (const [x, location, scale, tail] of vectors.tails.gumbel) {
      const law = { family: 'label', location, scale, scores: new Float64Array() } as const;
      expect(familyTail(law, x)).toBeGreaterThanOrEqual(tail * (1 - 1e-12));
      if (x <= 3) expect(familyTail(law, x)).toBeCloseTo(Math.max(tail, familyTail({ ...law, location: -99 }, x)), 12);
    }
    const law = { family: 'label', location: 1, scale: 2, scores: new Float64Array() } as const;
    expect(familyTail(law, scoreOfTail(law, 0.01))).toBeCloseTo(0.01, 12);
  });

  it('have no law with fewer than eight scores', () => {
    expect(fitFamily('label', [1, 2, 3, 4, 5, 6, 7])).toBeNull();
    expect(fitFamily('label', [1, 1, 1, 1, 1, 1, 1, 1])?.scale).toBe(0.25);
  });
});

describe('label model', () => {
  it('finds the optimum that SciPy finds', () => {
    const { codes, labels, features, weights, loss } = vectors.logistic;
    const rows = {
      count: labels.length,
      features: [0, 1].map((c) => Uint8Array.from(codes, (pair) => pair[c]!)),
      labels: Int16Array.from(labels),
    };
    const model = fitLabelModel(
      rows,
      ['no', 'yes'],
      features.map((size, i) => ({ name: `c${i}`, features: size, groups: [] })),
    );
    for (const [i, weight] of model.weights[0]!.entries()) expect(weight).toBeCloseTo(weights[i]!, 3);
    expect(measureLosses(model, rows).loss).toBeCloseTo(loss, 2);
  });

  it('tells three labels apart and leaves unknown ones out', () => {
    const count = 600;
    const codes = Uint8Array.from({ length: count }, (_, i) => i % 3);
    const labels = Int16Array.from({ length: count }, (_, i) => (i % 10 === 0 ? -1 : i % 3));
    const model = fitLabelModel(
      { count, features: [codes], labels },
      ['a', 'b', 'c'],
      [{ name: 'x', features: 3, groups: [] }],
    );
    const losses = measureLosses(model, { count, features: [codes], labels });
    expect(losses.rows).toBe(540);
    expect(losses.below50).toBe(0);
    const flipped = labels.map((label, i) => (i % 20 === 1 ? (label + 1) % 3 : label));
    expect(measureLosses(model, { count, features: [codes], labels: flipped }).below10).toBe(30);
  });
});
