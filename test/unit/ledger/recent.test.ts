import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Recent } from '../../../src/ledger/recent.ts';

describe('what was asked for last', () => {
  it('is kept, and what is no longer asked for makes room', () => {
    const recent = new Recent<number>(3);
    for (const key of ['a', 'b', 'c']) recent.set(key, key.charCodeAt(0), 1);
    expect(recent.get('a')).toBe(97);
    recent.set('d', 100, 1);
    expect(['a', 'b', 'c', 'd'].map((key) => recent.get(key))).toEqual([97, undefined, 99, 100]);
  });

  it('never has more than its size, whatever comes', () => {
    const keys = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    fc.assert(
      fc.property(fc.array(fc.tuple(keys, fc.nat({ max: 12 })), { maxLength: 40 }), (steps) => {
        const recent = new Recent<number>(10);
        for (const [key, size] of steps) {
          recent.set(key, size, size);
          expect(recent.get(key)).toBe(size <= 10 ? size : undefined);
          const total = ['a', 'b', 'c', 'd', 'e'].reduce((sum, each) => sum + (recent.get(each) ?? 0), 0);
          expect(total).toBeLessThanOrEqual(10);
        }
      }),
    );
  });
});
