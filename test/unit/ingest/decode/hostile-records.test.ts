import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCsvDecoder } from '../../../../src/ingest/decode/csv-decoder.ts';
import type { Decoder } from '../../../../src/ingest/decode/decoder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import type { DecodedColumns } from '../../../../src/record/columns.ts';
import { DEAD_LETTER_REASONS } from '../../../../src/record/dead-letter.ts';
import { schemaOf, toRows, type TypeText } from './decoded-values.ts';

const MUTATIONS = 100_000;
const BATCH = 1_000;

const COLUMNS: Record<string, TypeText> = {
  id: 'int64',
  ts: 'timestamp(us)',
  name: 'string',
  price: 'decimal(12,4)',
  score: 'float64',
  ok: 'boolean',
  tags: 'json',
};

const JSON_RECORDS = [
  '{"id":9007199254740993,"ts":"2024-05-01T12:34:56.789012Z","name":"J\\u00f6rg \u202e\u200b","price":-12.50,"score":1.25e-3,"ok":true,"tags":[1,{"a":"b"}]}',
  '{"tags":{"x":{"constructor":{"y":[]}}},"ok":null,"score":-0,"price":1e7,"name":"","ts":"1969-12-31","id":-1,"extra":{"deep":[[[]]]}}',
  '{ "name" : "日本語\\n\\ud83d\\ude00", "id" : -9223372036854775808, "score" : 0.12345678901234567890123 }',
];

const CSV_RECORDS = [
  '9007199254740993,2024-05-01T12:34:56.789012Z,"J\u00f6rg, ""x"" \u200b",-12.50,1.25e-3,true,"[1,{""a"":""b""}]"',
  ',,"",1e7,-0,,null',
  '-9223372036854775808,1969-12-31,"日本語\n",1.5,0.12345678901234567890123,FALSE,"""a"""\r\n',
];

/** xorshift32, so that a failure can be replayed from the printed seed. */
function createRandom(seed: number): (bound: number) => number {
  let state = seed | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

const INTERESTING = Buffer.from('{}[]:,"\\ \t\r\n0123456789-+.eEtrufalsn/\u0000\u0001\u007f');

/** One to four random edits: a byte set, flipped, inserted or removed, a piece doubled, moved to the end, or cut off. */
function mutate(record: Buffer, random: (bound: number) => number): Buffer {
  let bytes = Buffer.from(record);
  for (let edits = 1 + random(4); edits > 0 && bytes.length > 0; edits--) {
    const at = random(bytes.length);
    const to = Math.min(bytes.length, at + 1 + random(12));
    const value = random(2) === 0 ? INTERESTING[random(INTERESTING.length)]! : random(256);
    const kind = random(8);
    if (kind === 0) bytes[at]! ^= 1 << random(8);
    else if (kind === 1 || kind === 2) bytes[at] = value;
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.of(value), bytes.subarray(at)]);
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    else if (kind === 5) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    else if (kind === 6) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to), bytes.subarray(at, to)]);
    else bytes = bytes.subarray(0, at);
  }
  return bytes;
}

function decode(decoder: Decoder, record: Buffer): number {
  return decoder.decode(record, 0, record.length);
}

/** Everything that is observable of a set of rows. */
function observe(decoded: DecodedColumns): unknown {
  return {
    rows: toRows(decoded),
    extraFields: [...decoded.extraFields],
    columns: decoded.columns.map((column) => ({
      counts: column.counts,
      nullCount: column.nullCount,
      dictionary: column.kind === 'text' ? column.dictionary.size : null,
      text:
        column.kind === 'text'
          ? Buffer.from(column.dictionary.bytes.subarray(0, column.dictionary.offsets[column.dictionary.size]))
          : null,
    })),
  };
}

describe.each([
  ['JSON', () => createJsonDecoder(schemaOf('json', COLUMNS)), JSON_RECORDS],
  ['CSV', () => createCsvDecoder(schemaOf('csv', COLUMNS)), CSV_RECORDS],
] as const)('the %s decoder under random mutations', (_, create, records) => {
  it('names an outcome for each, never throws, and decodes valid records between them as if they had not been', () => {
    const seed = fc.sample(fc.integer(), 1)[0]!;
    const random = createRandom(seed);
    const attacked = create();
    const valid = records.map((record) => Buffer.from(record));
    const outcomes = new Set<string>();
    for (let batch = 0; batch < MUTATIONS / BATCH; batch++) {
      const accepted: Buffer[] = [];
      for (let i = 0; i < BATCH; i++) {
        const record = mutate(valid[random(valid.length)]!, random);
        const code = decode(attacked, record);
        expect(DEAD_LETTER_REASONS[code], `seed ${seed}`).toBeDefined();
        outcomes.add(DEAD_LETTER_REASONS[code]!);
        if (code === 0) accepted.push(record);
        const next = valid[random(valid.length)]!;
        expect(decode(attacked, next), `seed ${seed}`).toBe(0);
        accepted.push(next);
      }
      const fresh = create();
      for (const record of accepted) expect(decode(fresh, record), `seed ${seed}`).toBe(0);
      expect(observe(attacked.take()), `seed ${seed}`).toEqual(observe(fresh.take()));
    }
    // The mutations must have reached more than the first check of a decoder.
    for (const reason of ['ok', 'syntax', 'wrong-type', 'invalid-utf8']) expect(outcomes).toContain(reason);
  }, 120_000);
});
