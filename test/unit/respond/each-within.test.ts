import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { eachWithin, HELD_BYTES_MAX } from '../../../src/respond/each-within.ts';

describe('working on many objects', () => {
  it('holds no more bytes and no more objects at once than allowed, and leaves none out', async () => {
    const size = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 * HELD_BYTES_MAX }));
    await fc.assert(
      fc.asyncProperty(fc.array(size, { maxLength: 40 }), fc.integer({ min: 1, max: 8 }), async (sizes, limit) => {
        const done: number[] = [];
        const running = new Map<number, number>();
        await eachWithin(
          sizes.entries(),
          limit,
          ([, bytes]) => bytes,
          async ([i, bytes]) => {
            running.set(i, bytes);
            const held = [...running.values()].reduce((sum, each) => sum + each, 0);
            expect(running.size).toBeLessThanOrEqual(limit);
            expect(held <= HELD_BYTES_MAX || [...running.values()].filter((each) => each > 0).length === 1).toBe(true);
            await new Promise((resolve) => {
              setImmediate(resolve);
            });
            running.delete(i);
            done.push(i);
          },
        );
        expect(done.toSorted((x, y) => x - y)).toEqual([...sizes.keys()]);
      }),
    );
  });

  it('ends with the first error, and lets go of what waited', async () => {
    const work = eachWithin(
      [1, 2, 3],
      3,
      () => HELD_BYTES_MAX,
      async (item) => {
        if (item === 2) throw new Error('two');
      },
    );
    await expect(work).rejects.toThrow('two');
  });
});
