import type { BatchTimes, ColumnProfile, Roles } from '../profile.ts';

/**
 * Times of a batch for rules. Records of Kafka have a timestamp each; those of files have none, and the column that says
 * when they happened stands in for it.
 * @param columns those of the batch; a time of another type than timestamp tells nothing
 */
export function timesForRules(times: BatchTimes, { time }: Roles, columns: readonly ColumnProfile[]): BatchTimes {
  if (times.lastMs !== null) return times;
  const numeric = columns.find(({ name, type }) => name === time && type === 'timestamp')?.numeric ?? null;
  return numeric === null || numeric.count === 0 ? times : { ...times, firstMs: numeric.min, lastMs: numeric.max };
}
