import { ln } from '../arithmetic.ts';
import type { ObservedColumn } from '../observe.ts';
import { featureColumns, plainStatistic, shareStatistic } from './detector.ts';
import type { Detector, Statistic } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'tails';

/**
 * Rows beyond the usual extremes of a batch, and how far the outermost thousandth reaches on a log scale.
 *
 * Wrong units move no quartile when they hit one row in twenty, but put those rows out here. A family of its own: ordinary
 * extremes wander, and would make the domain detector deaf to what truly never happened.
 * Cost: six numbers a column.
 */
export const tailsDetector: Detector = {
  id: DETECTOR,
  family: 'tails',
  about: 'Rows beyond the usual extremes of a batch, and how far they reach',
  measure: (context) => featureColumns(context, 'numeric').flatMap(measureTails),
};

function measureTails(column: ObservedColumn): Statistic[] {
  const { filled, reference } = column;
  const { median, width } = reference.numeric!;
  const name = quoteName(reference.name);
  const about = (id: string, subject: string) => ({ detector: DETECTOR, name: id, columns: [reference.name], subject });
  const rare = { side: 'high', surprise: true } as const;
  return [
    shareStatistic(about('low-share', `Share of ${name} below the usual lowest value`), column.belowTail, filled, rare),
    shareStatistic(
      about('high-share', `Share of ${name} above the usual highest value`),
      column.aboveTail,
      filled,
      rare,
    ),
    plainStatistic(
      about('low-reach', `Reach of the lowest ${name} in log widths`),
      reach(median - column.lowPerMille, width),
      0.08,
    ),
    plainStatistic(
      about('high-reach', `Reach of the highest ${name} in log widths`),
      reach(column.highPerMille - median, width),
      0.08,
    ),
  ];
}

function reach(distance: number, width: number): number {
  return ln(1 + Math.max(0, Math.min(distance / width, 1e300)));
}
