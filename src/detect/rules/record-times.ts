import type { BatchTimes, ColumnProfile, Roles } from '../profile.ts';

/**
 * When the rows of a batch happened, by the column that says it; null if none does, or none of its values is known.
 * @param columns those of the batch; a time of another type than timestamp tells nothing
 */
export function timesOfRows(
  { time }: Roles,
  columns: readonly ColumnProfile[],
): { readonly firstMs: number; readonly lastMs: number } | null {
  const numeric = columns.find(({ name, type }) => name === time && type === 'timestamp')?.numeric ?? null;
  return numeric === null || numeric.count === 0 ? null : { firstMs: numeric.min, lastMs: numeric.max };
}

/** Times of a batch for rules. Records of Kafka have a timestamp each; those of files have none, and {@link timesOfRows} stand in. */
export function timesForRules(times: BatchTimes, roles: Roles, columns: readonly ColumnProfile[]): BatchTimes {
  return times.lastMs === null ? { ...times, ...timesOfRows(roles, columns) } : times;
}
