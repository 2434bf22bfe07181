import type { ColumnData } from '../../record/columns.ts';
import { encodeNumbers } from '../sketch/array-text.ts';
import { finish } from '../sketch/hash.ts';
import type { TopValues } from '../sketch/top-values.ts';
import { dictionaryValue } from './dictionary-value.ts';

/** Rows of a batch that its profile keeps. */
export const SAMPLE_ROWS_MAX = 1_024;
/** Columns whose values are kept in the sample, in schema order. */
export const SAMPLE_COLUMNS_MAX = 64;

/** Values of the sampled rows in one column. */
export interface SampleColumn {
  readonly name: string;
  /**
   * One number a row, in text form, NaN = null: numbers rounded to 32-bit floats, booleans 0 and 1, text as the index of
   * its value in the column's top values, −1 for any other value.
   */
  readonly values: string;
}

/**
 * A few whole rows, spread evenly over the batch. From these a label model can be learned and tested later, without
 * reading the data again.
 */
export interface RowSample {
  readonly rows: number;
  readonly columns: readonly SampleColumn[];
}

/** Collects the sampled rows column by column. */
export class RowSampler {
  readonly #rows: Int32Array;
  readonly #columns: SampleColumn[] = [];

  constructor(rows: Int32Array) {
    this.#rows = rows;
  }

  /** Adds a column.
   * @param aligned value of each row of the batch, NaN where null (unused for text).
   * @param top the column's top values, if it is text. */
  add(data: ColumnData, aligned: Float64Array, top: TopValues | null): void {
    if (this.#columns.length === SAMPLE_COLUMNS_MAX) return;
    const values = new Float64Array(this.#rows.length);
    if (data.kind === 'text') {
      const places = new Map(top?.values.map((value, i) => [value, i]));
      // Looked up once per distinct value among the sampled rows, not once per dictionary entry.
      const byCode = new Map<number, number>();
      for (let i = 0; i < values.length; i++) {
        const code = data.codes[this.#rows[i]!]!;
        let place = code < 0 ? NaN : byCode.get(code);
        if (place === undefined) {
          place = places.get(dictionaryValue(data.dictionary, code)) ?? -1;
          byCode.set(code, place);
        }
        values[i] = place;
      }
    } else {
      for (let i = 0; i < values.length; i++) values[i] = Math.fround(aligned[this.#rows[i]!]!);
    }
    this.#columns.push({ name: data.column.name, values: encodeNumbers(values) });
  }

  finish(): RowSample {
    return { rows: this.#rows.length, columns: this.#columns };
  }
}

/** Chooses the rows of the sample: one from each of SAMPLE_ROWS_MAX equal stretches, or all rows of a small batch.
 * @param seed 32 bits; who does not know it cannot place a row outside the sample. */
export function sampleRows(rows: number, seed: number): RowSampler {
  const chosen = new Int32Array(Math.min(rows, SAMPLE_ROWS_MAX));
  for (let i = 0; i < chosen.length; i++) {
    const jitter = rows <= SAMPLE_ROWS_MAX ? 0 : (finish(seed ^ Math.imul(i + 1, 0x9e3779b1)) >>> 0) / 4_294_967_296;
    chosen[i] = Math.floor(((i + jitter) * rows) / chosen.length);
  }
  return new RowSampler(chosen);
}
