import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../../src/errors.ts';
import { createCsvDecoder } from '../../../../src/ingest/decode/csv-decoder.ts';
import { columnOf, decodeCsv, decodeEach, decodeOne, schemaOf, toRows } from './decoded-values.ts';

describe('the CSV decoder', () => {
  it('decodes one value of every type', () => {
    const { reason, row } = decodeCsv(
      { b: 'boolean', i: 'int64', f: 'float64', d: 'decimal(10,2)', s: 'string', t: 'timestamp(us)', j: 'json' },
      'TRUE,-42,2.5,-0.01,héllo,1969-12-31 23:59:59.999999Z,"[1, {""a"":null}]"',
    );
    expect(reason).toBe('ok');
    expect(row).toEqual([true, -42n, 2.5, -1n, 'héllo', -1n, '[1, {"a":null}]']);
  });

  it('reads quoted fields with commas, line breaks and doubled quotes', () => {
    const columns = { a: 'string', b: 'string', c: 'string' } as const;
    expect(decodeCsv(columns, '"x,y","1\r\n2\n","say ""hi"""').row).toEqual(['x,y', '1\r\n2\n', 'say "hi"']);
    expect(decodeCsv(columns, '"","""",""""""').row).toEqual(['', '"', '""']);
  });

  it('takes an unquoted empty field as null and a quoted one as text', () => {
    expect(decodeCsv({ a: 'string', b: 'int64', c: 'string' }, ',,""').row).toEqual([null, null, '']);
    expect(decodeCsv({ a: 'int64' }, '""').reason).toBe('wrong-type');
    expect(decodeCsv({ a: 'string' }, '').row).toEqual([null]);
  });

  it('takes the given texts as null instead, when they are not quoted', () => {
    const options = { nullValues: ['NA', 'null'] };
    expect(decodeCsv({ a: 'int64', b: 'string', c: 'string', d: 'string' }, 'NA,null,"NA",na', options).row).toEqual([
      null,
      null,
      'NA',
      'na',
    ]);
    expect(decodeCsv({ a: 'string' }, '', options).row).toEqual(['']);
    expect(decodeCsv({ a: 'int64' }, '', options).reason).toBe('wrong-type');
  });

  it('refuses another number of fields', () => {
    const columns = { a: 'string', b: 'string' } as const;
    for (const record of ['x', 'x,y,z', 'x,y,', '', '\n'])
      expect(decodeCsv(columns, record).reason).toBe('field-count');
    expect(decodeCsv({}, '').reason).toBe('field-count');
    expect(decodeCsv({ a: 'int64', b: 'int64' }, 'slid,1,2').reason).toBe('field-count');
    expect(decodeCsv({ a: 'int64', b: 'int64' }, 'x').reason).toBe('field-count');
  });

  it('takes one line break at the end of a record, and nothing after it', () => {
    const columns = { a: 'string', b: 'string' } as const;
    for (const record of ['x,y', 'x,y\n', 'x,y\r\n', 'x,"y"\n', '"x","y"\r\n'])
      expect(decodeCsv(columns, record).row).toEqual(['x', 'y']);
    for (const record of ['x,y\nz', 'x,y\n\n', 'x,y\r\n,'])
      expect(decodeCsv(columns, record).reason).toBe('trailing-data');
    for (const record of ['x,y\r', 'x\ry,z', 'x,"y"\r']) expect(decodeCsv(columns, record).reason).toBe('syntax');
  });

  it.each(['"x', '"x""', 'x"y', 'x"', '"x"y', '"x" ', ' "x"', '"', '"""', '"x"""y"', '"x""y'])(
    'refuses the malformed quotes of %j',
    (record) => {
      expect(decodeCsv({ a: 'string' }, record).reason).toBe('syntax');
    },
  );

  it('knows booleans in three spellings', () => {
    for (const text of ['true', 'True', 'TRUE']) expect(decodeCsv({ a: 'boolean' }, text).row).toEqual([true]);
    for (const text of ['false', 'False', 'FALSE', '"false"'])
      expect(decodeCsv({ a: 'boolean' }, text).row).toEqual([false]);
    for (const text of ['tRUE', 't', '1', '0', 'yes', ' true'])
      expect(decodeCsv({ a: 'boolean' }, text).reason).toBe('wrong-type');
  });

  it('reads numbers as JSON writes them and no other way', () => {
    expect(decodeCsv({ a: 'float64' }, '-1.5E3').row).toEqual([-1500]);
    for (const text of ['+1', ' 1', '1 ', '007', '.5', '1.', '0x1', '1 000', '"1,000"', 'NaN', 'inf', '1e', '-']) {
      expect(decodeCsv({ a: 'float64' }, text).reason).toBe('wrong-type');
    }
    expect(decodeCsv({ a: 'int64' }, '1.0').reason).toBe('wrong-type');
  });

  it('holds a json column to JSON', () => {
    expect(decodeCsv({ a: 'json' }, '" {""a"": 1} "').row).toEqual(['{"a": 1}']);
    expect(decodeCsv({ a: 'json' }, '1e400').row).toEqual(['1e400']);
    expect(decodeCsv({ a: 'json' }, 'null').row).toEqual(['null']);
    for (const text of ['x', '"{"', '"{} {}"', '" "', '""'])
      expect(decodeCsv({ a: 'json' }, text).reason).toBe('wrong-type');
    expect(decodeCsv({ a: 'json' }, '"{""a"":1,""a"":2}"').reason).toBe('duplicate-key');
    expect(decodeCsv({ a: 'json' }, '['.repeat(100)).reason).toBe('too-deep');
  });

  it('flags suspicious text', () => {
    const decoder = createCsvDecoder(schemaOf('csv', { a: 'string', b: 'json' }));
    const odd = ['\u0000', '\u202e', '"\u200b"', '"""\ufeff"'];
    for (const text of [...odd, 'é', '"\u2010"'])
      expect(decodeOne(decoder, `x${text},1`)).toBe(text.startsWith('"') ? 'syntax' : 'ok');
    for (const text of odd.filter((item) => item.startsWith('"')))
      expect(decodeOne(decoder, `${text},"[""\u2066""]"`)).toBe('ok');
    expect(decoder.take().columns.map((column) => column.counts.suspiciousText)).toEqual([4, 2]);
  });

  it('leaves no trace of a refused record', () => {
    const decoder = createCsvDecoder(schemaOf('csv', { a: 'string', b: 'float64', c: 'int64' }));
    expect(decodeEach(decoder, ['only here,-0,x', 'y,1,2', 'z,-0', 'w,1e400,3', '"\u200b",1,2,3'])).toEqual([
      'wrong-type',
      'ok',
      'field-count',
      'unrepresentable',
      'field-count',
    ]);
    const decoded = decoder.take();
    expect(toRows(decoded)).toEqual([['y', 1, 2n]]);
    const [text] = decoded.columns;
    expect(text?.kind === 'text' ? text.dictionary.size : -1).toBe(1);
    expect(decoded.columns.map((column) => Object.values(column.counts))).toEqual([
      [0, 0, 0, 0],
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
  });

  it('reads back every table of texts that is written by RFC 4180', () => {
    const decoder = createCsvDecoder(schemaOf('csv', { a: 'string', b: 'string', c: 'string' }));
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.array(fc.constantFrom('"', ',', '\r', '\n', 'x', '\u0000', '')).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(fc.tuple(text, text, text), fc.boolean(), (row, always) => {
        const fields = row.map((value) =>
          always || value === '' || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value,
        );
        fc.pre(!fields[0]!.startsWith('\ufeff'));
        expect(decodeOne(decoder, fields.join(','))).toBe('ok');
        expect(toRows(decoder.take())).toEqual([row]);
      }),
      { numRuns: 3_000 },
    );
  });

  it('refuses a schema with nested paths or of another format', () => {
    expect(() => createCsvDecoder({ version: 1, format: 'csv', columns: [columnOf(['a', 'b'], 'string')] })).toThrow(
      RequestError,
    );
    expect(() => createCsvDecoder(schemaOf('json', { a: 'string' }))).toThrow(RequestError);
  });
});

describe("the CSV decoder with a file's header", () => {
  const columns = { a: 'string', b: 'int64', c: 'float64' } as const;
  const schema = schemaOf('csv', columns);

  it('finds columns by name, in any order', () => {
    const { row } = decodeCsv(columns, '2.5,x,7', { header: ['c', 'a', 'b'] });
    expect(row).toEqual(['x', 7n, 2.5]);
  });

  it("takes the schema's order without one", () => {
    expect(decodeCsv(columns, 'x,7,2.5').row).toEqual(['x', 7n, 2.5]);
    expect(decodeCsv(columns, 'x,7').reason).toBe('field-count');
  });

  it('makes a column that the file lacks null and absent', () => {
    const { row, decoded } = decodeCsv(columns, '7', { header: ['b'] });
    expect(row).toEqual([null, 7n, null]);
    expect(decoded.columns.map(({ nullCount, counts }) => [nullCount, counts.absent])).toEqual([
      [1, 1],
      [0, 0],
      [1, 1],
    ]);
  });

  it('counts rows of fields that are no column, and skips what they hold', () => {
    const decoder = createCsvDecoder(schema, { header: ['x.y', 'b', 'a', 'z', 'c'] });
    expect(decodeEach(decoder, ['?,1,a,,2', '"?,?",2,b,"",3', ',x,c,,4'])).toEqual(['ok', 'ok', 'wrong-type']);
    const decoded = decoder.take();
    expect(toRows(decoded)).toEqual([
      ['a', 1n, 2],
      ['b', 2n, 3],
    ]);
    expect([...decoded.extraFields]).toEqual([
      ['x\\.y', 2],
      ['z', 2],
    ]);
    expect([...decoder.take().extraFields]).toEqual([]);
  });

  it('counts the hundred-first unknown field and one named like it under …', () => {
    const names = ['…', ...Array.from({ length: 101 }, (_, i) => `x${i}`)];
    const decoder = createCsvDecoder(schema, { header: names });
    expect(decodeOne(decoder, names.map(() => '').join(','))).toBe('ok');
    const { extraFields } = decoder.take();
    expect(extraFields.size).toBe(101);
    expect([...extraFields.keys()].slice(0, 2)).toEqual(['x0', 'x1']);
    expect(extraFields.get('…')).toBe(1);
    expect(extraFields.has('x100')).toBe(false);
  });

  it.each([
    ['malformed quotes', 'x,"y"z,1', 'syntax'],
    ['an unterminated quote', '1,"y', 'syntax'],
    ['invalid UTF-8', Buffer.from([0x31, 0x2c, 0xff]), 'invalid-utf8'],
    ['a line break after it and more', '1,y\nz', 'trailing-data'],
  ])('refuses %s in a field that is no column', (_, record, reason) => {
    expect(decodeCsv({ b: 'int64' }, record, { header: ['b', 'x'] }).reason).toBe(reason);
  });

  it('counts the fields of the file, not those of the schema', () => {
    const decoder = createCsvDecoder(schema, { header: ['b', 'x'] });
    expect(decodeEach(decoder, ['1,y', '1', '1,y,', '1,y,z', 'no,y', 'no'])).toEqual([
      'ok',
      'field-count',
      'field-count',
      'field-count',
      'wrong-type',
      'field-count',
    ]);
  });

  it('leaves no trace of a refused record in the columns that the file lacks', () => {
    const decoder = createCsvDecoder(schema, { header: ['b'] });
    decodeEach(decoder, ['1', 'no', '1,2', '2']);
    const decoded = decoder.take();
    expect(decoded.columns.map(({ counts }) => counts.absent)).toEqual([2, 0, 2]);
    expect(toRows(decoded)).toEqual([
      [null, 1n, null],
      [null, 2n, null],
    ]);
  });

  it("finds a column by its field's name, not by its name at rest", () => {
    expect(decodeCsv({ _offset: 'int64', v: 'int64' }, '1,2', { header: ['v', '_offset'] }).row).toEqual([2n, 1n]);
  });

  it('may have fields only that are no column', () => {
    const { row, decoded } = decodeCsv({ a: 'string' }, 'x', { header: ['other'] });
    expect(row).toEqual([null]);
    expect([...decoded.extraFields]).toEqual([['other', 1]]);
  });

  it('refuses a header without fields, and one with a name twice', () => {
    expect(() => createCsvDecoder(schema, { header: [] })).toThrow(RequestError);
    expect(() => createCsvDecoder(schema, { header: ['a', 'x', 'x'] })).toThrow(/"x" is given twice/);
  });

  it('gives the same columns for every order and superset of the fields', () => {
    const cell = fc.constantFrom('', '1', '-2', 'x', '3.5', '"q"', '1e3');
    const file = fc.record({
      order: fc.shuffledSubarray(['a', 'b', 'c', 'x', 'y'], { minLength: 1 }),
      rows: fc.array(fc.record({ a: cell, b: cell, c: cell, x: cell, y: cell }), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(file, ({ order, rows }) => {
        const decoder = createCsvDecoder(schema, { header: order });
        const given = decodeEach(
          decoder,
          rows.map((row) => order.map((name) => row[name as 'a']).join(',')),
        );
        const kept = new Set<string>(order);
        const plain = createCsvDecoder(schema);
        const expected = decodeEach(
          plain,
          rows.map((row) => (['a', 'b', 'c'] as const).map((name) => (kept.has(name) ? row[name] : '')).join(',')),
        );
        expect(given).toEqual(expected);
        expect(toRows(decoder.take())).toEqual(toRows(plain.take()));
      }),
      { numRuns: 500 },
    );
  });
});

describe.each([',', ';', '\t', '|'] as const)('the CSV decoder with the delimiter %j', (delimiter) => {
  const others = [',', ';', '\t', '|'].filter((each) => each !== delimiter).join('');

  it('splits at it alone', () => {
    const record = ['x', `"a${delimiter}b"`, `y${others}`, '1'].join(delimiter);
    const { row } = decodeCsv({ a: 'string', b: 'string', c: 'string', d: 'int64' }, record, { delimiter });
    expect(row).toEqual(['x', `a${delimiter}b`, `y${others}`, 1n]);
  });

  it('takes empty fields at both ends for null', () => {
    const { row } = decodeCsv({ a: 'string', b: 'string' }, delimiter, { delimiter });
    expect(row).toEqual([null, null]);
  });
});
