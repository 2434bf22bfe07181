import { shareStatistic } from './detector.ts';
import type { Detector } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'label';
/** Labels whose own share is a statistic. */
const SHARES_MAX = 16;

/**
 * Shares of the labels, and of labels that were never seen.
 *
 * Cost: one number a label.
 */
export const labelDetector: Detector = {
  id: DETECTOR,
  family: 'label',
  about: 'Share of each label, and of unseen labels',
  atlas: 'AML.T0020',
  measure({ batch, labels: learned }) {
    const { labels, roles } = batch.profile;
    if (labels === null || learned === null || roles.label === null) return [];
    const column = quoteName(roles.label);
    const total = labels.counts.reduce((sum, count) => sum + count, labels.other);
    const counts = new Map(labels.values.map((value, i) => [value, labels.counts[i]!]));
    const columns = [roles.label];
    const statistics = learned.values.slice(0, SHARES_MAX).map((value, i) => {
      const subject = `Share of the ${i === 0 ? 'most frequent label' : `label of rank ${i + 1}`} in ${column}`;
      return shareStatistic(
        { detector: DETECTOR, name: `share-${i + 1}`, columns, subject },
        counts.get(value) ?? 0,
        total,
      );
    });
    if (learned.error > 0) return statistics;
    for (const value of learned.values) counts.delete(value);
    const unseen = [...counts.values()].reduce((sum, count) => sum + count, labels.other);
    const about = { detector: DETECTOR, name: 'unseen', columns, subject: `Share of unseen labels in ${column}` };
    return [...statistics, shareStatistic(about, unseen, total, { side: 'high', surprise: true })];
  },
};
