import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../../src/errors.ts';
import { parseCsvHeader } from '../../../../src/ingest/decode/csv-header.ts';

const parse = (text: string | Uint8Array): string[] => {
  const body = Buffer.from(text);
  return parseCsvHeader(Buffer.concat([Buffer.from('..'), body, Buffer.from(',x')]), 2, body.length, ',');
};

describe('the CSV header row', () => {
  it('gives the column names', () => {
    expect(parse('id,"a ""b"", c",é')).toEqual(['id', 'a "b", c', 'é']);
    expect(parse('id')).toEqual(['id']);
  });

  it('drops a byte order mark, also before a quoted name', () => {
    expect(parse('\ufeffid,x')).toEqual(['id', 'x']);
    expect(parse('\ufeff"id",x')).toEqual(['id', 'x']);
  });

  it.each([
    ['an empty row', ''],
    ['an empty name', 'a,,b'],
    ['an empty last name', 'a,'],
    ['a quoted empty name', 'a,""'],
    ['a name given twice', 'a,b,a'],
    ['malformed quotes', 'a,"b'],
    ['a line break', 'a\nb'],
    ['invalid UTF-8', Buffer.from([0x61, 0xff])],
    ['a name that is too long', 'n'.repeat(513)],
    ['too many names', Array.from({ length: 2_049 }, (_, i) => `c${i}`).join(',')],
  ])('is refused for %s', (_, text) => {
    expect(() => parse(text)).toThrow(RequestError);
  });

  it('may have 2,048 names', () => {
    expect(parse(Array.from({ length: 2_048 }, (_, i) => `c${i}`).join(','))).toHaveLength(2_048);
  });

  it('splits at the delimiter of the file', () => {
    const row = Buffer.from('a,b;"c;d";e');
    expect(parseCsvHeader(row, 0, row.length, ';')).toEqual(['a,b', 'c;d', 'e']);
  });
});
