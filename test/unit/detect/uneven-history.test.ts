import { describe, expect, it } from 'vitest';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import type { PreparedBaseline } from '../../../src/detect/baseline/prepare.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import type { Profile } from '../../../src/detect/profile.ts';
import { judge } from '../../../src/detect/verdict.ts';
import type { Row } from '../../support/columns.ts';
import { corrupt, profileRows, randomOf } from '../../support/flights.ts';

/* Histories of 30 batches of a thousand orders, with a few odd ones among them. */

const TYPES = { ts: 'timestamp', country: 'string', amount: 'float64', qty: 'int64', returned: 'int64' } as const;
const ROLES = { label: 'returned', source: null, time: 'ts' };
const COUNTRIES = ['DE', 'DE', 'DE', 'DE', 'FR', 'FR', 'FR', 'US', 'US', 'IT'] as const;
const BATCHES = 30;
const JUDGED = 5;

function makeOrders(seed: number, size = 1_000): Row[] {
  const random = randomOf(seed * 7_919 + 1);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Array.from({ length: size }, (_, i) => {
    const country = COUNTRIES[Math.floor(10 * random())]!;
    const amount = Math.round(100 * Math.exp(3 + 0.6 * normal())) / 100;
    const isReturned = amount > 25 && (country === 'DE' || country === 'US');
    return {
      ts: 1.6e12 + seed * 864e5 + i * 8_640,
      country,
      amount,
      qty: 1 + Math.floor(9 * random()),
      returned: isReturned === random() < 0.05 ? 0 : 1,
    };
  });
}

function profileOf(rows: readonly Row[], dead = 0, baseline: PreparedBaseline | null = null): Profile {
  const profile = profileRows(rows, baseline, TYPES, ROLES);
  const deadLetters = dead === 0 ? {} : { 'wrong-type': dead };
  return { ...profile, counts: { ...profile.counts, records: rows.length + dead, deadLetters } };
}

const usual = Array.from({ length: BATCHES }, (_, i) => profileOf(makeOrders(1 + i)));
/** The usual batches with three odd ones among them, as at the end of each of three files, or with one. */
const among = (...odd: readonly Profile[]): Profile[] =>
  usual.flatMap((profile, i) => [
    profile,
    ...(i % 10 === 9 ? odd.slice(Math.floor(i / 10), Math.ceil((i + 1) / 10)) : []),
  ]);
const three = (make: (seed: number) => Profile): Profile[] => among(...[901, 902, 903].map(make));
const withoutCountry = (row: Row): Row => ({ ...row, country: null });

const HISTORIES: Readonly<Record<string, readonly Profile[]>> = {
  'no tails': usual,
  'tails of three rows': three((seed) => profileOf(makeOrders(seed, 3))),
  'tails of one record that does not decode': three(() => profileOf([], 1)),
  'tails of nulls': three((seed) => profileOf(makeOrders(seed, 3).map(withoutCountry))),
};

const ATTACKS: Readonly<Record<string, (rows: Row[], random: () => number) => readonly [Row[], number]>> = {
  'amounts × 1.5': (rows) => [rows.map((row) => ({ ...row, amount: Number(row['amount']) * 1.5 })), 0],
  'half of the rows from one country': (rows, random) => [
    corrupt(rows, 0.5, random, (row) => ({ ...row, country: 'DE' })),
    0,
  ],
  'a fifth of the labels flipped': (rows, random) => [
    corrupt(rows, 0.2, random, (row) => ({ ...row, returned: 1 - Number(row['returned']) })),
    0,
  ],
  'one quantity in 30 %': (rows, random) => [corrupt(rows, 0.3, random, (row) => ({ ...row, qty: 9 })), 0],
  '40 % nulls': (rows, random) => [corrupt(rows, 0.4, random, withoutCountry), 0],
  '2 % of the records that do not decode': (rows) => [rows.slice(20), 20],
  '40 % of the records that do not decode': (rows) => [rows.slice(400), 400],
  'no record that decodes': (rows) => [[], rows.length],
};

function heldOf(baseline: PreparedBaseline, attack: (rows: Row[], random: () => number) => readonly [Row[], number]) {
  const outcomes = Array.from({ length: JUDGED }, (_, i) => {
    const [rows, dead] = attack(makeOrders(100 + i), randomOf(i));
    return judge(profileOf(rows, dead, baseline), baseline).outcome;
  });
  return outcomes.filter((outcome) => outcome === 'suspect').length;
}

describe.each(Object.entries(HISTORIES))('a baseline learned from batches with %s', (_, history) => {
  // Whoever learns leaves tails out; what slips through must not switch detection off either.
  const baseline = prepareBaseline(learnBaseline(history));

  it('calls clean batches clean', () => {
    expect(heldOf(baseline, (rows) => [rows, 0])).toBe(0);
  });

  it.each(Object.entries(ATTACKS))('finds %s', (__, attack) => {
    expect(heldOf(baseline, attack)).toBe(JUDGED);
  });
});

describe('one odd batch of usual size in thirty', () => {
  const odd: Readonly<Record<string, Profile>> = {
    'a 40 % share of nulls': profileOf(corrupt(makeOrders(777), 0.4, randomOf(7), withoutCountry)),
    'amounts × 3': profileOf(makeOrders(778).map((row) => ({ ...row, amount: Number(row['amount']) * 3 }))),
    '40 % of the records that did not decode': profileOf(makeOrders(779, 600), 400),
  };

  it.each(Object.entries(odd))('with %s excuses nothing else', (_, profile) => {
    const baseline = prepareBaseline(learnBaseline(among(profile)));
    const others = ['half of the rows from one country', 'one quantity in 30 %', 'no record that decodes'];
    expect(others.map((name) => heldOf(baseline, ATTACKS[name]!))).toEqual(others.map(() => JUDGED));
  });
});

describe('a batch of which next to nothing decodes', () => {
  const young = prepareBaseline(learnBaseline(usual.slice(0, 5)));

  it('is held before a baseline has batches enough for anything but hard rules, and says by how much', () => {
    const { outcome, findings } = judge(profileOf([], 1_000, young), young);
    expect(outcome).toBe('suspect');
    expect(findings[0]).toMatchObject({
      hard: true,
      statistic: 'dead-letters',
      sentence:
        '1000 of 1000 records do not decode (all for wrong-type); at most 0 % did not in any batch learned from',
    });
  });

  it('is not held where that is nothing new, or where there are too few records', () => {
    const used = prepareBaseline(learnBaseline([...usual.slice(0, 4), profileOf(makeOrders(9, 520), 780)]));
    expect(judge(profileOf(makeOrders(50, 500), 900, used), used).outcome).toBe('clean');
    expect(judge(profileOf(makeOrders(50, 500), 9_500, used), used).outcome).toBe('suspect');
    expect(judge(profileOf([], 499, young), young)).toMatchObject({ outcome: 'undecided', reason: 'small' });
  });

  it('is undecided under a baseline that does not say how much did not decode', () => {
    const { undecodedMax: _, ...old } = young.baseline;
    const prepared = prepareBaseline(old);
    expect(judge(profileOf([], 1_000, prepared), prepared)).toMatchObject({ outcome: 'undecided', reason: 'small' });
  });
});
