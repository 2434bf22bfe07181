import type { ColumnData, TextData, TextDictionary } from '../../record/columns.ts';
import type { ColumnProfile, NumericProfile, TextProfile } from '../profile.ts';
import { encodeNumbers } from '../sketch/array-text.ts';
import { ByteHash } from '../sketch/hash.ts';
import { DistinctCounter } from '../sketch/hyperloglog.ts';
import { KllSketch } from '../sketch/kll.ts';
import { takeTop, TOP_VALUES_MAX } from '../sketch/top-values.ts';
import type { TopValues } from '../sketch/top-values.ts';
import { dictionaryValue } from './dictionary-value.ts';
import { readNumbers } from './read-numbers.ts';

/** Smallest and largest values that are kept exactly: tails are where a quantile sketch is blind. */
export const EXTREMES_MAX = 16;
/** Values are clamped to ± this in means and deviations: its square times 2^53 is still finite (matrix V16). */
export const MOMENT_CLAMP = 1e140;

/** Buffers shared by the columns of one batch. */
export interface ColumnScratch {
  /** Value of each row, NaN where null; filled by {@link measureColumn} for numeric, timestamp and boolean columns. */
  readonly aligned: Float64Array;
  /** The same without the nulls. */
  readonly dense: Float64Array;
}

/** Values used more often than this share one histogram cell when the most used are chosen. */
const USES_MAX = 4_096;

/** Hash seed of distinct counts: fixed, since counters of all batches must merge. */
const DISTINCT_SEED = 0x5eed;

/** Measures the first `rows` rows of one column and leaves their numbers in `scratch`. */
export function measureColumn(data: ColumnData, rows: number, scratch: ColumnScratch, seed: number): ColumnProfile {
  const { name, type } = data.column;
  const common = { name, type, nulls: data.nullCount, ...data.counts };
  const empty = { numeric: null, text: null, boolean: null };
  if (data.kind === 'text') return { ...common, ...empty, text: measureText(data, rows) };
  readNumbers(data, rows, scratch.aligned);
  if (data.kind === 'boolean') {
    let trues = 0;
    for (let row = 0; row < rows; row++) if (scratch.aligned[row] === 1) trues += 1;
    return { ...common, ...empty, boolean: { trues, falses: rows - data.nullCount - trues } };
  }
  return { ...common, ...empty, numeric: measureNumbers(scratch, rows, data.nullCount, seed) };
}

function measureNumbers(scratch: ColumnScratch, rows: number, nulls: number, seed: number): NumericProfile {
  const { aligned, dense } = scratch;
  let count = 0;
  for (let row = 0; row < rows; row++) {
    const value = aligned[row]!;
    // False for NaN and infinities only.
    if (value - value === 0) dense[count++] = value;
  }
  const kll = new KllSketch(seed);
  kll.updateAll(dense, count);
  let zeros = 0;
  let negatives = 0;
  let integers = 0;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const value = dense[i]!;
    if (value === 0) zeros += 1;
    if (value < 0) negatives += 1;
    if (Math.floor(value) === value) integers += 1;
    sum += value > MOMENT_CLAMP ? MOMENT_CLAMP : value < -MOMENT_CLAMP ? -MOMENT_CLAMP : value;
  }
  const mean = count === 0 ? 0 : sum / count;
  let m2 = 0;
  for (let i = 0; i < count; i++) {
    const value = dense[i]!;
    const deviation = (value > MOMENT_CLAMP ? MOMENT_CLAMP : value < -MOMENT_CLAMP ? -MOMENT_CLAMP : value) - mean;
    m2 += deviation * deviation;
  }
  const { lowest, highest } = findExtremes(dense, count);
  const nonFinite = rows - nulls - count;
  const { min, max } = kll;
  return {
    count,
    nonFinite,
    min: min + 0,
    max: max + 0,
    mean: mean + 0,
    m2,
    zeros,
    negatives,
    integers,
    lowest: encodeNumbers(lowest),
    highest: encodeNumbers(highest),
    kll: kll.toState(),
  };
}

/** The EXTREMES_MAX smallest and largest of the first `count` values, rising. */
function findExtremes(values: Float64Array, count: number): { lowest: Float64Array; highest: Float64Array } {
  const size = Math.min(EXTREMES_MAX, count);
  const lowest = values.slice(0, size).sort();
  const highest = lowest.slice();
  let ceiling = lowest[size - 1]!;
  let floor = highest[0]!;
  for (let i = size; i < count; i++) {
    const value = values[i]!;
    if (value < ceiling) {
      let at = size - 1;
      for (; at > 0 && lowest[at - 1]! > value; at--) lowest[at] = lowest[at - 1]!;
      lowest[at] = value;
      ceiling = lowest[size - 1]!;
    }
    if (value > floor) {
      let at = 0;
      for (; at < size - 1 && highest[at + 1]! < value; at++) highest[at] = highest[at + 1]!;
      highest[at] = value;
      floor = highest[0]!;
    }
  }
  return { lowest, highest };
}

/** One pass over the codes, then work per distinct value only. */
function measureText(data: TextData, rows: number): TextProfile {
  const { codes, dictionary } = data;
  const uses = new Uint32Array(dictionary.size);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    const code = codes[row]!;
    if (code >= 0) {
      uses[code]! += 1;
      count += 1;
    }
  }
  const { lengthMean, lengthM2, lengthMin, lengthMax, distinct } = measureDistinct(dictionary, uses, count);
  const top = mostUsed(dictionary, uses);
  return { count, distinct, lengthMean, lengthM2, lengthMin, lengthMax, top };
}

/** Distinct values and lengths, from each value and the number of rows that use it. */
function measureDistinct(dictionary: TextDictionary, uses: Uint32Array, count: number) {
  const hash = new ByteHash(DISTINCT_SEED);
  const counter = new DistinctCounter();
  let lengthSum = 0;
  let lengthMin = count === 0 ? 0 : Infinity;
  let lengthMax = 0;
  for (let code = 0; code < dictionary.size; code++) {
    if (uses[code] === 0) continue;
    const start = dictionary.offsets[code]!;
    const length = dictionary.offsets[code + 1]! - start;
    hash.update(dictionary.bytes, start, length);
    counter.add(hash.high, hash.low);
    lengthSum += length * uses[code]!;
    if (length < lengthMin) lengthMin = length;
    if (length > lengthMax) lengthMax = length;
  }
  const lengthMean = count === 0 ? 0 : lengthSum / count;
  let lengthM2 = 0;
  for (let code = 0; code < dictionary.size; code++) {
    const deviation = dictionary.offsets[code + 1]! - dictionary.offsets[code]! - lengthMean;
    lengthM2 += uses[code]! * deviation * deviation;
  }
  return { distinct: counter.toText(), lengthMean, lengthM2, lengthMin, lengthMax };
}

/** The TOP_VALUES_MAX most used values; among equally used ones those that came first, so that only these become strings. */
function mostUsed(dictionary: TextDictionary, uses: Uint32Array): TopValues {
  const histogram = new Uint32Array(USES_MAX + 1);
  for (let code = 0; code < dictionary.size; code++) histogram[Math.min(uses[code]!, USES_MAX)]! += 1;
  let cut = USES_MAX;
  let room = TOP_VALUES_MAX;
  while (cut > 0 && histogram[cut]! <= room) room -= histogram[cut--]!;
  const values: string[] = [];
  const counts: number[] = [];
  let other = 0;
  for (let code = 0; code < dictionary.size; code++) {
    const used = uses[code]!;
    if (used === 0) continue;
    if (used > cut || (Math.min(used, USES_MAX) === cut && room > 0)) {
      if (used <= cut) room -= 1;
      values.push(dictionaryValue(dictionary, code));
      counts.push(used);
    } else other += used;
  }
  return takeTop(values, counts, other, other === 0 ? 0 : cut);
}
