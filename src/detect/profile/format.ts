import { Type } from 'typebox';
import { DEAD_LETTER_REASONS } from '../../record/dead-letter.ts';
import { COLUMNS_MAX } from '../../record/schema.ts';
import { RULES_MAX } from '../rules/rule.ts';
import { canonicalJson } from '../../record/canonical.ts';
import type { ColumnProfile, Profile } from '../profile.ts';
import { decodeNumbers } from '../sketch/array-text.ts';
import { DistinctCounter } from '../sketch/hyperloglog.ts';
import { KllSketch } from '../sketch/kll.ts';
import { readRowHashes } from '../sketch/row-hashes.ts';
import type { TopValues } from '../sketch/top-values.ts';
import {
  checkStored,
  Count,
  Digest,
  Exactly,
  Finite,
  invalid,
  Name,
  Numbers,
  OrNull,
  readStored,
  Text,
  TopValuesSchema,
} from '../stored.ts';
import { CausesSchema } from './dead-letters.ts';
import { EXTREMES_MAX } from './measure-column.ts';
import { EXTRA_FIELDS_MAX } from './merge.ts';
import { SAMPLE_COLUMNS_MAX, SAMPLE_ROWS_MAX } from './row-sample.ts';

/** Largest profile that is read: 2,048 columns of 32 KiB. */
export const PROFILE_BYTES_MAX = 64 * 1024 * 1024;

const NumericSchema = Exactly({
  count: Count,
  nonFinite: Count,
  min: Finite,
  max: Finite,
  mean: Finite,
  m2: Type.Number({ minimum: 0 }),
  zeros: Count,
  negatives: Count,
  integers: Count,
  lowest: Numbers,
  highest: Numbers,
  kll: Exactly({
    k: Count,
    count: Count,
    min: Finite,
    max: Finite,
    coin: Type.Integer({
      minimum: -0x80000000,
      maximum: 0x7fffffff,
    }),
    levels: Type.Array(Numbers, { maxItems: 48 }),
  }),
});

const TextSchema = Exactly({
  count: Count,
  distinct: Type.String({ maxLength: 8192 }),
  lengthMean: Finite,
  lengthM2: Type.Number({ minimum: 0 }),
  lengthMin: Count,
  lengthMax: Count,
  top: TopValuesSchema,
});

const ColumnSchema = Exactly({
  name: Name,
  type: Type.Enum(['boolean', 'int64', 'float64', 'decimal', 'string', 'timestamp', 'json']),
  nulls: Count,
  absent: Count,
  inexact: Count,
  negativeZero: Count,
  suspiciousText: Count,
  numeric: OrNull(NumericSchema),
  text: OrNull(TextSchema),
  boolean: OrNull(
    Exactly({
      trues: Count,
      falses: Count,
    }),
  ),
});

const RuleSchema = Exactly({
  name: Name,
  kind: Type.Enum(['not_null', 'range', 'set', 'pattern', 'unique', 'row_count', 'freshness']),
  column: OrNull(Name),
  action: Type.Enum(['observe', 'quarantine', 'halt']),
  maxShare: Finite,
  checked: Count,
  violations: Count,
  value: OrNull(Finite),
  limits: Type.Tuple([OrNull(Finite), OrNull(Finite)]),
});

const LossesSchema = Exactly({
  rows: Count,
  loss: Finite,
  lossSquares: Finite,
  lossExpected: Finite,
  lossVariance: Finite,
  odds: Finite,
  oddsVariance: Finite,
  below2: Count,
  below10: Count,
  below50: Count,
});

const ProfileSchema = Exactly({
  version: Type.Literal(1),
  schema: Digest,
  roles: Exactly({ label: OrNull(Name), source: OrNull(Name), time: OrNull(Name) }),
  counts: Exactly({
    records: Count,
    bytes: Count,
    deadLetters: Exactly(Object.fromEntries(DEAD_LETTER_REASONS.map((reason) => [reason, Type.Optional(Count)]))),
    skipped: Exactly({ aborted: Type.Optional(Count), control: Type.Optional(Count), compacted: Type.Optional(Count) }),
  }),
  deadLetterCauses: Type.Optional(CausesSchema),
  times: Exactly({ firstMs: OrNull(Finite), lastMs: OrNull(Finite), sealedMs: OrNull(Finite) }),
  parts: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  rows: Count,
  columns: Type.Array(ColumnSchema, { maxItems: COLUMNS_MAX }),
  nullPatterns: TopValuesSchema,
  extraFields: Type.Array(Exactly({ path: Text, rows: Count }), { maxItems: EXTRA_FIELDS_MAX }),
  labels: OrNull(TopValuesSchema),
  sample: OrNull(
    Exactly({
      rows: Type.Integer({ minimum: 0, maximum: SAMPLE_ROWS_MAX }),
      columns: Type.Array(Exactly({ name: Name, values: Numbers }), { maxItems: SAMPLE_COLUMNS_MAX }),
    }),
  ),
  rowHashes: OrNull(Exactly({ rows: Count, seedMark: Count, hashes: Numbers, counts: Numbers })),
  rules: Type.Array(RuleSchema, { maxItems: RULES_MAX }),
  bound: OrNull(
    Exactly({
      baseline: Digest,
      columns: Type.Array(
        Exactly({
          name: Name,
          bins: Type.Union([Numbers, Type.Literal('')]),
          byLabel: Type.Union([Numbers, Type.Literal('')]),
        }),
        { maxItems: COLUMNS_MAX },
      ),
      losses: OrNull(LossesSchema),
    }),
  ),
});

/** The exact bytes a profile is stored and digested as. */
export function encodeProfile(profile: Profile): Uint8Array {
  return Buffer.from(canonicalJson(profile), 'utf8');
}

/** The profile of stored bytes.
 * Trust: `bytes` may be hostile. Shape, sizes and every sketch are checked, so that judging it cannot fail or lie about itself;
 * whether it tells the truth about its batch is for the signature that names its digest.
 * @throws {IntegrityError} SIZE_EXCEEDED, PAYLOAD_INVALID. */
export function decodeProfile(bytes: Uint8Array): Profile {
  return checkParts(readStored('profile', bytes, PROFILE_BYTES_MAX, ProfileSchema));
}

/** The profile inside of stored JSON that was parsed as a whole; its size was capped by the reader.
 * Trust: as for {@link decodeProfile}.
 * @throws {IntegrityError} PAYLOAD_INVALID. */
export function checkProfile(value: unknown): Profile {
  return checkParts(checkStored('profile', value, ProfileSchema));
}

function checkParts(profile: Profile): Profile {
  const names = new Set(profile.columns.map((column) => column.name));
  if (names.size !== profile.columns.length) throw invalid('profile', 'two columns have one name');
  for (const [i, column] of profile.columns.entries()) {
    const fault = columnFault(column, profile.rows);
    if (fault !== null) throw invalid('profile', `column ${i} ${fault}`);
  }
  for (const role of [profile.roles.label, profile.roles.source, profile.roles.time]) {
    if (role !== null && !names.has(role)) throw invalid('profile', 'a role names no column');
  }
  if (profile.rowHashes !== null && readRowHashes(profile.rowHashes) === null)
    throw invalid('profile', 'its row hashes do not add up');
  if (!isTop(profile.nullPatterns)) throw invalid('profile', 'its null patterns do not add up');
  if (profile.labels !== null && !isTop(profile.labels)) throw invalid('profile', 'its labels do not add up');
  for (const [i, { name, values }] of (profile.sample?.columns ?? []).entries()) {
    const fits = decodeNumbers(values, SAMPLE_ROWS_MAX)?.length === profile.sample?.rows;
    if (!fits || name !== profile.columns[i]?.name) throw invalid('profile', 'its sample does not fit its columns');
  }
  return profile;
}

function columnFault(column: ColumnProfile, rows: number): string | null {
  const { numeric, text, boolean } = column;
  if ([numeric, text, boolean].filter((part) => part !== null).length !== 1) return 'must have one kind of values';
  const filled = rows - column.nulls;
  if (filled < 0 || column.absent > column.nulls) return 'has more nulls than rows';
  if (boolean !== null) return boolean.trues + boolean.falses === filled ? null : 'does not add up';
  if (text !== null) {
    if (text.count !== filled || !isTop(text.top)) return 'does not add up';
    if (text.top.counts.reduce((sum, count) => sum + count, text.top.other) !== filled) return 'does not add up';
    return DistinctCounter.fromText(text.distinct) === null ? 'has a malformed distinct counter' : null;
  }
  const kll = KllSketch.fromState(numeric!.kll);
  if (kll === null || kll.count !== numeric!.count) return 'has a malformed quantile sketch';
  if (numeric!.count + numeric!.nonFinite !== filled) return 'does not add up';
  const lowest = decodeNumbers(numeric!.lowest, EXTREMES_MAX);
  const highest = decodeNumbers(numeric!.highest, EXTREMES_MAX);
  const size = Math.min(EXTREMES_MAX, numeric!.count);
  if (lowest?.length !== size || highest?.length !== size) return 'has malformed extremes';
  if (numeric!.min !== kll.min || numeric!.max !== kll.max) return 'has two ranges';
  if (size === 0) return null;
  const rises = (values: Float64Array): boolean =>
    values.every((value, i) => value >= (values[i - 1] ?? kll.min) && value <= kll.max);
  if (!rises(lowest) || !rises(highest) || lowest[0] !== kll.min || highest.at(-1) !== kll.max)
    return 'has malformed extremes';
  return null;
}

function isTop(top: TopValues): boolean {
  const rising = top.counts.some((count, i) => i > 0 && count > top.counts[i - 1]!);
  return top.values.length === top.counts.length && new Set(top.values).size === top.values.length && !rising;
}
