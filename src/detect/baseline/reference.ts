import { median } from 'simple-statistics';
import type { ColumnType } from '../../record/schema.ts';
import type { ColumnProfile, Profile } from '../profile.ts';
import { decodeNumbers } from '../sketch/array-text.ts';
import { DistinctCounter } from '../sketch/hyperloglog.ts';
import { KllSketch } from '../sketch/kll.ts';
import type { KllView } from '../sketch/kll.ts';
import { mergeTop, NO_VALUES } from '../sketch/top-values.ts';
import { EXTREMES_MAX } from '../profile/measure-column.ts';

/** Quantile bins for distances that follow the whole curve (KS, Wasserstein). */
export const FINE_BINS = 64;
/** Quantile bins for distances per cell (G, PSI, JSD) and features of the label model. */
export const COARSE_BINS = 16;
/** Learning batches before flags and histories are trusted. */
export const BATCHES_MIN = 8;
/** Rows without an exception before "never" is a rule. */
export const SUPPORT_MIN = 500;

/** Rows of the rarest value before a domain learned from a few batches counts as closed. */
const RAREST_MIN = 10;

/** What the learning batches say of a numeric column. */
export interface NumericReference {
  /** Rising; bin b holds the values in (edges[b − 1], edges[b]]. Quantiles of the learning rows and the four limits below. */
  readonly edges: readonly number[];
  /** Coarse bin of each fine bin, from 0 without gaps. */
  readonly groups: readonly number[];
  /** Bins [0, belowRange) lie below everything seen, [0, belowTail) below the usual smallest value of a batch. */
  readonly belowRange: number;
  readonly belowTail: number;
  /** Bins from here on lie above the usual largest value of a batch, above everything seen. */
  readonly aboveTail: number;
  readonly aboveRange: number;
  /** Smallest and largest value seen. */
  readonly lowest: number;
  readonly highest: number;
  /** Median of the batches' smallest and largest values. */
  readonly tailLow: number;
  readonly tailHigh: number;
  /** Centre and width by which values are made comparable: median, and the 10 %–90 % distance or a tenth of the deviation. */
  readonly median: number;
  readonly width: number;
  readonly deviation: number;
  /** Every value was whole; none was negative. */
  readonly integer: boolean;
  readonly nonNegative: boolean;
  /** Most of a batch lies outside all earlier ones (clocks, counters): its distribution says nothing. */
  readonly moving: boolean;
}

/** What the learning batches say of a text column. */
export interface TextReference {
  /** Values in falling order of rows. */
  readonly values: readonly string[];
  /** All values are listed and none was new in the second half of the learning batches (few batches: nor is any rare). */
  readonly closed: boolean;
  /** Nearly every row has its own value (keys, free text), or nearly every batch (days, imports): its distribution says nothing. */
  readonly identifier: boolean;
}

/** What the learning batches say of one column. */
export interface ColumnReference {
  readonly name: string;
  readonly type: ColumnType;
  readonly kind: 'numeric' | 'text' | 'boolean';
  /** Rows that hold a value. */
  readonly support: number;
  /** No row was null; no row lacked the field. */
  readonly neverNull: boolean;
  readonly neverAbsent: boolean;
  readonly numeric: NumericReference | null;
  readonly text: TextReference | null;
}

/** What a column of the learning batches was like; the columns all profiles share, in schema order.
 * @param profiles in time order, at least one, of one schema. */
export function buildReference(profiles: readonly Profile[]): readonly ColumnReference[] {
  return profiles[0]!.columns.map((first, i) => {
    const batches = profiles.map((profile) => profile.columns[i]!);
    const rows = profiles.reduce((sum, profile) => sum + profile.rows, 0);
    const support = rows - batches.reduce((sum, batch) => sum + batch.nulls, 0);
    return {
      name: first.name,
      type: first.type,
      kind: first.numeric !== null ? 'numeric' : first.text !== null ? 'text' : 'boolean',
      support,
      neverNull: rows >= SUPPORT_MIN && batches.every((batch) => batch.nulls === 0),
      neverAbsent: rows >= SUPPORT_MIN && batches.every((batch) => batch.absent === 0),
      numeric: first.numeric === null ? null : numericReference(batches, support),
      text: first.text === null ? null : textReference(batches, rows),
    };
  });
}

function numericReference(batches: readonly ColumnProfile[], support: number): NumericReference {
  const filled = batches.map((batch) => batch.numeric!).filter((numeric) => numeric.count > 0);
  const sketches = filled.map((numeric) => KllSketch.fromState(numeric.kll)!);
  const merged = new KllSketch(1, filled[0]?.kll.k);
  for (const sketch of sketches) merged.merge(sketch);
  const view = merged.view();
  const lowest = merged.min;
  const highest = merged.max;
  const tailLow = middle(filled.map((numeric) => numeric.min));
  const tailHigh = middle(filled.map((numeric) => numeric.max));
  const { low: rangeLow, high: rangeHigh } = widen(lowest, highest);
  const quantiles: number[] = [];
  for (let q = 1; q < FINE_BINS; q++) quantiles.push(view.quantile(q / FINE_BINS));
  const inner = [...new Set(quantiles)];
  const edges = [...new Set([rangeLow, justBelow(tailLow), ...inner, tailHigh, rangeHigh])].sort((a, b) => a - b);
  const sum = filled.reduce((total, numeric) => total + numeric.count, 0);
  const mean = filled.reduce((total, numeric) => total + numeric.mean * (numeric.count / sum), 0);
  const m2 = filled.reduce((total, n) => total + n.m2 + n.count * (n.mean - mean) * (n.mean - mean), 0);
  const deviation = sum === 0 ? 0 : Math.sqrt(m2 / sum);
  const width = Math.max(view.quantile(0.9) - view.quantile(0.1), deviation / 10, 1e-9);
  return {
    edges,
    groups: coarseGroups(edges, inner),
    belowRange: edges.indexOf(rangeLow) + 1,
    belowTail: edges.indexOf(justBelow(tailLow)) + 1,
    aboveTail: edges.indexOf(tailHigh) + 1,
    aboveRange: edges.indexOf(rangeHigh) + 1,
    lowest,
    highest,
    tailLow,
    tailHigh,
    median: view.quantile(0.5),
    width,
    deviation,
    integer: support >= SUPPORT_MIN && filled.every((numeric) => numeric.integers === numeric.count),
    nonNegative: support >= SUPPORT_MIN && filled.every((numeric) => numeric.negatives === 0),
    moving: batches[0]!.type === 'timestamp' || isMoving(sketches.map((sketch) => sketch.view())),
  };
}

/** Coarse bin of each fine bin: every fourth distinct quantile begins a new one; the tails belong to the outermost. */
function coarseGroups(edges: readonly number[], inner: readonly number[]): number[] {
  const every = FINE_BINS / COARSE_BINS;
  // Few distinct quantiles are all kept: a column of ten values has ten coarse bins.
  const cuts = new Set(inner.length < COARSE_BINS ? inner : inner.filter((_, i) => i % every === every - 1));
  const groups = [0];
  for (const edge of edges) groups.push(groups.at(-1)! + (cuts.has(edge) ? 1 : 0));
  return groups;
}

/**
 * True for a clock or a counter: new values are no news, so shape and range say nothing. Either the typical batch has most of
 * its rows outside the range of all batches before it, or batches lie further apart than they are wide (as when several
 * partitions are read side by side). Timestamps are taken for clocks without asking.
 */
function isMoving(views: readonly KllView[]): boolean {
  if (views.length < 3) return false;
  const medians = views.map((view) => view.quantile(0.5));
  const width = middle(views.map((view) => view.quantile(0.9) - view.quantile(0.1)));
  if (width > 0 && Math.max(...medians) - Math.min(...medians) > 2 * width) return true;
  const outside: number[] = [];
  let low = Infinity;
  let high = -Infinity;
  for (const view of views) {
    if (low <= high) outside.push((view.rank(justBelow(low)) + view.count - view.rank(high)) / view.count);
    low = Math.min(low, view.quantile(0));
    high = Math.max(high, view.quantile(1));
  }
  return middle(outside) > 0.5;
}

function textReference(batches: readonly ColumnProfile[], rows: number): TextReference {
  let merged = NO_VALUES;
  const distinct = new DistinctCounter();
  let lastNews = -1;
  const newShares: number[] = [];
  const known = new Set<string>();
  for (const [i, batch] of batches.entries()) {
    const { top, count } = batch.text!;
    const newRows = top.counts.reduce((sum, ofValue, at) => (known.has(top.values[at]!) ? sum : sum + ofValue), 0);
    if (top.error > 0 || newRows > 0) lastNews = i;
    if (i > 0 && count > 0) newShares.push(newRows / count);
    for (const value of top.values) known.add(value);
    merged = mergeTop(merged, top);
    distinct.merge(DistinctCounter.fromText(batch.text!.distinct)!);
  }
  const exact = merged.error === 0 && merged.other === 0;
  const rarest = merged.counts.at(-1) ?? 0;
  return {
    values: merged.values,
    closed:
      exact &&
      rows >= SUPPORT_MIN &&
      lastNews < batches.length / 2 &&
      (batches.length >= BATCHES_MIN || rarest >= RAREST_MIN),
    // Or a day, an import: most batches have most of their values for the first time.
    identifier: (!exact && distinct.estimate() > rows / 2) || (newShares.length >= 2 && middle(newShares) > 0.5),
  };
}

/** The range that values seen in [lowest, highest] leave room for: a tenth more on either side, since ordinary new extremes
 * go a little further and wrong units go a lot. */
export function widen(lowest: number, highest: number): { low: number; high: number } {
  // Halved first: the difference of two huge numbers may overflow.
  const margin = 0.2 * (highest / 2 - lowest / 2);
  return { low: finite(justBelow(lowest - margin)), high: finite(highest + margin) };
}

function finite(x: number): number {
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, x));
}

/** Rows strictly below `limit`: exact while they are among the extremes kept, from the sketch beyond. */
export function countBelow(column: ColumnProfile, view: KllView, limit: number): number {
  const lowest = decodeNumbers(column.numeric!.lowest, EXTREMES_MAX)!;
  const exact = lowest.filter((value) => value < limit).length;
  return exact < lowest.length || view.count === lowest.length ? exact : Math.max(exact, view.rank(justBelow(limit)));
}

/** Rows strictly above `limit`: exact while they are among the extremes kept, from the sketch beyond. */
export function countAbove(column: ColumnProfile, view: KllView, limit: number): number {
  const highest = decodeNumbers(column.numeric!.highest, EXTREMES_MAX)!;
  const exact = highest.filter((value) => value > limit).length;
  return exact < highest.length || view.count === highest.length
    ? exact
    : Math.max(exact, view.count - view.rank(limit));
}

/** A number a little below `x`, so that an edge there puts `x` itself above it. */
export function justBelow(x: number): number {
  return x - Math.max(Math.abs(x) * 1e-12, 1e-300);
}

/** Median; 0 of nothing. */
function middle(values: number[]): number {
  return values.length === 0 ? 0 : median(values);
}
