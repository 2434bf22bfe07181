import type { BinCounts, ObservedColumn } from '../observe.ts';
import { exp, ln } from '../arithmetic.ts';
import { DistinctCounter } from '../sketch/hyperloglog.ts';
import { featureColumns, logStatistic, plainStatistic, shareStatistic } from './detector.ts';
import type { Detector, DetectorContext, Statistic } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'descriptors';
const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95] as const;
/** Deviation of the length below which the values of an identifier are alike, bytes. */
const KEY_DEVIATION_MAX = 1;
/** Least spread that the logarithm tells apart, in widths: keeps a constant column finite. */
const SPREAD_MIN = 1e-3;

/**
 * Centre, spread and quantile rates of numbers; lengths and variety of text; shares of booleans.
 *
 * Cost: a few numbers a column. Source: descriptors of Redyuk et al., "Automating data quality validation" (EDBT 2021).
 */
export const descriptorsDetector: Detector = {
  id: DETECTOR,
  family: 'descriptors',
  about: 'Mean, spread and quantile rates of numbers; lengths and variety of text; shares of booleans',
  measure: (context) => [
    ...featureColumns(context, 'numeric').flatMap(describeNumbers),
    ...context.batch.columns
      .filter(({ reference, filled }) => reference.kind === 'text' && filled > 0)
      .flatMap((column) => describeText(context, column)),
    ...featureColumns(context, 'boolean').map((column) =>
      shareStatistic(about(column, 'true', 'Share of true in'), column.bins[1]!, column.filled),
    ),
  ],
};

function about(column: ObservedColumn, name: string, subject: string) {
  const columns = [column.reference.name];
  return { detector: DETECTOR, name, columns, subject: `${subject} ${quoteName(column.reference.name)}` };
}

function describeNumbers(column: ObservedColumn): Statistic[] {
  const { filled, bins } = column;
  const { mean, m2 } = column.profile.numeric!;
  const limits = column.reference.numeric!;
  const { width, median, deviation } = limits;
  const root = Math.sqrt(filled);
  const spread = Math.sqrt(m2 / filled) / width;
  const usual = deviation / width;
  const statistics: Statistic[] = [
    plainStatistic(
      about(column, 'mean', 'Mean (in widths from the median) of'),
      (mean - median) / width,
      Math.max(usual, SPREAD_MIN) / root,
    ),
    logStatistic(
      about(column, 'deviation', 'Standard deviation (in widths) of'),
      spread + SPREAD_MIN,
      1 / Math.sqrt(2 * filled) + 0.01,
    ),
  ];
  const total = bins.reduce((sum, rows) => sum + rows, 0);
  for (const q of QUANTILES) {
    // The cut lies among the quantile bins, at the q-th of what was learned; see NumericReference.edges.
    const upTo = quantileBin(limits.groups, q);
    let below = 0;
    for (let bin = 0; bin < upTo; bin++) below += bins[bin]!;
    statistics.push(
      shareStatistic(about(column, `q${q * 100}`, `Share below the learned ${q * 100} % quantile of`), below, total),
    );
  }
  return statistics;
}

/** First bin above about the q-th part of the coarse bins. */
function quantileBin(groups: readonly number[], q: number): number {
  const last = groups.at(-1)!;
  const group = Math.min(last, Math.max(1, Math.round(q * (last + 1))));
  const at = groups.indexOf(group);
  return at < 0 ? groups.length : at;
}

function describeText(context: DetectorContext, column: ObservedColumn): Statistic[] {
  const { filled } = column;
  const { lengthMean, lengthM2, distinct, top } = column.profile.text!;
  const deviation = Math.sqrt(lengthM2 / filled);
  const root = Math.sqrt(filled);
  // A number in a key gains a digit one day, and keeps it: a byte more or less of keys that are all alike says nothing.
  const isKey = column.reference.text!.identifier;
  const slack = isKey ? KEY_DEVIATION_MAX * Math.min(1, Math.max(0, 2 - deviation / KEY_DEVIATION_MAX)) : 0;
  return [
    plainStatistic(
      about(column, 'length', 'Mean length in bytes of'),
      lengthMean,
      Math.max(deviation / root, 0.05 / root, slack),
    ),
    logStatistic(
      about(column, 'length-deviation', 'Deviation of the length of'),
      Math.max(deviation, isKey ? KEY_DEVIATION_MAX : 0) + 0.05,
      1 / Math.sqrt(2 * filled) + 0.01,
    ),
    variety(column, DistinctCounter.fromText(distinct)!.estimate(), context.expected.get(column.reference.name)),
    shareStatistic(about(column, 'largest', 'Share of the most frequent value of'), top.counts[0] ?? 0, filled),
  ];
}

/** Number of distinct values against what as many rows drawn from everything learned would have; where the values are too
 * many to list, distinct values a row. Either way a batch of another size is no surprise. */
function variety(column: ObservedColumn, distinct: number, expected: BinCounts | undefined): Statistic {
  if (expected === undefined || expected.unlisted > 0) {
    return shareStatistic(
      about(column, 'distinct', 'Distinct values a row of'),
      Math.min(distinct, column.filled),
      column.filled,
    );
  }
  const total = expected.bins.reduce((sum, rows) => sum + rows, 0);
  let usual = 0;
  for (const rows of expected.bins) {
    if (rows > 0) usual += rows >= total ? 1 : 1 - exp(column.filled * ln(1 - rows / total));
  }
  return logStatistic(
    about(column, 'distinct', 'Distinct values (1 = as usual) of'),
    (distinct + 1) / (usual + 1),
    0.05,
  );
}
