import type { FamilyLaw, StatisticHistory } from './calibrate.ts';
import type { LabelModel } from './label-model.ts';
import type { ColumnReference } from './reference.ts';
import type { PastHashes } from '../detectors/detector.ts';
import type { BinCounts } from '../observe.ts';
import type { Roles, UndecodedRecords } from '../profile.ts';
import type { TopValues } from '../sketch/top-values.ts';

/** One column as learned: what it was like and how many rows fell in each bin. */
export interface BaselineColumn {
  readonly reference: ColumnReference;
  readonly counts: BinCounts;
}

/**
 * A frozen reference that verdicts cite by digest: what accepted batches were like, and how far clean ones stray from it.
 *
 * Holds record values, so it is as confidential as the data. Made by learnBaseline, stored by encodeBaseline.
 */
export interface Baseline {
  readonly version: 1;
  /** SHA-256 of the schema, hex. */
  readonly schema: string;
  readonly roles: Roles;
  /** Learning batches and their decoded rows. */
  readonly batches: number;
  readonly rows: number;
  /** Largest share of records that did not decode in a learning batch; absent from baselines of before it was kept. */
  readonly undecodedMax?: number;
  /** Absent where all records decode, and from baselines of before it was kept. */
  readonly undecoded?: UndecodedRecords;
  /** In schema order. */
  readonly columns: readonly BaselineColumn[];
  /** Rows by the set of their null columns. */
  readonly nullPatterns: TopValues;
  readonly labels: TopValues | null;
  readonly model: LabelModel | null;
  /** Sorted by id. */
  readonly statistics: readonly StatisticHistory[];
  /** In the order of FAMILIES; empty with fewer than BATCHES_MIN learning batches: then only hard rules vote. */
  readonly families: readonly FamilyLaw[];
  /** Row hashes of the learning batches, oldest first. */
  readonly past: readonly PastHashes[];
}
