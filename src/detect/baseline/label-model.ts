import { exp, ln } from '../arithmetic.ts';

/** Labels a model tells apart; rarer ones are left out of its statistics. */
export const MODEL_LABELS_MAX = 8;
/** Columns a model uses. */
export const MODEL_COLUMNS_MAX = 24;
/** Penalty on the square of a weight, as if a handful of rows said it were zero. */
const RIDGE = 1;
const STEPS_MAX = 12;
/** No label is ever held to be less likely than this, so that one row weighs at most 9.2 in the mean loss. */
const LIKELIHOOD_MIN = 1e-4;

/** Rows as feature codes: one array a column, one code a row. */
export interface CodedRows {
  readonly count: number;
  readonly features: readonly Uint8Array[];
  /** Index of each row's label; −1 = no label that the model knows. */
  readonly labels: Int16Array;
}

/** Which features a model has. */
export interface ModelColumn {
  readonly name: string;
  readonly features: number;
  /** Numeric: feature of each fine bin, from 0 without gaps. Empty for other columns. */
  readonly groups: readonly number[];
}

/**
 * What the label should be, given the other columns: one logistic regression a label on binned columns.
 * Bins make it blind to scale and outliers; what it cannot see (two columns together) it cannot miss either.
 */
export interface LabelModel {
  readonly labels: readonly string[];
  readonly columns: readonly ModelColumn[];
  /** For each label (for two labels: the second only): the intercept, then the weights of each column's features. */
  readonly weights: readonly (readonly number[])[];
}

/** How well a model explains the labels of some rows. Adds up over batches. */
export interface LabelLosses {
  readonly rows: number;
  /** Sum and sum of squares of −ln P(given label). */
  readonly loss: number;
  readonly lossSquares: number;
  /** What the first sum should be if the model is right about these very rows, and its variance: hard rows cost more. */
  readonly lossExpected: number;
  readonly lossVariance: number;
  /** Sum of the odds against the given label, each at most ODDS_MAX, beyond what the model expects; and its variance. */
  readonly odds: number;
  readonly oddsVariance: number;
  /** Rows with P(given label) below 0.02, 0.1, 0.5. */
  readonly below2: number;
  readonly below10: number;
  readonly below50: number;
}

/** Odds against a label count at most this much, so that a few rows cannot decide alone. */
const ODDS_MAX = 20;

const NO_LOSSES: LabelLosses = {
  rows: 0,
  loss: 0,
  lossSquares: 0,
  lossExpected: 0,
  lossVariance: 0,
  odds: 0,
  oddsVariance: 0,
  below2: 0,
  below10: 0,
  below50: 0,
};

/** Fits a model by Newton's method; deterministic: fixed order of summation, own exponential.
 * Cost: steps × (rows × columns² + features³/6); 20,000 rows of ten columns take about 0.1 s. */
export function fitLabelModel(rows: CodedRows, labels: readonly string[], columns: readonly ModelColumn[]): LabelModel {
  const targets = labels.length === 2 ? [1] : labels.map((_, i) => i);
  const offsets = offsetsOf(columns);
  // Four decimals move no probability by more than 1e-3 of itself and keep the stored model short and the same everywhere.
  const weights = targets.map((target) => [...fitOne(rows, target, offsets)].map((w) => Number(w.toFixed(4)) + 0));
  return { labels, columns, weights };
}

/** How well `model` explains `rows`. Rows without a known label are left out. Cost: about 10 ns a row and column. */
export function measureLosses(model: LabelModel, rows: CodedRows): LabelLosses {
  const offsets = offsetsOf(model.columns);
  const weights = model.weights.map((list) => Float64Array.from(list));
  const likelihoods = new Float64Array(model.labels.length);
  const sum = { ...NO_LOSSES };
  for (let row = 0; row < rows.count; row++) {
    const label = rows.labels[row]!;
    if (label < 0) continue;
    fillLikelihoods(likelihoods, weights, rows, row, offsets);
    let [meanLoss, meanLossSquare, meanOdds, meanOddsSquare, loss, odds] = [0, 0, 0, 0, 0, 0];
    for (let k = 0; k < likelihoods.length; k++) {
      const p = likelihoods[k]!;
      const lossOfK = -ln(p);
      const oddsOfK = Math.min(ODDS_MAX, (1 - p) / p);
      meanLoss += p * lossOfK;
      meanLossSquare += p * lossOfK * lossOfK;
      meanOdds += p * oddsOfK;
      meanOddsSquare += p * oddsOfK * oddsOfK;
      if (k === label) {
        loss = lossOfK;
        odds = oddsOfK;
      }
    }
    sum.rows += 1;
    sum.loss += loss;
    sum.lossSquares += loss * loss;
    sum.lossExpected += meanLoss;
    sum.lossVariance += Math.max(0, meanLossSquare - meanLoss * meanLoss);
    sum.odds += odds - meanOdds;
    sum.oddsVariance += Math.max(0, meanOddsSquare - meanOdds * meanOdds);
    const likelihood = likelihoods[label]!;
    if (likelihood < 0.02) sum.below2 += 1;
    if (likelihood < 0.1) sum.below10 += 1;
    if (likelihood < 0.5) sum.below50 += 1;
  }
  return sum;
}

/** Losses of both. */
export function addLosses(a: LabelLosses, b: LabelLosses): LabelLosses {
  const sum = { ...a };
  for (const key of Object.keys(NO_LOSSES) as (keyof LabelLosses)[]) sum[key] += b[key];
  return sum;
}

/** Place of each column's first weight, and the number of weights at the end; 0 is the intercept. */
function offsetsOf(columns: readonly ModelColumn[]): Int32Array {
  const offsets = new Int32Array(columns.length + 1);
  offsets[0] = 1;
  for (const [i, column] of columns.entries()) offsets[i + 1] = offsets[i]! + column.features;
  return offsets;
}

/** P of each label for one row, none below LIKELIHOOD_MIN. */
function fillLikelihoods(
  likelihoods: Float64Array,
  weights: readonly Float64Array[],
  rows: CodedRows,
  row: number,
  offsets: Int32Array,
): void {
  if (weights.length === 1) {
    const second = logistic(scoreOf(weights[0]!, rows, row, offsets));
    likelihoods[1] = Math.min(1 - LIKELIHOOD_MIN, Math.max(LIKELIHOOD_MIN, second));
    likelihoods[0] = 1 - likelihoods[1];
    return;
  }
  let sum = 0;
  for (let k = 0; k < weights.length; k++) {
    likelihoods[k] = logistic(scoreOf(weights[k]!, rows, row, offsets)) + LIKELIHOOD_MIN;
    sum += likelihoods[k]!;
  }
  for (let k = 0; k < weights.length; k++) likelihoods[k]! /= sum;
}

function scoreOf(weights: Float64Array, rows: CodedRows, row: number, offsets: Int32Array): number {
  let score = weights[0]!;
  for (let c = 0; c < rows.features.length; c++) score += weights[offsets[c]! + rows.features[c]![row]!]!;
  return score;
}

function logistic(score: number): number {
  return score >= 0 ? 1 / (1 + exp(-score)) : 1 - 1 / (1 + exp(score));
}

/** Weights of one label against the rest. */
function fitOne(rows: CodedRows, target: number, offsets: Int32Array): Float64Array {
  const size = offsets.at(-1)!;
  let weights = new Float64Array(size);
  let objective = objectiveOf(weights, rows, target, offsets);
  for (let step = 0; step < STEPS_MAX; step++) {
    const { gradient, hessian } = derivatives(weights, rows, target, offsets);
    const direction = solve(hessian, gradient);
    if (direction === null) break;
    let length = 1;
    let next = weights;
    let reached = Infinity;
    // Newton may overshoot where labels are nearly separable; halving always ends since the objective is convex.
    for (let half = 0; half < 8 && !(reached <= objective); half++, length /= 2) {
      next = weights.map((w, i) => w - length * direction[i]!);
      reached = objectiveOf(next, rows, target, offsets);
    }
    if (!(reached < objective)) break;
    const gain = objective - reached;
    weights = next;
    objective = reached;
    if (gain < 1e-9 * (1 + objective)) break;
  }
  return weights;
}

function objectiveOf(weights: Float64Array, rows: CodedRows, target: number, offsets: Int32Array): number {
  let sum = 0;
  for (let i = 1; i < weights.length; i++) sum += 0.5 * RIDGE * weights[i]! * weights[i]!;
  for (let row = 0; row < rows.count; row++) {
    if (rows.labels[row]! < 0) continue;
    const score = scoreOf(weights, rows, row, offsets);
    const margin = rows.labels[row] === target ? score : -score;
    sum += margin > 0 ? ln(1 + exp(-margin)) : ln(1 + exp(margin)) - margin;
  }
  return sum;
}

function derivatives(weights: Float64Array, rows: CodedRows, target: number, offsets: Int32Array) {
  const size = weights.length;
  const width = rows.features.length;
  const gradient = weights.map((w, i) => (i === 0 ? 0 : RIDGE * w));
  const hessian = new Float64Array(size * size);
  for (let i = 0; i < size; i++) hessian[i * size + i] = i === 0 ? 1e-9 : RIDGE;
  const active = new Int32Array(width + 1);
  for (let row = 0; row < rows.count; row++) {
    if (rows.labels[row]! < 0) continue;
    for (let c = 0; c < width; c++) active[c + 1] = offsets[c]! + rows.features[c]![row]!;
    const p = logistic(scoreOf(weights, rows, row, offsets));
    const residual = p - (rows.labels[row] === target ? 1 : 0);
    const curvature = p * (1 - p);
    for (let a = 0; a <= width; a++) {
      gradient[active[a]!]! += residual;
      const line = active[a]! * size;
      for (let b = 0; b <= a; b++) hessian[line + active[b]!]! += curvature;
    }
  }
  return { gradient, hessian };
}

/** Solves A·x = b for a symmetric positive definite A given by its lower triangle (row-major); null if it is not.
 * Source: Cholesky; A is overwritten by its factor. */
function solve(a: Float64Array, b: Float64Array): Float64Array | null {
  const size = b.length;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= a[i * size + k]! * a[j * size + k]!;
      if (i !== j) a[i * size + j] = sum / a[j * size + j]!;
      else if (sum > 0) a[i * size + i] = Math.sqrt(sum);
      else return null;
    }
  }
  const x = Float64Array.from(b);
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) x[i]! -= a[i * size + k]! * x[k]!;
    x[i]! /= a[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) x[i]! -= a[k * size + i]! * x[k]!;
    x[i]! /= a[i * size + i]!;
  }
  return x;
}
