import { RequestError } from '../../errors.ts';
import { addLosses } from '../baseline/label-model.ts';
import type {
  BatchCounts,
  BatchTimes,
  BoundCounts,
  ColumnProfile,
  ExtraField,
  NumericProfile,
  Profile,
  TextProfile,
} from '../profile.ts';
import { timesForRules } from '../rules/record-times.ts';
import { mergeRules } from '../rules.ts';
import { decodeNumbers, encodeNumbers } from '../sketch/array-text.ts';
import { DistinctCounter } from '../sketch/hyperloglog.ts';
import { KllSketch } from '../sketch/kll.ts';
import { mergeRowHashes } from '../sketch/row-hashes.ts';
import { compareText, mergeTop } from '../sketch/top-values.ts';
import { causesOf, mergeCauses } from './dead-letters.ts';
import { LABELS_MAX } from './labels.ts';
import { EXTREMES_MAX } from './measure-column.ts';
import { SAMPLE_ROWS_MAX } from './row-sample.ts';
import type { RowSample } from './row-sample.ts';

/** Profile of the union of batches: counts are exact, sketches within their own bounds. The order matters for the bytes of
 * the sketches, not for what they say; merge in record order.
 * @param profiles of one schema and the same roles, at least one.
 * @throws {RequestError} REQUEST_INVALID if there is none or they differ in schema or roles.
 * @throws {TypeError} for a profile that decodeProfile would refuse. */
export function mergeProfiles(profiles: readonly Profile[]): Profile {
  const [first, ...others] = profiles;
  if (first === undefined) throw new RequestError('REQUEST_INVALID', 'Cannot merge no profiles');
  return others.reduce(mergeTwo, first);
}

function mergeTwo(a: Profile, b: Profile): Profile {
  const { label, source, time } = a.roles;
  if (a.schema !== b.schema) {
    throw new RequestError('REQUEST_INVALID', `Cannot merge profiles of two schemas: ${a.schema} and ${b.schema}`);
  }
  if (label !== b.roles.label || source !== b.roles.source || time !== b.roles.time) {
    throw new RequestError('REQUEST_INVALID', 'Cannot merge profiles whose columns have different roles');
  }
  const columns = a.columns.map((column, i) => mergeColumns(column, b.columns[i]!));
  const counts = mergeCounts(a.counts, b.counts);
  const times = mergeTimes(a.times, b.times);
  const deadLetterCauses = mergeCauses([causesOf(a), causesOf(b)]);
  return {
    version: 1,
    schema: a.schema,
    roles: a.roles,
    counts,
    ...(deadLetterCauses.length === 0 ? {} : { deadLetterCauses }),
    times,
    parts: a.parts + b.parts,
    rows: a.rows + b.rows,
    columns,
    nullPatterns: mergeTop(a.nullPatterns, b.nullPatterns),
    extraFields: mergeExtra(a.extraFields, b.extraFields),
    labels: a.labels === null || b.labels === null ? null : mergeTop(a.labels, b.labels, LABELS_MAX),
    sample: a.sample === null || b.sample === null ? null : mergeSamples(a, b, columns),
    rowHashes: a.rowHashes === null || b.rowHashes === null ? null : mergeRowHashes(a.rowHashes, b.rowHashes),
    rules: mergeRules(a.rules, b.rules, counts, timesForRules(times, a.roles, columns)),
    bound: mergeBound(a.bound, b.bound),
  };
}

function mergeCounts(a: BatchCounts, b: BatchCounts): BatchCounts {
  return {
    records: a.records + b.records,
    bytes: a.bytes + b.bytes,
    deadLetters: addByKey(a.deadLetters, b.deadLetters),
    skipped: addByKey(a.skipped, b.skipped),
  };
}

type CountByKey<K extends string> = Readonly<Partial<Record<K, number>>>;

function addByKey<K extends string>(a: CountByKey<K>, b: CountByKey<K>): CountByKey<K> {
  const sum: Partial<Record<K, number>> = { ...a };
  for (const key of Object.keys(b) as K[]) sum[key] = (sum[key] ?? 0) + (b[key] ?? 0);
  return sum;
}

function mergeTimes(a: BatchTimes, b: BatchTimes): BatchTimes {
  return {
    firstMs: chooseTime(a.firstMs, b.firstMs, Math.min),
    lastMs: chooseTime(a.lastMs, b.lastMs, Math.max),
    sealedMs: chooseTime(a.sealedMs, b.sealedMs, Math.max),
  };
}

function chooseTime(x: number | null, y: number | null, choose: (x: number, y: number) => number): number | null {
  return x === null || y === null ? (x ?? y) : choose(x, y);
}

function mergeExtra(a: readonly ExtraField[], b: readonly ExtraField[]): ExtraField[] {
  const rows = new Map<string, number>();
  for (const field of [...a, ...b]) rows.set(field.path, (rows.get(field.path) ?? 0) + field.rows);
  const fields = [...rows].map(([path, count]) => ({ path, rows: count }));
  return fields.sort((x, y) => compareText(x.path, y.path)).slice(0, EXTRA_FIELDS_MAX);
}

/** Extra fields that a profile lists. */
export const EXTRA_FIELDS_MAX = 128;

function mergeColumns(a: ColumnProfile, b: ColumnProfile): ColumnProfile {
  return {
    name: a.name,
    type: a.type,
    nulls: a.nulls + b.nulls,
    absent: a.absent + b.absent,
    inexact: a.inexact + b.inexact,
    negativeZero: a.negativeZero + b.negativeZero,
    suspiciousText: a.suspiciousText + b.suspiciousText,
    numeric: a.numeric === null || b.numeric === null ? null : mergeNumeric(a.numeric, b.numeric),
    text: a.text === null || b.text === null ? null : mergeText(a.text, b.text),
    boolean:
      a.boolean === null || b.boolean === null
        ? null
        : { trues: a.boolean.trues + b.boolean.trues, falses: a.boolean.falses + b.boolean.falses },
  };
}

/** Mean and sum of squared deviations of both. Source: Chan, Golub, LeVeque, "Updating formulae" (1979). */
function mergeMoments(countA: number, meanA: number, m2A: number, countB: number, meanB: number, m2B: number) {
  const count = countA + countB;
  if (count === 0) return { mean: 0, m2: 0 };
  const delta = meanB - meanA;
  return { mean: meanA + delta * (countB / count), m2: m2A + m2B + delta * delta * countA * (countB / count) };
}

function mergeNumeric(a: NumericProfile, b: NumericProfile): NumericProfile {
  const kll = readKll(a);
  kll.merge(readKll(b));
  const { mean, m2 } = mergeMoments(a.count, a.mean, a.m2, b.count, b.mean, b.m2);
  const lowest = sortTogether(a.lowest, b.lowest);
  const highest = sortTogether(a.highest, b.highest);
  return {
    count: a.count + b.count,
    nonFinite: a.nonFinite + b.nonFinite,
    min: kll.min + 0,
    max: kll.max + 0,
    mean,
    m2,
    zeros: a.zeros + b.zeros,
    negatives: a.negatives + b.negatives,
    integers: a.integers + b.integers,
    lowest: encodeNumbers(lowest.subarray(0, EXTREMES_MAX)),
    highest: encodeNumbers(highest.subarray(Math.max(0, highest.length - EXTREMES_MAX))),
    kll: kll.toState(),
  };
}

function sortTogether(a: string, b: string): Float64Array {
  return Float64Array.from([...readNumbers(a), ...readNumbers(b)]).sort();
}

function mergeText(a: TextProfile, b: TextProfile): TextProfile {
  const distinct = readDistinct(a);
  distinct.merge(readDistinct(b));
  const moments = mergeMoments(a.count, a.lengthMean, a.lengthM2, b.count, b.lengthMean, b.lengthM2);
  const filled = [a, b].filter((part) => part.count > 0);
  return {
    count: a.count + b.count,
    distinct: distinct.toText(),
    lengthMean: moments.mean,
    lengthM2: moments.m2,
    lengthMin: filled.length === 0 ? 0 : Math.min(...filled.map((part) => part.lengthMin)),
    lengthMax: Math.max(a.lengthMax, b.lengthMax),
    top: mergeTop(a.top, b.top),
  };
}

/** Rows of both samples, each in proportion to the batch it stands for, evenly thinned. */
function mergeSamples(a: Profile, b: Profile, columns: readonly ColumnProfile[]): RowSample {
  const left = a.sample!;
  const right = b.sample!;
  const total = left.rows + right.rows;
  const scale = Math.min(1, SAMPLE_ROWS_MAX / Math.max(1, total));
  const share = a.rows / Math.max(1, a.rows + b.rows);
  const room = Math.floor(total * scale);
  const fromLeft = Math.min(left.rows, Math.max(room - right.rows, Math.round(room * share)));
  const fromRight = Math.min(right.rows, room - fromLeft);
  const merged = left.columns.map((column, i) => {
    const tops = [a, b].map((part) => part.columns.find(({ name }) => name === column.name)?.text?.top.values ?? null);
    const places = columns
      .find(({ name }) => name === column.name)
      ?.text?.top.values.map((value, at) => [value, at] as const);
    const index = new Map(places);
    const recode = (value: number, values: readonly string[] | null): number =>
      values === null || Number.isNaN(value) ? value : (index.get(values[value] ?? '') ?? -1);
    const values = [
      ...thin(readNumbers(column.values), fromLeft).map((value) => recode(value, tops[0]!)),
      ...thin(readNumbers(right.columns[i]!.values), fromRight).map((value) => recode(value, tops[1]!)),
    ];
    return { name: column.name, values: encodeNumbers(values) };
  });
  return { rows: fromLeft + fromRight, columns: merged };
}

/** `count` of the values, evenly spread. */
function thin(values: Float64Array, count: number): number[] {
  return Array.from({ length: count }, (_, i) => values[Math.floor((i * values.length) / count)]!);
}

function mergeBound(a: BoundCounts | null, b: BoundCounts | null): BoundCounts | null {
  if (a === null || b === null || a.baseline !== b.baseline) return null;
  // Counts that do not line up were not made by us; the sketches answer instead.
  if (a.columns.some(({ name }, i) => name !== b.columns[i]?.name) || a.columns.length !== b.columns.length)
    return null;
  const columns = a.columns.map(({ name, bins, byLabel }, i) => ({
    name,
    bins: addNumbers(bins, b.columns[i]!.bins),
    byLabel: addNumbers(byLabel, b.columns[i]!.byLabel),
  }));
  const losses = a.losses === null || b.losses === null ? null : addLosses(a.losses, b.losses);
  return { baseline: a.baseline, columns, losses };
}

/** Sums place by place; empty if either is, or if they do not line up. */
function addNumbers(a: string, b: string): string {
  const sum = a === '' ? null : readNumbers(a);
  const more = b === '' ? null : readNumbers(b);
  if (sum === null || more === null || sum.length !== more.length) return '';
  for (const [i, value] of more.entries()) sum[i]! += value;
  return encodeNumbers(sum);
}

function readNumbers(text: string): Float64Array {
  return known(decodeNumbers(text, Number.MAX_SAFE_INTEGER));
}

function readKll(numeric: NumericProfile): KllSketch {
  return known(KllSketch.fromState(numeric.kll));
}

function readDistinct(text: TextProfile): DistinctCounter {
  return known(DistinctCounter.fromText(text.distinct));
}

function known<T>(value: T | null): T {
  if (value === null)
    throw new TypeError('Cannot merge a profile that was not checked: one of its sketches is malformed');
  return value;
}
