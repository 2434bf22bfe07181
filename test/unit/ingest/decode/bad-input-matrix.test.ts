import { describe, expect, it } from 'vitest';
import { createCsvDecoder } from '../../../../src/ingest/decode/csv-decoder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import { DEAD_LETTER_REASONS, type DeadLetterReason } from '../../../../src/record/dead-letter.ts';
import { STRING_BYTES_MAX } from '../../../../src/record/schema.ts';
import { decodeCsv, decodeEach, decodeJson, decodeOne, schemaOf, toRows, type TypeText } from './decoded-values.ts';

const BLOCKED_MS_MAX = 250;

/** Outcome of a record whose field `a`, if it has one, is unknown to the schema or its json column. */
function outcomes(record: string | Uint8Array): DeadLetterReason[] {
  return [decodeJson({}, record).reason, decodeJson({ a: 'json' }, record).reason];
}

/** A schema of one column whose name every object already has. */
function named(name: string, type: TypeText): Record<string, TypeText> {
  return Object.fromEntries([[name, type]]);
}

/** Outcome, and the milliseconds of processor time it took: the wall clock would also count other processes. */
function timed(record: Uint8Array): { reason: DeadLetterReason; ms: number } {
  const decoder = createJsonDecoder(schemaOf('json', { a: 'string' }));
  const begin = process.cpuUsage();
  const code = decoder.decode(record, 0, record.length);
  const { user, system } = process.cpuUsage(begin);
  return { reason: DEAD_LETTER_REASONS[code]!, ms: (user + system) / 1_000 };
}

function inString(...bytes: number[]): Buffer {
  return Buffer.concat([Buffer.from('{"a":"x'), Buffer.from(bytes), Buffer.from('y"}')]);
}

function inKey(...bytes: number[]): Buffer {
  return Buffer.concat([Buffer.from('{"'), Buffer.from(bytes), Buffer.from('":1}')]);
}

function nestedObjects(depth: number): string {
  return `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
}

function nestedArrays(depth: number): string {
  return `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
}

describe('the encoding level of the bad-input matrix', () => {
  it('E1 invalid UTF-8 in a string or a key is a dead letter', () => {
    for (const bytes of [
      [0xff],
      [0x80],
      [0xc3],
      [0xe2, 0x82],
      [0xf0, 0x9f, 0x98],
      [0xf4, 0x90, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
    ]) {
      expect(decodeJson({ a: 'string' }, inString(...bytes)).reason).toBe('invalid-utf8');
      expect(outcomes(inString(...bytes))).toEqual(['invalid-utf8', 'invalid-utf8']);
      expect(outcomes(inKey(...bytes))).toEqual(['invalid-utf8', 'invalid-utf8']);
      expect(decodeCsv({ a: 'string' }, Buffer.from(bytes)).reason).toBe('invalid-utf8');
      expect(decodeCsv({ a: 'string' }, Buffer.from([0x22, ...bytes, 0x22])).reason).toBe('invalid-utf8');
    }
  });

  it('E2 an overlong form is a dead letter', () => {
    for (const bytes of [
      [0xc0, 0xaf],
      [0xc1, 0x81],
      [0xe0, 0x80, 0xaf],
      [0xe0, 0x9f, 0xbf],
      [0xf0, 0x80, 0x80, 0xaf],
      [0xf0, 0x8f, 0xbf, 0xbf],
    ]) {
      expect(outcomes(inString(...bytes))).toEqual(['invalid-utf8', 'invalid-utf8']);
      expect(decodeCsv({ a: 'string' }, Buffer.from(bytes)).reason).toBe('invalid-utf8');
    }
  });

  it('E3 a lone surrogate escape is a dead letter', () => {
    for (const text of [
      '\\ud800',
      '\\udc00',
      '\\ud800x',
      '\\ud800\\n',
      '\\ud800\\ud800',
      '\\udc00\\ud800',
      '\\uDBFF\\u0041',
    ]) {
      expect(decodeJson({ a: 'string' }, `{"a":"${text}"}`).reason).toBe('lone-surrogate');
      expect(outcomes(`{"a":["${text}"]}`)).toEqual(['lone-surrogate', 'lone-surrogate']);
      expect(outcomes(`{"${text}":1}`)).toEqual(['lone-surrogate', 'lone-surrogate']);
    }
  });

  it('E4 UTF-16 with a byte order mark is a dead letter', () => {
    const little = Buffer.from('\ufeff{"a":1}', 'utf16le');
    expect(decodeJson({ a: 'int64' }, little).reason).toBe('byte-order-mark');
    expect(decodeJson({ a: 'int64' }, Buffer.from(little).swap16()).reason).toBe('byte-order-mark');
    expect(decodeJson({ a: 'int64' }, little.subarray(2)).reason).toBe('syntax');
    expect(decodeCsv({ a: 'string' }, Buffer.from('\ufeffx', 'utf16le')).reason).toBe('byte-order-mark');
  });

  it('E5 a UTF-8 byte order mark before the record is a dead letter', () => {
    expect(decodeJson({ a: 'int64' }, '\ufeff{"a":1}').reason).toBe('byte-order-mark');
    expect(decodeCsv({ a: 'string' }, '\ufeffx').reason).toBe('byte-order-mark');
    expect(decodeJson({ a: 'int64' }, Buffer.from([0xef, 0xbb])).reason).toBe('syntax');
  });

  it('E6 a NUL in a string is kept and flagged', () => {
    const { row, decoded } = decodeJson({ a: 'string' }, '{"a":"x\\u0000y"}');
    expect(row).toEqual(['x\u0000y']);
    expect(decoded.columns[0]!.counts.suspiciousText).toBe(1);
    expect(decodeCsv({ a: 'string' }, 'x\u0000y').decoded.columns[0]!.counts.suspiciousText).toBe(1);
    expect(outcomes('{"a":"x\u0000y"}')).toEqual(['syntax', 'syntax']);
  });

  it('E7 a bidirectional override is kept and flagged', () => {
    const { row, decoded } = decodeJson({ a: 'string' }, '{"a":"x\u202ey"}');
    expect(row).toEqual(['x\u202ey']);
    expect(decoded.columns[0]!.counts.suspiciousText).toBe(1);
  });

  it('E8 a field name with a homoglyph or a zero-width character is another, unknown field', () => {
    const { reason, row, decoded } = decodeJson({ a: 'int64' }, '{"a":1,"а":2,"a\u200b":3}');
    expect(reason).toBe('ok');
    expect(row).toEqual([1n]);
    expect([...decoded.extraFields.keys()]).toEqual(['а', 'a\u200b']);
  });

  it('E9 composed and decomposed twins stay distinct, as keys and as values', () => {
    const [composed, decomposed] = ['\u00e9', 'e\u0301'];
    const { reason, row } = decodeJson(
      { [composed]: 'int64', [decomposed]: 'int64' },
      `{"${decomposed}":2,"${composed}":1}`,
    );
    expect(reason).toBe('ok');
    expect(row).toEqual([1n, 2n]);
    const decoder = createJsonDecoder(schemaOf('json', { a: 'string' }));
    decodeEach(decoder, [`{"a":"${composed}"}`, `{"a":"${decomposed}"}`]);
    expect(toRows(decoder.take())).toEqual([[composed], [decomposed]]);
  });

  it('E10 an empty record is a dead letter, and a null value is another', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'int64' }));
    expect(decodeOne(decoder, '')).toBe('empty');
    expect(decoder.decode(new Uint8Array(0), 0, -1)).toBe(2);
    expect(createCsvDecoder(schemaOf('csv', { a: 'string' })).decode(new Uint8Array(0), 0, -1)).toBe(2);
  });

  it('E11 a record of white space is a dead letter', () => {
    expect(decodeJson({ a: 'int64' }, ' \t\r\n ').reason).toBe('empty');
  });

  it('E12 base64 text stays text', () => {
    expect(decodeJson({ a: 'string' }, '{"a":"eyJhIjoxfQ=="}').row).toEqual(['eyJhIjoxfQ==']);
  });
});

describe('the JSON level of the bad-input matrix', () => {
  it('J1 a duplicate key is a dead letter, known, unknown, or in a value that is skipped', () => {
    expect(decodeJson({ a: 'int64' }, '{"a":1,"a":1}').reason).toBe('duplicate-key');
    expect(decodeJson({ a: 'int64' }, '{"b":1,"a":1,"b":1}').reason).toBe('duplicate-key');
    expect(outcomes('{"a":[{"b":1,"c":2,"b":1}]}')).toEqual(['duplicate-key', 'duplicate-key']);
    expect(decodeJson({ 'a.b': 'int64' }, '{"a":{"b":1},"a":{"b":1}}').reason).toBe('duplicate-key');
    expect(outcomes('{"a":[{"b":1},{"b":1,"c":{"b":1}}]}')).toEqual(['ok', 'ok']);
  });

  it('J2 a duplicate after unescaping is a dead letter', () => {
    expect(decodeJson({ a: 'int64' }, '{"a":1,"\\u0061":1}').reason).toBe('duplicate-key');
    expect(decodeJson({ a: 'int64' }, '{"\\u0061":1,"a":1}').reason).toBe('duplicate-key');
    expect(outcomes('{"bc":1,"b\\u0063":1}')).toEqual(['duplicate-key', 'duplicate-key']);
    expect(outcomes('{"\\u0062c":1,"b\\u0063":1}')).toEqual(['duplicate-key', 'duplicate-key']);
    expect(outcomes('{"a":{"bc":1,"b\\u0063":1}}')).toEqual(['duplicate-key', 'duplicate-key']);
  });

  it('J3 a key __proto__ is a dead letter at any depth, however it is written', () => {
    expect(outcomes('{"__proto__":1}')).toEqual(['unsafe-key', 'unsafe-key']);
    expect(outcomes('{"\\u005f_proto__":{}}')).toEqual(['unsafe-key', 'unsafe-key']);
    expect(outcomes('{"a":[{"b":{"__proto__":null}}]}')).toEqual(['unsafe-key', 'unsafe-key']);
    expect(outcomes('{"a":"__proto__","__proto":1}')).toEqual(['ok', 'ok']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('J4 a key constructor that leads to a prototype is a dead letter; a plain value under that name is a value', () => {
    const attack = '{"constructor":{"prototype":{"polluted":1}}}';
    expect(outcomes(attack)).toEqual(['unsafe-key', 'unsafe-key']);
    expect(outcomes(`{"a":[1,${attack}]}`)).toEqual(['unsafe-key', 'unsafe-key']);
    expect(decodeJson(named('constructor', 'json'), attack).reason).toBe('unsafe-key');
    expect(decodeJson({ 'constructor.name': 'string' }, attack).reason).toBe('unsafe-key');
    expect(decodeJson(named('constructor', 'string'), '{"constructor":"Ferrari"}').row).toEqual(['Ferrari']);
    expect(outcomes('{"a":{"constructor":"Ferrari","prototype":{}}}')).toEqual(['ok', 'ok']);
    expect(outcomes('{"constructor":[{"prototype":1}]}')).toEqual(['ok', 'ok']);
  });

  it('J5 depth 64 is read, depth 65 is a dead letter', () => {
    for (const make of [nestedObjects, nestedArrays]) {
      expect(outcomes(make(64))).toEqual(['ok', 'ok']);
      expect(outcomes(make(65))).toEqual(['too-deep', 'too-deep']);
    }
    expect(decodeJson({ 'a.b.c': 'json' }, `{"a":{"b":{"c":${'['.repeat(62)}`).reason).toBe('too-deep');
  });

  it('J6 depth 1,000,000 is a dead letter and does not block', () => {
    for (const opener of ['[', '{"a":', '{"b":', '[{"a":']) {
      const { reason, ms } = timed(Buffer.from(`{"b":${opener.repeat(1_000_000)}`));
      expect(reason).toBe('too-deep');
      expect(ms).toBeLessThan(BLOCKED_MS_MAX);
    }
    expect(timed(Buffer.from('['.repeat(1_000_000))).reason).toBe('too-deep');
  });

  it('J7 1,000,000 keys are a dead letter and do not block', () => {
    const keys = Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":${i}`).join(',');
    for (const record of [`{${keys}}`, `{"x":{${keys}}}`, `{"x":[${'{"a":1},'.repeat(1_000_000)}1]}`]) {
      const { reason, ms } = timed(Buffer.from(record));
      expect(reason).toBe('too-many-fields');
      expect(ms).toBeLessThan(BLOCKED_MS_MAX);
    }
    const allowed = Array.from({ length: 10_000 }, (_, i) => `"k${i}":${i}`);
    expect(timed(Buffer.from(`{${allowed.join(',')}}`)).reason).toBe('ok');
    expect(timed(Buffer.from(`{${[...allowed, '"one more":1'].join(',')}}`)).reason).toBe('too-many-fields');
  });

  it('J8 a string of 100 MB is a dead letter and does not block', () => {
    for (const field of ['a', 'b']) {
      for (const filler of ['x', 'é', '\\n']) {
        const text = Buffer.alloc(100_000_000, filler);
        const { reason, ms } = timed(Buffer.concat([Buffer.from(`{"${field}":"`), text, Buffer.from('"}')]));
        expect(reason).toBe('string-too-long');
        expect(ms).toBeLessThan(BLOCKED_MS_MAX);
      }
    }
  });

  it('J8 a string of exactly the cap is read, one byte more is not', () => {
    const text = 'x'.repeat(STRING_BYTES_MAX);
    expect(timed(Buffer.from(`{"a":"${text}"}`)).reason).toBe('ok');
    expect(timed(Buffer.from(`{"a":"${text}x"}`)).reason).toBe('string-too-long');
    expect(decodeJson({ a: 'json' }, `{"a":["${text}"]}`).reason).toBe('string-too-long');
    expect(decodeCsv({ a: 'string' }, text).reason).toBe('ok');
    expect(decodeCsv({ a: 'string' }, `${text}x`).reason).toBe('string-too-long');
    expect(decodeCsv({ a: 'string' }, `"${text}x"`).reason).toBe('string-too-long');
  });

  it('J9 2^53 + 1 is exact', () => {
    expect(decodeJson({ a: 'int64' }, '{"a":9007199254740993}').row).toEqual([9_007_199_254_740_993n]);
    expect(decodeJson({ a: 'decimal(38,0)' }, '{"a":9007199254740993}').row).toEqual([9_007_199_254_740_993n]);
    expect(decodeJson({ a: 'json' }, '{"a":9007199254740993}').row).toEqual(['9007199254740993']);
  });

  it('J9 2^53 + 1 is a dead letter in a float64 column, never rounded', () => {
    for (const text of ['9007199254740993', '-9007199254740993', '12345678901234567', '18446744073709551615']) {
      expect(decodeJson({ a: 'float64' }, `{"a":${text}}`).reason).toBe('unrepresentable');
      expect(decodeCsv({ a: 'float64' }, text).reason).toBe('unrepresentable');
    }
    for (const text of ['9007199254740992', '18446744073709551616']) {
      expect(decodeJson({ a: 'float64' }, `{"a":${text}}`).row).toEqual([Number(text)]);
      expect(decodeCsv({ a: 'float64' }, text).row).toEqual([Number(text)]);
    }
  });

  it('J9 an integer beyond int64 is a dead letter in an int64 column, never null or rounded', () => {
    for (const text of ['9223372036854775808', '-9223372036854775809', '18446744073709551615', '1'.repeat(400)]) {
      expect(decodeJson({ a: 'int64' }, `{"a":${text}}`).reason).toBe('unrepresentable');
      expect(decodeCsv({ a: 'int64' }, text).reason).toBe('unrepresentable');
      expect(decodeJson({ a: 'json' }, `{"a":${text}}`).row).toEqual([text]);
    }
    expect(decodeJson({ a: 'decimal(38,0)' }, '{"a":18446744073709551615}').row).toEqual([2n ** 64n - 1n]);
  });

  it('J10 1e400 keeps its text, as a dead letter, and is never infinite or null', () => {
    for (const type of ['float64', 'decimal(38,10)'] as const) {
      expect(decodeJson({ a: type }, '{"a":1e400}').reason).toBe('unrepresentable');
      expect(decodeCsv({ a: type }, '-1e400').reason).toBe('unrepresentable');
    }
    expect(decodeJson({ a: 'json' }, '{"a":1e400}').row).toEqual(['1e400']);
  });

  it('J11 −0 is kept and counted', () => {
    for (const text of ['-0', '-0.0', '-0e5', '-0.000E-3']) {
      const { row, decoded } = decodeJson({ a: 'float64', d: 'decimal(5,2)' }, `{"a":${text},"d":${text}}`);
      expect(row).toEqual([-0, 0n]);
      expect(decoded.columns.map((column) => column.counts.negativeZero)).toEqual([1, 1]);
    }
    const { row, decoded } = decodeJson({ a: 'int64' }, '{"a":-0}');
    expect(row).toEqual([0n]);
    expect(decoded.columns[0]!.counts.negativeZero).toBe(1);
  });

  it('J12 1e-400 keeps its text, as a dead letter, and is never zero or null', () => {
    for (const type of ['float64', 'decimal(38,38)'] as const) {
      expect(decodeJson({ a: type }, '{"a":-1e-400}').reason).toBe('unrepresentable');
      expect(decodeCsv({ a: type }, '1e-400').reason).toBe('unrepresentable');
    }
  });

  it.each([
    ['J13 NaN and Infinity', ['{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":nan}', '{"a":inf}']],
    [
      'J14 leading zeros',
      ['{"a":01}', '{"a":-01}', '{"a":00}', '{"a":00.5}', '{"a":0x10}', '{"a":+1}', '{"a":.5}', '{"a":1.}'],
    ],
    ['J15 trailing commas', ['{"a":1,}', '{,"a":1}', '{"a":[1,]}', '{"a":[,1]}', '{"a":{"b":1,}}', '{"a":1,,"b":2}']],
    ['J16 comments', ['{"a":1/* x */}', '{"a":1}// x\n', '// x\n{"a":1}', '{#x\n"a":1}']],
    ['J17 single quotes', ["{'a':1}", '{"a":\'x\'}', '{a:1}']],
    [
      'J19 truncated records',
      [
        '{',
        '{"a',
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a":1,',
        '{"a":"x',
        '{"a":"x\\',
        '{"a":"x\\u00',
        '{"a":[1',
        '{"a":{"b":1}',
        '{"a":tru',
        '{"a":-',
        '{"a":1e',
        '{"a":1.',
      ],
    ],
  ])('%s are dead letters', (_, records) => {
    for (const record of records) {
      const expected = record === '{"a":1}// x\n' ? 'trailing-data' : 'syntax';
      for (const columns of [{}, { a: 'json' }, { a: 'float64' }] as const) {
        const { reason } = decodeJson(columns, record);
        const isOtherType = 'a' in columns && columns.a === 'float64' && /^\{"a":["[{t]/.test(record);
        expect(reason, record).toBe(isOtherType ? (record === '{"a":tru' ? 'syntax' : 'wrong-type') : expected);
      }
    }
  });

  it('J18 two documents are a dead letter', () => {
    for (const record of [
      '{"a":1}{"a":1}',
      '{"a":1}\n{"a":1}',
      '{"a":1} x',
      '{"a":1}\u0000',
      '{"a":1}}',
      '[1][2]',
      '1 2',
    ]) {
      expect(decodeJson({ a: 'int64' }, record).reason).toBe('trailing-data');
    }
  });

  it('J20 a scalar, an array or null at the top is a dead letter', () => {
    for (const record of ['1', '-1.5e3', '"x"', 'true', 'false', 'null', '[]', '[{"a":1}]', ' [1, 2] ']) {
      expect(decodeJson({ a: 'int64' }, record).reason).toBe('not-an-object');
    }
    for (const record of ['nul', '[1', '"x', 'x', '}', ']', ','])
      expect(decodeJson({ a: 'int64' }, record).reason).toBe('syntax');
  });

  it('J21 a number as a string is a dead letter', () => {
    expect(decodeJson({ a: 'int64' }, '{"a":"12"}').reason).toBe('wrong-type');
    expect(decodeJson({ a: 'float64' }, '{"a":"1.5"}').reason).toBe('wrong-type');
  });

  it('J22 a boolean as 0 or 1 is a dead letter', () => {
    expect(decodeJson({ a: 'boolean' }, '{"a":0}').reason).toBe('wrong-type');
    expect(decodeJson({ a: 'boolean' }, '{"a":1}').reason).toBe('wrong-type');
  });

  it('J23 another key order gives the same columns', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'int64', b: 'string', 'c.d': 'boolean' }));
    decodeEach(decoder, ['{"a":1,"b":"x","c":{"d":true}}', '{"c":{"d":true},"b":"x","a":1}']);
    const [first, second] = toRows(decoder.take());
    expect(first).toEqual(second);
  });
});

describe('the schema and Arrow level of the bad-input matrix', () => {
  it('A25 values before 1970, −0.01 and the ends of int64 are exact', () => {
    const columns = { t: 'timestamp(ns)', d: 'decimal(4,2)', min: 'int64', max: 'int64' } as const;
    const record =
      '{"t":"1969-12-31T23:59:59.999999999Z","d":-0.01,"min":-9223372036854775808,"max":9223372036854775807}';
    expect(decodeJson(columns, record).row).toEqual([-1n, -1n, -(2n ** 63n), 2n ** 63n - 1n]);
  });

  it('S10 10,000 unknown fields are counted, 100 of them by name', () => {
    const record = `{${Array.from({ length: 10_000 }, (_, i) => `"k${i}":1`).join(',')}}`;
    expect(decodeJson({}, record).decoded.extraFields.size).toBe(101);
  });

  it('S11 a field name of 60 KB is a dead letter, unless it lies inside of a json value', () => {
    const name = 'n'.repeat(60_000);
    expect(decodeJson({ a: 'int64' }, `{"${name}":1}`).reason).toBe('string-too-long');
    expect(decodeJson({ a: 'json' }, `{"a":{"${name}":1}}`).reason).toBe('ok');
  });

  it('S12 a field named like a system column is stored under a prefix', () => {
    expect(schemaOf('json', { _offset: 'int64' }).columns[0]!.name).toBe('user_offset');
    expect(decodeJson({ _offset: 'int64' }, '{"_offset":5}').row).toEqual([5n]);
  });

  it('S13 an empty schema decodes rows without columns', () => {
    expect(decodeJson({}, '{"a":1}').decoded).toMatchObject({ rows: 1, columns: [] });
  });
});
