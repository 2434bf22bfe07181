import { describe, expect, it } from 'vitest';

import { parseYaml } from '../../../src/config/parse-yaml.ts';
import { errorOf } from './configuration.ts';

const refused = (text: string): string[] => {
  const { message, faults } = errorOf(() => parseYaml(text, 'x.yaml'));
  return [message.split('\n')[0]!, ...faults.map((fault) => `${fault.path}: ${fault.message}`)];
};
const NOT_WANTED = 'Cannot use configuration "x.yaml": it is not the YAML that is wanted';

describe('the YAML of a configuration', () => {
  it('may be what YAML 1.2 allows, JSON too', () => {
    expect(parseYaml('a: &x { b: 1 }\nc: *x\n', 'x')).toEqual({ a: { b: 1 }, c: { b: 1 } });
    expect(parseYaml('{"a": [1, "b", null, true]}', 'x')).toEqual({ a: [1, 'b', null, true] });
    expect(parseYaml('a: no\nb: 0x10\nc: 1_000\nd: 2026-01-01\n', 'x')).toEqual({
      a: 'no',
      b: 16,
      c: '1_000',
      d: '2026-01-01',
    });
    expect(parseYaml('\ufeffa: 1\r\nb: |\r\n  x\r\n', 'x')).toEqual({ a: 1, b: 'x\n' });
  });

  it('has no key twice, at any depth (G13)', () => {
    expect(refused('a: 1\nb: 2\na: 3\n')).toEqual([NOT_WANTED, 'line 3, column 1: a key is given twice']);
    expect(refused('a: { b: 1, b: 2 }\n')).toEqual([NOT_WANTED, 'line 1, column 12: a key is given twice']);
  });

  it('has no anchors that multiply without end (G13)', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 12; i++)
      bomb.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    const begin = process.cpuUsage();
    expect(refused(bomb.join('\n'))).toEqual(['Cannot use configuration "x.yaml": its aliases multiply without end']);
    expect(process.cpuUsage(begin).user / 1_000).toBeLessThan(2_000);
    expect(process.memoryUsage().rss).toBeLessThan(2 ** 31);
  });

  it('has no anchor that holds itself', () => {
    expect(() => parseYaml('a: &a [*a]\n', 'x')).toThrow(/nested|aliases/);
  });

  it('has a bounded size and depth', () => {
    expect(refused(`a: ${'x'.repeat(1_048_576)}`)).toEqual([
      'Cannot use configuration "x.yaml": it has 1048579 bytes, at most 1048576 are allowed',
    ]);
    for (const depth of [65, 1_000, 100_000]) {
      const [message] = refused(`${'['.repeat(depth)}${']'.repeat(depth)}`);
      expect(message).toMatch(/nested deeper|not the YAML/);
      const nested = Array.from({ length: Math.min(depth, 1_000) }, (_, i) => `${' '.repeat(i)}a:\n`).join('');
      expect(refused(nested)[0]).toMatch(/nested deeper|not the YAML/);
    }
    expect(() => parseYaml(`${'['.repeat(60)}${']'.repeat(60)}`, 'x')).not.toThrow();
  });

  it.each([
    ['a second document', 'a: 1\n---\nb: 2\n', 'line 2, column 1: a second document begins; one is allowed'],
    ['a tag', 'a: !!js/function "x"\n', 'line 1, column 4: a tag is unknown (a text that begins with ! needs quotes)'],
    [
      'a tag of its own',
      'a: !secret x\n',
      'line 1, column 4: a tag is unknown (a text that begins with ! needs quotes)',
    ],
    ['a tab', 'a:\n\tb: 1\n', 'line 2, column 1: a tab stands where spaces must'],
    ['an open bracket', 'a: [1\n', /bracket|indentation/],
    ['an open quote', 'a: "x\n', 'line 2, column 1: a bracket, a quote, a colon or a space is missing'],
    [
      'a colon too many',
      'a: b: c\n',
      'line 1, column 4: a text holds ": " and needs quotes, or the indentation is wrong',
    ],
    ['wrong indentation', 'a:\n    b: 1\n  c: 2\n', /indentation|quotes|stands/],
    ['a text that begins with %', 'a: %x\n', 'line 1, column 4: a text begins with a character that needs quotes'],
    ['a text that begins with @', 'a: @x\n', 'line 1, column 4: a text begins with a character that needs quotes'],
    ['an unknown escape', 'a: "\\q"\n', /escape/],
  ])('is refused for %s', (_, text, fault) => {
    const [message, first] = refused(text);
    expect(message).toBe(NOT_WANTED);
    if (typeof fault === 'string') expect(first).toBe(fault);
    else expect(first).toMatch(fault);
  });

  it('is refused for an alias that leads nowhere', () => {
    expect(refused('a: *nothing\n')).toEqual([
      'Cannot use configuration "x.yaml": an alias leads nowhere (a text that begins with * needs quotes)',
    ]);
  });

  it('reports no more than 20 faults', () => {
    expect(refused('a: 1\n'.repeat(100))).toHaveLength(21);
  });
});
