import type { DecodedColumns } from '../record/columns.ts';
import type { DeadLetterReason } from '../record/dead-letter.ts';
import type { SkipReason } from '../record/chunk.ts';
import type { ColumnType } from '../record/schema.ts';
import { schemaDigest } from '../record/schema.ts';
import type { PreparedBaseline } from './baseline/prepare.ts';
import { BatchBinder } from './profile/bound.ts';
import type { BoundCounts } from './profile/bound.ts';
import { measureColumn } from './profile/measure-column.ts';
import { NullPatterns } from './profile/null-patterns.ts';
import { countLabels } from './profile/labels.ts';
import { sampleRows } from './profile/row-sample.ts';
import type { RowSample } from './profile/row-sample.ts';
import { evaluateRules } from './rules.ts';
import type { CompiledRule, RuleOutcome } from './rules.ts';
import type { KllState } from './sketch/kll.ts';
import type { RowHashes, RowHashSketch } from './sketch/row-hashes.ts';
import { compareText } from './sketch/top-values.ts';
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
  readonly unrepresentable: number;
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

/** What {@link buildProfile} measures. */
export interface ProfileInput {
  readonly columns: DecodedColumns;
  readonly roles: Roles;
  readonly counts: BatchCounts;
  readonly times: BatchTimes;
  /** Fed with the raw value of every record while reading; null = replay is not looked for. */
  readonly rowHashes: RowHashSketch | null;
  /** 32 bits for the coins of the sketches and the choice of sampled rows. Same seed, same bytes. */
  readonly seed: number;
  /** Baseline in force, so that rows can be counted in its bins; null before there is one. */
  readonly baseline: PreparedBaseline | null;
  readonly rules: readonly CompiledRule[];
}

/** Measures one batch. Same input, same profile, on any machine.
 * Cost: about 0.1 µs a value and one sort of nothing larger than a sketch's buffer. */
export function buildProfile(input: ProfileInput): Profile {
  const { columns: decoded, seed } = input;
  const names = new Set(decoded.schema.columns.map((column) => column.name));
  const known = (name: string | null): string | null => (name !== null && names.has(name) ? name : null);
  const roles = { label: known(input.roles.label), source: known(input.roles.source), time: known(input.roles.time) };
  const sampled = roles.label === null ? null : sampleRows(decoded.rows, seed);
  const binder = input.baseline === null ? null : new BatchBinder(input.baseline, decoded, roles.label);
  const scratch = { aligned: new Float64Array(decoded.rows), dense: new Float64Array(decoded.rows) };
  const nullPatterns = new NullPatterns(decoded.rows);
  let labels: TopValues | null = null;
  const columns = decoded.columns.map((data, i) => {
    const measured = measureColumn(data, decoded.rows, scratch, seed + i);
    nullPatterns.add(data);
    sampled?.add(data, scratch.aligned, measured.text?.top ?? null);
    binder?.add(data, scratch.aligned);
    if (measured.name === roles.label) labels = countLabels(measured, scratch.aligned, decoded.rows);
    return measured;
  });
  return {
    version: 1,
    schema: schemaDigest(decoded.schema),
    roles,
    counts: input.counts,
    times: input.times,
    parts: 1,
    rows: decoded.rows,
    columns,
    nullPatterns: nullPatterns.finish(),
    extraFields: [...decoded.extraFields]
      .map(([path, rows]) => ({ path, rows }))
      .sort((a, b) => compareText(a.path, b.path)),
    labels,
    sample: sampled?.finish() ?? null,
    rowHashes: input.rowHashes?.toRowHashes() ?? null,
    rules: evaluateRules(input.rules, input),
    bound: binder?.finish() ?? null,
  };
}
