import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { firstFree } from '../../../src/ledger/first-free.ts';

describe('the end of a log', () => {
  it('is found whatever the hint says, and costs what lies between', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(5_000),
        fc.oneof(fc.constant(null), fc.nat(6_000), fc.double(), fc.constant(-1)),
        async (end, hint) => {
          const looks: number[] = [];
          const exists = async (at: number): Promise<boolean> => {
            looks.push(at);
            return at < end;
          };
          expect(await firstFree(exists, hint)).toBe(end);
          expect(looks.every((at) => Number.isSafeInteger(at) && at >= 0)).toBe(true);
          const isRight = hint !== null && hint === end - 1 && hint > 0;
          expect(looks.length).toBeLessThanOrEqual(isRight ? 2 : 4 + 2 * Math.ceil(Math.log2(end + 2)));
        },
      ),
    );
  });
});
