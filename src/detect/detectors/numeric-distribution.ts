import { gTest, jensenShannon, ks, psi, regroup, wasserstein } from '../divergence.ts';
import { plainStatistic, featureColumns } from './detector.ts';
import type { Detector, Statistic } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'numeric-distribution';

/**
 * Shape of each numeric column against everything learned.
 *
 * G per quantile bin and KS vote; PSI, Jensen–Shannon and Wasserstein are the same news in units that people know. All are
 * made comparable between batch sizes: under no change √G is about √freedom and D about 0.87/√n.
 * Cost: 64 bins a column. Source: Sokal and Rohlf, "Biometry" §17 (G); Kolmogorov (1933).
 */
export const numericDistributionDetector: Detector = {
  id: DETECTOR,
  family: 'distribution',
  about: 'Shape of numeric columns: G, KS; shown: PSI, Jensen–Shannon, Wasserstein',
  measure(context) {
    const statistics: Statistic[] = [];
    for (const column of featureColumns(context, 'numeric')) {
      const { name, numeric } = column.reference;
      const expected = context.expected.get(name);
      if (expected === undefined) continue;
      const own = regroup(column.bins, numeric!.groups);
      const all = regroup(expected.bins, numeric!.groups);
      const root = Math.sqrt(Math.max(1, column.filled));
      const { g, freedom } = gTest(own, all);
      const add = (id: string, subject: string, value: number, error: number, votes: boolean): void => {
        const about = { detector: DETECTOR, name: id, columns: [name], subject: `${subject} of ${quoteName(name)}` };
        statistics.push(plainStatistic(about, value, error, { side: 'high', votes }));
      };
      add('g', 'Distance beyond chance (root G per row)', (Math.sqrt(g) - Math.sqrt(freedom)) / root, 0.7 / root, true);
      add(
        'ks',
        'Kolmogorov–Smirnov distance beyond chance',
        ks(column.bins, expected.bins) - 0.87 / root,
        0.3 / root,
        true,
      );
      add('psi', 'Population stability index', psi(own, all), 2 / (root * root), false);
      add('jsd', 'Jensen–Shannon distance', jensenShannon(own, all), 0.3 / root, false);
      // Bins stand at their upper edge; the last one, which has none, at the end of the range.
      const positions = [...numeric!.edges, numeric!.edges.at(-1)!];
      const distance = wasserstein(column.bins, expected.bins, positions) / numeric!.width;
      add('wasserstein', 'Wasserstein distance in widths', distance, 0.6 / root, false);
    }
    return statistics;
  },
};
