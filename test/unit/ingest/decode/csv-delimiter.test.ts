import { describe, expect, it } from 'vitest';

import { readHeader } from '../../../../src/ingest/decode/csv-delimiter.ts';
import type { CsvDelimiter } from '../../../../src/record/csv.ts';

/** What is said of a header, or null if it is accepted. */
function fault(text: string, delimiter: CsvDelimiter, expected: readonly string[]): string | null {
  try {
    readHeader(Buffer.from(text), delimiter, expected);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a CSV header', () => {
  it.each([
    ['id;name;label', ',', ';'],
    ['id\tname\tlabel', ',', '\\t'],
    ['id|name', ',', '|'],
    ['id,name', ';', ','],
    ['"id";"name";label', ',', ';'],
    ['\ufeffid;name', ',', ';'],
  ] as const)('%j under "%s" is refused for "%s", whether the schema is known or not', (text, delimiter, likely) => {
    for (const expected of [[], ['id', 'name', 'label']]) {
      const message = fault(text, delimiter, expected);
      expect(message).toContain(`set source.files.csv.delimiter to "${likely}"`);
      expect(message).toContain('Cannot use the CSV header row: split at');
    }
  });

  it.each([
    ['id,name', ',', ['id']],
    ['id,note', ',', ['id', 'name']],
    ['a;b', ',', ['a;b']],
    ['text', ',', []],
    ['text', ',', ['text']],
    ['a;b,c;d', ',', []],
    ['"a;b"', ',', []],
    ['id,name', ',', []],
  ] as const)('%j under "%s" is accepted where %j is expected', (text, delimiter, expected) => {
    expect(fault(text, delimiter, expected)).toBeNull();
  });

  it('counts the names that are expected, not all that a delimiter gives', () => {
    expect(fault('id;price|net|gross', ',', ['id'])).toContain('delimiter to ";"');
    expect(fault('id;price|net|gross', ',', [])).toContain('delimiter to "|"');
  });

  it('without a single column of the schema is refused, whatever the delimiter', () => {
    expect(fault('x,y', ',', ['id', 'name'])).toBe(
      'Cannot use the CSV header row: it has "x", "y", and none of that is a column of the schema ("id", "name")',
    );
  });

  it('is read, and a malformed one refused as such', () => {
    expect(readHeader(Buffer.from('\ufeffid,"na,me"'), ',', [])).toEqual(['id', 'na,me']);
    for (const expected of [[], ['id']])
      expect(fault('a"b', ',', expected)).toContain('column 1 is malformed (syntax)');
  });

  it('is quoted and cut short in what is said of it', () => {
    const names = Array.from({ length: 9 }, (_, i) => `c${i}\u202e`).join(';');
    const message = fault(names, ',', []);
    expect(message).toContain('and 4 more');
    expect(message).not.toContain('\u202e');
  });
});
