import { arcsineOfShare, exp, ln, shareOfArcsine } from '../arithmetic.ts';
import type { BinCounts, ObservedBatch, ObservedColumn } from '../observe.ts';
import type { CountedHashes, RowHashes } from '../sketch/row-hashes.ts';
import type { TopValues } from '../sketch/top-values.ts';

/** Groups of statistics that are calibrated together. One loud family is enough; quiet ones cannot hush it. */
export const FAMILIES = [
  'schema',
  'completeness',
  'domain',
  'distribution',
  'descriptors',
  'tails',
  'label',
  'surprise',
  'duplicates',
  'volume',
] as const;

/** One of {@link FAMILIES}. */
export type Family = (typeof FAMILIES)[number];

/** Row hashes of an accepted batch, cut to what a comparison needs. */
export interface PastHashes {
  readonly seedMark: number;
  /** Smallest hash that is not known of that batch. */
  readonly cutoff: number;
  /** Low 32 bits of each known hash, rising. */
  readonly low: Uint32Array;
}

/** The median batch of what was learned. */
export interface UsualVolume {
  readonly records: number;
  /** Of keys and values; null where it is not known, as of baselines from before it was kept. */
  readonly bytes: number | null;
  /** Record time between its first and its last record. */
  readonly spanMs: number;
}

/** What a detector may look at: one batch, what was learned, and earlier batches' row hashes. */
export interface DetectorContext {
  readonly batch: ObservedBatch;
  /** Rows per bin of everything learned, by column; without the batch itself while its history is being learned. */
  readonly expected: ReadonlyMap<string, BinCounts>;
  /** Sets of null columns that were learned; null if there are too many to know. */
  readonly knownPatterns: ReadonlySet<string> | null;
  /** Rows by label of everything learned; null without a label. */
  readonly labels: TopValues | null;
  /** Row hashes of the batch; null if none were made or they are malformed. */
  readonly hashes: { readonly info: RowHashes; readonly counted: CountedHashes } | null;
  readonly past: readonly PastHashes[];
  /** Null where it is not known, as of baselines from before it was kept. */
  readonly usualVolume: UsualVolume | null;
}

/** Scale on which a statistic's spread hardly depends on its size. */
export type StatisticScale = 'share' | 'log' | 'plain';

/** One number about a batch. */
export interface Statistic {
  /** Stable name: detector, statistic and column; the key of its history. */
  readonly id: string;
  readonly detector: string;
  /** e.g. `null-rate`. */
  readonly name: string;
  readonly columns: readonly string[];
  /** What it is, as the beginning of a sentence: `Share of nulls in "a"`. */
  readonly subject: string;
  readonly scale: StatisticScale;
  /** The statistic on its scale. */
  readonly x: number;
  /** Its sampling error on that scale at this batch's size, above 0. */
  readonly error: number;
  /** `high` = only a large value is suspicious. */
  readonly side: 'both' | 'high';
  /** Rows the share is a share of, if this counts what may never have happened before; 0 = an ordinary statistic. */
  readonly surpriseRows: number;
  /** False for numbers that are shown to people and decide nothing. */
  readonly votes: boolean;
}

/** A broken rule that was learned without exception. */
export interface HardFinding {
  readonly detector: string;
  readonly statistic: string;
  readonly columns: readonly string[];
  /** Rows, or a share, that break it. */
  readonly value: number;
  /** What is allowed. */
  readonly expected: readonly [number, number];
  readonly sentence: string;
  /** Record values that explain it, a few at most; for the store, never for alerts. */
  readonly values?: readonly string[];
}

/** One way of looking at a batch. Pure: equal contexts give equal statistics, in a fixed order. */
export interface Detector {
  readonly id: string;
  readonly family: Family;
  /** What is noticed, and what for: one sentence for the reference documentation. */
  readonly about: string;
  /** MITRE ATLAS technique it looks for, if there is one. */
  readonly atlas?: string;
  /** Numbers that are compared with their own history. */
  measure(context: DetectorContext): Statistic[];
  /** Rules learned without exception; they need no history. */
  check?(context: DetectorContext): HardFinding[];
}

/** Rows that must break a learned rule before a batch is held: fewer may be an accident of one producer. */
export const HARD_ROWS_MIN = 5;

interface StatisticOptions {
  readonly side?: 'both' | 'high';
  /** The share counts what may never have happened before, such as nulls or unseen values. */
  readonly surprise?: boolean;
  readonly votes?: boolean;
}

interface StatisticName {
  readonly detector: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly subject: string;
}

/** `count` of `rows` as a statistic; sampling error 1/√rows whatever the share. */
export function shareStatistic(
  about: StatisticName,
  count: number,
  rows: number,
  options: StatisticOptions = {},
): Statistic {
  const n = Math.max(1, rows);
  const surpriseRows = options.surprise === true ? n : 0;
  return make(about, 'share', arcsineOfShare(count / n), 1 / Math.sqrt(n), { ...options, surpriseRows });
}

/** A size above 0 on the log scale; `error` is relative. */
export function logStatistic(
  about: StatisticName,
  value: number,
  error: number,
  options: StatisticOptions = {},
): Statistic {
  return make(about, 'log', ln(value), error, { ...options, surpriseRows: 0 });
}

/** A number that is its own scale. */
export function plainStatistic(
  about: StatisticName,
  value: number,
  error: number,
  options: StatisticOptions = {},
): Statistic {
  return make(about, 'plain', value, error, { ...options, surpriseRows: 0 });
}

function make(
  about: StatisticName,
  scale: StatisticScale,
  x: number,
  error: number,
  options: StatisticOptions & { surpriseRows: number },
): Statistic {
  return {
    id: [about.detector, about.name, ...about.columns].join('/'),
    ...about,
    scale,
    x,
    error,
    side: options.side ?? 'both',
    surpriseRows: options.surpriseRows,
    votes: options.votes ?? true,
  };
}

/** The number a person knows for `x` on a scale. */
export function fromScale(scale: StatisticScale, x: number): number {
  if (scale === 'share') return shareOfArcsine(x);
  return scale === 'log' ? exp(x) : x;
}

/** Columns of one kind whose distribution means something: clocks, counters and keys are left out. */
export function steadyColumns(context: DetectorContext, kind: ObservedColumn['reference']['kind']): ObservedColumn[] {
  return context.batch.columns.filter(
    ({ reference, filled }) =>
      reference.kind === kind &&
      filled > 0 &&
      reference.numeric?.moving !== true &&
      reference.text?.identifier !== true &&
      reference.name !== context.batch.profile.roles.time,
  );
}

/** {@link steadyColumns} without the label, which has a family of its own. */
export function featureColumns(context: DetectorContext, kind: ObservedColumn['reference']['kind']): ObservedColumn[] {
  return steadyColumns(context, kind).filter(({ reference }) => reference.name !== context.batch.profile.roles.label);
}
