import { chiSquare, gTest, jensenShannon, psi } from '../divergence.ts';
import type { BinCounts, ObservedColumn } from '../observe.ts';
import { plainStatistic, shareStatistic, featureColumns } from './detector.ts';
import type { Detector, Statistic } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'categorical-distribution';
/** Values compared one by one; all others form one cell. */
const CELLS_MAX = 48;
/** Values whose own share is a statistic. */
const TOP_SHARES = 8;

/**
 * Shares of the values of text and boolean columns against everything learned.
 *
 * G and the shares of the eight most frequent values vote; chi-square, PSI and Jensen–Shannon are shown.
 * Cost: one pass over at most 256 values a column.
 */
export const categoricalDistributionDetector: Detector = {
  id: DETECTOR,
  family: 'distribution',
  about: 'Shares of categories: G and the largest shares; shown: chi-square, PSI, Jensen–Shannon',
  measure: (context) =>
    [...featureColumns(context, 'text'), ...featureColumns(context, 'boolean')].flatMap((column) => {
      const expected = context.expected.get(column.reference.name);
      return expected === undefined ? [] : compareShares(column, expected);
    }),
};

function compareShares(column: ObservedColumn, expected: BinCounts): Statistic[] {
  const { name } = column.reference;
  const own = cellsOf(column);
  const all = cellsOf(expected);
  const root = Math.sqrt(Math.max(1, column.filled));
  const { g, freedom } = gTest(own, all);
  const quoted = quoteName(name);
  const about = (id: string, subject: string) => ({
    detector: DETECTOR,
    name: id,
    columns: [name],
    subject: `${subject} of ${quoted}`,
  });
  const shown = { side: 'high', votes: false } as const;
  const statistics: Statistic[] = [
    plainStatistic(
      about('g', 'Distance beyond chance (root G per row)'),
      (Math.sqrt(g) - Math.sqrt(freedom)) / root,
      0.7 / root,
      {
        side: 'high',
      },
    ),
    plainStatistic(
      about('chi-square', 'Chi-square per row'),
      chiSquare(own, all) / Math.max(1, column.filled),
      2 / (root * root),
      shown,
    ),
    plainStatistic(about('psi', 'Population stability index'), psi(own, all), 2 / (root * root), shown),
    plainStatistic(about('jsd', 'Jensen–Shannon distance'), jensenShannon(own, all), 0.3 / root, shown),
  ];
  for (let i = 0; i < Math.min(TOP_SHARES, column.bins.length); i++) {
    const subject = `Share of the ${ORDINALS[i]!} value`;
    statistics.push(shareStatistic(about(`share-${i + 1}`, subject), column.bins[i]!, column.filled));
  }
  return statistics;
}

/** Values are named by rank: what they are is for the store, not for sentences. */
const ORDINALS = [
  'most frequent',
  '2nd most frequent',
  '3rd most frequent',
  '4th most frequent',
  '5th most frequent',
  '6th most frequent',
  '7th most frequent',
  '8th most frequent',
];

/** Rows of the first values, of all other listed ones, and of values not listed. */
function cellsOf(counts: BinCounts): Float64Array {
  const cells = new Float64Array(Math.min(CELLS_MAX, counts.bins.length) + 2);
  for (const [i, rows] of counts.bins.entries()) cells[Math.min(i, cells.length - 2)]! += rows;
  cells[cells.length - 1] = counts.unlisted;
  return cells;
}
