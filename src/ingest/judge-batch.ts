import { encodeEvidence } from '../detect/evidence.ts';
import type { PreparedBaseline } from '../detect/baseline/prepare.ts';
import type { ExtraField, Profile } from '../detect/profile.ts';
import { buildProfile } from '../detect/profile/build.ts';
import { causesOf } from '../detect/profile/dead-letters.ts';
import { brokenHaltRules } from '../detect/rules/halt-rules.ts';
import { brokenObserveRules, type ObservedRule } from '../detect/rules/observed-rules.ts';
import { RowHashSketch } from '../detect/sketch/row-hashes.ts';
import type { Judgement } from '../detect/judgement.ts';
import { judge, type JudgeSettings } from '../detect/verdict.ts';
import type { UndecidedReason, VerdictOutcome } from '../ledger/partition-entry.ts';
import type { Clock } from '../ports/clock.ts';
import { DEAD_LETTER_REASONS, type DeadLetterCause, type DeadLetterReason } from '../record/dead-letter.ts';
import type { BuiltBatch, RowObserver } from './batch-builder.ts';
import type { TopicContext } from './topic.ts';

/** Collects, while a batch is read, what can only be seen then. */
export type BatchObserver = RowObserver & { readonly sketch: RowHashSketch };

/** A batch on its way to the ledger. */
export interface SealedBatch {
  readonly built: BuiltBatch;
  readonly observer: BatchObserver;
  readonly topic: TopicContext;
}

/** A verdict with its evidence. */
export interface JudgedBatch {
  readonly outcome: VerdictOutcome;
  readonly undecided: UndecidedReason | null;
  readonly judgement: Judgement;
  /** Names of the broken rules with action halt. */
  readonly brokenHaltRules: readonly string[];
  /** The broken rules with action observe, which leave no other trace than the profile. */
  readonly brokenObserveRules: readonly ObservedRule[];
  /** What records did not decode for, the most frequent first. */
  readonly deadLetterCauses: readonly DeadLetterCause[];
  /** Fields outside of the schema, which are in no column. */
  readonly extraFields: readonly ExtraField[];
  /** Bytes of the evidence object. */
  readonly evidence: Buffer;
}

/** Gives each batch a profile and a verdict, from the batch and one frozen baseline only. */
export class BatchJudge {
  readonly #settings: JudgeSettings;
  readonly #seed: number;
  readonly #clock: Clock;

  /** @param seed the same for every batch of a pipeline, so that row hashes can be compared. */
  constructor(settings: JudgeSettings, seed: number, clock: Clock) {
    this.#settings = settings;
    this.#seed = seed;
    this.#clock = clock;
  }

  /** Starts observing a batch. */
  observe(): BatchObserver {
    return observeBatch(this.#seed);
  }

  /** Profiles and judges a finished batch. */
  judge(batch: SealedBatch): JudgedBatch {
    const { built, topic } = batch;
    const profile = profileBatch(batch, this.#seed, topic.baseline?.prepared ?? null, this.#clock.now());
    const judgement = judge(profile, topic.baseline?.prepared ?? null, this.#settings);
    const evidence = encodeEvidence({ version: 1, judgement, skipped: built.skippedRanges, profile });
    const { outcome, reason: undecided } = judgement;
    return {
      outcome,
      undecided,
      judgement,
      brokenHaltRules: brokenHaltRules(profile.rules),
      brokenObserveRules: brokenObserveRules(profile.rules),
      deadLetterCauses: causesOf(profile),
      extraFields: profile.extraFields,
      evidence,
    };
  }
}

/** Starts observing a batch. @param seed the same for every batch of a pipeline */
export function observeBatch(seed: number): BatchObserver {
  const sketch = new RowHashSketch(seed);
  return { sketch, add: (bytes, start, length) => sketch.add(bytes, start, length) };
}

/**
 * Profile of a finished batch.
 * @param seed the same for every batch of a pipeline. @param baseline sets the bins that values are counted in
 * @param sealedMs wall clock at the cut; null for history, whose age says nothing
 */
export function profileBatch(
  { built, observer, topic }: SealedBatch,
  seed: number,
  baseline: PreparedBaseline | null,
  sealedMs: number | null,
): Profile {
  return buildProfile({
    columns: built.content.decoded.columns,
    roles: topic.roles,
    counts: { records: built.records, bytes: built.bytes, deadLetters: countReasons(built), skipped: built.skipped },
    deadLetterCauses: built.deadLetterCauses,
    times: { firstMs: built.timestamps?.firstMs ?? null, lastMs: built.timestamps?.lastMs ?? null, sealedMs },
    rowHashes: observer.sketch,
    seed,
    baseline,
    rules: topic.rules,
  });
}

function countReasons({ content }: BuiltBatch): Partial<Record<DeadLetterReason, number>> {
  const counts: Partial<Record<DeadLetterReason, number>> = {};
  for (const code of content.dead.reasons) {
    const reason = DEAD_LETTER_REASONS[code]!;
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}
