import type { Profile } from '../profile.ts';
import { labelOfNumber } from '../profile/labels.ts';
import { SAMPLE_ROWS_MAX } from '../profile/row-sample.ts';
import { decodeNumbers } from '../sketch/array-text.ts';
import { mergeTop, NO_VALUES } from '../sketch/top-values.ts';
import type { TopValues } from '../sketch/top-values.ts';
import { ln } from '../arithmetic.ts';
import { binsOf, featuresOfNumbers } from './bins.ts';
import type { ColumnBins } from './bins.ts';
import { fitLabelModel, measureLosses, MODEL_COLUMNS_MAX, MODEL_LABELS_MAX } from './label-model.ts';
import type { CodedRows, LabelLosses, LabelModel, ModelColumn } from './label-model.ts';
import { COARSE_BINS } from './reference.ts';
import type { ColumnReference } from './reference.ts';

/** Rows a model is fitted to at most; more change nothing that a batch could show. */
const FIT_ROWS_MAX = 40_000;
/** Rows a model needs. */
const FIT_ROWS_MIN = 500;
/** Batch i is scored by a model that never saw the batches i, i ± FOLDS, … */
const FOLDS = 5;
/** A label rarer than this is left out of the model. */
const LABEL_SHARE_MIN = 0.01;

/** A model of all learning batches, and how well models that never saw it explain each of them. */
export interface LearnedLabels {
  readonly model: LabelModel;
  readonly losses: readonly (LabelLosses | null)[];
}

/** Learns what labels should be from the row samples of profiles; null without a label or enough rows.
 * Out of sample by cross-fitting: interleaved folds, so that every model has seen all of the period.
 * Cost: FOLDS + 1 fits. */
export function learnLabels(profiles: readonly Profile[], columns: readonly ColumnReference[]): LearnedLabels | null {
  const labels = chooseLabels(profiles);
  if (labels.length < 2) return null;
  const { roles } = profiles[0]!;
  const usable = columns
    .filter(
      ({ name, numeric, text }) =>
        name !== roles.label && name !== roles.time && numeric?.moving !== true && text?.identifier !== true,
    )
    .map((column) =>
      binsOf(column, column.numeric?.edges.map((_, i) => i).concat(column.numeric.edges.length) ?? null),
    );
  const fine = profiles.map((profile) => codeSample(profile, usable, labels));
  const coarse = usable.map((bins, i) => coarsen(bins, tableOf(fine, i, labels.length, bins.features), labels.length));
  const coded = fine.map(
    (rows) => rows && { ...rows, features: rows.features.map((codes, i) => regroupCodes(codes, coarse[i]!.groups)) },
  );
  const chosen = chooseColumns(coded, coarse, labels.length);
  const model: ModelColumn[] = chosen.map((i) => ({
    name: usable[i]!.name,
    features: coarse[i]!.features,
    groups: coarse[i]!.kind === 'numeric' ? [...coarse[i]!.groups] : [],
  }));
  const batches = coded.map((rows) => rows && { ...rows, features: chosen.map((i) => rows.features[i]!) });
  const all = joinRows(batches);
  if (all.count < FIT_ROWS_MIN) return null;
  const losses: (LabelLosses | null)[] = profiles.map(() => null);
  for (let fold = 0; fold < Math.min(FOLDS, profiles.length); fold++) {
    const others = joinRows(batches.filter((_, i) => i % FOLDS !== fold));
    if (others.count < FIT_ROWS_MIN) continue;
    const unseen = fitLabelModel(others, labels, model);
    for (const [i, rows] of batches.entries()) {
      if (i % FOLDS === fold && rows !== null) losses[i] = measureLosses(unseen, rows);
    }
  }
  return { model: fitLabelModel(all, labels, model), losses };
}

/** How well a model explains the sampled rows of a profile; null if the profile has no sample of its columns. */
export function sampleLosses(
  profile: Profile,
  model: LabelModel,
  bins: ReadonlyMap<string, ColumnBins>,
): LabelLosses | null {
  const columns = model.columns.map((column) => bins.get(column.name)).filter((column) => column !== undefined);
  const rows = codeSample(profile, columns, model.labels);
  return rows === null || columns.length !== model.columns.length ? null : measureLosses(model, rows);
}

/** Rows by label over all profiles. */
export function mergeLabels(profiles: readonly Profile[]): TopValues | null {
  const counted = profiles.map((profile) => profile.labels).filter((labels) => labels !== null);
  return counted.length === 0 ? null : counted.reduce((a, b) => mergeTop(a, b), NO_VALUES);
}

function chooseLabels(profiles: readonly Profile[]): string[] {
  const labels = mergeLabels(profiles);
  if (labels === null) return [];
  const total = labels.counts.reduce((sum, count) => sum + count, labels.other);
  return labels.values.filter((_, i) => labels.counts[i]! >= LABEL_SHARE_MIN * total).slice(0, MODEL_LABELS_MAX);
}

/** Sampled rows as feature codes; null if a column or the label is not in the sample. */
function codeSample(profile: Profile, columns: readonly ColumnBins[], labels: readonly string[]): CodedRows | null {
  if (profile.sample === null) return null;
  const values = new Map(profile.sample.columns.map((column) => [column.name, column.values]));
  const profiles = new Map(profile.columns.map((column) => [column.name, column]));
  const read = (name: string | null): Float64Array | null =>
    decodeNumbers(values.get(name ?? '') ?? '', SAMPLE_ROWS_MAX);
  const features: Uint8Array[] = [];
  for (const bins of columns) {
    const numbers = read(bins.name);
    if (numbers === null) return null;
    if (bins.kind === 'text') {
      const top = profiles.get(bins.name)!.text!.top;
      const codes = top.values.map((value) => bins.values.get(value) ?? bins.features - 2);
      const codeOf = (i: number): number => (Number.isNaN(i) ? bins.features - 1 : (codes[i] ?? bins.features - 2));
      features.push(Uint8Array.from(numbers, codeOf));
    } else features.push(featuresOfNumbers(bins, numbers, numbers.length));
  }
  const given = read(profile.roles.label);
  const label = profiles.get(profile.roles.label ?? '');
  if (given === null || label === undefined) return null;
  const places = new Map(labels.map((name, i) => [name, i]));
  const nameOf = (value: number): string | undefined =>
    label.text === null ? labelOfNumber(value, label.type) : label.text.top.values[value];
  const indexes = Int16Array.from(given, (value) => {
    const name = Number.isNaN(value) ? undefined : nameOf(value);
    return name === undefined ? -1 : (places.get(name) ?? -1);
  });
  return { count: given.length, features, labels: indexes };
}

/** Indexes of the columns that tell most about the label, in column order. */
function chooseColumns(
  batches: readonly (CodedRows | null)[],
  columns: readonly ColumnBins[],
  labels: number,
): number[] {
  const all = columns.map((_, i) => i);
  if (columns.length <= MODEL_COLUMNS_MAX) return all;
  const information = columns.map((column, i) => {
    const table = tableOf(batches, i, labels, column.features);
    return mutualInformation(table, labels, column.features);
  });
  const best = all.toSorted((a, b) => information[b]! - information[a]! || a - b).slice(0, MODEL_COLUMNS_MAX);
  return best.toSorted((a, b) => a - b);
}

/** Rows by label and feature of one column, label-major. */
function tableOf(
  batches: readonly (CodedRows | null)[],
  column: number,
  labels: number,
  features: number,
): Float64Array {
  const table = new Float64Array(labels * features);
  for (const rows of batches.filter((coded) => coded !== null)) {
    for (let row = 0; row < rows.count; row++) {
      if (rows.labels[row]! >= 0) table[rows.labels[row]! * features + rows.features[column]![row]!]! += 1;
    }
  }
  return table;
}

/** Numeric bins joined where that loses least about the label, down to COARSE_BINS: a label that turns on a threshold keeps
 * the threshold. The cuts are chosen on all learning batches; a few of 64 places cannot learn one batch by heart. */
function coarsen(bins: ColumnBins, table: Float64Array, labels: number): ColumnBins {
  if (bins.kind !== 'numeric') return bins;
  const places = Array.from({ length: bins.features - 1 }, (_, i) => i);
  const columnOf = (i: number): number[] => Array.from({ length: labels }, (_, k) => table[k * bins.features + i]!);
  const groups = places.map((i) => ({ bins: [i], rows: columnOf(i) }));
  while (groups.length > COARSE_BINS) {
    let best = 0;
    let least = Infinity;
    for (let i = 0; i + 1 < groups.length; i++) {
      const joined = groups[i]!.rows.map((rows, k) => rows + groups[i + 1]!.rows[k]!);
      const loss = surpriseIn(joined) - surpriseIn(groups[i]!.rows) - surpriseIn(groups[i + 1]!.rows);
      if (loss < least) [least, best] = [loss, i];
    }
    const [left, right] = [groups[best]!, groups[best + 1]!];
    const rows = left.rows.map((count, k) => count + right.rows[k]!);
    groups.splice(best, 2, { bins: [...left.bins, ...right.bins], rows });
  }
  const codes = new Uint8Array(places.length);
  for (const [group, { bins: members }] of groups.entries()) for (const bin of members) codes[bin] = group;
  return { ...bins, groups: codes, features: groups.length + 1 };
}

/** Rows times the entropy of their labels, in nats. */
function surpriseIn(rows: readonly number[]): number {
  const total = rows.reduce((sum, count) => sum + count, 0);
  return rows.reduce((sum, count) => (count === 0 ? sum : sum - count * ln(count / total)), 0);
}

/** Codes after {@link coarsen}; null, the last feature, stays the last. */
function regroupCodes(codes: Uint8Array, groups: Uint8Array): Uint8Array {
  if (groups.length === 0) return codes;
  const none = groups.at(-1)! + 1;
  return codes.map((code) => groups[code] ?? none);
}

function mutualInformation(table: Float64Array, labels: number, features: number): number {
  const total = table.reduce((sum, count) => sum + count, 0);
  const byLabel = new Float64Array(labels);
  const byFeature = new Float64Array(features);
  for (const [cell, count] of table.entries()) {
    byLabel[Math.floor(cell / features)]! += count;
    byFeature[cell % features]! += count;
  }
  let sum = 0;
  for (const [cell, count] of table.entries()) {
    if (count === 0) continue;
    sum +=
      (count / total) * ln((count * total) / (byLabel[Math.floor(cell / features)]! * byFeature[cell % features]!));
  }
  return sum;
}

/** All rows with a known label, or an even part of them. */
function joinRows(batches: readonly (CodedRows | null)[]): CodedRows {
  const filled = batches.filter((rows) => rows !== null);
  const total = filled.reduce((sum, rows) => sum + rows.count, 0);
  const every = Math.max(1, Math.ceil(total / FIT_ROWS_MAX));
  const count = filled.reduce((sum, rows) => sum + Math.ceil(rows.count / every), 0);
  const features = (filled[0]?.features ?? []).map(() => new Uint8Array(count));
  const labels = new Int16Array(count);
  let at = 0;
  for (const rows of filled) {
    for (let row = 0; row < rows.count; row += every, at++) {
      labels[at] = rows.labels[row]!;
      for (const [c, codes] of features.entries()) codes[at] = rows.features[c]![row]!;
    }
  }
  return { count, features, labels };
}
