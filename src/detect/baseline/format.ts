import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import { COLUMNS_MAX } from '../../record/schema.ts';
import { canonicalJson } from '../../record/canonical.ts';
import { BASELINE_BYTES_MAX } from '../../record/stored-limits.ts';
import { FAMILIES } from '../detectors/detector.ts';
import { BINS_MAX } from '../observe.ts';
import { decodeNumbers, encodeNumbers } from '../sketch/array-text.ts';
import { CausesSchema } from '../profile/dead-letters.ts';
import { ROW_HASH_SPACE, ROW_HASHES_MAX } from '../sketch/row-hashes.ts';
import {
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
import type { Baseline } from './baseline.ts';
import { binsOf } from './bins.ts';
import { HISTORY_MAX } from './calibrate.ts';
import { MODEL_COLUMNS_MAX, MODEL_LABELS_MAX } from './label-model.ts';
import type { ColumnReference } from './reference.ts';

const Positive = Type.Number({ exclusiveMinimum: 0 });

const ReferenceSchema = Exactly({
  name: Name,
  type: Type.Enum(['boolean', 'int64', 'float64', 'decimal', 'string', 'timestamp', 'json']),
  kind: Type.Enum(['numeric', 'text', 'boolean']),
  support: Count,
  neverNull: Type.Boolean(),
  neverAbsent: Type.Boolean(),
  numeric: OrNull(
    Exactly({
      edges: Type.Array(Finite, {
        minItems: 1,
        maxItems: BINS_MAX - 1,
      }),
      groups: Type.Array(
        Type.Integer({
          minimum: 0,
          maximum: 254,
        }),
        {
          minItems: 2,
          maxItems: BINS_MAX,
        },
      ),
      belowRange: Count,
      belowTail: Count,
      aboveTail: Count,
      aboveRange: Count,
      lowest: Finite,
      highest: Finite,
      tailLow: Finite,
      tailHigh: Finite,
      median: Finite,
      width: Positive,
      deviation: Type.Number({ minimum: 0 }),
      integer: Type.Boolean(),
      nonNegative: Type.Boolean(),
      moving: Type.Boolean(),
    }),
  ),
  text: OrNull(
    Exactly({
      values: Type.Array(Text, { maxItems: 256 }),
      closed: Type.Boolean(),
      identifier: Type.Boolean(),
    }),
  ),
});

const BaselineSchema = Exactly({
  version: Type.Literal(1),
  schema: Digest,
  roles: Exactly({
    label: OrNull(Name),
    source: OrNull(Name),
    time: OrNull(Name),
  }),
  batches: Count,
  rows: Count,
  undecodedMax: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  undecoded: Type.Optional(Exactly({ records: Count, deadLetters: Count, causes: CausesSchema })),
  columns: Type.Array(
    Exactly({
      reference: ReferenceSchema,
      bins: Numbers,
      unlisted: Count,
    }),
    { maxItems: COLUMNS_MAX },
  ),
  nullPatterns: TopValuesSchema,
  labels: OrNull(TopValuesSchema),
  model: OrNull(
    Exactly({
      labels: Type.Array(Text, {
        minItems: 2,
        maxItems: MODEL_LABELS_MAX,
      }),
      columns: Type.Array(
        Exactly({
          name: Name,
          features: Type.Integer({
            minimum: 1,
            maximum: 256,
          }),
          groups: Type.Array(
            Type.Integer({
              minimum: 0,
              maximum: 254,
            }),
            { maxItems: BINS_MAX },
          ),
        }),
        { maxItems: MODEL_COLUMNS_MAX },
      ),
      weights: Type.Array(Type.Array(Finite, { maxItems: 8192 }), { maxItems: MODEL_LABELS_MAX }),
    }),
  ),
  statistics: Type.Array(
    Exactly({
      id: Text,
      centre: Finite,
      spread: Type.Number({ minimum: 0 }),
      error: Positive,
      values: Numbers,
    }),
    { maxItems: COLUMNS_MAX * 64 },
  ),
  families: Type.Array(
    Exactly({
      family: Type.Enum([...FAMILIES]),
      location: Finite,
      scale: Positive,
      scores: Numbers,
    }),
    { maxItems: FAMILIES.length },
  ),
  past: Type.Array(
    Exactly({
      seedMark: Count,
      cutoff: Type.Integer({
        minimum: 0,
        maximum: ROW_HASH_SPACE,
      }),
      low: Numbers,
    }),
    { maxItems: HISTORY_MAX },
  ),
});

/** The exact bytes a baseline is stored, signed and digested as. */
export function encodeBaseline(baseline: Baseline): Uint8Array {
  const stored = {
    ...baseline,
    columns: baseline.columns.map(({ reference, counts }) => ({
      reference,
      bins: encodeNumbers(counts.bins),
      unlisted: counts.unlisted,
    })),
    statistics: baseline.statistics.map((history) => ({ ...history, values: encodeNumbers(history.values) })),
    families: baseline.families.map((law) => ({ ...law, scores: encodeNumbers(law.scores) })),
    // Signed, so that they take four bytes each.
    past: baseline.past.map((entry) => ({ ...entry, low: encodeNumbers(Int32Array.from(entry.low)) })),
  };
  return Buffer.from(canonicalJson(stored), 'utf8');
}

/** SHA-256 of {@link encodeBaseline}, hex. */
export function baselineDigest(baseline: Baseline): string {
  return createHash('sha256').update(encodeBaseline(baseline)).digest('hex');
}

/** The baseline of stored bytes.
 * Trust: `bytes` may be hostile until their digest was checked against a signed entry; shape, sizes and references between
 * parts are checked here, so that judging with it cannot fail.
 * @throws {IntegrityError} SIZE_EXCEEDED, PAYLOAD_INVALID. */
export function decodeBaseline(bytes: Uint8Array): Baseline {
  const stored = readStored('baseline', bytes, BASELINE_BYTES_MAX, BaselineSchema);
  const columns = stored.columns.map(({ reference, bins, unlisted }, i) => {
    const counts = { bins: read(bins, BINS_MAX), unlisted };
    const fault = referenceFault(reference, counts.bins.length);
    if (fault !== null) throw invalid('baseline', `column ${i} ${fault}`);
    return { reference, counts };
  });
  const names = new Set(columns.map(({ reference }) => reference.name));
  if (names.size !== columns.length) throw invalid('baseline', 'two columns have one name');
  const baseline: Baseline = {
    ...stored,
    columns,
    statistics: stored.statistics.map((entry) => ({ ...entry, values: read(entry.values, HISTORY_MAX) })),
    families: stored.families.map((law) => ({ ...law, scores: read(law.scores, HISTORY_MAX) })),
    past: stored.past.map((entry) => ({ ...entry, low: Uint32Array.from(read(entry.low, ROW_HASHES_MAX)).sort() })),
  };
  if (!modelFits(baseline)) throw invalid('baseline', 'its label model does not fit its columns');
  return baseline;
}

function read(text: string, countMax: number): Float64Array {
  const values = decodeNumbers(text, countMax);
  const finite = values !== null && values.every((value) => Number.isFinite(value));
  if (!finite) throw invalid('baseline', 'an array is malformed');
  return values;
}

function referenceFault(reference: ColumnReference, bins: number): string | null {
  const { kind, numeric, text } = reference;
  if ((kind === 'numeric') !== (numeric !== null) || (kind === 'text') !== (text !== null))
    return 'must have one kind of values';
  if (kind === 'boolean') return bins === 2 ? null : 'must have two bins';
  if (text !== null) return bins === text.values.length ? null : 'does not have a bin a value';
  const { edges, groups, belowRange, belowTail, aboveTail, aboveRange } = numeric!;
  if (bins !== edges.length + 1 || groups.length !== bins) return 'does not have a bin between edges';
  if (edges.some((edge, i) => i > 0 && edge <= edges[i - 1]!)) return 'has edges that do not rise';
  const limits = [belowRange, belowTail, aboveTail, aboveRange].some((limit) => limit < 1 || limit > edges.length);
  return !risesByOne(groups) || limits ? 'has bins out of order' : null;
}

/** True for 0, 0, 1, 1, 2 …: groups without gaps. */
function risesByOne(groups: readonly number[]): boolean {
  return groups.every((group, i) => (i === 0 ? group === 0 : group === groups[i - 1]! || group === groups[i - 1]! + 1));
}

function modelFits({ model, columns }: Baseline): boolean {
  if (model === null) return true;
  const size = model.columns.reduce((sum, column) => sum + column.features, 1);
  const lists = model.labels.length === 2 ? 1 : model.labels.length;
  const known = model.columns.every(({ name, features, groups }) => {
    const reference = columns.find((column) => column.reference.name === name)?.reference;
    if (reference === undefined) return false;
    if (reference.numeric === null) return groups.length === 0 && binsOf(reference).features === features;
    return groups.length === reference.numeric.groups.length && risesByOne(groups) && features === groups.at(-1)! + 2;
  });
  return known && model.weights.length === lists && model.weights.every((weights) => weights.length === size);
}
