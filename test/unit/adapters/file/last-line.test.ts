import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { judgeLastLine } from '../../../../src/adapters/file/last-line.ts';
import type { FileLayout } from '../../../../src/adapters/file/record-buffer.ts';

const NDJSON: FileLayout = { format: 'ndjson', delimiter: ',', recordBytesMax: 1_000_000 };
const CSV: FileLayout = { ...NDJSON, format: 'csv' };

function judgeJson(line: string): string {
  return judgeLastLine(Buffer.from(line), NDJSON, null);
}

function judgeCsv(line: string, header: string): string {
  return judgeLastLine(Buffer.from(line), CSV, Buffer.from(header));
}

describe('a last line of JSON', () => {
  it.each(['{}', '[]', '""', 'true', 'false', 'null', ' {"a":"}"} \t', '"\\\\"', '[{"a":"\\""},"]"]', '12 ', '-1e5\t'])(
    'is whole: %s',
    (line) => expect(judgeJson(line)).toBe('whole'),
  );

  it.each([
    '{',
    '{"a":"}',
    '[[]',
    '"',
    '"\\"',
    '"\\',
    'tru',
    '12',
    '-',
    '1.',
    '1e',
    ' ',
    '{}\r',
    '{} {',
    '{},',
    '}',
    'abc',
  ])('is a part: %s', (line) => expect(judgeJson(line)).toBe('part'));

  it('is whole when it is a JSON text that is no number, and a part when any of its end is missing', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, cut) => {
        expect(judgeJson(text)).toBe(typeof JSON.parse(text) === 'number' ? 'part' : 'whole');
        const start = text.slice(0, cut % text.length);
        if (start !== '') expect(judgeJson(start)).toBe('part');
      }),
    );
  });

  it('is judged in little time and memory, however deep and long it is', () => {
    const line = Buffer.alloc(50_000_000, '[');
    const before = process.memoryUsage().rss;
    expect(judgeLastLine(line, NDJSON, null)).toBe('part');
    expect(judgeLastLine(line.fill(']', line.length / 2), NDJSON, null)).toBe('whole');
    expect(judgeLastLine(line.fill('1'), NDJSON, null)).toBe('part');
    expect(judgeLastLine(line.fill('x'), NDJSON, null)).toBe('part');
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
  });
});

describe('a last line of CSV', () => {
  it('may be whole when it has the fields of the header, also behind a byte order mark', () => {
    expect(judgeCsv('3,4', '"a,b",c')).toBe('unclear');
    expect(judgeCsv('3,4', '\ufeff"a,b",c')).toBe('unclear');
    expect(judgeCsv('3', '\ufeff"a,b",c')).toBe('part');
    expect(judgeCsv('3,4', '\ufeffa,b')).toBe('unclear');
  });
});
