/** Distinct values counted exactly; beyond this the rarest go into `other`. */
export const TOP_VALUES_MAX = 256;

/** Most frequent values with counts, in falling order of count, then by code units of the value. Plain data, mergeable. */
export interface TopValues {
  readonly values: readonly string[];
  readonly counts: readonly number[];
  /** Rows whose value is not listed. */
  readonly other: number;
  /**
   * No value that is not listed occurs more often than this, and no listed count is short by more; 0 = every count is exact.
   */
  readonly error: number;
}

/** The list of no rows. */
export const NO_VALUES: TopValues = { values: [], counts: [], other: 0, error: 0 };

/** The `limit` most frequent of distinct `values`.
 * @param values distinct texts.
 * @param counts rows of each, same length, above 0.
 * @param other rows of values left out already, none of which occurs more often than `error`. */
export function takeTop(
  values: readonly string[],
  counts: readonly number[],
  other = 0,
  error = 0,
  limit: number = TOP_VALUES_MAX,
): TopValues {
  const order = values.map((_, i) => i);
  order.sort((a, b) => counts[b]! - counts[a]! || compareText(values[a]!, values[b]!));
  const kept = order.slice(0, limit);
  let dropped = other;
  for (const i of order.slice(limit)) dropped += counts[i]!;
  const firstDropped = order.length > limit ? counts[order[limit]!]! : 0;
  return {
    values: kept.map((i) => values[i]!),
    counts: kept.map((i) => counts[i]!),
    other: dropped,
    // A value dropped now had a count that may itself have been short by `error`.
    error: order.length > limit ? firstDropped + error : error,
  };
}

/** List of all rows of both: exact while both are and the union fits, within `error` otherwise.
 * Source: Agarwal et al., "Mergeable summaries" (2013), for the bound. */
export function mergeTop(a: TopValues, b: TopValues, limit: number = TOP_VALUES_MAX): TopValues {
  const counts = new Map<string, number>();
  for (const list of [a, b]) {
    for (const [i, value] of list.values.entries()) counts.set(value, (counts.get(value) ?? 0) + list.counts[i]!);
  }
  return takeTop([...counts.keys()], [...counts.values()], a.other + b.other, a.error + b.error, limit);
}

/** Order of texts by UTF-16 code units, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
