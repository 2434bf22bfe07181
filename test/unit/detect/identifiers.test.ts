import { describe, expect, it } from 'vitest';

import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import { judge } from '../../../src/detect/verdict.ts';
import type { Row } from '../../support/columns.ts';
import { profileRows, randomOf } from '../../support/flights.ts';

const TYPES = { id: 'string', amount: 'float64' } as const;
const ROLES = { label: null, source: null, time: null };
const SIZE = 600;

/** A batch of orders from number `from` on. */
function orders(from: number, idOf: (order: number) => string): Row[] {
  const random = randomOf(from);
  return Array.from({ length: SIZE }, (_, i) => ({ id: idOf(from + i), amount: Math.round(random() * 10_000) / 100 }));
}

describe('text that identifies', () => {
  const idOf = (order: number): string => `o-${order}`;
  const history = Array.from({ length: 30 }, (_, i) =>
    profileRows(orders(80_000 + i * SIZE, idOf), null, TYPES, ROLES),
  );
  const baseline = prepareBaseline(learnBaseline(history));
  const outcomeOf = (rows: readonly Row[]): string =>
    judge(profileRows(rows, baseline, TYPES, ROLES), baseline).outcome;

  it.each([98_000, 99_700, 100_000, 250_000])('may gain a digit: orders from %i on are clean', (from) => {
    expect(outcomeOf(orders(from, idOf))).toBe('clean');
  });

  it.each<[string, (order: number) => string]>([
    ['is cut short', (order) => idOf(order).slice(0, 4)],
    ['becomes something else', (order) => `urn:shop:order:${order}`],
    ['is sometimes something else', (order) => (order % 10 === 0 ? `urn:shop:order:${order}` : idOf(order))],
    ['becomes the same for all', () => 'o-0'],
  ])('is held when it %s', (_, other) => {
    expect(outcomeOf(orders(98_000, other))).toBe('suspect');
  });

  it('may be a day that all rows of a batch share: another one is clean, from three batches on', () => {
    const types = { day: 'string', kind: 'string', amount: 'float64' } as const;
    const dayOf = (i: number): Row[] =>
      orders(i, idOf).map((row, at) => ({ ...row, day: `${i}/11/2026`, kind: ['a', 'b'][at % 2]! }));
    for (const batches of [3, 8, 30]) {
      const profiles = Array.from({ length: batches }, (_, i) => profileRows(dayOf(i + 1), null, types, ROLES));
      const learned = prepareBaseline(learnBaseline(profiles));
      const judged = (rows: readonly Row[]) => judge(profileRows(rows, learned, types, ROLES), learned);
      expect(judged(dayOf(50)).findings, `${batches} batches`).toEqual([]);
      const strange = dayOf(50).map((row) => ({ ...row, kind: 'c' }));
      expect(judged(strange).findings[0], `${batches} batches`).toMatchObject({ hard: true, columns: ['kind'] });
    }
  });

  it('is no surprise where a little more of it than usual has a suffix', () => {
    const withSuffix = (share: number) => (order: number) => (order % 100 < share ? `${idOf(order)}-R1` : idOf(order));
    const profiles = Array.from({ length: 30 }, (_, i) =>
      profileRows(orders(80_000 + i * SIZE, withSuffix(9 + (i % 4))), null, TYPES, ROLES),
    );
    const learned = prepareBaseline(learnBaseline(profiles));
    for (const share of [9, 12, 13, 14]) {
      const profile = profileRows(orders(98_400, withSuffix(share)), learned, TYPES, ROLES);
      expect(judge(profile, learned).outcome).toBe('clean');
    }
  });
});
