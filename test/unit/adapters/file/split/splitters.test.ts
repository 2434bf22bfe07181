import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvSplitter } from '../../../../../src/adapters/file/split/csv-splitter.ts';
import { NdjsonSplitter } from '../../../../../src/adapters/file/split/ndjson-splitter.ts';
import type { RecordSplitter } from '../../../../../src/adapters/file/split/record-spans.ts';
import { splitCsv, splitNdjson } from '../../../../support/record-models.ts';

const RECORD_BYTES_MAX = 60;

/** Stands for a record that is refused, and all behind it. */
const TOO_LONG = Symbol('too long');
type Found = string | typeof TOO_LONG;

/** Feeds a file in pieces up to a record that is too long; also checks what the caller must be able to rely on. */
function run(splitter: RecordSplitter, input: Buffer, cuts: readonly number[]): Found[] {
  const found: Found[] = [];
  let pending = Buffer.alloc(0);
  const edges = [0, ...cuts.map((cut) => cut % (input.length + 1)), input.length].sort((a, b) => a - b);
  for (let i = 1; i < edges.length; i++) {
    const piece = input.subarray(edges[i - 1], edges[i]);
    const ended = i === edges.length - 1;
    pending = Buffer.concat([pending, piece]);
    const spans = splitter.split(Buffer.concat([pending, Buffer.from('\n"junk')]), pending.length, ended);
    for (let k = 0; k < spans.count; k++) {
      expect(spans.lengths[k]).toBeLessThanOrEqual(RECORD_BYTES_MAX);
      found.push(pending.subarray(spans.starts[k], spans.starts[k]! + spans.lengths[k]!).toString('latin1'));
    }
    if (spans.isTooLong) return [...found, TOO_LONG];
    pending = pending.subarray(spans.consumed);
    // What waits is at most one record that may still fit, and half of its line break.
    expect(pending.length).toBeLessThanOrEqual(RECORD_BYTES_MAX + 1);
    if (ended) expect(pending.length).toBe(0);
  }
  return found;
}

/** What {@link run} finds of `records`. */
function upToTooLong(records: readonly string[]): Found[] {
  const at = records.findIndex((record) => record.length > RECORD_BYTES_MAX);
  return at === -1 ? [...records] : [...records.slice(0, at), TOO_LONG];
}

const ndjson = (text: string, ...cuts: number[]): Found[] =>
  run(new NdjsonSplitter(RECORD_BYTES_MAX), Buffer.from(text), cuts);
const csv = (text: string, ...cuts: number[]): Found[] =>
  run(new CsvSplitter(RECORD_BYTES_MAX, ',', true), Buffer.from(text), cuts);

describe('the NDJSON splitter', () => {
  it('ends a record at LF or CRLF, with or without one at the end of the file', () => {
    expect(ndjson('{"a":1}\n{"b":2}\r\n{"c":3}')).toEqual(['{"a":1}', '{"b":2}', '{"c":3}']);
    expect(ndjson('{"a":1}\n')).toEqual(['{"a":1}']);
    expect(ndjson('')).toEqual([]);
  });

  it('skips nothing: a blank line is a record of length 0', () => {
    expect(ndjson('\n\na\n\r\n\nb')).toEqual(['', '', 'a', '', '', 'b']);
    expect(ndjson('\n')).toEqual(['']);
  });

  it('keeps NUL bytes and carriage returns that are no line break', () => {
    expect(ndjson('a\u0000b\rc\n\rd\r')).toEqual(['a\u0000b\rc', '\rd\r']);
  });
});

describe('the CSV splitter', () => {
  it('ends a record at a line break outside of quotes', () => {
    expect(csv('a,"b\nc"\r\n"d""\r\n","e\n"\nf')).toEqual(['a,"b\nc"', '"d""\r\n","e\n"', 'f']);
  });

  it('skips nothing: a blank line is a record of length 0', () => {
    expect(csv('\na\r\n\r\n\n')).toEqual(['', 'a', '', '']);
  });

  it('opens a quoted field only at the start of a field', () => {
    expect(csv('5" pipe,x\n"a",6" y\nb')).toEqual(['5" pipe,x', '"a",6" y', 'b']);
    expect(csv('"a"b"\nc')).toEqual(['"a"b"', 'c']);
    expect(csv('a,"b"\nc')).toEqual(['a,"b"', 'c']);
  });

  it('reports an unterminated quote at the end of the file as one record', () => {
    expect(csv('a\n"b\nc\n')).toEqual(['a', '"b\nc\n']);
  });

  it('passes over a byte order mark before the first field of a file, however the file is cut, and over no other', () => {
    const mark = Buffer.from('\ufeff').toString('latin1');
    const found = [`${mark}"a,\n",b`, '1,2'];
    const text = '\ufeff"a,\n",b\r\n1,2\n';
    for (let cut = 0; cut <= Buffer.byteLength(text); cut++)
      for (const other of [0, 1, 2, 3]) expect(csv(text, cut, other)).toEqual(found);
    expect(csv('\ufeff\n\ufeff"b\nc"\n')).toEqual([mark, `${mark}"b`, 'c"']);
    for (const length of [0, 1, 2, 3]) {
      const part = Buffer.from('\ufeff').subarray(0, length);
      const start = (): CsvSplitter => new CsvSplitter(RECORD_BYTES_MAX, ',', true);
      expect(run(start(), part, [0, 1])).toEqual(length === 0 ? [] : [part.toString('latin1')]);
      const quoted = Buffer.concat([part, Buffer.from('"a\nb')]);
      expect(run(start(), quoted, [0, 1])).toHaveLength(length === 0 || length === 3 ? 1 : 2);
    }
    const later = new CsvSplitter(RECORD_BYTES_MAX, ',', false);
    expect(run(later, Buffer.from('\ufeff"b\nc"'), [])).toEqual([`${mark}"b`, 'c"']);
  });

  it('starts the next file afresh', () => {
    const splitter = new CsvSplitter(RECORD_BYTES_MAX, ',', true);
    expect(run(splitter, Buffer.from('"a\n'), [])).toEqual(['"a\n']);
    expect(run(splitter, Buffer.from('b\nc'), [])).toEqual(['b', 'c']);
  });
});

describe.each([
  ['NDJSON', (cap: number) => new NdjsonSplitter(cap), splitNdjson],
  ['CSV', (cap: number) => new CsvSplitter(cap, ',', true), splitCsv],
] as const)('the %s splitter, fed in pieces', (_, create, model) => {
  const alphabet = fc.constantFrom('a', 'bcd', ',', '"', '""', '\n', '\r', '\r\n', '\u0000', 'long long long text');
  const file = fc.array(alphabet, { maxLength: 40 }).map((list) => list.join(''));

  it('finds the same records however the file is cut', () => {
    fc.assert(
      fc.property(file, fc.array(fc.nat(), { maxLength: 8 }), (text, cuts) => {
        expect(run(create(RECORD_BYTES_MAX), Buffer.from(text), cuts)).toEqual(upToTooLong(model(text)));
      }),
      { numRuns: 4_000 },
    );
  });

  it('finds the same records byte by byte', () => {
    fc.assert(
      fc.property(file, (text) => {
        const every = Array.from({ length: text.length }, (__, i) => i);
        expect(run(create(RECORD_BYTES_MAX), Buffer.from(text), every)).toEqual(upToTooLong(model(text)));
      }),
      { numRuns: 1_000 },
    );
  });

  it('stops at a record that is too long, wherever the file is cut', () => {
    const text = `a\n${'x'.repeat(100)}\r\nb\n`;
    for (let cut = 0; cut <= text.length; cut++)
      expect(run(create(RECORD_BYTES_MAX), Buffer.from(text), [cut])).toEqual(['a', TOO_LONG]);
    expect(run(create(RECORD_BYTES_MAX), Buffer.from(`a\n${'x'.repeat(100)}`), [])).toEqual(['a', TOO_LONG]);
  });

  it('does not take a CRLF for a byte too many', () => {
    const exact = 'x'.repeat(RECORD_BYTES_MAX);
    for (let cut = RECORD_BYTES_MAX - 5; cut < RECORD_BYTES_MAX + 5; cut++)
      expect(run(create(RECORD_BYTES_MAX), Buffer.from(`${exact}\r\n${exact}y\r\n`), [cut])).toEqual([exact, TOO_LONG]);
  });

  it('takes time linear in a file that arrives byte by byte', () => {
    const large = new Uint8Array(200_000).fill(0x78);
    const splitter = create(large.length);
    const begin = process.cpuUsage();
    for (let length = 1; length <= large.length; length++) splitter.split(large, length, false);
    expect(process.cpuUsage(begin).user / 1_000).toBeLessThan(2_000);
  });

  it('refuses a cap that is no positive integer', () => {
    for (const cap of [0, -1, 1.5, Number.NaN]) {
      expect(() => create(cap)).toThrow(RangeError);
    }
  });
});
