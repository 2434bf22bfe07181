import { describe, expect, it } from 'vitest';
import { decodeBaseline, encodeBaseline } from '../../../src/detect/baseline/format.ts';
import { learnBaseline } from '../../../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../../../src/detect/baseline/prepare.ts';
import { canonicalJson } from '../../../src/record/canonical.ts';
import { DETECTORS } from '../../../src/detect/detectors/all.ts';
import { FAMILIES } from '../../../src/detect/detectors/detector.ts';
import type { Profile } from '../../../src/detect/profile.ts';
import { decodeProfile, encodeProfile } from '../../../src/detect/profile/format.ts';
import { mergeProfiles } from '../../../src/detect/profile/merge.ts';
import { combine, judge, JUDGE_DEFAULTS } from '../../../src/detect/verdict.ts';
import type { Row } from '../../support/columns.ts';
import { corrupt, profileRows, randomOf } from '../../support/flights.ts';

const TYPES = {
  id: 'int64',
  at: 'timestamp',
  amount: 'float64',
  age: 'int64',
  plan: 'string',
  note: 'string',
  late: 'boolean',
  y: 'string',
} as const;
const ROLES = { label: 'y', source: 'plan', time: 'at' };
const SIZE = 600;

/** Clean batch `index` of a stream: ids and times go on from batch to batch, everything else is independent. */
function makeBatch(index: number, size = SIZE): Row[] {
  const random = randomOf(5_000 + index);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Array.from({ length: size }, (_, i) => {
    const amount = Math.exp(normal());
    return {
      id: index * 10_000 + i,
      at: 1.6e12 + (index * SIZE + i) * 1_000,
      amount: Math.round(amount * 100) / 100,
      age: 20 + Math.floor(50 * random()),
      plan: ['free', 'pro', 'team', 'large'][Math.floor(4 * random() ** 2)]!,
      note: random().toString(36).slice(2, 10),
      late: random() < 0.2,
      y: random() < 1 / (1 + Math.exp(-3 * Math.log(amount))) ? 'buy' : 'leave',
    };
  });
}

const profileOf = (rows: readonly Row[], baseline: ReturnType<typeof prepareBaseline> | null = null): Profile =>
  profileRows(rows, baseline, TYPES, ROLES);
const learning = Array.from({ length: 20 }, (_, i) => profileOf(makeBatch(i)));
const learned = learnBaseline(learning);
const baseline = prepareBaseline(learned);
const verdictOn = (rows: readonly Row[]) => judge(profileOf(rows, baseline), baseline);
const change = (share: number, edit: (row: Row, i: number) => Row, index = 30): Row[] =>
  corrupt(makeBatch(index), share, randomOf(index), edit);

const whole = (seed: number): Row[] => Array.from({ length: 500 }, (_, i) => ({ a: (i * seed) % 50 }));
const overlaps = (judgement: ReturnType<typeof judge>) =>
  judgement.findings.filter(({ statistic }) => statistic === 'overlap');

describe('baseline', () => {
  it('knows clocks, counters and keys from columns with a distribution', () => {
    const flags = Object.fromEntries(learned.columns.map(({ reference }) => [reference.name, reference]));
    expect(['id', 'at', 'amount', 'age'].map((name) => flags[name]!.numeric!.moving)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect([flags['plan']!.text!.closed, flags['note']!.text!.closed, flags['note']!.text!.identifier]).toEqual([
      true,
      false,
      true,
    ]);
    expect([
      flags['age']!.numeric!.integer,
      flags['amount']!.numeric!.integer,
      flags['amount']!.numeric!.nonNegative,
    ]).toEqual([true, false, true]);
  });

  it('comes back from its bytes with the same digest', () => {
    const copy = decodeBaseline(encodeBaseline(learned));
    expect(copy).toEqual(learned);
    expect(prepareBaseline(copy).digest).toBe(baseline.digest);
  });

  it('is the same bytes from the same profiles, and other bytes from others', () => {
    expect(encodeBaseline(learnBaseline(learning))).toEqual(encodeBaseline(learned));
    expect(prepareBaseline(learnBaseline(learning.slice(1))).digest).not.toBe(baseline.digest);
  });

  it('refuses stored data whose parts do not fit', () => {
    const stored = JSON.parse(Buffer.from(encodeBaseline(learned)).toString('utf8')) as Record<string, never> & {
      columns: { reference: { numeric: { edges: number[]; groups: number[] } } }[];
      model: { weights: number[][] };
    };
    const edits: ((copy: typeof stored) => void)[] = [
      (copy) => (copy.columns[2]!.reference.numeric.edges[3] = 1e9),
      (copy) => (copy.columns[2]!.reference.numeric.groups[3] = 200),
      (copy) => copy.columns.push(copy.columns[0]!),
      (copy) => copy.model.weights[0]!.pop(),
      (copy) => Object.assign(copy, { version: 2 }),
    ];
    for (const edit of edits) {
      const copy = structuredClone(stored);
      edit(copy);
      expect(() => decodeBaseline(Buffer.from(JSON.stringify(copy)))).toThrow('Cannot read baseline');
    }
  });

  it('measures every batch out of sample: no learning batch is in its own reference', () => {
    // In sample, the only batch with a value beyond all others would not be out of range.
    const odd = makeBatch(3).map((row, i) => (i < 20 ? { ...row, age: 500 + i } : row));
    const other = learnBaseline(learning.map((profile, i) => (i === 3 ? profileOf(odd) : profile)));
    const history = other.statistics.find(({ id }) => id === 'domain/out-of-range/age')!;
    expect([...history.values].filter((x) => x > 0)).toHaveLength(1);
  });

  it('needs profiles of one schema', () => {
    expect(() => learnBaseline([])).toThrow('Cannot learn a baseline from no profiles');
    const stranger = profileRows([{ a: 1 }], null, { a: 'int64' }, { label: null, source: null, time: null });
    expect(() => learnBaseline([learning[0]!, stranger])).toThrow('two schemas');
  });
});

describe('verdict', () => {
  it('is clean for clean batches, with a p-value per family', () => {
    for (let i = 30; i < 40; i++)
      expect(verdictOn(makeBatch(i))).toMatchObject({ outcome: 'clean', reason: null, baseline: baseline.digest });
    expect(verdictOn(makeBatch(30)).families.map(({ family }) => family)).toEqual(
      FAMILIES.filter((family) => baseline.laws.has(family)),
    );
  });

  it.each<[string, Row[], string, string]>([
    ['five nulls where there never was one', change(5 / SIZE, (row) => ({ ...row, age: null })), 'nulls', 'age'],
    [
      'five rows without a field that none ever lacked',
      change(5 / SIZE, (row) => ({ ...row, plan: undefined })),
      'absent',
      'plan',
    ],
    ['five values outside a closed domain', change(5 / SIZE, (row) => ({ ...row, plan: 'trial' })), 'unseen', 'plan'],
  ])('is suspect for %s', (_, rows, statistic, column) => {
    const judgement = verdictOn(rows);
    expect(judgement.outcome).toBe('suspect');
    expect(judgement.score).toBeGreaterThan(-Math.log10(JUDGE_DEFAULTS.budget / 2));
    expect(judgement.findings.find((finding) => finding.hard && finding.statistic === statistic)).toMatchObject({
      value: 5,
      columns: [column],
      z: 0,
    });
  });

  it('breaks no hard rule for four such rows', () => {
    for (const edit of [(row: Row) => ({ ...row, age: null }), (row: Row) => ({ ...row, plan: 'trial' })]) {
      expect(verdictOn(change(4 / SIZE, edit)).findings.filter((finding) => finding.hard)).toEqual([]);
    }
  });

  it('is suspect for fractions among whole numbers', () => {
    const types = { a: 'float64' } as const;
    const roles = { label: null, source: null, time: null };
    const prepared = prepareBaseline(
      learnBaseline(Array.from({ length: 8 }, (_, i) => profileRows(whole(i + 1), null, types, roles))),
    );
    const rows = corrupt(whole(9), 0.01, randomOf(1), (row) => ({ a: Number(row['a']) + 0.5 }));
    expect(judge(profileRows(rows, prepared, types, roles), prepared).findings[0]).toMatchObject({
      statistic: 'fractions',
      hard: true,
      value: 5,
    });
  });

  it.each<[string, Row[], string]>([
    ['units ×10 in 5 % of a column', change(0.05, (row) => ({ ...row, age: Number(row['age']) * 10 })), 'age'],
    ['a shifted mean', change(1, (row) => ({ ...row, age: Number(row['age']) + 10 })), 'age'],
    ['negative amounts', change(0.03, (row) => ({ ...row, amount: -Number(row['amount']) })), 'amount'],
    ['an inflated category', change(0.4, (row) => ({ ...row, plan: 'large' })), 'plan'],
    ['a boolean that turns', change(0.4, (row) => ({ ...row, late: !row['late'] })), 'late'],
    ['flipped labels', change(0.25, (row) => ({ ...row, y: row['y'] === 'buy' ? 'leave' : 'buy' })), 'y'],
  ])('is suspect for %s and names the column', (_, rows, column) => {
    const judgement = verdictOn(rows);
    expect(judgement.outcome).toBe('suspect');
    expect(judgement.findings[0]!.columns).toContain(column);
    expect(judgement.findings[0]!.sentence).toContain(`"${column}"`);
  });

  it('is suspect for a replay of a learning batch; of a later one only when a baseline was learned from it', () => {
    const replayOf = (index: number): Row[] => change(0.1, (_, i) => makeBatch(index)[i]!);
    expect(overlaps(verdictOn(replayOf(4)))).toMatchObject([{ family: 'duplicates', value: 0.1 }]);
    expect(overlaps(verdictOn(replayOf(25)))).toEqual([]);
    const newer = prepareBaseline(learnBaseline([...learning, profileOf(makeBatch(25))]));
    expect(overlaps(judge(profileOf(replayOf(25), newer), newer))).toMatchObject([{ value: 0.1 }]);
  });

  it('rises with the size of the fault', () => {
    const scores = [0, 0.02, 0.1, 0.3, 1].map(
      (share) =>
        verdictOn(change(Math.max(share, 0), (row) => (share === 0 ? row : { ...row, age: Number(row['age']) * 3 })))
          .score,
    );
    expect(scores).toEqual([...scores].sort((a, b) => a - b));
  });

  it('is undecided without a baseline, and for few rows unless a hard rule is broken', () => {
    const few = makeBatch(30, 100);
    expect(judge(profileOf(few), null)).toMatchObject({
      outcome: 'undecided',
      reason: 'no-baseline',
      pValue: 1,
      score: 0,
    });
    expect(verdictOn(few)).toMatchObject({ outcome: 'undecided', reason: 'small' });
    expect(verdictOn(few.map((row) => ({ ...row, age: null })))).toMatchObject({ outcome: 'suspect', reason: null });
  });

  it.each([
    [1_500, 1_000],
    [450, 2_050],
    [0, 5_000],
  ])('is suspect when of a batch %i rows decode and %i records do not', (rows, dead) => {
    const profile = profileOf(makeBatch(30, rows), baseline);
    const counts = { ...profile.counts, records: rows + dead, deadLetters: { 'wrong-type': dead } };
    const judgement = judge({ ...profile, counts }, baseline);
    expect(judgement).toMatchObject({ outcome: 'suspect', reason: null });
    expect(judgement.findings[0]).toMatchObject({ statistic: 'dead-letters' });
  });

  it('stays undecided when few records come, whether they decode or not, and when few rows decode as is usual', () => {
    const few = profileOf(makeBatch(30, 5), baseline);
    const withDead = (profile: Profile, dead: number): Profile => ({
      ...profile,
      counts: {
        ...profile.counts,
        records: profile.rows + dead,
        deadLetters: dead === 0 ? {} : { 'wrong-type': dead },
      },
    });
    expect(judge(withDead(few, 20), baseline)).toMatchObject({ outcome: 'undecided', reason: 'small' });
    expect(judge(withDead(profileOf(makeBatch(30, 499), baseline), 0), baseline)).toMatchObject({
      outcome: 'undecided',
      reason: 'small',
    });
  });

  it('names the detector that failed, and how, and keeps both in storage', () => {
    const damaged = { ...baseline, baseline: { ...baseline.baseline, past: [null as never] } };
    const { outcome, reason, failure, ...others } = judge(profileOf(makeBatch(30), baseline), damaged);
    expect({ outcome, reason }).toEqual({ outcome: 'undecided', reason: 'failed' });
    expect(failure?.detector).toBe('replay');
    expect(failure?.message).toMatch(/^TypeError: \P{C}+$/u);
    const judgement = { outcome, reason, failure, ...others };
    expect(JSON.parse(canonicalJson(judgement))).toEqual(judgement);
    expect(verdictOn(makeBatch(30))).not.toHaveProperty('failure');
  });

  it('is undecided when a detector fails, never clean', () => {
    const broken = {
      ...profileOf(makeBatch(30)),
      columns: [{ ...learning[0]!.columns[0]!, numeric: null }],
    } as Profile;
    expect(judge(broken, baseline)).toMatchObject({ outcome: 'undecided', reason: 'failed' });
  });

  it('rests on hard rules alone with fewer than eight learning batches', () => {
    const young = prepareBaseline(learnBaseline(learning.slice(0, 7)));
    expect(
      judge(
        profileOf(
          change(1, (row) => ({ ...row, age: Number(row['age']) + 10 })),
          young,
        ),
        young,
      ),
    ).toMatchObject({ outcome: 'clean', pValue: 1 });
    expect(
      judge(
        profileOf(
          change(0.5, (row) => ({ ...row, age: null })),
          young,
        ),
        young,
      ).outcome,
    ).toBe('suspect');
  });

  it('does not use counts made for another baseline', () => {
    const other = prepareBaseline(learnBaseline(learning.slice(2)));
    const rows = change(0.05, (row) => ({ ...row, age: Number(row['age']) * 10 }));
    const bound = judge(profileOf(rows, other), baseline);
    expect(bound).toEqual(judge(profileOf(rows, null), baseline));
    expect(bound).not.toEqual(judge(profileOf(rows, baseline), baseline));
  });

  it('stays the same through storage, byte for byte', () => {
    const profile = profileOf(
      change(0.05, (row) => ({ ...row, age: 999 })),
      baseline,
    );
    const again = judge(
      decodeProfile(encodeProfile(profile)),
      prepareBaseline(decodeBaseline(encodeBaseline(learned))),
    );
    expect(canonicalJson(again)).toBe(canonicalJson(judge(profile, baseline)));
  });

  it('judges the union of batches by their merged profiles', () => {
    const parts = [30, 31, 32].map((i) => profileOf(makeBatch(i, 250), baseline));
    expect(mergeProfiles(parts).bound?.baseline).toBe(baseline.digest);
    expect(judge(mergeProfiles(parts), baseline).outcome).toBe('clean');
    const bad = parts.map((_, i) =>
      profileOf(change(0.2, (row) => ({ ...row, age: Number(row['age']) * 10 }), 40 + i).slice(0, 250), baseline),
    );
    expect(judge(mergeProfiles(bad), baseline).outcome).toBe('suspect');
  });

  it('is clean for clean batches of half and of four times the learned size', () => {
    for (const size of [SIZE / 2, SIZE * 4]) {
      const settings = { ...JUDGE_DEFAULTS, recordsMin: 100 };
      for (let i = 50; i < 56; i++)
        expect(judge(profileOf(makeBatch(i, size), baseline), baseline, settings)).toMatchObject({ outcome: 'clean' });
    }
  });

  it('keeps record values out of its sentences', () => {
    const { findings } = verdictOn(change(0.1, (row) => ({ ...row, plan: 'hunter2' })));
    expect(findings.some(({ detail }) => detail.includes('hunter2'))).toBe(true);
    expect(findings.map(({ sentence }) => sentence).join()).not.toMatch(/hunter2|team|large/);
  });

  it('holds a batch that lacks a column of the baseline', () => {
    const types = Object.fromEntries(Object.entries(TYPES).filter(([name]) => name !== 'late'));
    const profile = profileRows(makeBatch(30), baseline, types, ROLES);
    expect(judge(profile, baseline).findings[0]).toMatchObject({
      hard: true,
      statistic: 'missing-column',
      columns: ['late'],
    });
  });
});

describe('detectors', () => {
  it('have one id each, give each statistic an id of its own, and say what they are about', () => {
    expect(new Set(DETECTORS.map(({ id }) => id)).size).toBe(DETECTORS.length);
    expect(DETECTORS.every(({ about, family }) => about.length > 10 && FAMILIES.includes(family))).toBe(true);
    const ids = learned.statistics.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('combine so that a quiet family cannot hush a loud one', () => {
    expect(combine([1e-8, 0.999999, 0.999999, 0.999999])).toBeLessThan(1e-6);
  });
});
