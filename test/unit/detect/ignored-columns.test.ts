import { describe, expect, it } from 'vitest';

import { decodeBaseline, encodeBaseline } from '../../../src/detect/baseline/format.ts';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import { withoutColumns } from '../../../src/detect/profile/null-patterns.ts';
import { judge } from '../../../src/detect/verdict.ts';
import type { Row } from '../../support/columns.ts';
import { profileRows, randomOf } from '../../support/flights.ts';

const TYPES = { day: 'string', run: 'int64', kind: 'boolean', amount: 'float64', note: 'string' } as const;
const ROLES = { label: null, source: null, time: null };

/** A day's orders: the day, the number of the import run and whether it was a second one are the same in all of them. */
function ordersOf(day: number, change: (row: Row, i: number) => Row = (row) => row): Row[] {
  const random = randomOf(day + 1);
  return Array.from({ length: 600 }, (_, i) =>
    change(
      {
        // Some days come twice: not so new that it would be left out by itself.
        day: `${((day >> 1) % 28) + 1}/${((day >> 1) % 12) + 1}/2026`,
        run: 4_000 + ((day * 7_919) % 500),
        kind: day > 30,
        amount: Math.round(random() * 10_000) / 100,
        note: 'x',
      },
      i,
    ),
  );
}

const history = Array.from({ length: 30 }, (_, day) => profileRows(ordersOf(day), null, TYPES, ROLES));
const baselineWithout = (...ignored: string[]) =>
  prepareBaseline(decodeBaseline(encodeBaseline(learnBaseline(history, history, ignored))));
const judged = (rows: readonly Row[], baseline: ReturnType<typeof baselineWithout>) =>
  judge(profileRows(rows, baseline, TYPES, ROLES), baseline);

describe('a column that is ignored', () => {
  const everything = baselineWithout();
  const baseline = baselineWithout('day', 'run', 'kind', 'note');

  it('holds no batch, whatever its values, of any type', () => {
    const odd = ordersOf(40, (row, i) => ({ ...row, run: -1, note: i % 2 === 0 ? null : `note ${i}` }));
    expect(judged(odd, everything).outcome).toBe('suspect');
    expect(judged(odd, baseline)).toMatchObject({ outcome: 'clean', findings: [] });
  });

  it('hides nothing in others', () => {
    const larger = ordersOf(40, (row) => ({ ...row, amount: (row['amount'] as number) * 1.5 }));
    const emptied = ordersOf(40, (row, i) => (i < 20 ? { ...row, amount: null } : row));
    for (const rows of [larger, emptied]) {
      const { outcome, findings } = judged(rows, baseline);
      expect(outcome).toBe('suspect');
      expect(findings.every(({ columns }) => columns.every((column) => column === 'amount'))).toBe(true);
    }
  });

  it('counts for no set of nulls', () => {
    const names = ['a', 'note', 'x+y'];
    const patterns = {
      values: ['', 'a', 'a+note', 'note', 'x+y', 'a+3 more#z'],
      counts: [5, 3, 2, 1, 1, 1],
      other: 4,
      error: 1,
    };
    expect(withoutColumns(patterns, new Set(['note', 'x+y']), names)).toMatchObject({
      values: ['', 'a'],
      counts: [7, 5],
      other: 4,
      error: 1,
    });
    expect(withoutColumns(patterns, new Set(), names)).toBe(patterns);
  });
});
