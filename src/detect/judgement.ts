import type { Family } from './detectors/detector.ts';
import type { RuleAction } from './rules/rule.ts';

/** What one detector says. Sentences hold column names and numbers, never a record's values. */
export interface Finding {
  readonly family: Family | 'rules';
  readonly detector: string;
  readonly columns: readonly string[];
  readonly statistic: string;
  readonly value: number;
  /** What is usual: 99 of 100 clean batches stay within, for this family's most unusual statistic. For a rule: its limits. */
  readonly expected: readonly [number, number];
  /** Distance from the usual in units of its own spread; 0 for a rule. */
  readonly z: number;
  /** Chance that the most unusual statistic of this family in a clean batch is at least as unusual; 0 for a broken rule. */
  readonly pValue: number;
  /** Broken rule: holds the batch by itself. */
  readonly hard: boolean;
  /** What a user's rule asks for; null for what was learned. */
  readonly action: RuleAction | null;
  readonly sentence: string;
  /** Record values that explain it; stays in the store. */
  readonly detail: readonly string[];
}

/** The verdict on one batch. */
export interface Judgement {
  readonly outcome: 'clean' | 'suspect' | 'undecided';
  /** Why nothing could be decided; null otherwise. */
  readonly reason: 'no-baseline' | 'small' | 'failed' | null;
  /** Digest of the baseline; null without one. */
  readonly baseline: string | null;
  /** −log10 of the p-value, raised above the threshold by a broken rule: batches can be ranked by it. */
  readonly score: number;
  readonly pValue: number;
  /** p-value of each family that votes. */
  readonly families: readonly { readonly family: Family; readonly score: number; readonly pValue: number }[];
  /** Strongest first. */
  readonly findings: readonly Finding[];
  /** Why no detector could be heard; absent unless one failed. */
  readonly failure?: DetectorFailure;
}

/** A detector that broke down: a fault of ours, not of the batch. */
export interface DetectorFailure {
  /** Its id; `context` for what all detectors share. */
  readonly detector: string;
  /** Name and message of the error, one line; as confidential as the data. */
  readonly message: string;
}
