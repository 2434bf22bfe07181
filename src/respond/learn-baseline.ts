import { HISTORY_MAX } from '../detect/baseline/calibrate.ts';
import type { Baseline } from '../detect/baseline/baseline.ts';
import { encodeBaseline } from '../detect/baseline/format.ts';
import { learnBaseline } from '../detect/baseline/learn.ts';
import { BATCHES_MIN } from '../detect/baseline/reference.ts';
import type { Profile, UndecodedRecords } from '../detect/profile.ts';
import { RECORDS_MIN_DEFAULT } from '../detect/verdict.ts';
import { putContent } from '../ledger/objects.ts';
import { sha256Hex } from '../record/sha256.ts';
import { chooseLearnable, type Learnable } from './learnable.ts';
import type { LedgerContext } from './ledger-context.ts';
import { underSchema } from './pin-schema.ts';
import type { Actor } from './refs.ts';

/** A learned baseline that waits for approval. */
export interface LearnedBaseline extends Omit<Learnable, 'units' | 'parts' | 'copies'> {
  readonly topic: string;
  readonly baseline: string;
  /** Batches learned from; small ones that were learned from together count as one. */
  readonly batches: number;
  /** Batches below which hard rules alone decide. */
  readonly batchesMin: number;
  /** Records learned from, decoded or not, and those that decoded. */
  readonly records: number;
  readonly rows: number;
  /** What of the records did not decode; null where all did. */
  readonly undecoded: UndecodedRecords | null;
  readonly bytes: number;
  /** Batches left out because all of their rows are those of an earlier one, and their positions in what was given. */
  readonly copies: number;
  readonly copiesAt: readonly number[];
  /** Batches left out because {@link HISTORY_MAX} newer ones are enough. */
  readonly older: number;
  /** What is stored. */
  readonly content: Baseline;
}

/** What of the configuration decides what is learned. */
export interface LearnSettings {
  /** Decoded rows below which a batch is not judged, nor learned from, by itself. */
  readonly recordsMin?: number;
  /** Columns that are not to be compared. */
  readonly ignoredColumns?: readonly string[];
}

/**
 * Learns a baseline from profiles, stores it, and makes it the topic's candidate; nothing is judged by it before it is
 * approved. {@link chooseLearnable} says what is left out.
 * @param profiles in time order; of more than {@link HISTORY_MAX} the newest are used.
 * @throws RequestError when they cannot be learned from
 */
export async function learn(
  { store, layout, clock, control }: LedgerContext,
  topic: string,
  profiles: readonly Profile[],
  { signer, by, reason }: Actor,
  signal: AbortSignal,
  { recordsMin = RECORDS_MIN_DEFAULT, ignoredColumns = [] }: LearnSettings = {},
): Promise<LearnedBaseline> {
  const { state } = await control.head();
  const pinned = state.schemas[topic];
  const { units, parts, copies, ...left } = chooseLearnable(topic, profiles, pinned, recordsMin);
  const learned = learnBaseline(units, parts, ignoredColumns);
  const bytes = encodeBaseline(learned);
  const baseline = sha256Hex(bytes);
  await putContent(store, layout.baseline(baseline), bytes, clock, signal);
  await control.append(signer, underSchema({ kind: 'learn', by, topic, baseline, reason }, pinned), signal);
  const used = units.slice(-HISTORY_MAX);
  return {
    ...left,
    topic,
    baseline,
    batches: used.length,
    batchesMin: BATCHES_MIN,
    records: used.reduce((sum, { counts }) => sum + counts.records, 0),
    rows: learned.rows,
    undecoded: learned.undecoded ?? null,
    bytes: bytes.length,
    copies: copies.length,
    copiesAt: copies,
    older: units.length - used.length,
    content: learned,
  };
}
