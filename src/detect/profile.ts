import type { SkipReason } from '../record/chunk.ts';
import type { DeadLetterCause, DeadLetterReason } from '../record/dead-letter.ts';
import type { ColumnType } from '../record/schema.ts';
import type { LabelLosses } from './baseline/label-model.ts';
import type { RowSample } from './profile/row-sample.ts';
import type { RuleOutcome } from './rules/rule.ts';
import type { KllState } from './sketch/kll.ts';
import type { RowHashes } from './sketch/row-hashes.ts';
import type { TopValues } from './sketch/top-values.ts';

/** What some columns mean. A name that the schema lacks is treated as null. */
export interface Roles {
  /** The target a model is trained on. */
  readonly label: string | null;
  /** Who produced the row. */
  readonly source: string | null;
  /** When what the row tells happened. */
  readonly time: string | null;
}

/** How many records a batch has and what became of them. */
export interface BatchCounts {
  /** Records of the batch, decoded or not. */
  readonly records: number;
  /** Bytes of their keys and values. */
  readonly bytes: number;
  /** Records that did not decode, by reason; reasons that did not occur are left out. */
  readonly deadLetters: Readonly<Partial<Record<DeadLetterReason, number>>>;
  /** Offsets without a record, by reason; reasons that did not occur are left out. */
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
}

/** Records that did not decode, of those that something is said of. */
export interface UndecodedRecords {
  /** All records, decoded or not. */
  readonly records: number;
  readonly deadLetters: number;
  /** What they did not decode for, the most frequent first. */
  readonly causes: readonly DeadLetterCause[];
}

/** Times of a batch in milliseconds since 1970 UTC; null where unknown. */
export interface BatchTimes {
  /** Smallest and largest record timestamp. */
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** When the batch was sealed, by the reader's clock. */
  readonly sealedMs: number | null;
}

/** Summary of the values of a numeric or timestamp column (timestamps in milliseconds). */
export interface NumericProfile {
  /** Finite values; all that follows is about them. */
  readonly count: number;
  /** Values that are NaN or infinite. */
  readonly nonFinite: number;
  readonly min: number;
  readonly max: number;
  /** Mean and sum of squared deviations, of values clamped to ± MOMENT_CLAMP so that nothing overflows. */
  readonly mean: number;
  readonly m2: number;
  readonly zeros: number;
  readonly negatives: number;
  /** Values without a fraction. */
  readonly integers: number;
  /** The smallest and the largest values with repeats, at most EXTREMES_MAX each, rising, in text form. */
  readonly lowest: string;
  readonly highest: string;
  readonly kll: KllState;
}

/** Summary of a text or JSON column. */
export interface TextProfile {
  readonly count: number;
  /** HyperLogLog registers in text form. */
  readonly distinct: string;
  /** Length in bytes of UTF-8: mean, sum of squared deviations, smallest, largest. */
  readonly lengthMean: number;
  readonly lengthM2: number;
  readonly lengthMin: number;
  readonly lengthMax: number;
  readonly top: TopValues;
}

/** Summary of one column; exactly one of `numeric`, `text`, `boolean` is not null. */
export interface ColumnProfile {
  readonly name: string;
  readonly type: ColumnType;
  readonly nulls: number;
  readonly absent: number;
  readonly inexact: number;
  readonly negativeZero: number;
  readonly suspiciousText: number;
  readonly numeric: NumericProfile | null;
  readonly text: TextProfile | null;
  readonly boolean: { readonly trues: number; readonly falses: number } | null;
}

/** A field outside the schema and the rows that had it. */
export interface ExtraField {
  readonly path: string;
  readonly rows: number;
}

/** Exact rows per bin of one column. */
export interface BoundColumn {
  readonly name: string;
  /** Rows in each fine bin, in text form; empty for columns that are not numeric. */
  readonly bins: string;
  /** Rows by label of the model and feature of the column (label-major, null last), in text form; empty without a model. */
  readonly byLabel: string;
}

/** What was counted row by row in the bins of one baseline. Means nothing to any other baseline. */
export interface BoundCounts {
  /** Digest of that baseline. */
  readonly baseline: string;
  readonly columns: readonly BoundColumn[];
  /** How well the baseline's label model explains the labels; null without one. */
  readonly losses: LabelLosses | null;
}

/**
 * Everything a detector may know of a batch: plain data, mergeable, a few kilobytes a column.
 *
 * Holds record values (top values, extremes, a sample of rows), so it is as confidential as the data.
 */
export interface Profile {
  readonly version: 1;
  /** SHA-256 of the schema, hex. */
  readonly schema: string;
  readonly roles: Roles;
  readonly counts: BatchCounts;
  /** What records did not decode for, the most frequent first; absent where all decode, and from before it was kept. */
  readonly deadLetterCauses?: readonly DeadLetterCause[];
  readonly times: BatchTimes;
  /** Batches it was merged from; 1 for a batch of its own. */
  readonly parts: number;
  /** Decoded rows: what the columns are about. */
  readonly rows: number;
  /** In schema order. */
  readonly columns: readonly ColumnProfile[];
  /** Rows by the set of their null columns; see NullPatterns. */
  readonly nullPatterns: TopValues;
  /** Sorted by path. */
  readonly extraFields: readonly ExtraField[];
  /** Rows by label; null without a label column. */
  readonly labels: TopValues | null;
  /** Rows kept as they are, for what no column alone can tell; null without a label column. */
  readonly sample: RowSample | null;
  readonly rowHashes: RowHashes | null;
  readonly rules: readonly RuleOutcome[];
  /** Exact counts in the bins of one baseline; null when none was given. */
  readonly bound: BoundCounts | null;
}
