import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../../src/errors.ts';
import { createCsvDecoder } from '../../../../src/ingest/decode/csv-decoder.ts';
import { type InferredSchema, inferSchema, type SchemaSample } from '../../../../src/ingest/decode/infer-schema.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import { encodeSchema } from '../../../../src/record/schema.ts';
import { decodeEach } from './decoded-values.ts';

function sampleOf(records: readonly string[], rest: Partial<SchemaSample> = {}): SchemaSample {
  const parts = records.map((record) => Buffer.from(record));
  const lengths = Int32Array.from(parts, (part) => part.length);
  const starts = new Int32Array(parts.length);
  for (let i = 1; i < parts.length; i++) starts[i] = starts[i - 1]! + lengths[i - 1]!;
  return { bytes: Buffer.concat(parts), count: parts.length, starts, lengths, ...rest };
}

const inferJson = (...records: string[]): InferredSchema => inferSchema('json', sampleOf(records));
const inferCsv = (header: string[], ...records: string[]): InferredSchema =>
  inferSchema('csv', sampleOf(records, { header }));

/** Names at rest of the given fields. */
function namesOf(...fields: string[]): string[] {
  const record = `{${fields.map((field) => `"${field}":1`).join(',')}}`;
  return inferJson(record).schema.columns.map(({ name }) => name);
}

/** Columns as `path: type(detail)`. */
function describeColumns({ schema }: InferredSchema): string[] {
  return schema.columns.map(({ path, type, precision, scale, unit }) => {
    const detail = type === 'decimal' ? `(${precision},${scale})` : type === 'timestamp' ? `(${unit})` : '';
    return `${path.join('/')}: ${type}${detail}`;
  });
}

/** The type of one JSON field with the given values. */
const typeOf = (...values: string[]): string =>
  describeColumns(inferJson(...values.map((value) => `{"v":${value}}`)))[0]!.slice(3);
/** The type of one CSV column with the given fields. */
const csvTypeOf = (...fields: string[]): string => describeColumns(inferCsv(['v'], ...fields))[0]!.slice(3);

describe('schema inference from JSON', () => {
  it('lists all fields in the order in which they were first seen, nested objects flattened', () => {
    const inferred = inferJson('{"a":1,"b":{"x":"y"}}', '{"c":true,"b":{"z":{"w":0.5}},"a":2}', '{"b":null}');
    expect(describeColumns(inferred)).toEqual(['a: int64', 'b/x: string', 'b/z/w: float64', 'c: boolean']);
    expect(inferred.schema.columns.map(({ name }) => name)).toEqual(['a', 'b.x', 'b.z.w', 'c']);
    expect(inferred).toMatchObject({ notes: [], recordsRead: 3, recordsRefused: 0 });
  });

  it.each([
    ['int64', ['1', '-9223372036854775808', '9223372036854775807', 'null']],
    ['float64', ['1.5']],
    ['float64', ['1', '0.5']],
    ['float64', ['1e3']],
    ['float64', ['0.1000000000000000', '0.12345678901234567']],
    ['float64', ['1.23456789012345678901e5']],
    ['decimal(38,0)', ['1', '9223372036854775808']],
    ['decimal(38,20)', ['0.12345678901234567891', '1.5']],
    ['decimal(38,2)', ['123456789012345678.25']],
    ['decimal(38,5)', ['9223372036854775809', '1.5e-4']],
    ['float64', ['9223372036854775808', '1.5e-4']],
    ['float64', ['9007199254740992', '0.5']],
    ['decimal(38,1)', ['9007199254740993', '0.5']],
    ['decimal(38,3)', ['-9007199254740993', '1e-3']],
    ['int64', ['9007199254740993']],
    ['decimal(38,1)', ['1234567890123456789', '0.5']],
    ['float64', ['1000000000000000000', '0.5']],
    ['json', ['9223372036854775809', '0.0000000000000000000000000000001']],
    ['json', [`1${'0'.repeat(38)}`]],
    ['boolean', ['true', 'false', 'null']],
    ['string', ['"a"', '""']],
    ['string', ['null']],
    ['string', ['"1"', '"2"']],
    ['timestamp(us)', ['"2024-01-01T00:00:00Z"', 'null', '"1969-12-31 23:59:59.5+01:00"']],
    ['timestamp(us)', ['"2024-01-01T00:00:00.123456Z"', '"2024-01-01"']],
    ['timestamp(ns)', ['"2024-01-01T00:00:00.1234567Z"', '"2024-01-01T00:00:00Z"']],
    ['timestamp(us)', ['"2024-01-01T00:00:00.1230000Z"', '"0001-01-01T00:00:00Z"']],
    ['string', ['"2024-01-01T00:00:00.1234567Z"', '"0001-01-01T00:00:00Z"']],
    ['string', ['"2024-01-01T00:00:00.1234567891Z"']],
    ['timestamp(ms)', ['"2024-01-01"', '"1900-02-28"']],
    ['timestamp(us)', ['"2016-12-31T23:59:60Z"']],
    ['string', ['"2024-01-01"', '"soon"']],
    ['string', ['"2024-01-01"', '""']],
    ['json', ['[]', '[1]', 'null']],
    ['json', ['{}']],
    ['json', ['1', '"a"']],
    ['json', ['true', '0']],
    ['json', ['{"a":1}', '1']],
    ['json', ['{"a":1}', '[1]']],
    ['json', ['"2024-01-01"', '5']],
  ])('gives %s for %j', (type, values) => {
    expect(typeOf(...values)).toBe(type);
    if (!type.startsWith('timestamp')) expect(typeOf(...values.toReversed())).toBe(type);
  });

  it.each([
    ['int64', '7', '"x"', '1 string'],
    ['int64', '7', '{"a":1}', '1 nested value'],
    ['boolean', 'true', '0', '1 number'],
    ['string', '"x"', '[1]', null],
    ['float64', '0.5', `1${'0'.repeat(40)}`, '1 number too wide for it'],
    ['float64', '1e-300', '1234567890123456789', '1 number too wide for it'],
    ['float64', '0.5', '9007199254740993', '1 number too wide for it'],
    ['float64', '0.5', '1e400', '1 number too wide for it'],
    ['float64', '0.5', '-1e-400', '1 number too wide for it'],
    ['timestamp(ms)', '"2024-01-01"', '"soon"', '1 string that is no timestamp'],
  ])('keeps %s where one value in a hundred is %j → %j, and notes it', (type, plain, stray, what) => {
    const records = [...Array.from({ length: 99 }, () => plain), stray].map((value) => `{"v":${value}}`);
    const inferred = inferJson(...records);
    expect(describeColumns(inferred)).toEqual([`v: ${type}`]);
    expect(inferred.notes).toEqual(
      what === null
        ? []
        : [
            `Column "v" holds ${what} as well: ${type.replace(/\(.*/, '')} all the same, records with it become dead letters`,
          ],
    );
    expect(describeColumns(inferJson(...records.slice(1)))).not.toEqual(type === 'string' ? [] : [`v: ${type}`]);
  });

  it('counts the odd values that it notes', () => {
    const records = [...Array.from({ length: 198 }, () => '{"v":1}'), '{"v":"x"}', '{"v":[]}'];
    expect(inferJson(...records).notes).toEqual([
      'Column "v" holds 2 strings and nested values as well: int64 all the same, records with them become dead letters',
    ]);
  });

  it('says of a single record that it is the only one', () => {
    expect(() => inferJson('x')).toThrow('the only record cannot be decoded as json');
    expect(() => inferJson('x', '')).toThrow('none of 2 records can be decoded as json');
  });

  it('flattens objects though one value in a hundred is none', () => {
    const records = [...Array.from({ length: 99 }, () => '{"v":{"a":1}}'), '{"v":0}'];
    expect(describeColumns(inferJson(...records))).toEqual(['v/a: int64']);
    expect(describeColumns(inferJson(...records.slice(1)))).toEqual(['v: json']);
  });

  it('notes a field of mixed types, and drops what lies inside of it', () => {
    const inferred = inferJson('{"v":{"a":1}}', '{"v":"x","w":1}', '{"w":true}');
    expect(describeColumns(inferred)).toEqual(['v: json', 'w: json']);
    expect(inferred.notes).toEqual([
      'Column "v" holds strings and nested values: kept as exact text',
      'Column "w" holds booleans and numbers: kept as exact text',
    ]);
  });

  it('knows a key however it is written', () => {
    expect(describeColumns(inferJson('{"\\u0061":1}', '{"a":2.5,"é\\"":1}'))).toEqual(['a: float64', 'é": int64']);
  });

  it('learns nothing from records that cannot be decoded, and says so', () => {
    const inferred = inferJson('{"a":1}', '{"b":1', '[1]', '{"c":1,"c":2}', '{"__proto__":1}');
    expect(describeColumns(inferred)).toEqual(['a: int64']);
    expect(inferred).toMatchObject({
      recordsRead: 5,
      recordsRefused: 4,
      notes: ['4 of 5 records cannot be decoded and taught nothing'],
    });
  });

  it('prefixes system names without taking the name of another field', () => {
    expect(namesOf('_offset', 'a')).toEqual(['user_offset', 'a']);
    expect(namesOf('_offset', 'user_offset', '_leaf')).toEqual(['useruser_offset', 'user_offset', 'user_leaf']);
  });

  it('gives the same schema bytes for the same sample', () => {
    const records = ['{"b":1,"a":{"x":[1]}}', '{"a":{"y":"2024-01-01"},"c":null}'];
    expect(encodeSchema(inferJson(...records).schema)).toEqual(encodeSchema(inferJson(...records).schema));
  });

  it('gives a schema under which every record of the sample decodes', () => {
    const records = [
      '{"a":1,"b":{"x":"2024-01-01T00:00:00Z"},"c":[1],"d":12345678901234567890.5,"e":null}',
      '{"b":{"x":null,"y":{}},"c":"z","d":1,"a":null}',
      '{"b":null,"e":null,"f":{"g":{"h":true}}}',
    ];
    const decoder = createJsonDecoder(inferJson(...records).schema);
    expect(decodeEach(decoder, records)).toEqual(['ok', 'ok', 'ok']);
    const decoded = decoder.take();
    expect(decoded.extraFields.size).toBe(0);
  });

  it('reads at most 10,000 records', () => {
    const records = Array.from({ length: 10_001 }, (_, i) => (i === 10_000 ? '{"late":1}' : '{"a":1}'));
    const inferred = inferJson(...records);
    expect(inferred.recordsRead).toBe(10_000);
    expect(describeColumns(inferred)).toEqual(['a: int64']);
  });

  it.each([
    ['no record at all', []],
    ['no record that can be decoded', ['x', '']],
    ['too many fields', [`{${Array.from({ length: 2_049 }, (_, i) => `"c${i}":1`).join(',')}}`]],
    ['ever new fields', Array.from({ length: 9_000 }, (_, i) => `{"c${i}":1}`)],
    ['a field name that is too long', [`{"${'n'.repeat(513)}":1}`]],
    ['a path that is too long', [`{"${'n'.repeat(300)}":{"${'n'.repeat(300)}":1}}`]],
  ])('is refused for %s', (_, records) => {
    expect(() => inferJson(...records)).toThrow(RequestError);
  });
});

describe('schema inference from CSV', () => {
  it.each([
    ['int64', ['1', '', '-2', '"3"']],
    ['float64', ['1', '2.5']],
    ['decimal(38,0)', ['9223372036854775808']],
    ['boolean', ['true', 'FALSE', '']],
    ['string', ['00123']],
    ['string', ['123', '00124']],
    ['string', ['+491701234567']],
    ['string', ['030-1234567']],
    ['string', ['1', 'x']],
    ['string', ['true', '1']],
    ['string', ['', '']],
    ['string', ['1', '""']],
    ['string', ['NaN', '1.5']],
    ['timestamp(ms)', ['2024-01-01', '']],
    ['timestamp(us)', ['2024-01-01 10:00:00Z']],
    ['string', ['2024-01-01 10:00:00']],
    ['string', [`1${'0'.repeat(38)}`]],
  ])('gives %s for %j', (type, fields) => {
    expect(csvTypeOf(...fields)).toBe(type);
  });

  it('keeps the columns of the header, and gives a schema that decodes the sample', () => {
    const records = ['1,"a,b",2024-01-01,x', '2,,,1', '007'];
    const inferred = inferCsv(['id', 'text', '_leaf', 'mixed'], ...records);
    expect(describeColumns(inferred)).toEqual(['id: int64', 'text: string', '_leaf: timestamp(ms)', 'mixed: string']);
    expect(inferred.schema.columns[2]!.name).toBe('user_leaf');
    expect(inferred.notes).toEqual([
      'Column "mixed" holds numbers and strings: kept as exact text',
      '1 of 3 records cannot be decoded and taught nothing',
    ]);
    expect(decodeEach(createCsvDecoder(inferred.schema), records)).toEqual(['ok', 'ok', 'field-count']);
  });

  it('leaves out the texts that mean null', () => {
    const inferred = inferSchema('csv', sampleOf(['NA', '1'], { header: ['v'], nullValues: ['NA'] }));
    expect(describeColumns(inferred)).toEqual(['v: int64']);
  });

  it('is refused without column names, or with names that can be no columns', () => {
    for (const header of [[], ['a', 'a'], ['__proto__', 'b'], ['n'.repeat(513), 'b']]) {
      expect(() => inferCsv(header, '1,2')).toThrow(RequestError);
    }
  });
});
