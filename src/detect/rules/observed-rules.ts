import { ruleFindings } from '../rules.ts';
import type { RuleOutcome } from './rule.ts';

/** A rule that only counts, and how often a batch breaks it. */
export interface ObservedRule {
  readonly name: string;
  /** Rows that break it; 1 for row_count and freshness, which are about the whole batch. */
  readonly rows: number;
}

/** The broken rules with action observe, in the order of the rules. @param outcomes of all rules, from the batch's profile */
export function brokenObserveRules(outcomes: readonly RuleOutcome[]): readonly ObservedRule[] {
  const observed = outcomes.filter(({ action }) => action === 'observe');
  const broken = new Set(ruleFindings(observed).map(({ statistic }) => statistic));
  return observed.filter(({ name }) => broken.has(name)).map(({ name, violations }) => ({ name, rows: violations }));
}
