import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { joinRanges, type SeqRange } from '../../../src/respond/seq-ranges.ts';

const range = fc
  .tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 20 }))
  .map(([from, length]): SeqRange => ({ from, to: from + length }));
const seqsOf = (ranges: readonly SeqRange[]): Set<number> =>
  new Set(ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)));

describe('ranges of entries that are joined', () => {
  it('cover exactly the same entries, lowest first and apart, while they are not too many', () => {
    fc.assert(
      fc.property(fc.array(range), (ranges) => {
        const joined = joinRanges(ranges, 1_000);
        expect(seqsOf(joined)).toEqual(new Set([...seqsOf(ranges)].toSorted((a, b) => a - b)));
        for (const [i, { from }] of joined.entries()) expect(from).toBeGreaterThan(joined[i - 1]?.to ?? -1);
      }),
    );
  });

  it('cover all of them and keep to the bound when they are too many', () => {
    fc.assert(
      fc.property(fc.array(range), fc.integer({ min: 1, max: 4 }), (ranges, max) => {
        const joined = joinRanges(ranges, max);
        expect(joined.length).toBeLessThanOrEqual(max);
        expect([...seqsOf(ranges)].every((seq) => seqsOf(joined).has(seq))).toBe(true);
      }),
    );
  });

  it('become one where the least lies between them', () => {
    const ranges = [0, 10, 12, 30].map((from) => ({ from, to: from + 1 }));
    expect(joinRanges(ranges, 3)).toEqual([
      { from: 0, to: 1 },
      { from: 10, to: 13 },
      { from: 30, to: 31 },
    ]);
  });
});
