import type { BinCounts, ObservedColumn } from '../observe.ts';
import { HARD_ROWS_MIN, shareStatistic, steadyColumns } from './detector.ts';
import type { Detector, HardFinding, Statistic } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'domain';

/**
 * Values outside what was learned: unseen categories, numbers beyond everything seen, signs and fractions that never were.
 *
 * Hard: at least HARD_ROWS_MIN rows of unseen values in a closed domain, or of fractions in a column of whole numbers. A
 * domain counts as closed only if no value was new in the second half of the learning batches, so that rare categories
 * that turn up late do not make a rule. Signs and ranges are not hard: a first frost is no attack.
 */
export const domainDetector: Detector = {
  id: DETECTOR,
  family: 'domain',
  about: 'Unseen categories, values out of range, new signs, fractions among whole numbers',
  measure(context) {
    const statistics: Statistic[] = [];
    for (const column of steadyColumns(context, 'text')) {
      const unseen = countUnseen(column, context.expected.get(column.reference.name));
      if (unseen === null) continue;
      const name = quoteName(column.reference.name);
      statistics.push(share('unseen', column, `Share of unseen values in ${name}`, unseen.total));
      statistics.push(
        share('unseen-largest', column, `Share of the most frequent unseen value in ${name}`, unseen.largest),
      );
    }
    for (const column of steadyColumns(context, 'numeric')) {
      const { numeric } = column.profile;
      const limits = column.reference.numeric!;
      const name = quoteName(column.reference.name);
      statistics.push(share('out-of-range', column, `Share of ${name} outside its learned range`, column.outside));
      if (limits.nonNegative)
        statistics.push(share('negative', column, `Share of ${name} below zero`, numeric!.negatives));
      statistics.push(share('non-finite', column, `Share of ${name} that is no finite number`, numeric!.nonFinite));
    }
    return statistics;
  },
  check(context) {
    const findings: HardFinding[] = [];
    for (const column of context.batch.columns) {
      const { reference, profile } = column;
      const name = quoteName(reference.name);
      const unseen = reference.text?.closed === true ? countUnseen(column, context.expected.get(reference.name)) : null;
      if (unseen !== null && unseen.total >= HARD_ROWS_MIN) {
        findings.push(
          broken(
            'unseen',
            column,
            unseen.total,
            `have a value of ${name} that is not in its closed domain`,
            unseen.values,
          ),
        );
      }
      const fractions = reference.numeric?.integer === true ? profile.numeric!.count - profile.numeric!.integers : 0;
      if (fractions >= HARD_ROWS_MIN) {
        findings.push(
          broken('fractions', column, fractions, `have a fraction in ${name}, which held only whole numbers`),
        );
      }
    }
    return findings;
  },
};

function share(name: string, column: ObservedColumn, subject: string, count: number): Statistic {
  const about = { detector: DETECTOR, name, columns: [column.reference.name], subject };
  return shareStatistic(about, count, column.filled, { side: 'high', surprise: true });
}

function broken(statistic: string, column: ObservedColumn, rows: number, what: string, values?: string[]): HardFinding {
  return {
    detector: DETECTOR,
    statistic,
    columns: [column.reference.name],
    value: rows,
    expected: [0, HARD_ROWS_MIN - 1],
    sentence: `${rows} rows ${what}`,
    ...(values === undefined ? {} : { values }),
  };
}

/** Unseen values that are told beside a finding. */
const VALUES_TOLD_MAX = 5;

/** Rows of values that nothing learned had, and of the most frequent of them; null where the domain is too large to list. */
function countUnseen(column: ObservedColumn, expected: BinCounts | undefined) {
  // Rows beyond the list were seen too: the domain is open.
  if (expected === undefined || expected.unlisted > 0) return null;
  let total = column.unlisted;
  let largest = column.unlistedMax;
  for (const [i, count] of expected.bins.entries()) {
    if (count > 0) continue;
    total += column.bins[i]!;
    largest = Math.max(largest, column.bins[i]!);
  }
  const known = new Set(column.reference.text!.values);
  const values = total === 0 ? [] : column.profile.text!.top.values.filter((value) => !known.has(value));
  return { total, largest, values: values.slice(0, VALUES_TOLD_MAX) };
}
