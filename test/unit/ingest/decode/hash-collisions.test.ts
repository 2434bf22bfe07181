import { beforeAll, describe, expect, it } from 'vitest';
import { HASH_FACTOR, HASH_SEED, hashBytes } from '../../../../src/ingest/decode/byte-hash.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import { TextDictionaryBuilder } from '../../../../src/ingest/decode/text-dictionary.ts';
import { decodeEach, decodeOne, schemaOf, toRows } from './decoded-values.ts';

const LEVELS = 13;
const BLOCKED_MS_MAX = 250;
let twins: string[] = [];

/** 2^13 texts of one length and one hash: a pair of colliding blocks a level, each found by its birthday (Joux, CRYPTO 2004). */
beforeAll(() => {
  let state = HASH_SEED;
  let texts = [''];
  for (let level = 0; level < LEVELS; level++) {
    const seen = new Map<number, string>();
    for (let i = 0; ; i++) {
      const block = (i * 2_654_435_761).toString(36).padStart(10, '0').slice(-10);
      const next = Buffer.from(block).reduce((hash, byte) => Math.imul(hash ^ byte, HASH_FACTOR), state);
      const other = seen.get(next);
      if (other !== undefined && other !== block) {
        texts = texts.flatMap((text) => [text + other, text + block]);
        state = next;
        break;
      }
      seen.set(next, block);
    }
  }
  twins = texts;
}, 60_000);

/** Milliseconds of processor time. */
function cpuMs(run: () => void): number {
  const begin = process.cpuUsage();
  run();
  return process.cpuUsage(begin).user / 1_000;
}

describe('texts whose hashes collide', () => {
  it('really collide', () => {
    expect(new Set(twins).size).toBe(2 ** LEVELS);
    const hashes = twins.map((text) => hashBytes(Buffer.from(text), 0, text.length));
    expect(new Set(hashes).size).toBe(1);
  });

  it('are told apart as values, without quadratic time', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'string' }));
    const records = twins.map((text) => Buffer.from(`{"a":"${text}"}`));
    const ms = cpuMs(() => {
      for (const record of records) decoder.decode(record, 0, record.length);
    });
    expect(ms).toBeLessThan(BLOCKED_MS_MAX);
    for (const record of records) decoder.decode(record, 0, record.length);
    const decoded = decoder.take();
    const [column] = decoded.columns;
    expect(column?.kind === 'text' ? column.dictionary.size : 0).toBe(twins.length);
    expect(toRows(decoded)).toEqual([...twins, ...twins].map((text) => [text]));
  });

  it('are told apart as keys, without quadratic time, and a duplicate is still found', () => {
    const keys = twins.slice(0, 5_000).map((text) => `"${text}":1`);
    const decoder = createJsonDecoder(schemaOf('json', { a: 'json' }));
    const record = Buffer.from(`{"a":{${keys.join(',')}},"b":{${keys.slice(0, 4_000).join(',')}}}`);
    let code = -1;
    const ms = cpuMs(() => {
      code = decoder.decode(record, 0, record.length);
    });
    expect(code).toBe(0);
    expect(ms).toBeLessThan(BLOCKED_MS_MAX);
    expect(decodeOne(decoder, `{"a":{${[...keys, keys[4_000]].join(',')}}}`)).toBe('duplicate-key');
    expect(decodeOne(decoder, `{${keys.join(',')}}`)).toBe('ok');
    expect(decodeOne(decoder, '{"b":{"x":1,"y":2}}')).toBe('ok');
  });

  it('leave no trace when their record is refused', () => {
    const decoder = createJsonDecoder(schemaOf('json', { a: 'string', b: 'int64' }));
    const good = twins.slice(0, 50).map((text) => `{"a":"${text}","b":1}`);
    const bad = twins.slice(50, 100).map((text) => `{"a":"${text}","b":"x"}`);
    const mixed = good.flatMap((record, i) => [record, bad[i]!]);
    expect(decodeEach(decoder, mixed)).toEqual(mixed.map((_, i) => (i % 2 === 0 ? 'ok' : 'wrong-type')));
    const [column] = decoder.take().columns;
    expect(column?.kind === 'text' ? column.dictionary.size : 0).toBe(50);
  });
});

function intern(dictionary: TextDictionaryBuilder, text: string, row: number): number {
  const bytes = Uint8Array.from(Buffer.from(text));
  return dictionary.intern(bytes, 0, bytes.length, hashBytes(bytes, 0, bytes.length), row);
}

describe('the text dictionary', () => {
  it('gives codes in order of first appearance, through growth', () => {
    const dictionary = new TextDictionaryBuilder();
    const texts = Array.from({ length: 5_000 }, (_, i) => `${'long '.repeat(i % 20)}${i}`);
    for (let round = 0; round < 2; round++) {
      for (const [i, text] of texts.entries()) expect(intern(dictionary, text, i)).toBe(i);
    }
    const { size, bytes, offsets } = dictionary.take();
    expect(size).toBe(5_000);
    expect(Buffer.from(bytes.subarray(0, offsets[size])).toString()).toBe(texts.join(''));
    expect(intern(dictionary, 'x', 0)).toBe(0);
  });

  it('undoes the newest value of a row, and only that', () => {
    const dictionary = new TextDictionaryBuilder();
    expect([intern(dictionary, 'a', 0), intern(dictionary, 'b', 1)]).toEqual([0, 1]);
    dictionary.undo(1);
    dictionary.undo(1);
    expect(intern(dictionary, 'a', 1)).toBe(0);
    dictionary.undo(1);
    expect([intern(dictionary, 'c', 1), intern(dictionary, 'b', 2)]).toEqual([1, 2]);
    expect(dictionary.take().size).toBe(3);
  });
});
