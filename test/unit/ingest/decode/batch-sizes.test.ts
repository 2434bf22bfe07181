import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { createCsvDecoder } from '../../../../src/ingest/decode/csv-decoder.ts';
import type { Decoder } from '../../../../src/ingest/decode/decoder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import type { DecodedColumns, Int64Data, TextData } from '../../../../src/record/columns.ts';
import { schemaOf } from './decoded-values.ts';

const encoder = new TextEncoder();

/** Rows `from` to `to`, each with a text of its own. */
function decode(decoder: Decoder, format: 'json' | 'csv', from: number, to: number): DecodedColumns {
  for (let i = from; i < to; i++) {
    const bytes = encoder.encode(format === 'json' ? `{"id":${i},"name":"name ${i}"}` : `${i},name ${i}`);
    expect(decoder.decode(bytes, 0, bytes.length)).toBe(0);
  }
  return decoder.take();
}

function valuesOf({ rows, columns }: DecodedColumns): unknown {
  const [id, name] = columns as [Int64Data, TextData];
  const { bytes, offsets } = name.dictionary;
  const text = (code: number): string => Buffer.from(bytes.subarray(offsets[code], offsets[code + 1])).toString();
  return {
    rows,
    ids: Array.from({ length: rows }, (_, row) => id.words[2 * row]),
    names: Array.from({ length: rows }, (_, row) => text(name.codes[row]!)),
  };
}

function bytesOf({ columns }: DecodedColumns): number {
  const [id, name] = columns as [Int64Data, TextData];
  return (
    id.words.byteLength +
    name.codes.byteLength +
    name.dictionary.bytes.byteLength +
    name.dictionary.offsets.byteLength +
    id.validity.byteLength +
    name.validity.byteLength
  );
}

const FORMATS = [
  { format: 'json', create: createJsonDecoder },
  { format: 'csv', create: createCsvDecoder },
] as const;

describe.each(FORMATS)('$format decoders of one schema', ({ format, create }) => {
  it('decode the same whether one decoder or a new one serves each batch', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 6 }), (sizes) => {
        const schema = schemaOf(format, { id: 'int64', name: 'string' });
        const reused = create(schema);
        let from = 0;
        for (const size of sizes) {
          const wanted = valuesOf(
            decode(create(schemaOf(format, { id: 'int64', name: 'string' })), format, from, from + size),
          );
          expect(valuesOf(decode(reused, format, from, from + size))).toEqual(wanted);
          expect(valuesOf(decode(create(schema), format, from, from + size))).toEqual(wanted);
          from += size;
        }
      }),
      { numRuns: 20 },
    );
  });

  it('size a batch by the one before', () => {
    const schema = schemaOf(format, { id: 'int64', name: 'string' });
    decode(create(schema), format, 10_000, 15_000);
    const { columns } = decode(create(schema), format, 10_000, 15_000);
    const [id, name] = columns as [Int64Data, TextData];
    expect(id.words.length).toBe(2 * 5_000);
    expect(name.codes.length).toBe(5_000);
    expect(name.dictionary.bytes.length).toBe(5_000 * 'name 10000'.length);
  });

  it('take little room for a small batch after a large one', () => {
    const schema = schemaOf(format, { id: 'int64', name: 'string' });
    decode(create(schema), format, 0, 20_000);
    expect(bytesOf(decode(create(schema), format, 0, 20))).toBeLessThan(10_000);
  });
});
