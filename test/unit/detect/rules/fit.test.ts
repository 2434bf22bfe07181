import { describe, expect, it } from 'vitest';

import { describeMisfits } from '../../../../src/detect/rules/fit.ts';
import type { Rule } from '../../../../src/detect/rules/rule.ts';
import type { Column, ColumnType } from '../../../../src/record/schema.ts';

const NO_ROLES = { label: null, source: null, time: null };
const TYPES = ['boolean', 'int64', 'float64', 'decimal', 'string', 'timestamp', 'json'] as const;

function misfitsOf(type: ColumnType, rule: object, roles: object = {}): string[] {
  const column: Column = { name: 'a', path: ['a'], type };
  const full = { name: 'r', column: 'a', action: 'quarantine', ...rule } as unknown as Rule;
  return describeMisfits({ roles: { ...NO_ROLES, ...roles }, rules: [full] }, [column]);
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

  it('says what is wrong in a sentence without anything that could pass for other text', () => {
    expect(misfitsOf('int64', { kind: 'set', values: [1, 'x"\u{202e}y'] })).toEqual([
      'rule "r" allows "x\u{fffd}\u{fffd}y", which never occurs: column "a" is int64, wanted a whole number',
    ]);
    expect(misfitsOf('int64', { kind: 'unique', column: 'b"' }, { time: 'A' })).toEqual([
      'time is never checked: column "A" is not in the schema (did you mean "a"?)',
      'rule "r" is never checked: column "b\u{fffd}" is not in the schema',
    ]);
  });
});

describe('a time', () => {
  it.each(TYPES)('of type %s is one only if it is a timestamp', (type) => {
    const wanted = `time is never checked: column "a" is ${type}, wanted a timestamp`;
    expect(misfitsOf(type, { kind: 'not_null' }, { time: 'a' })).toEqual(type === 'timestamp' ? [] : [wanted]);
  });
});
