import type { ColumnData, DecodedColumns } from '../../record/columns.ts';
import { featuresOfNumbers, featuresOfText } from '../baseline/bins.ts';
import { measureLosses } from '../baseline/label-model.ts';
import type { LabelLosses } from '../baseline/label-model.ts';
import type { PreparedBaseline } from '../baseline/prepare.ts';
import type { BoundCounts } from '../profile.ts';
import { encodeNumbers } from '../sketch/array-text.ts';
import { labelIndexes } from './labels.ts';

/** Counts a batch in the bins of a baseline, column by column. */
export class BatchBinder {
  readonly #prepared: PreparedBaseline;
  readonly #rows: number;
  readonly #label: string | null;
  readonly #columns: {
    readonly name: string;
    readonly bins: string;
    readonly features: Uint8Array;
    readonly size: number;
  }[] = [];
  #labels: Int16Array | null = null;

  constructor(prepared: PreparedBaseline, decoded: DecodedColumns, label: string | null) {
    this.#prepared = prepared;
    this.#rows = decoded.rows;
    this.#label = label;
  }

  /** Adds a column; `aligned` holds the value of each row, NaN where null (unused for text). */
  add(data: ColumnData, aligned: Float64Array): void {
    const { model } = this.#prepared.baseline;
    const { name, type } = data.column;
    if (name === this.#label && model !== null) this.#labels = labelIndexes(data, aligned, this.#rows, model.labels);
    const bins = this.#prepared.bins.get(name);
    if (bins === undefined || bins.type !== type) return;
    // Text bins are its listed values, which the profile counts exactly; only the model needs its features.
    if (data.kind === 'text') {
      const used = model?.columns.some((column) => column.name === name) === true;
      if (used) this.#push(name, '', featuresOfText(bins, data, this.#rows), bins.features);
      return;
    }
    const counts = data.kind === 'boolean' ? null : new Uint32Array(bins.edges.length + 1);
    const features = featuresOfNumbers(bins, aligned, this.#rows, counts);
    this.#push(name, counts === null ? '' : encodeNumbers(counts), features, bins.features);
  }

  finish(): BoundCounts {
    const { model } = this.#prepared.baseline;
    const labels = this.#labels;
    const columns = this.#columns.map(({ name, bins, features, size }) => {
      const byLabel =
        model === null || labels === null ? '' : this.#contingency(labels, model.labels.length, features, size);
      return { name, bins, byLabel };
    });
    return { baseline: this.#prepared.digest, columns, losses: labels === null ? null : this.#losses(labels) };
  }

  #push(name: string, bins: string, features: Uint8Array, size: number): void {
    this.#columns.push({ name, bins, features, size });
  }

  #contingency(labels: Int16Array, count: number, features: Uint8Array, size: number): string {
    const table = new Uint32Array(count * size);
    for (let row = 0; row < this.#rows; row++) if (labels[row]! >= 0) table[labels[row]! * size + features[row]!]! += 1;
    return encodeNumbers(table);
  }

  #losses(labels: Int16Array): LabelLosses | null {
    const { model } = this.#prepared.baseline;
    if (model === null) return null;
    const features = model.columns.map(({ name }) => this.#columns.find((column) => column.name === name)?.features);
    if (features.some((codes) => codes === undefined)) return null;
    return measureLosses(model, { count: this.#rows, features: features as Uint8Array[], labels });
  }
}
