import { median } from 'simple-statistics';
import { exp } from '../arithmetic.ts';
import type { StatisticHistory } from '../baseline/calibrate.ts';
import type { Profile } from '../profile.ts';
import { timesOfRows } from '../rules/record-times.ts';
import { logStatistic } from './detector.ts';
import type { Detector, Statistic, UsualVolume } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'volume';
/** Spans below this are not told apart. */
const MS_MIN = 1_000;
/**
 * Share of the usual records and of the usual bytes below which a batch was cut short: by its age, the end of a file, a
 * shutdown. One that has its bytes was full, however few its records are. No rate tells a flood from a batch that was cut
 * short: where records come in bursts an hour apart, one burst alone has some thousand times the usual rate.
 */
const WHOLE_SHARE = 0.75;

/**
 * Records per second of record time, where there are more than usual: floods.
 *
 * Only what the records themselves say counts, never how far behind the reader is: an outage must not hold healthy records.
 * For the same reason too few are no finding. A gap in the stream, one late record or a batch that was cut short look alike,
 * and what is missing is not in the batch; sources that fall silent show in the shares of what is left. Where records have
 * no timestamps the time column stands in. Cost: none.
 */
export const volumeDetector: Detector = {
  id: DETECTOR,
  family: 'volume',
  about: 'More records per second of record time than usual',
  measure({ batch: { profile }, usualVolume }) {
    const span = spanOf(profile);
    // Batches of several partitions overlap or leave gaps in time: their union has no rate that the history could know.
    if (profile.parts > 1 || span === null) return [];
    const { records, bytes } = profile.counts;
    const about = (name: string, subject: string) => ({ detector: DETECTOR, name, columns: span.columns, subject });
    const shown = { votes: false } as const;
    const statistics: Statistic[] = [
      logStatistic(about(RECORDS, 'Number of records'), Math.max(1, records), 0.05, shown),
      logStatistic(about(BYTES, 'Bytes of keys and values'), Math.max(1, bytes), 0.05, shown),
      logStatistic(about(SPAN, 'Milliseconds from the first to the last record'), Math.max(1, span.ms), 0.05, shown),
    ];
    // Where batches usually take less than a second, their rates cannot be told.
    if (usualVolume === null || usualVolume.spanMs < MS_MIN) return statistics;
    const isWhole =
      records >= WHOLE_SHARE * usualVolume.records || bytes >= WHOLE_SHARE * (usualVolume.bytes ?? Infinity);
    if (!isWhole) return statistics;
    const rate = records / (Math.max(MS_MIN, span.ms) / 1_000);
    statistics.push(logStatistic(about('rate', span.subject), rate, 0.05, { side: 'high' }));
    return statistics;
  },
};

const RECORDS = 'records';
const BYTES = 'bytes';
const SPAN = 'span';

/** The median batch among `profiles`; null if none has a span. */
export function usualVolumeOf(profiles: readonly Profile[]): UsualVolume | null {
  const spans = profiles.map((profile) => spanOf(profile)?.ms ?? null).filter((ms) => ms !== null);
  if (spans.length === 0) return null;
  const bytes = median(profiles.map(({ counts }) => counts.bytes));
  return { records: median(profiles.map(({ counts }) => counts.records)), bytes: orNull(bytes), spanMs: median(spans) };
}

/** {@link usualVolumeOf} what a baseline was learned from; null if it does not say. */
export function usualVolumeIn(histories: Iterable<StatisticHistory>): UsualVolume | null {
  let records: number | null = null;
  let bytes: number | null = null;
  let spanMs: number | null = null;
  // The name of the time column may follow.
  for (const { id, centre } of histories) {
    if (isOf(id, RECORDS)) records = exp(centre);
    else if (isOf(id, BYTES)) bytes = orNull(exp(centre));
    else if (isOf(id, SPAN)) spanMs = exp(centre);
  }
  return records === null || spanMs === null ? null : { records, bytes, spanMs };
}

/** Null for next to no bytes, of which any batch has its share. */
function orNull(bytes: number): number | null {
  return bytes > 1 ? bytes : null;
}

function isOf(id: string, name: string): boolean {
  return id === `${DETECTOR}/${name}` || id.startsWith(`${DETECTOR}/${name}/`);
}

/** The stretch of time that the batch's records are from. */
function spanOf({ times, roles, columns }: Profile) {
  if (times.firstMs !== null && times.lastMs !== null)
    return { ms: times.lastMs - times.firstMs, columns: [], subject: 'Records per second' };
  const span = timesOfRows(roles, columns);
  if (span === null || roles.time === null) return null;
  const subject = `Records per second of ${quoteName(roles.time)}`;
  return { ms: span.lastMs - span.firstMs, columns: [roles.time], subject };
}
