/** Largest power of ten that is a double without error. */
export const EXACT_POWER = 22;
/** 10^0 … 10^22. */
export const POWERS_OF_TEN = Float64Array.from({ length: EXACT_POWER + 1 }, (_, power) => Number(`1e${power}`));

/** 2^27 + 1: splits a double into two halves whose products are exact. */
const SPLITTER = 134_217_729;
/** Far above the few rounding errors of the correction, which are 2^-53 each, and far below what decides a rounding. */
const ERROR_BOUND = 2 ** -50;

/**
 * The nearest double, ties to even, to (head × 10^tailDigits + tail) × 10^power; or NaN in the rare case that only exact
 * arithmetic can tell.
 *
 * The integer is held as an unevaluated sum of two doubles. One division or multiplication gives a first result and its
 * exact error, hence a correction with a bound on what is unknown of it; when both ends of that bound round alike, so
 * does the true value, because rounding is monotonic.
 * @param head Integer, 0 to 10^10 − 1; at least 10^9 unless tailDigits is 0.
 * @param tail Integer, 0 to 10^tailDigits − 1.
 * @param tailDigits 0 to 9. @param power −22 to 22.
 * Source: T. J. Dekker, A floating-point technique for extending the available precision, Numer. Math. 18 (1971).
 */
export function nearestDouble(head: number, tail: number, tailDigits: number, power: number): number {
  const scale = POWERS_OF_TEN[tailDigits]!;
  const shifted = head * scale;
  const high = shifted + tail;
  const low = productError(head, scale, shifted) + (tail - (high - shifted));
  let result: number;
  let correction: number;
  let magnitude: number;
  if (power < 0) {
    const divisor = POWERS_OF_TEN[-power]!;
    result = high / divisor;
    const product = result * divisor;
    const rest = high - product - productError(result, divisor, product);
    correction = (rest + low) / divisor;
    magnitude = (Math.abs(rest) + Math.abs(low)) / divisor;
  } else {
    const factor = POWERS_OF_TEN[power]!;
    result = high * factor;
    const error = productError(high, factor, result);
    correction = error + low * factor;
    magnitude = Math.abs(error) + Math.abs(low * factor);
  }
  const unknown = magnitude * ERROR_BOUND;
  const least = result + (correction - unknown);
  const most = result + (correction + unknown);
  return least === most ? least : Number.NaN;
}

/** a × b − product, exactly, where `product` is the rounded a × b. */
function productError(a: number, b: number, product: number): number {
  const aSplit = SPLITTER * a;
  const aHigh = aSplit - (aSplit - a);
  const aLow = a - aHigh;
  const bSplit = SPLITTER * b;
  const bHigh = bSplit - (bSplit - b);
  const bLow = b - bHigh;
  return aHigh * bHigh - product + aHigh * bLow + aLow * bHigh + aLow * bLow;
}
