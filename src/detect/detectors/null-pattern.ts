import { shareStatistic } from './detector.ts';
import type { Detector } from './detector.ts';

const DETECTOR = 'null-pattern';

/**
 * Rows whose set of null columns no row had before.
 *
 * Values that belong together go missing together: a cancelled flight has no delay and no air time. A field that is dropped
 * alone leaves a new set, even where nights of cancellations hide its share of nulls.
 * Cost: one look-up per distinct set.
 */
export const nullPatternDetector: Detector = {
  id: DETECTOR,
  family: 'domain',
  about: 'Sets of columns that were never null together without others',
  measure({ batch, knownPatterns }) {
    if (knownPatterns === null) return [];
    const { nullPatterns } = batch;
    let count = nullPatterns.other;
    for (const [i, pattern] of nullPatterns.values.entries())
      if (!knownPatterns.has(pattern)) count += nullPatterns.counts[i]!;
    const about = {
      detector: DETECTOR,
      name: 'new',
      columns: [],
      subject: 'Share of rows with a set of nulls that no row had before',
    };
    return [shareStatistic(about, count, batch.profile.rows, { side: 'high', surprise: true })];
  },
};
