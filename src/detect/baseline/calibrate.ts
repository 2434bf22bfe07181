import { median, medianAbsoluteDeviation, standardDeviation } from 'simple-statistics';
import { exp, ln, normalTail, shareOfArcsine } from '../arithmetic.ts';
import type { Family, Statistic } from '../detectors/detector.ts';
import { FAMILIES } from '../detectors/detector.ts';

/** Values of a statistic's history that are kept: the newest. */
export const HISTORY_MAX = 80;
/** Values below which a statistic has no opinion. */
export const HISTORY_MIN = 6;
/** Scores below which a family has no opinion but its hard rules. */
export const SCORES_MIN = 8;

/** What a statistic was like in the learning batches. */
export interface StatisticHistory {
  readonly id: string;
  /** Median, and the larger of 1.4826·MAD and 0.8 standard deviations, on the statistic's scale and at a usual batch's size. */
  readonly centre: number;
  readonly spread: number;
  /** Median sampling error of the history. */
  readonly error: number;
  /** Each learning batch's value, measured against the other batches, in time order. */
  readonly values: Float64Array;
}

/** Summary of out-of-sample values; null if there are too few. Values are rounded to 32-bit floats, as they are stored. */
export function summarize(id: string, values: readonly number[], errors: readonly number[]): StatisticHistory | null {
  if (values.length < HISTORY_MIN) return null;
  const kept = values.slice(-HISTORY_MAX).map(Math.fround);
  const { centre, spread } = spreadOf(kept, errors.slice(-HISTORY_MAX));
  return { id, centre, spread, error: median([...errors]), values: Float64Array.from(kept) };
}

/** Robust centre and spread, at the size of the median batch. The deviation is in it because real histories have rare bad
 * days that a MAD does not see. Batches smaller than that stray further by chance alone: their deviations count for what
 * they would be at its size, or a few tiny batches would excuse everything. */
function spreadOf(values: number[], errors: readonly number[]): { centre: number; spread: number } {
  const centre = median(values);
  const typical = median([...errors]);
  const usual = 1.4826 * medianAbsoluteDeviation(values);
  const between = Math.max(0, usual * usual - typical * typical);
  const deviations = values.map((x, i) => {
    const own = errors[i]!;
    const shrink = own > typical ? Math.sqrt((between + typical * typical) / (between + own * own)) : 1;
    return (x - centre) * shrink;
  });
  const spread = Math.max(1.4826 * medianAbsoluteDeviation(deviations), 0.8 * standardDeviation(deviations));
  return { centre, spread };
}

/** Spread of a statistic at a batch's own size: what differs between batches, and its sampling error.
 * The history's spread holds the sampling error of the history's batches; a batch of another size has its own. */
export function scaleAt(history: StatisticHistory, error: number): number {
  const past = history.error * history.error;
  const own = error * error;
  const between = Math.max(0, history.spread * history.spread - past);
  // How much of the spread was sampling error is itself uncertain: a larger batch earns three quarters of the gain.
  const doubt = 0.25 * Math.max(0, past - own);
  return Math.sqrt(between + own + doubt) * (1 + 2 / history.values.length);
}

/** How unusual a statistic is, in units of its own spread; large is suspicious, whatever the side. */
export function unusualness(statistic: Statistic, history: StatisticHistory): number {
  const z = (statistic.x - history.centre) / scaleAt(history, statistic.error);
  const sided = statistic.side === 'both' ? Math.abs(z) : z;
  return statistic.surpriseRows > 0 ? Math.max(sided, surpriseOf(statistic, history)) : sided;
}

/** Rows of a batch that may be of a kind on average for it to count as something that almost never happens. */
const RARE_ROWS_MAX = 1;

/**
 * How surprising a count of something that almost never happens is: root of twice the Poisson log-likelihood ratio against
 * its mean rate. Only counts well beyond the worst batch so far are: what came in bursts before may again. What happens all
 * the time is left to its spread, since it comes in bursts (a night of cancellations is no error).
 */
function surpriseOf(statistic: Statistic, history: StatisticHistory): number {
  const rows = statistic.surpriseRows;
  let mean = 0;
  let worst = 0;
  for (const x of history.values) {
    const share = shareOfArcsine(x);
    mean += share / history.values.length;
    worst = Math.max(worst, share);
  }
  const count = shareOfArcsine(statistic.x) * rows;
  const expected = mean * rows + 0.5 / history.values.length;
  if (mean * rows > RARE_ROWS_MAX) return 0;
  if (count <= 1.5 * worst * rows + 1.5 || count <= expected) return 0;
  return Math.sqrt(2 * (count * ln(count / expected) - (count - expected)));
}

/** The law of a family's score in clean batches: a Gumbel distribution. */
export interface FamilyLaw {
  readonly family: Family;
  readonly location: number;
  readonly scale: number;
  /** The scores it was fitted to: each learning batch's, judged by the others. */
  readonly scores: Float64Array;
}

const EULER = 0.5772156649015329;
const ROOT6_BY_PI = 0.7796968012336761;
/** Median absolute deviation of a Gumbel law of scale 1. */
const GUMBEL_MAD = 0.767;

/** How far beyond the largest of as many clean scores one must lie to be an event, in scales of their law: a chance of e^−8. */
const EVENT_SCALES = 8;
/** One batch in so many may be an event; where more are, that is what the stream is like. */
const BATCHES_PER_EVENT = 30;

/** Fits the law by moments, wide where scores are few; null with fewer than SCORES_MIN.
 * One batch in fifty may be a real event: it is trimmed to the next rank, so that it does not excuse the next. In fewer
 * batches, where the largest score tells most about the law, one is trimmed only as far as it is out of all proportion. */
export function fitFamily(family: Family, scores: readonly number[]): FamilyLaw | null {
  if (scores.length < SCORES_MIN) return null;
  const kept = Float64Array.from(scores, Math.fround);
  const sorted = kept.slice().sort();
  const cap = Math.min(sorted[Math.ceil(0.98 * sorted.length) - 1]!, eventLimit(sorted));
  const trimmed = [...kept].map((score) => Math.min(score, cap));
  const mean = trimmed.reduce((sum, score) => sum + score, 0) / trimmed.length;
  const widening = 1 + 1.5 / Math.sqrt(trimmed.length);
  const scale = Math.max(standardDeviation(trimmed) * ROOT6_BY_PI * widening, 0.1 * Math.abs(mean), 0.25);
  return { family, location: mean - EULER * scale, scale, scores: kept };
}

/** Score above which nothing is learned from the few largest; `sorted` rises. */
function eventLimit(sorted: Float64Array): number {
  const events = Math.ceil(sorted.length / BATCHES_PER_EVENT);
  const scores = [...sorted];
  const scale = Math.max(medianAbsoluteDeviation(scores) / GUMBEL_MAD, 0.25);
  const limit = median(scores) + scale * (ln(sorted.length) + EVENT_SCALES);
  return Math.max(limit, sorted[sorted.length - 1 - events]!);
}

/** Chance that a clean batch's family score is at least `score`.
 * Never below the tail of one normal statistic: a history without any event does not prove that the first one means much. */
export function familyTail(law: FamilyLaw, score: number): number {
  return Math.max(gumbelTail(law, score), normalTail(Math.max(0, score)));
}

function gumbelTail(law: FamilyLaw, score: number): number {
  const inner = exp(Math.min(700, -(score - law.location) / law.scale));
  // 1 − e^(−y) loses everything for small y; its series does not.
  return inner < 1e-5 ? inner * (1 - inner / 2) : 1 - exp(-inner);
}

/** Family score whose Gumbel tail is `p`. */
export function scoreOfTail(law: FamilyLaw, p: number): number {
  return law.location - law.scale * ln(-ln(1 - p));
}

/** Largest unusualness of each family's voting statistics; families without any are left out. */
export function scoreFamilies(
  statistics: readonly (Statistic & { readonly family: Family })[],
  histories: ReadonlyMap<string, StatisticHistory>,
): Map<Family, number> {
  const scores = new Map<Family, number>();
  for (const statistic of statistics) {
    const history = histories.get(statistic.id);
    if (!statistic.votes || history === undefined) continue;
    const z = unusualness(statistic, history);
    const best = scores.get(statistic.family);
    if (best === undefined || z > best) scores.set(statistic.family, z);
  }
  return new Map(FAMILIES.filter((family) => scores.has(family)).map((family) => [family, scores.get(family)!]));
}
