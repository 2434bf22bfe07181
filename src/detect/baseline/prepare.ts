import type { Family } from '../detectors/detector.ts';
import type { BinCounts } from '../observe.ts';
import type { Baseline } from './baseline.ts';
import { binsOf } from './bins.ts';
import type { ColumnBins } from './bins.ts';
import type { FamilyLaw, StatisticHistory } from './calibrate.ts';
import { baselineDigest } from './format.ts';

/** A baseline with its digest and the look-ups that profiling and judging need. Made once, used for many batches. */
export interface PreparedBaseline {
  readonly baseline: Baseline;
  /** SHA-256 of the stored form, hex: what verdicts cite. */
  readonly digest: string;
  readonly bins: ReadonlyMap<string, ColumnBins>;
  readonly expected: ReadonlyMap<string, BinCounts>;
  readonly histories: ReadonlyMap<string, StatisticHistory>;
  readonly laws: ReadonlyMap<Family, FamilyLaw>;
}

/** Prepares a baseline. Cost: one encoding, a few milliseconds. */
export function prepareBaseline(baseline: Baseline): PreparedBaseline {
  const groups = new Map(baseline.model?.columns.map((column) => [column.name, column.groups]));
  const groupsOf = (name: string): readonly number[] | null => (groups.get(name)?.length ? groups.get(name)! : null);
  return {
    baseline,
    digest: baselineDigest(baseline),
    bins: new Map(
      baseline.columns.map(({ reference }) => [reference.name, binsOf(reference, groupsOf(reference.name))]),
    ),
    expected: new Map(baseline.columns.map(({ reference, counts }) => [reference.name, counts])),
    histories: new Map(baseline.statistics.map((history) => [history.id, history])),
    laws: new Map(baseline.families.map((law) => [law.family, law])),
  };
}
