import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { countRepeats } from '../../../../src/detect/rules/count-rows.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import type { ColumnData } from '../../../../src/record/columns.ts';
import { schemaOf, type TypeText } from '../../ingest/decode/decoded-values.ts';

function columnOf(type: TypeText, literals: readonly string[]): ColumnData {
  const decoder = createJsonDecoder(schemaOf('json', { a: type }));
  for (const literal of literals) {
    const bytes = Buffer.from(`{"a":${literal}}`);
    expect(decoder.decode(bytes, 0, bytes.length)).toBe(0);
  }
  return decoder.take().columns[0]!;
}

const repeats = (values: readonly (bigint | null)[]): number => {
  const filled = values.filter((value) => value !== null);
  return filled.length - new Set(filled).size;
};

/** Few values, often twice, and pairs that differ in one word only. */
const words = (bits: number) =>
  fc.array(
    fc.option(
      fc.oneof(
        fc.bigInt({ min: -3n, max: 3n }),
        fc
          .tuple(fc.integer({ min: 0, max: bits - 2 }), fc.boolean())
          .map(([bit, less]) => (1n << BigInt(bit)) * (less ? -1n : 1n)),
      ),
    ),
    { maxLength: 60 },
  );

describe('countRepeats', () => {
  it('counts integers that occurred before, exactly', () => {
    fc.assert(
      fc.property(words(64), (values) => {
        expect(countRepeats(columnOf('int64', values.map(String)), values.length)).toBe(repeats(values));
      }),
    );
  });

  it('counts decimals that occurred before, narrow and wide ones', () => {
    for (const bits of [63, 64, 66, 120]) {
      fc.assert(
        fc.property(words(bits), (values) => {
          expect(countRepeats(columnOf('decimal(38,0)', values.map(String)), values.length)).toBe(repeats(values));
        }),
        { numRuns: 30 },
      );
    }
  });

  it('counts timestamps that occurred before', () => {
    const texts = ['"2024-01-01T00:00:00Z"', '"2024-01-01T01:00:00+01:00"', 'null', '"1969-12-31T23:59:59Z"', 'null'];
    expect(countRepeats(columnOf('timestamp(us)', texts), texts.length)).toBe(1);
  });
});
