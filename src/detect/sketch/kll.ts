import { decodeNumbers, encodeNumbers } from './array-text.ts';

/** Default size of the top compactor: rank error about 0.6 % of the count (99 % of the time below 1.2 %). */
export const KLL_K = 256;
/** Bounds of `k`; a text with any other k is refused. */
export const KLL_K_MIN = 16;
export const KLL_K_MAX = 4_096;

const LEVEL_CAPACITY_MIN = 8;
const LEVELS_MAX = 48;

/** A stored sketch: plain data, exact. */
export interface KllState {
  readonly k: number;
  readonly count: number;
  /** Smallest and largest value seen; 0 when `count` is 0. */
  readonly min: number;
  readonly max: number;
  /** State of the coin, so that a sketch read back goes on as if it had never been stored. */
  readonly coin: number;
  /** Items of each level, in text form; an item of level h stands for 2^h values. */
  readonly levels: readonly string[];
}

/**
 * Quantile sketch: any rank of any number of values within a fraction of a per cent, in about 3k numbers, mergeable.
 *
 * Level 0 collects values; a full level is sorted and every second item, beginning at a coin's toss, moves up with twice
 * the weight. The coin is seeded: same values in the same order and same merges give the same bytes.
 * Exact as long as no level was compacted (`count` ≤ k).
 * Source: Karnin, Lang, Liberty, "Optimal quantile approximation in streams" (FOCS 2016).
 */
export class KllSketch {
  readonly k: number;
  #count = 0;
  #min = 0;
  #max = 0;
  #coin: number;
  /** Level 0 in order of arrival, all others sorted. Capacities shrink downward from k by 2/3 a level; level 0 keeps k. */
  readonly #levels: Float64Array[];
  readonly #sizes: number[];

  /** @param seed any 32-bit integer.
   * @param k size of the largest compactor, 16–4,096.
   * @throws {RangeError} for another k. */
  constructor(seed: number, k: number = KLL_K) {
    if (!Number.isInteger(k) || k < KLL_K_MIN || k > KLL_K_MAX) {
      throw new RangeError(`Cannot make a quantile sketch with k = ${k}: it must be ${KLL_K_MIN} to ${KLL_K_MAX}`);
    }
    this.k = k;
    this.#coin = (seed | 0) === 0 ? 0x1d872b41 : seed | 0;
    this.#levels = [new Float64Array(k)];
    this.#sizes = [0];
  }

  /** Number of values seen. */
  get count(): number {
    return this.#count;
  }

  /** Smallest value seen; 0 when there is none. */
  get min(): number {
    return this.#min;
  }

  /** Largest value seen; 0 when there is none. */
  get max(): number {
    return this.#max;
  }

  /** Adds one finite value. NaN and infinities are the caller's to keep out. Cost: about 50 ns. */
  update(value: number): void {
    const level = this.#levels[0]!;
    if (this.#sizes[0] === this.k) this.#compactFrom(0);
    level[this.#sizes[0]!++] = value;
    if (this.#count === 0) {
      this.#min = value;
      this.#max = value;
    } else if (value < this.#min) this.#min = value;
    else if (value > this.#max) this.#max = value;
    this.#count += 1;
  }

  /** Adds the first `count` of `values`, as {@link update} would one by one. */
  updateAll(values: Float64Array, count: number): void {
    let at = 0;
    while (at < count) {
      if (this.#sizes[0] === this.k) this.#compactFrom(0);
      const take = Math.min(count - at, this.k - this.#sizes[0]!);
      this.#levels[0]!.set(values.subarray(at, at + take), this.#sizes[0]);
      this.#sizes[0]! += take;
      at += take;
    }
    if (count === 0) return;
    let min = this.#count === 0 ? values[0]! : this.#min;
    let max = this.#count === 0 ? values[0]! : this.#max;
    for (let i = 0; i < count; i++) {
      const value = values[i]!;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    this.#min = min;
    this.#max = max;
    this.#count += count;
  }

  /** Adds everything `other` has seen.
   * @throws {RangeError} if the sketches differ in k. */
  merge(other: KllSketch): void {
    if (other.k !== this.k) throw new RangeError(`Cannot merge quantile sketches of k = ${this.k} and k = ${other.k}`);
    if (other.#count === 0) return;
    for (let h = other.#levels.length - 1; h >= 1; h--) {
      this.#addLevelsTo(h);
      this.#mergeInto(h, other.#levels[h]!, other.#sizes[h]!);
    }
    for (let i = 0; i < other.#sizes[0]!; i++) {
      if (this.#sizes[0] === this.k) this.#compactFrom(0);
      this.#levels[0]![this.#sizes[0]!++] = other.#levels[0]![i]!;
    }
    for (let h = 1; h < this.#levels.length; h++) if (this.#sizes[h]! > this.#capacity(h)) this.#compactFrom(h);
    this.#min = this.#count === 0 ? other.#min : Math.min(this.#min, other.#min);
    this.#max = this.#count === 0 ? other.#max : Math.max(this.#max, other.#max);
    this.#count += other.#count;
  }

  /** A frozen, sorted view for queries. Cost: one sort of level 0 and one merge, about 15 µs. */
  view(): KllView {
    let values = this.#levels[0]!.slice(0, this.#sizes[0]).sort();
    let weights = new Float64Array(values.length).fill(1);
    for (let h = 1; h < this.#levels.length; h++) {
      const items = this.#levels[h]!;
      const size = this.#sizes[h]!;
      const mergedValues = new Float64Array(values.length + size);
      const mergedWeights = new Float64Array(values.length + size);
      const weight = 2 ** h;
      for (let i = 0, j = 0, o = 0; o < mergedValues.length; o++) {
        const fromBelow = j === size || (i < values.length && values[i]! <= items[j]!);
        mergedValues[o] = fromBelow ? values[i]! : items[j]!;
        mergedWeights[o] = fromBelow ? weights[i++]! : weight;
        if (!fromBelow) j++;
      }
      values = mergedValues;
      weights = mergedWeights;
    }
    return new KllView(values, weights, this.#count, this.#min, this.#max);
  }

  /** Plain data of the whole sketch. */
  toState(): KllState {
    const levels = this.#levels.map((items, h) => encodeNumbers(items, this.#sizes[h]));
    return { k: this.k, count: this.#count, min: this.#min + 0, max: this.#max + 0, coin: this.#coin, levels };
  }

  /** The sketch of a state that {@link toState} wrote; null if it cannot be one.
   * Trust: `state` has the right types but may be hostile otherwise: sizes, order, weights and bounds are checked. */
  static fromState(state: KllState): KllSketch | null {
    if (!Number.isInteger(state.k) || state.k < KLL_K_MIN || state.k > KLL_K_MAX) return null;
    if (state.levels.length === 0 || state.levels.length > LEVELS_MAX || state.coin === 0) return null;
    const sketch = new KllSketch(state.coin, state.k);
    let weight = 0;
    for (const [h, text] of state.levels.entries()) {
      const items = decodeNumbers(text, 2 * state.k);
      if (items === null || (h === 0 && items.length > state.k)) return null;
      for (let i = 0; i < items.length; i++) {
        if (!(items[i]! >= state.min && items[i]! <= state.max)) return null;
        if (h > 0 && i > 0 && items[i]! < items[i - 1]!) return null;
      }
      sketch.#addLevelsTo(h);
      sketch.#levels[h]!.set(items);
      sketch.#sizes[h] = items.length;
      weight += items.length * 2 ** h;
    }
    if (weight !== state.count) return null;
    sketch.#count = state.count;
    sketch.#min = state.min;
    sketch.#max = state.max;
    return sketch;
  }

  /** Makes room at level `h` by moving half of it up, and above as far as needed. */
  #compactFrom(start: number): void {
    for (let h = start; ; h++) {
      this.#addLevelsTo(h + 1);
      const items = this.#levels[h]!;
      const size = this.#sizes[h]!;
      const sorted = items.subarray(0, size);
      if (h === 0) sorted.sort();
      // An odd item out stays behind, so that the weights still add up to the count.
      const odd = size & 1;
      const kept = sorted[0]!;
      const offset = odd + this.#toss();
      const half = (size - odd) / 2;
      for (let i = 0; i < half; i++) items[i] = items[offset + 2 * i]!;
      this.#mergeInto(h + 1, items, half);
      items[0] = kept;
      this.#sizes[h] = odd;
      if (this.#sizes[h + 1]! <= this.#capacity(h + 1)) return;
    }
  }

  /** Merges `size` sorted items into level `h`, whose buffer always has room for two full halves. */
  #mergeInto(h: number, items: Float64Array, size: number): void {
    let level = this.#levels[h]!;
    const before = this.#sizes[h]!;
    if (before + size > level.length) {
      const grown = new Float64Array(2 * (before + size));
      grown.set(level.subarray(0, before));
      this.#levels[h] = grown;
      level = grown;
    }
    for (let i = before - 1, j = size - 1, o = before + size - 1; j >= 0; o--) {
      level[o] = i >= 0 && level[i]! > items[j]! ? level[i--]! : items[j--]!;
    }
    this.#sizes[h] = before + size;
  }

  #capacity(h: number): number {
    const depth = this.#levels.length - 1 - h;
    let capacity = this.k;
    for (let i = 0; i < depth && capacity > LEVEL_CAPACITY_MIN; i++) capacity = Math.ceil((capacity * 2) / 3);
    return Math.max(LEVEL_CAPACITY_MIN, capacity);
  }

  #addLevelsTo(h: number): void {
    while (this.#levels.length <= h) {
      this.#levels.push(new Float64Array(2 * this.k));
      this.#sizes.push(0);
    }
  }

  /** Next toss, 0 or 1. Source: Marsaglia, "Xorshift RNGs" (2003). */
  #toss(): number {
    let x = this.#coin;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#coin = x;
    return (x >>> 15) & 1;
  }
}

/** Sorted items with their weights: answers ranks and quantiles. */
export class KllView {
  readonly values: Float64Array;
  /** Number of values at or below `values[i]`. */
  readonly #cumulative: Float64Array;
  readonly count: number;
  readonly #min: number;
  readonly #max: number;

  constructor(values: Float64Array, weights: Float64Array, count: number, min: number, max: number) {
    this.values = values;
    this.#cumulative = weights;
    for (let i = 1; i < weights.length; i++) weights[i]! += weights[i - 1]!;
    this.count = count;
    this.#min = min;
    this.#max = max;
  }

  /** Estimated number of values ≤ x; exact at and beyond the smallest and largest value. */
  rank(x: number): number {
    if (this.count === 0 || x < this.#min) return 0;
    if (x >= this.#max) return this.count;
    let low = 0;
    let high = this.values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.values[middle]! <= x) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : this.#cumulative[low - 1]!;
  }

  /** Estimated value below which a share `q` in [0, 1] of all values lies; 0 when there is none. */
  quantile(q: number): number {
    if (this.count === 0) return 0;
    if (q <= 0) return this.#min;
    if (q >= 1) return this.#max;
    const target = q * this.count;
    let low = 0;
    let high = this.values.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#cumulative[middle]! >= target) high = middle;
      else low = middle + 1;
    }
    return this.values[low]!;
  }
}
