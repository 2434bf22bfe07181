import type { ColumnData } from '../../record/columns.ts';
import type { ColumnProfile } from '../profile.ts';
import { NO_VALUES, takeTop, mergeTop } from '../sketch/top-values.ts';
import type { TopValues } from '../sketch/top-values.ts';
import { dictionaryValue } from './dictionary-value.ts';

/** Labels that are counted one by one. */
export const LABELS_MAX = 64;

/** Rows by label.
 * @param measured the label column's own profile.
 * @param aligned its value in each row, NaN where null (unused for text). */
export function countLabels(measured: ColumnProfile, aligned: Float64Array, rows: number): TopValues {
  if (measured.text !== null) return mergeTop(measured.text.top, NO_VALUES, LABELS_MAX);
  const counts = new Map<number, number>();
  let other = 0;
  for (let row = 0; row < rows; row++) {
    const value = aligned[row]!;
    if (Number.isNaN(value)) continue;
    const count = counts.get(value);
    // A numeric target with many values is not a label; what it holds beyond a few thousand is not told apart.
    if (count !== undefined || counts.size < LABELS_MAX * 64) counts.set(value, (count ?? 0) + 1);
    else other += 1;
  }
  const values = [...counts.keys()].map((value) => labelOfNumber(value, measured.type));
  return takeTop(values, [...counts.values()], other, other, LABELS_MAX);
}

/** Name of a label that is stored as a number. */
export function labelOfNumber(value: number, type: ColumnProfile['type']): string {
  return type === 'boolean' ? (value === 1 ? 'true' : 'false') : String(value);
}

/** Index into `labels` of each row's label, −1 for null or any other. */
export function labelIndexes(
  data: ColumnData,
  aligned: Float64Array,
  rows: number,
  labels: readonly string[],
): Int16Array {
  const indexes = new Int16Array(rows).fill(-1);
  const places = new Map(labels.map((label, i) => [label, i]));
  if (data.kind === 'text') {
    const byCode = new Int16Array(data.dictionary.size);
    for (let code = 0; code < byCode.length; code++) {
      byCode[code] = places.get(dictionaryValue(data.dictionary, code)) ?? -1;
    }
    for (let row = 0; row < rows; row++) if (data.codes[row]! >= 0) indexes[row] = byCode[data.codes[row]!]!;
    return indexes;
  }
  const byNumber = new Map(
    labels.map((label, i) => [data.kind === 'boolean' ? Number(label === 'true') : Number(label), i]),
  );
  for (let row = 0; row < rows; row++) indexes[row] = byNumber.get(aligned[row]!) ?? -1;
  return indexes;
}
