import { ln } from './arithmetic.ts';

/**
 * Distances between two histograms of the same bins. All take rows per bin, not shares; an empty side gives 0.
 * Known answers: test/vectors/detect (SciPy).
 */

/** Largest distance between the two cumulative curves, in [0, 1]. Source: Kolmogorov–Smirnov, on binned data. */
export function ks(a: Float64Array, b: Float64Array): number {
  const totalA = sum(a);
  const totalB = sum(b);
  if (totalA === 0 || totalB === 0) return 0;
  let curveA = 0;
  let curveB = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    curveA += a[i]! / totalA;
    curveB += b[i]! / totalB;
    largest = Math.max(largest, Math.abs(curveA - curveB));
  }
  return largest;
}

/** Shares below this count as this in PSI, which would be infinite otherwise. */
const PSI_SHARE_MIN = 1e-4;

/** Population stability index: Σ (p − q)·ln(p/q), ≥ 0. */
export function psi(a: Float64Array, b: Float64Array): number {
  const totalA = sum(a);
  const totalB = sum(b);
  if (totalA === 0 || totalB === 0) return 0;
  let total = 0;
  for (let i = 0; i < a.length; i++) {
    const p = Math.max(PSI_SHARE_MIN, a[i]! / totalA);
    const q = Math.max(PSI_SHARE_MIN, b[i]! / totalB);
    total += (p - q) * ln(p / q);
  }
  return total;
}

/** Jensen–Shannon distance to base 2: the root of the divergence, in [0, 1]. */
export function jensenShannon(a: Float64Array, b: Float64Array): number {
  const totalA = sum(a);
  const totalB = sum(b);
  if (totalA === 0 || totalB === 0) return 0;
  let divergence = 0;
  for (let i = 0; i < a.length; i++) {
    const p = a[i]! / totalA;
    const q = b[i]! / totalB;
    const middle = (p + q) / 2;
    if (p > 0) divergence += 0.5 * p * ln(p / middle);
    if (q > 0) divergence += 0.5 * q * ln(q / middle);
  }
  return Math.sqrt(Math.max(0, divergence / Math.LN2));
}

/** Wasserstein-1 distance of two distributions on rising `positions`, in the positions' unit. */
export function wasserstein(a: Float64Array, b: Float64Array, positions: ArrayLike<number>): number {
  const totalA = sum(a);
  const totalB = sum(b);
  if (totalA === 0 || totalB === 0) return 0;
  let curveA = 0;
  let curveB = 0;
  let area = 0;
  for (let i = 0; i + 1 < a.length; i++) {
    curveA += a[i]! / totalA;
    curveB += b[i]! / totalB;
    area += Math.abs(curveA - curveB) * (positions[i + 1]! - positions[i]!);
  }
  return area;
}

/** Pearson's χ² of `observed` against the shares of `reference`. Cells the reference lacks are an error of the caller. */
export function chiSquare(observed: Float64Array, reference: Float64Array): number {
  const scale = sum(observed) / sum(reference);
  let total = 0;
  for (let i = 0; i < observed.length; i++) {
    const expected = reference[i]! * scale;
    if (expected > 0) total += (observed[i]! - expected) ** 2 / expected;
  }
  return total;
}

/** G (likelihood ratio) of `observed` against the shares of `reference` with half a row added to each cell, so that a cell
 * the reference lacks is surprising, not impossible; and the degrees of freedom (cells that expect half a row, less one). */
export function gTest(observed: Float64Array, reference: Float64Array): { g: number; freedom: number } {
  const scale = sum(observed) / (sum(reference) + 0.5 * reference.length);
  let half = 0;
  let cells = 0;
  for (let i = 0; i < observed.length; i++) {
    const expected = (reference[i]! + 0.5) * scale;
    if (observed[i]! > 0) half += observed[i]! * ln(observed[i]! / expected);
    if (expected > 0.5) cells += 1;
  }
  return { g: Math.max(0, 2 * half), freedom: Math.max(1, cells - 1) };
}

/** Rows per group: `groups[i]` is the group of bin i, from 0 without gaps. */
export function regroup(bins: Float64Array, groups: ArrayLike<number>): Float64Array {
  const grouped = new Float64Array((groups[groups.length - 1] ?? 0) + 1);
  for (let i = 0; i < bins.length; i++) grouped[groups[i]!]! += bins[i]!;
  return grouped;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}
