import { timesOfRows } from '../rules/record-times.ts';
import { logStatistic } from './detector.ts';
import type { Detector, DetectorContext, Statistic } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'volume';
/** Spans and ages below this are not told apart. */
const MS_MIN = 1_000;

/**
 * Records per second of record time, and the age of the newest record when the batch was sealed.
 *
 * Floods and dropped sources change the first, a stream that stalls or runs from an archive the second. Where records have
 * no timestamps the time column stands in. Cost: none.
 */
export const volumeDetector: Detector = {
  id: DETECTOR,
  family: 'volume',
  about: 'Records per second of record time; age of the newest record',
  measure(context) {
    const { counts, times, parts } = context.batch.profile;
    // Batches of several partitions overlap or leave gaps in time: their union has no rate that the history could know.
    if (parts > 1) return [];
    const span = spanOf(context);
    const statistics: Statistic[] = [];
    if (span !== null && counts.records > 1) {
      const about = { detector: DETECTOR, name: 'rate', columns: span.columns, subject: span.subject };
      const seconds = Math.max(MS_MIN, span.lastMs - span.firstMs) / 1_000;
      statistics.push(logStatistic(about, counts.records / seconds, 0.05));
    }
    if (times.sealedMs !== null && times.lastMs !== null) {
      const about = { detector: DETECTOR, name: 'age', columns: [], subject: 'Age in seconds of the newest record' };
      statistics.push(
        logStatistic(about, Math.max(MS_MIN, times.sealedMs - times.lastMs) / 1_000, 0.1, { side: 'high' }),
      );
    }
    return statistics;
  },
};

/** The stretch of time that the batch's records are from. */
function spanOf({ batch }: DetectorContext) {
  const { times, roles, columns } = batch.profile;
  if (times.firstMs !== null && times.lastMs !== null) {
    return { firstMs: times.firstMs, lastMs: times.lastMs, columns: [], subject: 'Records per second' };
  }
  const span = timesOfRows(roles, columns);
  if (span === null || roles.time === null) return null;
  return { ...span, columns: [roles.time], subject: `Records per second of ${quoteName(roles.time)}` };
}
