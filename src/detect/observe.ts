import { binsOf } from './baseline/bins.ts';
import { countAbove, countBelow } from './baseline/reference.ts';
import type { ColumnReference } from './baseline/reference.ts';
import type { LabelLosses } from './baseline/label-model.ts';
import type { BoundCounts, ColumnProfile, Profile } from './profile.ts';
import { decodeNumbers } from './sketch/array-text.ts';
import { KllSketch } from './sketch/kll.ts';
import type { KllView } from './sketch/kll.ts';
import { EXTREMES_MAX } from './profile/measure-column.ts';
import { withoutColumns } from './profile/null-patterns.ts';
import type { TopValues } from './sketch/top-values.ts';

/** Most bins a column can have: listed text values, or fine quantile bins and limits. */
export const BINS_MAX = 512;

/** Rows per bin: the part of a batch that adds up over batches. */
export interface BinCounts {
  /** Rows in each bin of the reference: fine bins of a numeric column; listed values of text; false and true. */
  readonly bins: Float64Array;
  /** Text rows whose value is not listed. */
  readonly unlisted: number;
}

/** One column of a batch, seen through the bins of a reference. */
export interface ObservedColumn extends BinCounts {
  readonly reference: ColumnReference;
  readonly profile: ColumnProfile;
  /** Decoded rows, and those that hold a value. */
  readonly rows: number;
  readonly filled: number;
  /** Text: rows of the most frequent value that is not listed. */
  readonly unlistedMax: number;
  /** Numeric: rows below and above everything seen, and beyond the usual extremes of a batch. */
  readonly outside: number;
  readonly belowTail: number;
  readonly aboveTail: number;
  /** Numeric: values that a thousandth of the rows lie beyond, on either side. */
  readonly lowPerMille: number;
  readonly highPerMille: number;
}

/** One batch, seen through the bins of a reference. */
export interface ObservedBatch {
  readonly profile: Profile;
  /** One per column of the reference that the batch has with the same type, in the reference's order. */
  readonly columns: readonly ObservedColumn[];
  /** Columns of the reference that the batch lacks or has with another type. */
  readonly missing: readonly ColumnReference[];
  /** Rows by the set of their null columns, of those in the reference. */
  readonly nullPatterns: TopValues;
  readonly losses: LabelLosses | null;
}

/** A batch in the bins of a reference.
 * @param bound exact counts made for this very reference, or null: then the sketches answer.
 * @param losses how well the label model explains this batch, if known. */
export function observe(
  profile: Profile,
  columns: readonly ColumnReference[],
  bound: BoundCounts | null,
  losses: LabelLosses | null,
): ObservedBatch {
  const byName = new Map(profile.columns.map((column) => [column.name, column]));
  const exact = new Map(bound?.columns.map((column) => [column.name, column.bins]));
  const observed: ObservedColumn[] = [];
  const missing: ColumnReference[] = [];
  for (const reference of columns) {
    const column = byName.get(reference.name);
    if (column === undefined || column.type !== reference.type) missing.push(reference);
    else observed.push(observeColumn(column, reference, profile.rows, exact.get(reference.name) ?? ''));
  }
  const known = new Set(columns.map(({ name }) => name));
  const names = profile.columns.map(({ name }) => name);
  const ignored = new Set(names.filter((name) => !known.has(name)));
  const nullPatterns = withoutColumns(profile.nullPatterns, ignored, names);
  return { profile, columns: observed, missing, nullPatterns, losses };
}

function observeColumn(column: ColumnProfile, reference: ColumnReference, rows: number, exact: string): ObservedColumn {
  const filled = rows - column.nulls;
  const numbers = { outside: 0, belowTail: 0, aboveTail: 0, lowPerMille: 0, highPerMille: 0 };
  const base = { reference, profile: column, rows, filled, unlisted: 0, unlistedMax: 0, ...numbers };
  if (column.boolean !== null) return { ...base, bins: Float64Array.of(column.boolean.falses, column.boolean.trues) };
  if (column.text !== null) return { ...base, ...observeText(column, reference) };
  return { ...base, ...observeNumbers(column, reference, exact) };
}

function observeText(column: ColumnProfile, reference: ColumnReference) {
  const places = new Map(reference.text!.values.map((value, i) => [value, i]));
  const bins = new Float64Array(places.size);
  const { top } = column.text!;
  let unlisted = top.other;
  let unlistedMax = 0;
  for (const [i, value] of top.values.entries()) {
    const place = places.get(value);
    if (place === undefined) {
      unlisted += top.counts[i]!;
      unlistedMax = Math.max(unlistedMax, top.counts[i]!);
    } else bins[place]! += top.counts[i]!;
  }
  return { bins, unlisted, unlistedMax };
}

function observeNumbers(column: ColumnProfile, reference: ColumnReference, exact: string) {
  const { edges } = binsOf(reference);
  const limits = reference.numeric!;
  const view = KllSketch.fromState(column.numeric!.kll)!.view();
  const counted = exact === '' ? null : decodeNumbers(exact, BINS_MAX);
  const perMille = {
    lowPerMille: extremeAt(column.numeric!.lowest, view, false),
    highPerMille: extremeAt(column.numeric!.highest, view, true),
  };
  if (counted?.length === edges.length + 1) {
    const sum = (from: number, to: number): number => counted.subarray(from, to).reduce((a, b) => a + b, 0);
    return {
      bins: counted,
      outside: sum(0, limits.belowRange) + sum(limits.aboveRange, counted.length),
      belowTail: sum(0, limits.belowTail),
      aboveTail: sum(limits.aboveTail, counted.length),
      ...perMille,
    };
  }
  const bins = new Float64Array(edges.length + 1);
  let before = 0;
  for (let bin = 0; bin <= edges.length; bin++) {
    const rank = bin === edges.length ? view.count : view.rank(edges[bin]!);
    bins[bin] = rank - before;
    before = rank;
  }
  const rangeLow = edges[limits.belowRange - 1]!;
  const rangeHigh = edges[limits.aboveRange - 1]!;
  return {
    bins,
    outside: countBelow(column, view, rangeLow) + countAbove(column, view, rangeHigh),
    belowTail: countBelow(column, view, limits.tailLow),
    aboveTail: countAbove(column, view, limits.tailHigh),
    ...perMille,
  };
}

/** Value that ⌊count/1,000⌋ rows lie beyond: exact while it is among the extremes kept. */
function extremeAt(text: string, view: KllView, high: boolean): number {
  const extremes = decodeNumbers(text, EXTREMES_MAX)!;
  const beyond = Math.floor(view.count / 1_000);
  if (beyond >= extremes.length) return view.quantile(high ? 0.999 : 0.001);
  return extremes[high ? extremes.length - 1 - beyond : beyond]!;
}
