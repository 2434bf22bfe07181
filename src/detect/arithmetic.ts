/**
 * Elementary functions built from + − × ÷ and √ alone, which IEEE 754 rounds correctly everywhere. `Math.exp`, `log` and
 * the rest may differ in the last bit between engines; a verdict must not (same bytes in, same bytes out).
 * Relative error of all of them is below 1e-14 (test/unit/detect/arithmetic.test.ts).
 */

const LN2_HIGH = 0.69314718036912381649;
const LN2_LOW = 1.90821492927058770002e-10;
const { PI } = Math;
const STEPS = [512, 256, 128, 64, 32, 16, 8, 4, 2, 1] as const;
/** 2^step and 2^-step for each of STEPS: exact. */
const UP = STEPS.map((step) => powerOfTwo(step));
const DOWN = UP.map((power) => 1 / power);

/** Natural logarithm.
 * @param x any number; 0 gives −∞, a negative number NaN, ∞ gives ∞.
 * Source: x = m·2^e with m in [√½, √2), ln m = 2·artanh((m − 1)/(m + 1)) by its series. */
export function ln(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN;
  if (x === Infinity) return Infinity;
  let mantissa = x;
  let exponent = 0;
  for (let i = 0; i < STEPS.length; i++) {
    if (mantissa >= UP[i]!) {
      mantissa *= DOWN[i]!;
      exponent += STEPS[i]!;
    } else if (mantissa < DOWN[i]!) {
      mantissa *= UP[i]!;
      exponent -= STEPS[i]!;
    }
  }
  while (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent -= 1;
  }
  while (mantissa >= Math.SQRT2) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let series = 1 / 21;
  for (let odd = 19; odd >= 1; odd -= 2) series = series * square + 1 / odd;
  return exponent * LN2_HIGH + (exponent * LN2_LOW + 2 * s * series);
}

/** e to the power x; ∞ above 709.78, 0 below −745.
 * Source: x = k·ln 2 + r with |r| ≤ ½·ln 2, e^r by its Taylor series. */
export function exp(x: number): number {
  if (x > 709.782712893384) return Infinity;
  if (x < -745.1332191019412) return 0;
  if (x !== x) return NaN;
  const k = Math.floor(x * Math.LOG2E + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let series = 1;
  for (let term = 14; term >= 1; term--) series = 1 + (series * r) / term;
  const half = Math.trunc(k / 2);
  return series * powerOfTwo(half) * powerOfTwo(k - half);
}

/** Angle in (−π/2, π/2) whose tangent is x. */
export function atan(x: number): number {
  if (x !== x) return NaN;
  if (x < 0) return -atan(-x);
  if (x > 1) return PI / 2 - atan(1 / x);
  // Two halvings bring the argument below tan(π/16) ≈ 0.199, where twelve terms are enough.
  const once = x / (1 + Math.sqrt(1 + x * x));
  const twice = once / (1 + Math.sqrt(1 + once * once));
  const square = twice * twice;
  let series = 1 / 25;
  for (let odd = 23; odd >= 1; odd -= 2) series = 1 / odd - series * square;
  return 4 * twice * series;
}

/** Cotangent of π·p, for p in (0, 1): the Cauchy score of a p-value. */
export function cotPi(p: number): number {
  if (p > 0.5) return -cotPi(1 - p);
  // Beyond a quarter turn cot = tan of the complement, whose argument is exact.
  if (p > 0.25) return sinTaylor(PI * (0.5 - p)) / cosTaylor(PI * (0.5 - p));
  return cosTaylor(PI * p) / sinTaylor(PI * p);
}

/** p-value in (0, 1) of a Cauchy score: the inverse of {@link cotPi}. */
export function cauchyTail(score: number): number {
  if (score > 1) return atan(1 / score) / PI;
  return 0.5 - atan(score) / PI;
}

/** Variance-stable form of a share: 2·arcsin √share, in [0, π]. Its sampling error is 1/√n whatever the share. */
export function arcsineOfShare(share: number): number {
  if (!(share > 0)) return 0;
  if (share >= 1) return PI;
  return 2 * atan(Math.sqrt(share / (1 - share)));
}

/** Share in [0, 1] whose {@link arcsineOfShare} is `angle`; angles outside [0, π] are clamped. */
export function shareOfArcsine(angle: number): number {
  if (!(angle > 0)) return 0;
  if (angle >= PI) return 1;
  const half = angle / 2;
  if (half <= PI / 4) return sinTaylor(half) ** 2;
  return cosTaylor(PI / 2 - half) ** 2;
}

/** Chance that a standard normal value is at least `z`.
 * Source: series of Φ below 2.5, continued fraction of Mills' ratio (Laplace) above. */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  const density = exp((-z * z) / 2) * 0.3989422804014327;
  if (z < 2.5) {
    let term = z;
    let sum = z;
    for (let n = 3; n < 60; n += 2) {
      term *= (z * z) / n;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  let fraction = z;
  for (let n = 80; n >= 1; n--) fraction = z + n / fraction;
  return density / fraction;
}

/** `x` with 12 significant digits: what is compared, stored and printed, so that last-bit noise never shows. −0 becomes 0. */
export function round12(x: number): number {
  return Number.isFinite(x) ? Number(x.toPrecision(12)) + 0 : x;
}

/** sin on [0, π/4]. */
function sinTaylor(x: number): number {
  const square = x * x;
  let series = 1;
  for (let n = 18; n >= 2; n -= 2) series = 1 - (series * square) / (n * (n + 1));
  return x * series;
}

/** cos on [0, π/4]. */
function cosTaylor(x: number): number {
  const square = x * x;
  let series = 1;
  for (let n = 18; n >= 2; n -= 2) series = 1 - (series * square) / (n * (n - 1));
  return series;
}

/** 2^exponent for |exponent| ≤ 1,023, by exact doublings. */
function powerOfTwo(exponent: number): number {
  let result = 1;
  let base = exponent < 0 ? 0.5 : 2;
  for (let rest = Math.abs(exponent); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= base;
    if (rest > 1) base *= base;
  }
  return result;
}
