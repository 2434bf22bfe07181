import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeadgateError } from '../../../src/errors.ts';
import { buildProfile } from '../../../src/detect/profile/build.ts';
import type { Profile } from '../../../src/detect/profile.ts';
import { decodeProfile, encodeProfile } from '../../../src/detect/profile/format.ts';
import { mergeProfiles } from '../../../src/detect/profile/merge.ts';
import { compileRules } from '../../../src/detect/rules.ts';
import { decodeNumbers } from '../../../src/detect/sketch/array-text.ts';
import { DistinctCounter } from '../../../src/detect/sketch/hyperloglog.ts';
import { columnsOf } from '../../support/columns.ts';
import type { Row } from '../../support/columns.ts';
import { profileRows, randomOf } from '../../support/flights.ts';

const TYPES = {
  n: 'float64',
  i: 'int64',
  t: 'timestamp',
  d: 'decimal',
  b: 'boolean',
  s: 'string',
  y: 'string',
} as const;
const ROLES = { label: 'y', source: 's', time: 't' };

const profileOf = (rows: readonly Row[]): Profile => profileRows(rows, null, TYPES, ROLES);
const column = (profile: Profile, name: string) => profile.columns.find((candidate) => candidate.name === name)!;

function makeRows(count: number, seed: number): Row[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, (_, i) => ({
    n: random() < 0.1 ? null : random() * 10 - 2,
    i: BigInt(i),
    t: 1_380_600_000_000 + i * 1_000,
    d: BigInt(Math.floor(random() * 1_000) - 500),
    b: random() < 0.3,
    s: random() < 0.05 ? undefined : `s${Math.floor(random() * 40)}`,
    y: random() < 0.8 ? 'no' : 'yes',
  }));
}

const faultOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof HeadgateError) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('profile', () => {
  it('counts nulls, absent fields, signs, zeros and whole numbers', () => {
    const rows: Row[] = [{ n: 1 }, { n: -2.5 }, { n: 0 }, { n: null }, {}].map((row) => ({
      i: 1n,
      t: 0,
      d: 0n,
      b: true,
      s: 'a',
      y: 'x',
      ...row,
    }));
    const measured = column(profileOf(rows), 'n');
    expect(measured).toMatchObject({ nulls: 2, absent: 1 });
    expect(measured.numeric).toMatchObject({
      count: 3,
      min: -2.5,
      max: 1,
      mean: -0.5,
      m2: 6.5,
      zeros: 1,
      negatives: 1,
      integers: 2,
    });
  });

  it('reads timestamps as milliseconds and decimals as numbers, negative ones too', () => {
    const rows: Row[] = [-1n, -99n, 12_345n, 2n ** 100n].map((d) => ({
      n: 0,
      i: -1n,
      t: '2013-10-04T09:00:00Z',
      d,
      b: false,
      s: 'é',
      y: 'x',
    }));
    const profile = profileOf(rows);
    expect([...decodeNumbers(column(profile, 'd').numeric!.lowest, 16)!]).toEqual([
      -0.99,
      -0.01,
      123.45,
      2 ** 100 / 100,
    ]);
    expect(column(profile, 't').numeric).toMatchObject({ min: Date.parse('2013-10-04T09:00:00Z') });
    expect(column(profile, 'i').numeric).toMatchObject({ min: -1, max: -1, negatives: 4 });
    expect(column(profile, 's').text).toMatchObject({ lengthMean: 2, lengthMax: 2 });
    expect(column(profile, 'b').boolean).toEqual({ trues: 0, falses: 4 });
  });

  it('knows the age of records without timestamps from the column that says when they happened, joined too', () => {
    const rules = compileRules([{ name: 'r', action: 'halt', kind: 'freshness', maxAgeMs: 1_000 }]);
    const build = (newestMs: number, sealedMs: number, time: string | null, lastMs: number | null = null): Profile =>
      buildProfile({
        columns: columnsOf([{ t: 0 }, { t: newestMs }, { t: null }], { t: 'timestamp' }),
        roles: { label: null, source: null, time },
        counts: { records: 3, bytes: 9, deadLetters: {}, skipped: {} },
        times: { firstMs: lastMs, lastMs, sealedMs },
        rowHashes: null,
        seed: 1,
        baseline: null,
        rules,
      });
    const age = ({ rules: [rule] }: Profile) => [rule!.value, rule!.violations];
    expect(age(build(5_000, 6_000, 't'))).toEqual([1_000, 0]);
    expect(age(build(5_000, 6_001, 't'))).toEqual([1_001, 1]);
    expect(age(build(5_000, 6_000, null))).toEqual([null, 1]);
    expect(age(build(9_000, 9_000, 't', 2_000))).toEqual([7_000, 1]);
    expect(age(mergeProfiles([build(5_000, 9_000, 't'), build(8_500, 7_000, 't')]))).toEqual([500, 0]);
  });

  it('stays finite for huge values (matrix V16)', () => {
    const rows: Row[] = [1e308, -1e308, 1e308, 5e-324].map((n) => ({
      n,
      i: 0n,
      t: 0,
      d: 0n,
      b: false,
      s: 'a',
      y: 'x',
    }));
    const numeric = column(profileOf(rows), 'n').numeric!;
    expect(Number.isFinite(numeric.mean) && Number.isFinite(numeric.m2)).toBe(true);
    expect([numeric.min, numeric.max]).toEqual([-1e308, 1e308]);
  });

  it('lists the most frequent of many values and admits the rest', () => {
    const rows: Row[] = Array.from({ length: 3_000 }, (_, i) => ({
      n: 0,
      i: 0n,
      t: 0,
      d: 0n,
      b: false,
      s: i < 1_000 ? 'common' : `rare ${i}`,
      y: 'x',
    }));
    const text = column(profileOf(rows), 's').text!;
    expect(text.top.values).toHaveLength(256);
    expect([text.top.values[0], text.top.counts[0], text.top.error]).toEqual(['common', 1_000, 1]);
    expect(text.top.other).toBe(2_000 - 255);
    expect(Math.abs(DistinctCounter.fromText(text.distinct)!.estimate() - 2_001)).toBeLessThan(100);
  });

  it('keeps long values short but apart', () => {
    const long = 'x'.repeat(5_000);
    const rows: Row[] = [long, `${long}y`, long].map((s) => ({ n: 0, i: 0n, t: 0, d: 0n, b: false, s, y: 'x' }));
    const { values, counts } = column(profileOf(rows), 's').text!.top;
    expect(counts).toEqual([2, 1]);
    expect(values.every((value) => value.length < 64)).toBe(true);
  });

  it('counts labels and the sets of columns that are null together', () => {
    const rows: Row[] = [{ y: 'a' }, { y: 'a', n: null, s: null }, { y: null, n: null, s: null }, { y: 'b' }].map(
      (row) => ({ n: 1, i: 0n, t: 0, d: 0n, b: true, s: 'q', ...row }),
    );
    const profile = profileOf(rows);
    expect(profile.labels).toMatchObject({ values: ['a', 'b'], counts: [2, 1], other: 0 });
    expect(profile.nullPatterns).toMatchObject({ values: ['', 'n+s', 'n+s+y'], counts: [2, 1, 1] });
  });

  it('samples at most 1,024 rows, spread over the batch', () => {
    const sample = profileOf(makeRows(5_000, 1)).sample!;
    expect(sample.rows).toBe(1_024);
    const index = decodeNumbers(sample.columns.find(({ name }) => name === 'i')!.values, 1_024)!;
    for (const [i, row] of index.entries()) expect(Math.abs((row * 1_024) / 5_000 - i - 0.5)).toBeLessThan(0.71);
  });

  it('has no roles for columns that are not there, and is empty for no rows', () => {
    const input = {
      counts: { records: 0, bytes: 0, deadLetters: {}, skipped: {} },
      times: { firstMs: null, lastMs: null, sealedMs: null },
    };
    const roles = { label: 'gone', source: null, time: null };
    const profile = buildProfile({
      ...input,
      columns: columnsOf([], TYPES),
      roles,
      rowHashes: null,
      seed: 0,
      baseline: null,
      rules: [],
    });
    expect(profile).toMatchObject({ rows: 0, roles: { label: null }, labels: null, sample: null });
    expect(decodeProfile(encodeProfile(profile))).toEqual(profile);
  });
});

describe('stored profile', () => {
  const profile = profileOf(makeRows(2_000, 2));
  const bytes = encodeProfile(profile);

  it('comes back as it was, with the same bytes', () => {
    expect(decodeProfile(bytes)).toEqual(profile);
    expect(encodeProfile(decodeProfile(bytes))).toEqual(bytes);
  });

  it('is the same bytes for the same rows', () => {
    expect(encodeProfile(profileOf(makeRows(2_000, 2)))).toEqual(bytes);
  });

  it('refuses data whose parts contradict each other', () => {
    const [first, ...rest] = profile.columns;
    const broken: unknown[] = [
      { ...profile, version: 2 },
      { ...profile, more: 1 },
      { ...profile, rows: 1 },
      { ...profile, schema: 'abc' },
      { ...profile, roles: { ...profile.roles, label: 'nobody' } },
      { ...profile, columns: [first, first, ...rest] },
      { ...profile, columns: [{ ...first, numeric: null }, ...rest] },
      { ...profile, columns: [{ ...first, numeric: { ...first!.numeric!, count: 3 } }, ...rest] },
      {
        ...profile,
        columns: [{ ...first, numeric: { ...first!.numeric!, lowest: first!.numeric!.highest } }, ...rest],
      },
      { ...profile, sample: { ...profile.sample!, rows: 3 } },
      { ...profile, labels: { values: ['a'], counts: [1, 2], other: 0, error: 0 } },
      { ...profile, rowHashes: { ...profile.rowHashes!, rows: 1 } },
    ];
    for (const value of broken)
      expect(faultOf(() => decodeProfile(Buffer.from(JSON.stringify(value))))).toBe('PAYLOAD_INVALID');
    for (const text of ['', '{', 'null', '[]', '{"version":1}', '\u{feff}{}'])
      expect(faultOf(() => decodeProfile(Buffer.from(text)))).toBe('PAYLOAD_INVALID');
    expect(faultOf(() => decodeProfile(new Uint8Array(65 * 1024 * 1024)))).toBe('SIZE_EXCEEDED');
  });

  it('never fails otherwise, whichever byte is changed', () => {
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = value;
        expect(['accepted', 'PAYLOAD_INVALID']).toContain(faultOf(() => decodeProfile(changed)));
      }),
      { numRuns: 200 },
    );
  });

  it('tells the place of a fault, never a value', () => {
    const secret = { ...profile, labels: { values: [{ secret: 'hunter2' }], counts: [1], other: 0, error: 0 } };
    expect(() => decodeProfile(Buffer.from(JSON.stringify(secret)))).toThrow(/^(?!.*hunter2).*labels/s);
  });
});

describe('merged profiles', () => {
  const rows = makeRows(3_000, 3);
  const whole = profileOf(rows);
  const merged = mergeProfiles([
    profileOf(rows.slice(0, 700)),
    profileOf(rows.slice(700, 1_900)),
    profileOf(rows.slice(1_900)),
  ]);

  it('count as the whole does', () => {
    expect(merged.rows).toBe(3_000);
    expect(merged.counts).toEqual(whole.counts);
    expect([merged.labels, merged.nullPatterns, merged.rowHashes]).toEqual([
      whole.labels,
      whole.nullPatterns,
      whole.rowHashes,
    ]);
    for (const [i, wanted] of whole.columns.entries()) {
      const got = merged.columns[i]!;
      expect({ ...got, numeric: null, text: null }).toEqual({ ...wanted, numeric: null, text: null });
      if (wanted.text !== null)
        expect(got.text).toMatchObject({
          count: wanted.text.count,
          distinct: wanted.text.distinct,
          top: wanted.text.top,
        });
      if (wanted.numeric === null) continue;
      const { kll, mean, m2, ...exact } = wanted.numeric;
      expect(got.numeric).toMatchObject(exact);
      expect(kll.count).toBe(got.numeric!.kll.count);
      expect(got.numeric!.mean).toBeCloseTo(mean, 3);
      expect(got.numeric!.m2 / m2).toBeCloseTo(1, 9);
    }
  });

  it('can be stored, and keep a sample of all parts', () => {
    expect(decodeProfile(encodeProfile(merged))).toEqual(merged);
    const index = decodeNumbers(merged.sample!.columns.find(({ name }) => name === 'i')!.values, 1_024)!;
    for (const [from, to] of [
      [0, 700],
      [700, 1_900],
      [1_900, 3_000],
    ] as const) {
      expect(index.filter((row) => row >= from && row < to).length).toBeGreaterThan(
        (0.7 * 1_024 * (to - from)) / 3_000,
      );
    }
  });

  it('are refused for no profiles and for two schemas', () => {
    expect(() => mergeProfiles([])).toThrow('Cannot merge no profiles');
    const other = profileRows([{ n: 1 }], null, { n: 'int64' }, { label: null, source: null, time: null });
    expect(() => mergeProfiles([whole, other])).toThrow('two schemas');
  });
});
