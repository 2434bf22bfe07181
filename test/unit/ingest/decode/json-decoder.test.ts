import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../../src/errors.ts';
import type { Decoder } from '../../../../src/ingest/decode/decoder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import type { Schema } from '../../../../src/record/schema.ts';
import { columnOf, decodeEach, decodeJson, decodeOne, schemaOf, toRows, type TypeText } from './decoded-values.ts';

describe('the JSON decoder', () => {
  it('decodes one value of every type', () => {
    const { reason, row } = decodeJson(
      { b: 'boolean', i: 'int64', f: 'float64', d: 'decimal(10,2)', s: 'string', t: 'timestamp(us)', j: 'json' },
      '{"b":true,"i":-42,"f":2.5,"d":-0.01,"s":"héllo","t":"1969-12-31T23:59:59.999999Z","j":[1, {"a":null}]}',
    );
    expect(reason).toBe('ok');
    expect(row).toEqual([true, -42n, 2.5, -1n, 'héllo', -1n, '[1, {"a":null}]']);
  });

  it('takes white space wherever RFC 8259 allows it', () => {
    const { reason, row } = decodeJson({ a: 'int64', b: 'json' }, ' \t\r\n{ "a" \n:\t1 , "b" : [ 1 , 2 ] }\r\n ');
    expect(reason).toBe('ok');
    expect(row).toEqual([1n, '[ 1 , 2 ]']);
  });

  it('reads fields in any order, and after the order changed back', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'int64', b: 'int64', c: 'int64' }));
    const records = ['{"a":1,"b":2,"c":3}', '{"c":3,"b":2,"a":1}', '{"b":2,"a":1,"c":3}', '{"a":1,"b":2,"c":3}'];
    expect(decodeEach(decoder, records)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(toRows(decoder.take())).toEqual(records.map(() => [1n, 2n, 3n]));
  });

  it('stores null for a null, and counts a field that is absent', () => {
    const { row, decoded } = decodeJson({ a: 'int64', b: 'string', c: 'json', d: 'boolean' }, '{"a":null,"c":null}');
    expect(row).toEqual([null, null, null, null]);
    expect(decoded.columns.map((column) => column.nullCount)).toEqual([1, 1, 1, 1]);
    expect(decoded.columns.map((column) => column.counts.absent)).toEqual([0, 1, 0, 1]);
  });

  it('decodes an object without any field of the schema', () => {
    expect(decodeJson({ a: 'int64' }, '{}').row).toEqual([null]);
    expect(decodeJson({}, '{}').decoded.rows).toBe(1);
  });

  it('walks nested objects by the paths of the schema', () => {
    const { row, decoded } = decodeJson(
      { 'a.b': 'int64', 'a.c.d': 'string', e: 'int64', 'a.c.f': 'boolean' },
      '{"e":4,"a":{"c":{"f":true,"d":"x","g":[{}]},"b":7}}',
    );
    expect(row).toEqual([7n, 'x', 4n, true]);
    expect([...decoded.extraFields]).toEqual([['a.c.g', 1]]);
  });

  it('keeps keys of different objects apart when it predicts the next one', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'int64', 'b.a': 'int64', 'c.a': 'int64' }));
    const records = [
      '{"a":1,"b":{"a":2},"c":{"a":3}}',
      '{"c":{"a":3},"a":1,"b":{"a":2}}',
      '{"b":{"a":2},"c":{"a":3},"a":1}',
    ];
    expect(decodeEach(decoder, [...records, ...records])).toEqual(Array.from({ length: 6 }, () => 'ok'));
    expect(toRows(decoder.take())).toEqual(Array.from({ length: 6 }, () => [1n, 2n, 3n]));
  });

  it('treats a null or absent object as one without fields', () => {
    for (const record of ['{"a":null}', '{}', '{"a":{}}']) {
      const { row, decoded } = decodeJson({ 'a.b': 'int64', 'a.c.d': 'string' }, record);
      expect(row).toEqual([null, null]);
      expect(decoded.columns.map((column) => column.counts.absent)).toEqual([1, 1]);
    }
  });

  it('refuses a scalar where an object is expected, and an object where a scalar is', () => {
    for (const value of ['1', '"x"', 'true', '[]'])
      expect(decodeJson({ 'a.b': 'int64' }, `{"a":${value}}`).reason).toBe('wrong-type');
    for (const type of ['int64', 'float64', 'string', 'boolean', 'timestamp', 'decimal(3,0)'] as const) {
      expect(decodeJson({ a: type }, '{"a":{}}').reason).toBe('wrong-type');
      expect(decodeJson({ a: type }, '{"a":[1]}').reason).toBe('wrong-type');
    }
  });

  it.each<[TypeText, string]>([
    ['int64', '"1"'],
    ['int64', 'true'],
    ['int64', '1.0'],
    ['int64', '1e3'],
    ['float64', '"1"'],
    ['float64', 'false'],
    ['decimal(5,2)', '"1"'],
    ['string', '1'],
    ['string', 'true'],
    ['boolean', '1'],
    ['boolean', '"true"'],
    ['timestamp', '1700000000'],
    ['timestamp', '"yesterday"'],
    ['timestamp', '"2024-02-30"'],
  ])('refuses, for a %s, the value %s', (type, value) => {
    expect(decodeJson({ a: type }, `{"a":${value}}`).reason).toBe('wrong-type');
  });

  it('keeps the exact text of a json column, whatever the value', () => {
    for (const text of ['1.50', '-0', '1e400', '"a\\u0062"', 'true', '[ ]', '{"b" : {"c":[1,2,{}]}}']) {
      expect(decodeJson({ a: 'json' }, `{"a": ${text} }`).row).toEqual([text]);
    }
  });

  it('unescapes strings', () => {
    const text = '\\u0041\\n\\t\\b\\f\\r\\"\\\\\\/\\u00e9\\u20AC\\ud83d\\uDE00z';
    expect(decodeJson({ a: 'string' }, `{"a":"${text}"}`).row).toEqual(['A\n\t\b\f\r"\\/é€😀z']);
  });

  it('knows a key by its characters, however it is written', () => {
    const keys = { 'a"b\\c': 'int64', é: 'int64', '\u0001': 'int64', '': 'int64' } as const;
    const record = '{"\\u0061\\"b\\\\c":1,"\\u00e9":2,"\\u0001":3,"":4}';
    expect(decodeJson(keys, record).row).toEqual([1n, 2n, 3n, 4n]);
    expect(decodeJson(keys, '{"é":2}').row).toEqual([null, 2n, null, null]);
  });

  it('does not take the raw bytes of a key that must be escaped for it', () => {
    expect(decodeJson({ 'a"b': 'int64' }, '{"a"b":1}').reason).toBe('syntax');
    expect(decodeJson({ '\n': 'int64' }, '{"\n":1}').reason).toBe('syntax');
    expect(decodeJson({ '\\n': 'int64' }, '{"\\n":1}').row).toEqual([null]);
  });

  it('validates the values of unknown fields, and counts rows by field', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'int64' }));
    const records = ['{"a":1,"x":[{"y":1}],"b.c":0}', '{"x":1}', '{"x":[1,]}', '{"x":{"y":1,"y":2}}', '{"a":2}'];
    expect(decodeEach(decoder, records)).toEqual(['ok', 'ok', 'syntax', 'duplicate-key', 'ok']);
    const decoded = decoder.take();
    expect(toRows(decoded)).toEqual([[1n], [null], [2n]]);
    expect([...decoded.extraFields]).toEqual([
      ['x', 2],
      ['b\\.c', 1],
    ]);
  });

  it('counts the first 100 unknown fields by name and rows with any other under an ellipsis', () => {
    const decoder = createJsonDecoder(schemaOf('json', {}));
    const record = `{${Array.from({ length: 150 }, (_, i) => `"f${i}":${i}`).join(',')}}`;
    expect(decodeEach(decoder, [record, record, '{"f149":0,"f1":0}'])).toEqual(['ok', 'ok', 'ok']);
    const { extraFields } = decoder.take();
    expect(extraFields.size).toBe(101);
    expect(extraFields.get('f1')).toBe(3);
    expect(extraFields.get('f99')).toBe(2);
    expect(extraFields.get('…')).toBe(3);
  });

  it('does not count what a refused record brought', () => {
    const columns = { s: 'string', f: 'float64', n: 'int64', t: 'timestamp', end: 'boolean' } as const;
    const decoder = createJsonDecoder(schemaOf('json', columns));
    const bad = '{"s":"only\\u0000here","f":-0,"n":-0,"q":1,"t":"2016-12-31","end":7}';
    const wide = bad.replace('"t":"2016-12-31"', '"t":"2016-12-31T23:59:60Z"');
    expect(decodeEach(decoder, [bad, '{"s":"x","f":1,"n":1,"t":"2024-01-01","end":true}', wide])).toEqual([
      'wrong-type',
      'ok',
      'unrepresentable',
    ]);
    const decoded = decoder.take();
    expect(decoded.rows).toBe(1);
    expect(decoded.extraFields.size).toBe(0);
    for (const column of decoded.columns) {
      expect(column.nullCount).toBe(0);
      expect(Object.values(column.counts)).toEqual([0, 0, 0, 0]);
      if (column.kind === 'text') expect(column.dictionary.size).toBe(1);
    }
  });

  it('stores each distinct text once, in order of first appearance', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'string' }));
    decodeEach(decoder, ['{"a":"x"}', '{"a":"y"}', '{"a":"\\u0078"}', '{"a":""}', '{"a":null}', '{"a":"y"}']);
    const [column] = decoder.take().columns;
    if (column?.kind !== 'text') throw new Error('not a text column');
    expect([...column.codes.subarray(0, 6)]).toEqual([0, 1, 0, 2, -1, 1]);
    expect(column.dictionary.size).toBe(3);
    expect([...column.dictionary.offsets.subarray(0, 4)]).toEqual([0, 1, 2, 2]);
  });

  it('flags text with NUL, bidirectional or zero-width characters, raw or escaped, in string and json columns', () => {
    const decoder = createJsonDecoder(schemaOf('json', { s: 'string', j: 'json' }));
    const odd = ['\\u0000', '\u202e', '\\u202E', '\u200b', '\ufeff', '\u2060', '\u2066', '\u2069', '\u200f'];
    const plain = ['\u200a', '\u2010', '\u202f', '\u2065', '\u206a', 'é', '😀', '\\u0001'];
    for (const text of [...odd, ...plain]) expect(decodeOne(decoder, `{"s":"a${text}","j":["${text}"]}`)).toBe('ok');
    expect(decoder.take().columns.map((column) => column.counts.suspiciousText)).toEqual([odd.length, odd.length]);
  });

  it('grows past its first capacity and starts afresh after take', () => {
    const decoder = createJsonDecoder(
      schemaOf('json', { i: 'int64', s: 'string', d: 'decimal(20,3)', b: 'boolean', f: 'float64' }),
    );
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 3_000; i++) {
        const nulls = i % 7 === 0;
        const record = nulls
          ? '{"i":null,"s":null,"d":null}'
          : `{"i":${i},"s":"v${i % 900}","d":${i}.5,"b":${i % 2 === 0},"f":${i}.25}`;
        expect(decodeOne(decoder, record)).toBe('ok');
      }
      expect(decoder.rows).toBe(3_000);
      const decoded = decoder.take();
      expect(decoder.rows).toBe(0);
      expect(decoded.columns[0]!.nullCount).toBe(429);
      expect(toRows(decoded)).toEqual(
        Array.from({ length: 3_000 }, (_, i) =>
          i % 7 === 0
            ? [null, null, null, null, null]
            : [BigInt(i), `v${i % 900}`, BigInt(i) * 1000n + 500n, i % 2 === 0, i + 0.25],
        ),
      );
    }
  });

  it('clears the validity bits past the last row', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'int64' }));
    decodeEach(decoder, ['{"a":1}', '{}', '{"a":3}']);
    expect(decoder.take().columns[0]!.validity[0]).toBe(0b101);
  });

  it('reads a record from a Buffer, a plain array and a view alike', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'int64' }));
    const text = Buffer.from('..{"a":1}..');
    expect(decoder.decode(text, 2, 7)).toBe(0);
    expect(decoder.decode(Uint8Array.from(text), 2, 7)).toBe(0);
    expect(decoder.decode(Uint8Array.from(text).subarray(1), 1, 7)).toBe(0);
    expect(toRows(decoder.take())).toEqual([[1n], [1n], [1n]]);
  });
});

function build(schema: Partial<Schema>): () => Decoder {
  return () => createJsonDecoder({ version: 1, format: 'json', columns: [], ...schema });
}

describe('a schema for the JSON decoder', () => {
  it.each<[string, Partial<Schema>]>([
    ['another format', { format: 'csv' }],
    ['two columns of one path', { columns: [columnOf(['a'], 'int64'), { ...columnOf(['a'], 'int64'), name: 'b' }] }],
    ['two columns of one name', { columns: [columnOf(['a'], 'int64'), { ...columnOf(['b'], 'int64'), name: 'a' }] }],
    ['a column inside of another', { columns: [columnOf(['a'], 'json'), columnOf(['a', 'b'], 'int64')] }],
    ['a column around another', { columns: [columnOf(['a', 'b'], 'int64'), columnOf(['a'], 'json')] }],
    ['an empty path', { columns: [{ name: 'a', path: [], type: 'int64' }] }],
    [
      'a path deeper than a record',
      {
        columns: [
          columnOf(
            Array.from({ length: 65 }, () => 'a'),
            'int64',
          ),
        ],
      },
    ],
    ['a name that is too long', { columns: [columnOf(['é'.repeat(257)], 'int64')] }],
    ['a lone surrogate', { columns: [columnOf(['\ud800'], 'int64')] }],
    ['__proto__', { columns: [columnOf(['__proto__'], 'int64')] }],
    ['constructor.prototype', { columns: [columnOf(['constructor', 'prototype'], 'int64')] }],
    ['a timestamp without a unit', { columns: [{ name: 'a', path: ['a'], type: 'timestamp' }] }],
    ['a decimal without a precision', { columns: [{ name: 'a', path: ['a'], type: 'decimal' }] }],
    ['a decimal of 39 digits', { columns: [columnOf(['a'], 'decimal(39,0)')] }],
    ['a scale above the precision', { columns: [columnOf(['a'], 'decimal(3,4)')] }],
    ['2,049 columns', { columns: Array.from({ length: 2_049 }, (_, i) => columnOf([`c${i}`], 'int64')) }],
  ])('is refused if it has %s', (_, schema) => {
    expect(build(schema)).toThrow(RequestError);
  });

  it('may have 2,048 columns and a path of 64 segments', () => {
    const wide = createJsonDecoder({
      version: 1,
      format: 'json',
      columns: Array.from({ length: 2_048 }, (_, i) => columnOf([`c${i}`], 'int64')),
    });
    const record = `{${Array.from({ length: 2_048 }, (_, i) => `"c${2_047 - i}":${i}`).join(',')}}`;
    expect(decodeOne(wide, record)).toBe('ok');
    expect(toRows(wide.take())[0]![2_047]).toBe(0n);
    const deep = createJsonDecoder({
      version: 1,
      format: 'json',
      columns: [
        columnOf(
          Array.from({ length: 64 }, () => 'a'),
          'int64',
        ),
      ],
    });
    expect(decodeOne(deep, `${'{"a":'.repeat(64)}5${'}'.repeat(64)}`)).toBe('ok');
    expect(toRows(deep.take())).toEqual([[5n]]);
  });
});
