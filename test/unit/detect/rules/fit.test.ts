import { describe, expect, it } from 'vitest';

import { describeMisfits, describeUnkept, describeUnlearned } from '../../../../src/detect/rules/fit.ts';
import type { Rule } from '../../../../src/detect/rules/rule.ts';
import type { Column, ColumnType } from '../../../../src/record/schema.ts';

const NO_ROLES = { label: null, source: null, time: null };
const TYPES = ['boolean', 'int64', 'float64', 'decimal', 'string', 'timestamp', 'json'] as const;

function misfitsOf(type: ColumnType, rule: object, roles: object = {}): string[] {
  const column: Column = { name: 'a', path: ['a'], type };
  const full = { name: 'r', column: 'a', action: 'quarantine', ...rule } as unknown as Rule;
  return describeMisfits({ roles: { ...NO_ROLES, ...roles }, ignoredColumns: [], rules: [full] }, [column]);
}

describe('a rule', () => {
  it.each([
    ['range', ['int64', 'float64', 'decimal', 'timestamp']],
    ['pattern', ['string', 'json']],
    ['not_null', TYPES],
    ['unique', TYPES],
    ['row_count', TYPES],
    ['freshness', TYPES],
  ] as const)('of kind %s fits exactly the columns that can keep it', (kind, types) => {
    expect(TYPES.filter((type) => misfitsOf(type, { kind }).length === 0)).toEqual(
      TYPES.filter((type) => (types as readonly string[]).includes(type)),
    );
  });

  it.each([
    [true, ['boolean']],
    [1, ['int64', 'float64', 'decimal', 'timestamp']],
    [0.5, ['float64', 'decimal', 'timestamp']],
    ['1', ['string', 'json']],
  ] as const)('that allows %s fits exactly the columns in which it can occur', (value, types) => {
    const rule = { kind: 'set', values: [value] };
    expect(TYPES.filter((type) => misfitsOf(type, rule).length === 0)).toEqual(
      TYPES.filter((type) => (types as readonly string[]).includes(type)),
    );
  });

  it.each(['int64', 'decimal', 'timestamp'] as const)('of %s knows no whole number that was rounded', (type) => {
    const wanted = `column "a" is ${type}, wanted a number from -9007199254740991 to 9007199254740991`;
    expect(misfitsOf(type, { kind: 'range', max: 9_007_199_254_740_992 })).toEqual([
      `rule "r" has max 9007199254740992, which is not exact: ${wanted}`,
    ]);
    expect(misfitsOf(type, { kind: 'range', min: -9_007_199_254_740_992, max: 1 })).toEqual([
      `rule "r" has min -9007199254740992, which is not exact: ${wanted}`,
    ]);
    expect(misfitsOf(type, { kind: 'set', values: [1, 9_007_199_254_740_992] })).toEqual([
      `rule "r" allows 9007199254740992, which is not exact: ${wanted}`,
    ]);
    expect(misfitsOf(type, { kind: 'range', min: -9_007_199_254_740_991, max: 9_007_199_254_740_991 })).toEqual([]);
    expect(misfitsOf('float64', { kind: 'range', max: 1e20 })).toEqual([]);
  });

  it('says of a number in quotes how far numbers are exact, where quotes would not help', () => {
    const exact = 'wanted a number without quotes, from -9007199254740991 to 9007199254740991';
    for (const type of ['int64', 'decimal', 'timestamp'] as const)
      expect(misfitsOf(type, { kind: 'set', values: ['12345678901234567890'] })).toEqual([
        `rule "r" allows "12345678901234567890", which never occurs: column "a" is ${type}, ${exact}`,
      ]);
    expect(misfitsOf('float64', { kind: 'set', values: ['-12345678901234567890'] })).toEqual([
      'rule "r" allows "-12345678901234567890", which never occurs: column "a" is float64, wanted a number without quotes',
    ]);
    expect(misfitsOf('int64', { kind: 'set', values: ['8001'] })).toEqual([
      'rule "r" allows "8001", which never occurs: column "a" is int64, wanted a whole number',
    ]);
  });

  it('says what is wrong in a sentence without anything that could pass for other text', () => {
    expect(misfitsOf('int64', { kind: 'set', values: [1, 'x"\u{202e}y'] })).toEqual([
      'rule "r" allows "x\u{fffd}\u{fffd}y", which never occurs: column "a" is int64, wanted a whole number',
    ]);
    expect(misfitsOf('int64', { kind: 'unique', column: 'b"' }, { time: 'A' })).toEqual([
      'time is never checked: column "A" is not in the pinned schema (did you mean "a"?)',
      'rule "r" is never checked: column "b\u{fffd}" is not in the pinned schema',
    ]);
  });
});

describe('a time', () => {
  it.each(TYPES)('of type %s is one only if it is a timestamp', (type) => {
    const wanted = `time is never checked: column "a" is ${type}, wanted a timestamp`;
    expect(misfitsOf(type, { kind: 'not_null' }, { time: 'a' })).toEqual(type === 'timestamp' ? [] : [wanted]);
  });
});

describe('a baseline', () => {
  const columns: Column[] = ['late', 'delay', 'at'].map((name) => ({ name, path: [name], type: 'timestamp' }));
  const unlearned = (roles: object, learned: object): string[] =>
    describeUnlearned(
      { roles: { ...NO_ROLES, ...roles }, ignoredColumns: [] },
      { roles: { ...NO_ROLES, ...learned }, ignoredColumns: [] },
      columns,
    );
  const mend =
    '(mend: headgate baseline learn --files FILES, or --published once newer batches are published; then headgate baseline approve)';

  it('that was learned with other roles does not check those of the configuration', () => {
    expect(unlearned({ label: 'late', time: 'at' }, {})).toEqual([
      `label "late" is not checked: the baseline in force was learned without it ${mend}`,
      `time "at" is not checked: the baseline in force was learned without it ${mend}`,
    ]);
    expect(unlearned({ label: 'late' }, { label: 'delay' })).toEqual([
      `label "late" is not checked: the baseline in force was learned with label "delay" ${mend}`,
    ]);
    expect(unlearned({}, { label: 'late' })).toEqual([
      'label "late" of the baseline in force is not checked: the configuration names no label (mend: set label, or learn another baseline without it)',
    ]);
  });

  it('that was learned with other ignored columns compares those, and not others', () => {
    const learning = (...ignoredColumns: string[]) => ({ roles: NO_ROLES, ignoredColumns });
    const relearn = 'headgate baseline learn --published, or --files FILES; then headgate baseline approve';
    expect(describeUnlearned(learning('late', 'at'), learning('delay', 'at'), columns)).toEqual([
      `ignoredColumns is not in force for "late": the baseline in force was learned with them (mend: ${relearn})`,
      `not checked: "delay": the baseline in force was learned without them (mend: ${relearn}, or add them to ignoredColumns)`,
    ]);
    expect(describeMisfits({ ...learning('lat'), rules: [] }, columns)).toEqual([
      'ignoredColumns has no effect: column "lat" is not in the pinned schema (did you mean "late"?)',
    ]);
  });

  it('is as good with another source, which no check asks for, and is not asked of columns that are not there', () => {
    expect(unlearned({ label: 'late', source: 'delay' }, { label: 'late' })).toEqual([]);
    expect(unlearned({ label: 'lat' }, {})).toEqual([]);
  });
});

describe('a rule of freshness', () => {
  const rules = [{ name: 'r', kind: 'freshness', action: 'halt', maxAgeMs: 1 }] as const;

  it('is kept by files only where a column of timestamps says when records happened', () => {
    const broken =
      'rule "r" is broken by every batch: records of files have no time of their own (mend: set time to a column of timestamps, or leave the rule out)';
    for (const type of TYPES)
      expect(describeUnkept({ roles: { ...NO_ROLES, time: 'a' }, rules }, [{ name: 'a', path: ['a'], type }])).toEqual(
        type === 'timestamp' ? [] : [broken],
      );
    expect(describeUnkept({ roles: NO_ROLES, rules }, [])).toEqual([broken]);
    expect(describeUnkept({ roles: NO_ROLES, rules: [] }, [])).toEqual([]);
  });
});
