import type { ColumnData } from '../../record/columns.ts';
import { dictionaryValue } from '../profile/dictionary-value.ts';
import type { ColumnReference } from './reference.ts';

/** Values of a text column that are features of their own; all others share one. */
export const FEATURE_VALUES_MAX = 15;

/** How one column's values become bins (fine, for distributions) and features (coarse, for the label model). */
export interface ColumnBins {
  readonly name: string;
  readonly kind: ColumnReference['kind'];
  readonly type: ColumnReference['type'];
  /** Rising; bin b holds the values in (edges[b − 1], edges[b]]. Empty unless numeric. */
  readonly edges: Float64Array;
  /** Feature of each bin. */
  readonly groups: Uint8Array;
  /** Feature of each listed text value. */
  readonly values: ReadonlyMap<string, number>;
  /** Number of features; the last one is null, and the last but one of text is every value not listed. */
  readonly features: number;
}

/** Bins of a column of a baseline.
 * @param groupsOf feature of each fine bin of a numeric column; the coarse bins of the reference if none are given. */
export function binsOf(column: ColumnReference, groupsOf: readonly number[] | null = null): ColumnBins {
  const { name, kind, type } = column;
  const base = { name, kind, type, edges: new Float64Array(0), groups: new Uint8Array(0) };
  if (column.numeric !== null) {
    const groups = Uint8Array.from(groupsOf ?? column.numeric.groups);
    const edges = Float64Array.from(column.numeric.edges);
    return { ...base, edges, groups, values: new Map(), features: (groups.at(-1) ?? 0) + 2 };
  }
  if (column.text !== null) {
    const listed = column.text.values.slice(0, FEATURE_VALUES_MAX);
    return { ...base, values: new Map(listed.map((value, i) => [value, i])), features: listed.length + 2 };
  }
  return { ...base, values: new Map(), features: 3 };
}

/** Index of the bin that holds `value`: the number of edges below it. */
export function binOf(edges: Float64Array, value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Feature of each row, from its number (NaN = null).
 * @param counts raised by one in each row's fine bin, if given; edges.length + 1 long. */
export function featuresOfNumbers(
  bins: ColumnBins,
  aligned: Float64Array,
  rows: number,
  counts: Uint32Array | null = null,
): Uint8Array {
  const { edges, groups } = bins;
  const codes = new Uint8Array(rows);
  const none = bins.features - 1;
  for (let row = 0; row < rows; row++) {
    const value = aligned[row]!;
    if (value !== value) codes[row] = none;
    else if (bins.kind === 'boolean') codes[row] = value;
    else {
      const bin = binOf(edges, value);
      codes[row] = groups[bin]!;
      // ± infinity has a bin for the label model but is not a value of the distribution.
      if (counts !== null && value - value === 0) counts[bin]! += 1;
    }
  }
  return codes;
}

/** Feature of each row of a text column. Cost: one look-up per dictionary value. */
export function featuresOfText(
  bins: ColumnBins,
  data: Extract<ColumnData, { kind: 'text' }>,
  rows: number,
): Uint8Array {
  const codes = new Uint8Array(rows);
  const unlisted = bins.features - 2;
  const byCode = new Uint8Array(data.dictionary.size);
  for (let code = 0; code < byCode.length; code++) {
    byCode[code] = bins.values.get(dictionaryValue(data.dictionary, code)) ?? unlisted;
  }
  for (let row = 0; row < rows; row++) {
    const code = data.codes[row]!;
    codes[row] = code < 0 ? unlisted + 1 : byCode[code]!;
  }
  return codes;
}
