import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/errors.ts';
import { compileRules, evaluateRules, mergeRules, ruleFindings } from '../../../src/detect/rules.ts';
import type { Rule, RuleOutcome } from '../../../src/detect/rules/rule.ts';
import { compilePattern } from '../../../src/detect/rules/pattern.ts';
import { columnsOf } from '../../support/columns.ts';
import type { Row } from '../../support/columns.ts';

const TYPES = { n: 'float64', i: 'int64', b: 'boolean', s: 'string' } as const;
const COUNTS = { records: 6, bytes: 0, deadLetters: {}, skipped: {} };
const TIMES = { firstMs: 0, lastMs: 1_000, sealedMs: 61_000 };
const ROWS: Row[] = [
  { n: 1, i: 9_007_199_254_740_993n, b: true, s: 'ab-1' },
  { n: 5, i: 9_007_199_254_740_992n, b: false, s: 'ab-2' },
  { n: 5, i: 3n, b: true, s: 'ab-2' },
  { n: null, i: 4n, b: true, s: null },
  { n: -1, i: 4n, b: null, s: 'AB-3' },
  { n: 9.5, i: null, b: true, s: '' },
];

const apply = (rule: Record<string, unknown>): RuleOutcome => {
  const rules = compileRules([{ name: 'r', action: 'quarantine', ...rule } as Rule]);
  return evaluateRules(rules, { columns: columnsOf(ROWS, TYPES), counts: COUNTS, times: TIMES })[0]!;
};
const brokenBy = (rule: Record<string, unknown>): [number, number] => {
  const { violations, checked } = apply(rule);
  return [violations, checked];
};

const matches = (pattern: string, text: string): boolean => {
  const compiled = compilePattern(pattern);
  if (typeof compiled === 'string') throw new Error(compiled);
  return compiled.matches(text);
};

describe('rules', () => {
  it.each([
    [{ kind: 'not_null', column: 's' }, 1, 6],
    [{ kind: 'range', column: 'n', min: 0, max: 9 }, 2, 5],
    [{ kind: 'range', column: 's', min: 0 }, 5, 5],
    [{ kind: 'set', column: 'n', values: [1, 5] }, 2, 5],
    [{ kind: 'set', column: 's', values: ['ab-1', ''] }, 3, 5],
    [{ kind: 'set', column: 'b', values: [true] }, 1, 5],
    [{ kind: 'pattern', column: 's', pattern: '[a-z]+-\\d' }, 2, 5],
    [{ kind: 'unique', column: 's' }, 1, 5],
    [{ kind: 'unique', column: 'n' }, 1, 5],
    [{ kind: 'unique', column: 'i' }, 1, 5],
    [{ kind: 'unique', column: 'b' }, 3, 5],
    [{ kind: 'not_null', column: 'gone' }, 6, 6],
    [{ kind: 'unique', column: 'gone' }, 0, 6],
    [{ kind: 'row_count', min: 7 }, 1, 1],
    [{ kind: 'row_count', min: 6, max: 6 }, 0, 1],
    [{ kind: 'freshness', maxAgeMs: 60_000 }, 0, 1],
    [{ kind: 'freshness', maxAgeMs: 59_999 }, 1, 1],
  ])('%o is broken by %i of %i', (rule, violations, checked) => {
    expect(brokenBy(rule)).toEqual([violations, checked]);
  });

  it('hold the batch beyond their tolerance and say so without values', () => {
    const outcome = apply({ kind: 'set', column: 's', values: ['ab-1'], maxShare: 0.5 });
    expect(ruleFindings([outcome])).toMatchObject([{ hard: true, action: 'quarantine', statistic: 'r', value: 4 }]);
    expect(ruleFindings([outcome])[0]!.sentence).toBe('Rule "r": 4 of 5 rows break set of "s"');
    expect(ruleFindings([{ ...outcome, maxShare: 0.8 }])).toEqual([]);
    expect(ruleFindings([{ ...outcome, action: 'observe' }])[0]!.hard).toBe(false);
  });

  it('break freshness where the age is unknown', () => {
    const rules = compileRules([{ name: 'r', action: 'halt', kind: 'freshness', maxAgeMs: 1 }]);
    const times = { firstMs: null, lastMs: null, sealedMs: 5 };
    const outcomes = evaluateRules(rules, { columns: columnsOf(ROWS, TYPES), counts: COUNTS, times });
    expect(ruleFindings(outcomes)[0]).toMatchObject({
      action: 'halt',
      sentence: 'Rule "r": the newest record is of unknown age, allowed are 1 ms',
    });
  });

  it('add up over batches, and look at counts and times of the union', () => {
    const rows = apply({ kind: 'not_null', column: 's' });
    const many = apply({ kind: 'row_count', max: 10 });
    const merged = mergeRules(
      [rows, { ...many, name: 'many' }],
      [rows, { ...many, name: 'many' }],
      { ...COUNTS, records: 12 },
      TIMES,
    );
    expect(merged).toMatchObject([
      { checked: 12, violations: 2 },
      { checked: 1, violations: 1, value: 12 },
    ]);
  });

  it('are refused with all their faults', () => {
    const faulty = [
      { name: 'a', action: 'halt', kind: 'range', column: 'n', min: 2, max: 1 },
      { name: 'a', action: 'halt', kind: 'pattern', column: 's', pattern: '(a' },
      { name: 'c', action: 'halt', kind: 'freshness', maxAgeMs: 0, maxShare: 2 },
    ] as const;
    let faults: ConfigError['faults'] = [];
    try {
      compileRules(faulty);
    } catch (error) {
      faults = (error as ConfigError).faults;
    }
    expect(faults.map((fault) => fault.path)).toEqual(['rules[0]', 'rules[1]', 'rules[1]', 'rules[2]', 'rules[2]']);
  });
});

describe('patterns', () => {
  const SUPPORTED = [
    'abc',
    'a*b',
    'a+?'.slice(0, 2),
    '(ab|cd)*e',
    '[a-c]{2,3}',
    '[^a]?b',
    '\\d{4}-\\d\\d',
    'a.c',
    '(?:x|y)+z{0,2}',
    '\\w+\\.\\w+',
    '',
    'a{0}b',
    '[\\d_-]*',
    '^ab$',
    'é+',
  ];

  it('match what JavaScript matches, for patterns both know', () => {
    const text = fc.string({ unit: fc.constantFrom(...Array.from('abcdexyz019-_.é \n')), maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(...SUPPORTED), text, (pattern, value) => {
        expect(matches(pattern, value)).toBe(new RegExp(`^(?:${pattern})$`, 'u').test(value));
      }),
      { numRuns: 3_000 },
    );
  });

  it('take time linear in the text where backtracking takes for ever', () => {
    const start = performance.now();
    for (const pattern of ['(a*)*b', '(a|aa)+b', '(a+)+b', 'a*a*a*a*a*b'])
      expect(matches(pattern, 'a'.repeat(4_000))).toBe(false);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  it('never match a text beyond the cap', () => {
    expect(matches('a*', 'a'.repeat(4_096))).toBe(true);
    expect(matches('a*', 'a'.repeat(4_097))).toBe(false);
  });

  it('name what they do not support', () => {
    for (const pattern of [
      '(a',
      'a)',
      '[a',
      '*a',
      'a**'.replace('**', '*{'),
      '\\1',
      '(?=a)',
      '(?<n>a)',
      'a{2,1}',
      '\\b',
      'a{600}',
      '[z-a]',
      '\\',
      'x'.repeat(513),
    ]) {
      expect(typeof compilePattern(pattern)).toBe('string');
    }
  });
});
