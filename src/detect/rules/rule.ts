import type { Pattern } from './pattern.ts';

/** What happens when a rule is broken: it is counted; the batch is held; the partition stops as well. */
export type RuleAction = 'observe' | 'quarantine' | 'halt';

/** What every rule says. */
interface RuleBase {
  /** For messages and the profile; unique among the rules. */
  readonly name: string;
  readonly action: RuleAction;
  /** Share of the checked rows that may break it, 0–1; 0 = none. Not for row_count and freshness. */
  readonly maxShare?: number;
}

/** A condition that the user states. Nulls satisfy every rule but not_null. */
export type Rule = RuleBase &
  (
    | { readonly kind: 'not_null'; readonly column: string }
    /** Numbers, and timestamps in milliseconds, in [min, max]. */
    | { readonly kind: 'range'; readonly column: string; readonly min?: number; readonly max?: number }
    | { readonly kind: 'set'; readonly column: string; readonly values: readonly (string | number | boolean)[] }
    /** The whole text matches; see compilePattern for the language. */
    | { readonly kind: 'pattern'; readonly column: string; readonly pattern: string }
    /** No value occurs twice in a batch. */
    | { readonly kind: 'unique'; readonly column: string }
    /** Records of a batch. */
    | { readonly kind: 'row_count'; readonly min?: number; readonly max?: number }
    /** Age of the newest record when the batch was sealed. */
    | { readonly kind: 'freshness'; readonly maxAgeMs: number }
  );

/** A rule that was checked, with its pattern compiled. */
export interface CompiledRule {
  readonly rule: Rule;
  readonly pattern: Pattern | null;
}

/** What became of a rule in one batch; stored in the profile. */
export interface RuleOutcome {
  readonly name: string;
  readonly kind: Rule['kind'];
  readonly column: string | null;
  readonly action: RuleAction;
  readonly maxShare: number;
  /** Rows the rule was applied to, and those that break it; 1 and 0 or 1 for row_count and freshness. */
  readonly checked: number;
  readonly violations: number;
  /** The number that row_count and freshness looked at; null for the others and where it is unknown. */
  readonly value: number | null;
  /** Lower and upper limit, where the rule has them. */
  readonly limits: readonly [number | null, number | null];
}

/** Rules of one pipeline at most. */
export const RULES_MAX = 1_024;
