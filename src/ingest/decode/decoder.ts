import type { DecodedColumns } from '../../record/columns.ts';

/**
 * Decodes record values straight into columns, one row at a time, under one pinned schema.
 *
 * Trust: the bytes are hostile. A decoder never throws for them, never recurses deeper than DEPTH_MAX, and blocks for
 * time linear in their length.
 */
export interface Decoder {
  /** Rows decoded since the last `take`. */
  readonly rows: number;
  /** Rows of the last batch under the schema: what comes now is likely as much. 0 if there was none. */
  readonly rowsExpected: number;
  /**
   * Column of the schema that could not take its value, after `decode` has returned `wrong-type` or `unrepresentable`; the
   * first column below where a value stands in the place of an object. Means nothing after any other answer.
   */
  readonly refusedColumn: number;
  /**
   * Appends the record `bytes[start, start + length)` as one row. A length of −1 is a null value (a dead letter).
   * @param bytes Must not change during the call; nothing of it is kept after the next `take`.
   * @returns 0, or a code of DEAD_LETTER_REASONS; then no row was added and no count of any column changed.
   * @throws {RangeError} only if one text column has gathered 2^31 bytes of distinct values: the caller must `take` at
   * the latest after 2^31 bytes of records, which no batch comes near.
   */
  decode(bytes: Uint8Array, start: number, length: number): number;
  /** All rows since the last call, as columns that the decoder will not touch again; starts an empty set of rows. */
  take(): DecodedColumns;
}
