import { quoteName } from '../../record/quote-name.ts';
import { ruleFindings } from '../rules.ts';
import type { RuleOutcome } from './rule.ts';

/** Rules that a sentence names. */
const NAMED_MAX = 5;

/**
 * Names of the broken rules that ask for a halt, in the order of the rules.
 * @param outcomes of all rules, from the batch's profile: of its findings only the first are kept.
 */
export function brokenHaltRules(outcomes: readonly RuleOutcome[]): readonly string[] {
  return ruleFindings(outcomes)
    .filter(({ action }) => action === 'halt')
    .map(({ statistic }) => statistic);
}

/** What halted a partition, the same words wherever it is told. @param names of the broken rules; none where they cannot be read */
export function describeHaltRules(names: readonly string[]): string {
  if (names.length === 0) return 'a rule with action halt was broken';
  const named = names.slice(0, NAMED_MAX).map(quoteName).join(', ');
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : '';
  return names.length === 1
    ? `rule ${named} with action halt was broken`
    : `rules ${named}${more} with action halt were broken`;
}
