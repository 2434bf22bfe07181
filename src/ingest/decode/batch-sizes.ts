import type { Schema } from '../../record/schema.ts';

/**
 * How much the last batch under a schema held: the next one is likely as large, so one allocation can stand for a series
 * of doublings. Only a guess, shared by all decoders of the schema; no result depends on it.
 */
export interface BatchSizes {
  rows: number;
  /** Distinct values of each column and their bytes together; 0 where a column has no dictionary. */
  readonly values: Int32Array;
  readonly valueBytes: Int32Array;
}

const SIZES = new WeakMap<Schema, BatchSizes>();

/** Sizes of the last batch under `schema`; all 0 if there was none. */
export function sizesOf(schema: Schema): BatchSizes {
  const known = SIZES.get(schema);
  if (known !== undefined) return known;
  const count = schema.columns.length;
  const sizes = { rows: 0, values: new Int32Array(count), valueBytes: new Int32Array(count) };
  SIZES.set(schema, sizes);
  return sizes;
}
