import type { ConfigFault } from '../errors.ts';
import { ConfigError } from '../errors.ts';
import type { ColumnData, DecodedColumns } from '../record/columns.ts';
import type { Finding } from './judgement.ts';
import type { BatchCounts, BatchTimes } from './profile.ts';
import { countRepeats, countRows } from './rules/count-rows.ts';
import { compilePattern } from './rules/pattern.ts';
import type { Pattern } from './rules/pattern.ts';
import { RULES_MAX } from './rules/rule.ts';
import type { CompiledRule, Rule, RuleOutcome } from './rules/rule.ts';
import { quoteName } from '../record/quote-name.ts';

/** Checks rules and compiles their patterns.
 * @throws {ConfigError} CONFIG_INVALID with all faults: two rules of one name, limits that cross, shares outside 0–1, a
 * pattern outside the language. */
export function compileRules(rules: readonly Rule[]): CompiledRule[] {
  const faults: ConfigFault[] = [];
  const names = new Set<string>();
  if (rules.length > RULES_MAX)
    faults.push({ path: 'rules', message: `${rules.length} rules; at most ${RULES_MAX} are allowed` });
  const compiled = rules.map((rule, i) => {
    const fault = (message: string): void => void faults.push({ path: `rules[${i}]`, message });
    if (names.has(rule.name)) fault(`the name ${quoteName(rule.name)} is taken`);
    names.add(rule.name);
    const { maxShare = 0 } = rule;
    if (!(maxShare >= 0 && maxShare <= 1)) fault(`maxShare is ${maxShare}; it must be 0 to 1`);
    if ((rule.kind === 'range' || rule.kind === 'row_count') && (rule.min ?? -Infinity) > (rule.max ?? Infinity)) {
      fault(`min ${rule.min} is above max ${rule.max}`);
    }
    if (rule.kind === 'freshness' && !(rule.maxAgeMs > 0)) fault(`maxAgeMs is ${rule.maxAgeMs}; it must be above 0`);
    let pattern: Pattern | null = null;
    if (rule.kind === 'pattern') {
      const result = compilePattern(rule.pattern);
      if (typeof result === 'string') fault(`pattern: ${result}`);
      else pattern = result;
    }
    return { rule, pattern };
  });
  if (faults.length > 0) throw new ConfigError('CONFIG_INVALID', 'Cannot use the rules', faults);
  return compiled;
}

/** Applies rules to the rows of a batch while they are there. Cost: one pass per rule; patterns run once per distinct value. */
export function evaluateRules(
  rules: readonly CompiledRule[],
  input: { readonly columns: DecodedColumns; readonly counts: BatchCounts; readonly times: BatchTimes },
): RuleOutcome[] {
  return rules.map(({ rule, pattern }) => {
    const { name, kind, action, maxShare = 0 } = rule;
    const base = {
      name,
      kind,
      action,
      maxShare,
      column: 'column' in rule ? rule.column : null,
      limits: limitsOf(rule),
      value: null,
    };
    const [min, max] = base.limits;
    if (rule.kind === 'row_count') return { ...base, ...withinLimits(min, max, input.counts.records) };
    if (rule.kind === 'freshness') return { ...base, ...withinLimits(null, max, ageOf(input.times)) };
    const { rows } = input.columns;
    const data = input.columns.columns.find((column) => column.column.name === rule.column);
    // A column that is not there has nothing but nulls.
    if (data === undefined) return { ...base, checked: rows, violations: rule.kind === 'not_null' ? rows : 0 };
    return { ...base, ...checkRows(rule, pattern, data, rows) };
  });
}

function limitsOf(rule: Rule): readonly [number | null, number | null] {
  if (rule.kind === 'range' || rule.kind === 'row_count') return [rule.min ?? null, rule.max ?? null];
  return [null, rule.kind === 'freshness' ? rule.maxAgeMs : null];
}

/** Age of the newest record; null where unknown, which breaks a freshness rule: no time is no proof. */
function ageOf({ sealedMs, lastMs }: BatchTimes): number | null {
  return sealedMs === null || lastMs === null ? null : sealedMs - lastMs;
}

function withinLimits(min: number | null, max: number | null, value: number | null) {
  const held = value !== null && value >= (min ?? -Infinity) && value <= (max ?? Infinity);
  return { checked: 1, violations: held ? 0 : 1, value };
}

type RowRule = Extract<Rule, { column: string }>;

function checkRows(rule: RowRule, pattern: Pattern | null, data: ColumnData, rows: number) {
  const filled = rows - data.nullCount;
  switch (rule.kind) {
    case 'not_null':
      return { checked: rows, violations: data.nullCount };
    case 'unique':
      return { checked: filled, violations: countRepeats(data, rows) };
    case 'range': {
      const { min = -Infinity, max = Infinity } = rule;
      return {
        checked: filled,
        violations: countRows(data, rows, (value) => typeof value === 'number' && value >= min && value <= max),
      };
    }
    case 'set': {
      const allowed = new Set(rule.values);
      return { checked: filled, violations: countRows(data, rows, (value) => allowed.has(value)) };
    }
    case 'pattern':
      return {
        checked: filled,
        violations: countRows(data, rows, (value) => typeof value === 'string' && pattern!.matches(value)),
      };
    default:
      return rule satisfies never;
  }
}

/** Outcomes of the union of two batches under the same rules; rules that only one of them knows are left out.
 * A value that occurs once in each batch does not break `unique` of the union: that would take the values. */
export function mergeRules(
  a: readonly RuleOutcome[],
  b: readonly RuleOutcome[],
  counts: BatchCounts,
  times: BatchTimes,
): RuleOutcome[] {
  const others = new Map(b.map((outcome) => [outcome.name, outcome]));
  return a.flatMap((one) => {
    const other = others.get(one.name);
    if (other === undefined || other.kind !== one.kind) return [];
    const [min, max] = one.limits;
    if (one.kind === 'row_count') return [{ ...one, ...withinLimits(min, max, counts.records) }];
    if (one.kind === 'freshness') return [{ ...one, ...withinLimits(null, max, ageOf(times)) }];
    return [{ ...one, checked: one.checked + other.checked, violations: one.violations + other.violations }];
  });
}

/** Findings of the rules that a batch breaks, in the order of the rules; those that only observe do not hold it. */
export function ruleFindings(outcomes: readonly RuleOutcome[]): Finding[] {
  return outcomes
    .filter(({ checked, violations, maxShare }) => violations > maxShare * checked)
    .map((outcome) => ({
      family: 'rules',
      detector: 'rules',
      columns: outcome.column === null ? [] : [outcome.column],
      statistic: outcome.name,
      value: outcome.value ?? outcome.violations,
      expected: [
        0,
        outcome.value === null
          ? Math.floor(outcome.maxShare * outcome.checked)
          : (outcome.limits[1] ?? Number.MAX_VALUE),
      ],
      z: 0,
      pValue: 0,
      hard: outcome.action !== 'observe',
      action: outcome.action,
      detail: [],
      sentence: sentenceOf(outcome),
    }));
}

function sentenceOf({ name, kind, column, checked, violations, value, limits }: RuleOutcome): string {
  const rule = `Rule ${quoteName(name)}`;
  const [min, max] = limits;
  if (kind === 'row_count')
    return `${rule}: the batch has ${value} ${value === 1 ? 'record' : 'records'}, allowed are ${min ?? 0} to ${max ?? 'any number'}`;
  if (kind === 'freshness')
    return `${rule}: the newest record is ${value ?? 'of unknown'}${value === null ? ' age' : ' ms old'}, allowed are ${max} ms`;
  return `${rule}: ${violations} of ${checked} ${checked === 1 ? 'row breaks' : violations === 1 ? 'rows breaks' : 'rows break'} ${kind} of ${quoteName(column ?? '')}`;
}
