import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arcsineOfShare,
  atan,
  cauchyTail,
  cotPi,
  exp,
  ln,
  normalTail,
  round12,
  shareOfArcsine,
} from '../../../src/detect/arithmetic.ts';

const vectors = JSON.parse(readFileSync(new URL('../../vectors/detect/scipy.json', import.meta.url), 'utf8')) as {
  tails: { normal: [number, number][] };
};

const close = (got: number, wanted: number, relative: number): void => {
  expect(Math.abs(got - wanted)).toBeLessThanOrEqual(relative * Math.abs(wanted) + 1e-320);
};

describe('elementary functions', () => {
  it('agree with the engine to 1e-14 over their range', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 1e300, noNaN: true }), (x) => {
        // Near 1 the logarithm is near 0, where only the absolute error means anything.
        expect(Math.abs(ln(x) - Math.log(x))).toBeLessThanOrEqual(1e-14 * Math.max(0.1, Math.abs(Math.log(x))));
      }),
    );
    fc.assert(fc.property(fc.double({ min: -700, max: 700, noNaN: true }), (x) => close(exp(x), Math.exp(x), 1e-13)));
    fc.assert(fc.property(fc.double({ noNaN: true }), (x) => close(atan(x), Math.atan(x), 1e-14)));
    fc.assert(
      fc.property(fc.double({ min: 1e-15, max: 0.999, noNaN: true }), (p) =>
        close(cotPi(p), 1 / Math.tan(Math.PI * p), 1e-9),
      ),
    );
  });

  it('keep their limits', () => {
    expect([ln(0), ln(-1), ln(Infinity), ln(1)]).toEqual([-Infinity, NaN, Infinity, 0]);
    expect([exp(-Infinity), exp(0), exp(Infinity), exp(NaN)]).toEqual([0, 1, Infinity, NaN]);
    expect(exp(-745)).toBeGreaterThan(0);
    expect(ln(5e-324)).toBeCloseTo(Math.log(5e-324), 10);
  });

  it("give SciPy's normal tails to ten digits", () => {
    for (const [z, tail] of vectors.tails.normal) close(normalTail(z), tail, 1e-10);
    expect(normalTail(-1)).toBeCloseTo(1 - normalTail(1), 15);
  });

  it('turn shares into angles and back, p-values into Cauchy scores and back', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (p) => {
        expect(shareOfArcsine(arcsineOfShare(p))).toBeCloseTo(p, 13);
      }),
    );
    fc.assert(
      fc.property(fc.double({ min: 1e-12, max: 0.999, noNaN: true }), (p) => close(cauchyTail(cotPi(p)), p, 1e-10)),
    );
  });

  it('round to twelve digits and lose the sign of zero', () => {
    expect(round12(1 / 3)).toBe(0.333333333333);
    expect(Object.is(round12(-0), 0)).toBe(true);
    expect(round12(Infinity)).toBe(Infinity);
  });
});
