import { RequestError } from '../../errors.ts';
import { DETECTORS } from '../detectors/all.ts';
import type { Detector, DetectorContext, Family, PastHashes, Statistic } from '../detectors/detector.ts';
import { FAMILIES } from '../detectors/detector.ts';
import { COMPARABLE_MIN, pastHashes } from '../detectors/replay.ts';
import { observe } from '../observe.ts';
import type { BinCounts, ObservedBatch } from '../observe.ts';
import { undecodedShare } from '../detectors/schema.ts';
import { usualVolumeOf } from '../detectors/volume.ts';
import type { Profile } from '../profile.ts';
import { undecodedOf } from '../profile/dead-letters.ts';
import { readRowHashes } from '../sketch/row-hashes.ts';
import { KllSketch } from '../sketch/kll.ts';
import { compareText, mergeTop, NO_VALUES } from '../sketch/top-values.ts';
import type { TopValues } from '../sketch/top-values.ts';
import type { Baseline } from './baseline.ts';
import { fitFamily, HISTORY_MAX, scoreFamilies, summarize } from './calibrate.ts';
import type { FamilyLaw, StatisticHistory } from './calibrate.ts';
import { learnLabels, mergeLabels } from './learn-labels.ts';
import { BATCHES_MIN, buildReference, countAbove, countBelow, widen } from './reference.ts';

/** Learns a baseline from profiles of accepted batches.
 *
 * Out of sample throughout: each batch is measured against the rows of all *others* (leave-one-out by subtraction), its label
 * losses come from a model that never saw it, and its family score is judged by the histories of the others. Against its
 * own rows every batch looks better than any new one will. Leave-one-out is preferred to measuring each batch against earlier
 * ones only: with 8 to 30 batches the first ones would be measured against next to nothing, and that noise would pass for
 * the spread of clean batches. What it cannot know is how fast the stream drifts away from the period as a whole.
 *
 * @param profiles of one schema, in time order, 1 or more; of more than HISTORY_MAX the newest are used.
 * @param parts the batches that they are of, where some of them are unions: replays are looked for in each by itself.
 * @param ignored names of columns that are not to be compared; the baseline does not know them.
 * @throws {RequestError} REQUEST_INVALID if there is no profile or they differ in schema.
 * Cost: about 40 ms a profile of ten columns with a label, most of it the label model. */
export function learnBaseline(
  profiles: readonly Profile[],
  parts: readonly Profile[] = profiles,
  ignored: readonly string[] = [],
): Baseline {
  const used = profiles.slice(-HISTORY_MAX);
  const first = used[0];
  if (first === undefined) throw new RequestError('REQUEST_INVALID', 'Cannot learn a baseline from no profiles');
  const stray = used.find((profile) => profile.schema !== first.schema);
  if (stray !== undefined) {
    const message = `Cannot learn a baseline from profiles of two schemas: ${first.schema} and ${stray.schema}`;
    throw new RequestError('REQUEST_INVALID', message);
  }
  const references = buildReference(used).filter(({ name }) => !ignored.includes(name));
  const learned = learnLabels(used, references);
  const observed = used.map((profile, i) => observe(profile, references, null, learned?.losses[i] ?? null));
  const labels = mergeLabels(used);
  const totals = totalCounts(observed);
  const nullPatterns = observed.reduce((all, batch) => mergeTop(all, batch.nullPatterns), NO_VALUES);
  const hashes = used.map(hashesOf);
  const past = hashes.map(toPast);
  const usualVolume = usualVolumeOf(used);
  const undecoded = undecodedOf(used);
  const statistics = withoutOwnRange(observed).map((batch, i) => {
    const others = past.filter((entry, j): entry is PastHashes => j !== i && entry !== null);
    const knownPatterns = patternsWithout(nullPatterns, batch.nullPatterns);
    return measureAll({
      batch,
      expected: withoutBatch(totals, batch),
      knownPatterns,
      labels,
      hashes: hashes[i]!,
      past: others,
      usualVolume,
    });
  });
  return {
    version: 1,
    schema: first.schema,
    roles: first.roles,
    batches: used.length,
    rows: used.reduce((sum, profile) => sum + profile.rows, 0),
    undecodedMax: used.reduce((most, profile) => Math.max(most, undecodedShare(profile)), 0),
    ...(undecoded === null ? {} : { undecoded }),
    columns: references.map((reference) => ({ reference, counts: totals.get(reference.name)! })),
    nullPatterns,
    labels,
    model: learned?.model ?? null,
    ...calibrate(statistics),
    past: parts
      .slice(-HISTORY_MAX)
      .map((part) => toPast(hashesOf(part)))
      .filter((entry) => entry !== null),
  };
}

function toPast(entry: DetectorContext['hashes']): PastHashes | null {
  return entry === null ? null : pastHashes(entry.info, entry.counted);
}

/** Every detector's statistics, with the family each belongs to. */
export function measureAll(context: DetectorContext): (Statistic & { readonly family: Family })[] {
  return DETECTORS.flatMap((detector) => measureWith(detector, context));
}

/** One detector's statistics, with its family. */
export function measureWith(detector: Detector, context: DetectorContext): (Statistic & { readonly family: Family })[] {
  return detector.measure(context).map((statistic) => Object.assign(statistic, { family: detector.family }));
}

/**
 * Positions of the profiles whose rows an earlier one has, all of them: a history with copies in it would make copies usual,
 * and replays could no longer be told.
 */
export function copiesAmong(profiles: readonly Profile[]): ReadonlySet<number> {
  const seen = new Set<string>();
  const copies = new Set<number>();
  for (const [i, profile] of profiles.entries()) {
    const own = hashesOf(profile);
    if (own === null || own.counted.hashes.length < COMPARABLE_MIN) continue;
    const key = `${own.info.seedMark} ${own.counted.hashes.join(' ')}`;
    if (seen.has(key)) copies.add(i);
    seen.add(key);
  }
  return copies;
}

/** Row hashes of a profile ready for comparison; null if there are none or they are malformed. */
export function hashesOf(profile: Profile): DetectorContext['hashes'] {
  const counted = profile.rowHashes === null ? null : readRowHashes(profile.rowHashes);
  return counted === null ? null : { info: profile.rowHashes!, counted };
}

function totalCounts(batches: readonly ObservedBatch[]): Map<string, BinCounts> {
  const totals = new Map<string, { bins: Float64Array; unlisted: number }>();
  for (const { columns } of batches) {
    for (const { reference, bins, unlisted } of columns) {
      const total = totals.get(reference.name);
      if (total === undefined) totals.set(reference.name, { bins: bins.slice(), unlisted });
      else {
        for (let i = 0; i < bins.length; i++) total.bins[i]! += bins[i]!;
        total.unlisted += unlisted;
      }
    }
  }
  return totals;
}

/** Null patterns that occur without the rows of `own`; null if there are too many to know. */
export function patternsWithout(all: TopValues, own: TopValues): ReadonlySet<string> | null {
  if (all.error > 0) return null;
  const counts = new Map(own.values.map((value, i) => [value, own.counts[i]!]));
  return new Set(all.values.filter((value, i) => all.counts[i]! > (counts.get(value) ?? 0)));
}

function withoutBatch(totals: ReadonlyMap<string, BinCounts>, batch: ObservedBatch): Map<string, BinCounts> {
  return new Map(
    batch.columns.map(({ reference, bins, unlisted }) => {
      const total = totals.get(reference.name)!;
      return [
        reference.name,
        { bins: total.bins.map((rows, i) => rows - bins[i]!), unlisted: total.unlisted - unlisted },
      ];
    }),
  );
}

/** The batches with their rows out of range counted against the range of all others: no batch is outside its own. */
function withoutOwnRange(batches: readonly ObservedBatch[]): ObservedBatch[] {
  return batches.map((batch, i) => ({
    ...batch,
    columns: batch.columns.map((column, c) => {
      if (column.profile.numeric === null || column.filled === 0) return column;
      let low = Infinity;
      let high = -Infinity;
      for (const [j, other] of batches.entries()) {
        const numeric = other.columns[c]!.profile.numeric!;
        if (j === i || numeric.count === 0) continue;
        low = Math.min(low, numeric.min);
        high = Math.max(high, numeric.max);
      }
      if (low > high) return column;
      const range = widen(low, high);
      const { min, max, kll } = column.profile.numeric;
      if (min >= range.low && max <= range.high) return { ...column, outside: 0 };
      const view = KllSketch.fromState(kll)!.view();
      return {
        ...column,
        outside: countBelow(column.profile, view, range.low) + countAbove(column.profile, view, range.high),
      };
    }),
  }));
}

/** Histories of all statistics, and the laws of the families' scores. */
function calibrate(batches: readonly (readonly (Statistic & { readonly family: Family })[])[]) {
  const series = new Map<string, { batch: number; x: number; error: number }[]>();
  for (const [batch, statistics] of batches.entries()) {
    for (const { id, x, error } of statistics) {
      const list = series.get(id);
      if (list === undefined) series.set(id, [{ batch, x, error }]);
      else list.push({ batch, x, error });
    }
  }
  const ids = [...series.keys()].sort(compareText);
  const historyOf = (id: string, without: number | null): StatisticHistory | null => {
    const kept = series.get(id)!.filter(({ batch }) => batch !== without);
    return summarize(
      id,
      kept.map(({ x }) => x),
      kept.map(({ error }) => error),
    );
  };
  const statistics = ids.map((id) => historyOf(id, null)).filter((history) => history !== null);
  if (batches.length < BATCHES_MIN) return { statistics: [], families: [] };
  const scores = batches.map((own, i) => {
    const others = ids.map((id) => historyOf(id, i)).filter((history) => history !== null);
    return scoreFamilies(own, new Map(others.map((history) => [history.id, history])));
  });
  const families = FAMILIES.map((family) =>
    fitFamily(
      family,
      scores.flatMap((score) => score.get(family) ?? []),
    ),
  );
  return { statistics, families: families.filter((law): law is FamilyLaw => law !== null) };
}
