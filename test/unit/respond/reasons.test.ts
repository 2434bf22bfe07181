import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Finding } from '../../../src/detect/judgement.ts';
import { reasonsOf, whySuspect } from '../../../src/respond/reasons.ts';

function finding(sentence: string, more: Partial<Finding> = {}): Finding {
  return {
    family: 'distribution',
    detector: 'distribution',
    columns: [],
    statistic: 'distance',
    value: 1,
    expected: [0, 1],
    z: 1,
    pValue: 0.001,
    hard: false,
    action: null,
    sentence,
    detail: [],
    ...more,
  };
}

const observed = finding('a watched rule', { family: 'rules', pValue: 0, action: 'observe' });
const rule = finding('a rule', { family: 'rules', pValue: 0, hard: true, action: 'quarantine' });
const strong = finding('a shift', { pValue: 1e-9 });
const weak = finding('a small shift', { pValue: 0.004 });

describe('the reasons of a suspect batch', () => {
  it('never name a rule that only observes', () => {
    expect(reasonsOf({ findings: [observed, strong] })).toEqual([strong]);
    expect(whySuspect({ findings: [observed, strong, weak] }, 1)).toBe('a shift, and 1 more');
  });

  it('begin with the finding that decided: a broken rule, then the most unusual', () => {
    expect(reasonsOf({ findings: [observed, weak, strong, rule] })).toEqual([rule, strong, weak]);
  });

  it('keep every finding but those of observing rules, broken rules first, in whatever order they are stored', () => {
    const findings = fc.array(fc.constantFrom(observed, rule, strong, weak), { maxLength: 20 });
    fc.assert(
      fc.property(findings, (stored) => {
        const reasons = reasonsOf({ findings: stored });
        expect(reasons).toHaveLength(stored.filter((each) => each !== observed).length);
        expect(reasons.map(({ pValue }) => pValue)).toEqual(
          reasons.map(({ pValue }) => pValue).toSorted((a, b) => a - b),
        );
      }),
    );
  });

  it('are told of the union where small batches were judged as one', () => {
    expect(whySuspect({ findings: [strong] }, 2)).toBe('judged together with 1 other small batch: a shift');
    expect(whySuspect({ findings: [strong, weak] }, 4)).toBe(
      'judged together with 3 other small batches: a shift, and 1 more',
    );
  });

  it('say so when no single finding stands out', () => {
    expect(whySuspect({ findings: [observed] }, 1)).toBe('unusual as a whole, without one finding that stands out');
  });
});
