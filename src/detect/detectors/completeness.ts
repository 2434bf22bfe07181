import { HARD_ROWS_MIN, shareStatistic } from './detector.ts';
import type { Detector } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'completeness';

/**
 * Nulls, column by column. Nulls that come together are looked at by the null-pattern detector.
 *
 * Hard: at least HARD_ROWS_MIN nulls in a column that never had one. Cost: one number a column.
 */
export const completenessDetector: Detector = {
  id: DETECTOR,
  family: 'completeness',
  about: 'Nulls in each column',
  measure: ({ batch }) =>
    batch.columns.map(({ reference, profile, rows }) => {
      const subject = `Share of nulls in ${quoteName(reference.name)}`;
      const about = { detector: DETECTOR, name: 'null-rate', columns: [reference.name], subject };
      return shareStatistic(about, profile.nulls, rows, { surprise: true });
    }),
  check: ({ batch }) =>
    batch.columns
      .filter(({ reference, profile }) => reference.neverNull && profile.nulls >= HARD_ROWS_MIN)
      .map(({ reference, profile }) => ({
        detector: DETECTOR,
        statistic: 'nulls',
        columns: [reference.name],
        value: profile.nulls,
        expected: [0, HARD_ROWS_MIN - 1],
        sentence: `${profile.nulls} rows have no ${quoteName(reference.name)}, which was never null before`,
      })),
};
