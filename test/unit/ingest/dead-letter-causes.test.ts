import { describe, expect, it } from 'vitest';

import { encodeEvidence } from '../../../src/detect/evidence.ts';
import { causesOf, CAUSES_MAX, countDeadLetters, undecodedOf } from '../../../src/detect/profile/dead-letters.ts';
import { decodeProfile, encodeProfile } from '../../../src/detect/profile/format.ts';
import { mergeProfiles } from '../../../src/detect/profile/merge.ts';
import type { Profile } from '../../../src/detect/profile.ts';
import { judge } from '../../../src/detect/verdict.ts';
import { BatchBuilder } from '../../../src/ingest/batch-builder.ts';
import { createCsvDecoder } from '../../../src/ingest/decode/csv-decoder.ts';
import type { Decoder } from '../../../src/ingest/decode/decoder.ts';
import { createJsonDecoder } from '../../../src/ingest/decode/json-decoder.ts';
import { observeBatch, profileBatch } from '../../../src/ingest/judge-batch.ts';
import { BATCH_KEY_BYTES } from '../../../src/record/leaf.ts';
import type { Column } from '../../../src/record/schema.ts';
import { makeChunk } from '../../support/chunk.ts';

const column = (path: readonly string[], type: Column['type']): Column => ({ name: path.join('.'), path, type });
const COLUMNS = [
  column(['id'], 'int64'),
  column(['user', 'age'], 'int64'),
  column(['user', 'name'], 'string'),
  column(['x'], 'float64'),
];
const JSON_SCHEMA = { version: 1, format: 'json', columns: COLUMNS } as const;
const FLAT = [column(['id'], 'int64'), column(['x'], 'float64'), column(['ok'], 'boolean')];
const CSV_SCHEMA = { version: 1, format: 'csv', columns: FLAT } as const;

function profileOf(values: readonly (string | null)[], decoder: Decoder = createJsonDecoder(JSON_SCHEMA)): Profile {
  const observer = observeBatch(7);
  const builder = new BatchBuilder({
    log: { cluster: 'c', topic: 't', partition: '0' },
    topicId: null,
    start: 100,
    limits: { recordsMax: 1e6, bytesMax: 1 << 28, recordBytesMax: 1_000, recordTimeMaxMs: null },
    decoder,
    observer,
    batchKey: Buffer.alloc(BATCH_KEY_BYTES, 3),
    nowMs: null,
  });
  builder.add(makeChunk(values.map((value, i) => ({ offset: 100 + i, value }))), 0);
  const roles = { label: null, source: null, time: null };
  return profileBatch({ built: builder.finish(), observer, topic: { roles, rules: [] } as never }, 7, null, null);
}

const causes = (values: readonly (string | null)[], decoder?: Decoder): unknown =>
  causesOf(profileOf(values, decoder)).map(({ reason, column: name, records, offset }) => [
    reason,
    name,
    records,
    offset,
  ]);

describe('what the records of a batch died of', () => {
  it('is told by reason and column, with one offset each, the most frequent first', () => {
    const good = '{"id":1,"user":{"age":1,"name":"a"},"x":1}';
    expect(
      causes([
        good,
        '{"id":1.5}',
        '{"id":"1"}',
        '{"user":{"name":"a","age":true}}',
        good,
        '{"id":2.5}',
        '{"x":1e400}',
        'no json',
        null,
        '{"user":{"name":3}}',
        `{"s":"${'x'.repeat(1_000)}"}`,
      ]),
    ).toEqual([
      ['wrong-type', 'id', 3, 101],
      ['null-value', null, 1, 108],
      ['record-too-large', null, 1, 110],
      ['syntax', null, 1, 107],
      ['unrepresentable', 'x', 1, 106],
      ['wrong-type', 'user.age', 1, 103],
      ['wrong-type', 'user.name', 1, 109],
    ]);
  });

  it('is the first column below where a value stands in the place of an object, and no column where the record is at fault', () => {
    expect(causes(['{"user":5}', '{"user":{"age":1,"age":2}}', '{"id":1.5,', '{"id":1.5}'])).toEqual([
      ['wrong-type', 'id', 2, 102],
      ['duplicate-key', null, 1, 101],
      ['wrong-type', 'user.age', 1, 100],
    ]);
  });

  it('is told of CSV, where a missing field is no column’s doing', () => {
    const decoder = createCsvDecoder(CSV_SCHEMA);
    expect(causes(['1,2,true', '1,x,true', '1,y,maybe', 'z,1', '9223372036854775808,1,true'], decoder)).toEqual([
      ['wrong-type', 'x', 2, 101],
      ['field-count', null, 1, 103],
      ['unrepresentable', 'id', 1, 104],
    ]);
  });

  it('adds up to the dead letters, and holds no value of a record', () => {
    const values = ['{"id":"secret"}', 'secret', '{"id":1}', '{"x":"secret"}', null];
    const profile = profileOf(values);
    expect(causesOf(profile).reduce((sum, { records }) => sum + records, 0)).toBe(countDeadLetters(profile));
    const evidence = encodeEvidence({ version: 1, judgement: judge(profile, null), skipped: [], profile });
    expect(evidence.toString()).not.toContain('secret');
  });
});

describe('causes of dead letters in a profile', () => {
  const dead = profileOf(['{"id":1.5}', 'x', '{"id":1}']);

  it('are stored and read back, and are absent where all records decode', () => {
    expect(decodeProfile(encodeProfile(dead))).toEqual(dead);
    expect(profileOf(['{"id":1}'])).not.toHaveProperty('deadLetterCauses');
  });

  it('are the reasons alone in a profile from before they were kept, which is read as ever', () => {
    const { deadLetterCauses: _, ...old } = dead;
    const read = decodeProfile(encodeProfile(old));
    expect(read).toEqual(old);
    expect(causesOf(read)).toEqual([
      { reason: 'syntax', column: null, records: 1, offset: null },
      { reason: 'wrong-type', column: null, records: 1, offset: null },
    ]);
  });

  it('are refused when they are too many or no causes', () => {
    const [one] = causesOf(dead);
    const altered = (deadLetterCauses: unknown): Uint8Array => encodeProfile({ ...dead, deadLetterCauses } as Profile);
    for (const wrong of [Array(CAUSES_MAX + 1).fill(one), [{ ...one, reason: 'bad luck' }], [{ ...one, value: 'x' }]])
      expect(() => decodeProfile(altered(wrong))).toThrow(/profile/);
  });

  it('are added up where batches are judged as one, without an offset, which would be of no log', () => {
    const merged = mergeProfiles([dead, profileOf(['{"id":"1"}', '{"id":1}']), profileOf(['{"id":2}'])]);
    expect(causesOf(merged)).toEqual([
      { reason: 'wrong-type', column: 'id', records: 2, offset: null },
      { reason: 'syntax', column: null, records: 1, offset: null },
    ]);
    expect(decodeProfile(encodeProfile(merged))).toEqual(merged);
    expect(undecodedOf([merged])).toEqual({ records: 6, deadLetters: 3, causes: causesOf(merged) });
    expect(undecodedOf([profileOf(['{"id":1}'])])).toBeNull();
  });

  it('are bounded, however many columns a schema has', () => {
    const many = Array.from({ length: 40 }, (_, i) => column([`c${i}`], 'int64'));
    const decoder = createJsonDecoder({ version: 1, format: 'json', columns: many });
    const profile = profileOf(
      many.map((_, i) => `{"c${i}":"x"}`),
      decoder,
    );
    expect(causesOf(profile)).toHaveLength(CAUSES_MAX);
    expect(profile.counts.deadLetters).toEqual({ 'wrong-type': 40 });
  });
});
