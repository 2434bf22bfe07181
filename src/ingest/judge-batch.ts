import { encodeEvidence } from '../detect/evidence.ts';
import { buildProfile } from '../detect/profile.ts';
import { RowHashSketch } from '../detect/sketch/row-hashes.ts';
import { judge, type Judgement, type JudgeSettings } from '../detect/verdict.ts';
import type { UndecidedReason, VerdictOutcome } from '../ledger/partition-entry.ts';
import type { Clock } from '../ports/clock.ts';
import { DEAD_LETTER_REASONS, type DeadLetterReason } from '../record/dead-letter.ts';
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
  /** Name of a broken rule with action halt; null otherwise. */
  readonly brokenHaltRule: string | null;
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
    const sketch = new RowHashSketch(this.#seed);
    return { sketch, add: (bytes, start, length) => sketch.add(bytes, start, length) };
  }

  /** Profiles and judges a finished batch. */
  judge({ built, observer, topic }: SealedBatch): JudgedBatch {
    const profile = buildProfile({
      columns: built.content.decoded.columns,
      roles: topic.roles,
      counts: { records: built.records, bytes: built.bytes, deadLetters: countReasons(built), skipped: built.skipped },
      times: {
        firstMs: milliseconds(built.timestamps?.first),
        lastMs: milliseconds(built.timestamps?.last),
        sealedMs: this.#clock.now(),
      },
      rowHashes: observer.sketch,
      seed: this.#seed,
      baseline: topic.baseline?.prepared ?? null,
      rules: topic.rules,
    });
    const judgement = judge(profile, topic.baseline?.prepared ?? null, this.#settings);
    const brokenHaltRule = judgement.findings.find(({ action }) => action === 'halt')?.statistic ?? null;
    const evidence = encodeEvidence({ version: 1, judgement, skipped: built.skippedRanges, profile });
    return { outcome: judgement.outcome, undecided: judgement.reason, judgement, brokenHaltRule, evidence };
  }
}

function countReasons({ content }: BuiltBatch): Partial<Record<DeadLetterReason, number>> {
  const counts: Partial<Record<DeadLetterReason, number>> = {};
  for (const code of content.dead.reasons) {
    const reason = DEAD_LETTER_REASONS[code]!;
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

/** Timestamps beyond 2^53 ms are hostile; statistics take the nearest number. */
function milliseconds(timestamp: bigint | undefined): number | null {
  return timestamp === undefined ? null : Number(timestamp);
}
