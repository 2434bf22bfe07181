import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeNumbers, encodeNumbers } from '../../../../src/detect/sketch/array-text.ts';
import { ByteHash } from '../../../../src/detect/sketch/hash.ts';
import { DistinctCounter } from '../../../../src/detect/sketch/hyperloglog.ts';
import { mergeRowHashes, readRowHashes, RowHashSketch } from '../../../../src/detect/sketch/row-hashes.ts';
import { mergeTop, takeTop } from '../../../../src/detect/sketch/top-values.ts';

const keyOf = (bytes: Uint8Array, start = 0, length = bytes.length, seed = 1): number => {
  const hash = new ByteHash(seed);
  hash.update(bytes, start, length);
  return hash.key;
};

const counterOf = (from: number, to: number): DistinctCounter => {
  const counter = new DistinctCounter();
  const hash = new ByteHash(7);
  for (let i = from; i < to; i++) {
    const bytes = Buffer.from(String(i));
    hash.update(bytes, 0, bytes.length);
    counter.add(hash.high, hash.low);
  }
  return counter;
};

const countOf = (rows: readonly string[], limit: number) => {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row, (counts.get(row) ?? 0) + 1);
  return { counts, top: takeTop([...counts.keys()], [...counts.values()], 0, 0, limit) };
};

const sketchOf = (rows: readonly string[], seed = 3) => {
  const sketch = new RowHashSketch(seed);
  for (const row of rows) {
    const bytes = Buffer.from(row);
    sketch.add(bytes, 0, bytes.length);
  }
  return sketch.toRowHashes();
};

const rowsOf = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `row ${from + i}`);

const form = (...values: number[]): string => encodeNumbers(values).slice(0, 2);

describe('array text', () => {
  it('returns every array bit by bit', () => {
    const number = fc.oneof(
      fc.double(),
      fc.integer({ min: -200, max: 200 }),
      fc.float(),
      fc.constantFrom(-0, NaN, Infinity, -Infinity),
    );
    fc.assert(
      fc.property(fc.array(number, { maxLength: 200 }), (values) => {
        const back = decodeNumbers(encodeNumbers(values), values.length)!;
        expect([...back].every((value, i) => Object.is(value, values[i]))).toBe(true);
      }),
    );
  });

  it('takes the narrowest form that holds all values', () => {
    expect([form(1, -128), form(128), form(-32_769), form(0.5), form(0.1), form(2 ** 31), form(-0)]).toEqual([
      'i1',
      'i2',
      'i4',
      'f4',
      'f8',
      'f4',
      'f4',
    ]);
  });

  it('refuses other text, other spellings and too many values', () => {
    for (const text of ['', 'x1:AAAA', 'i2:AAA', 'i2:AA==', 'i1:A A=', 'i4:AAAA', 'constructor', 'i1:AAB='])
      expect(decodeNumbers(text, 100)).toBeNull();
    expect(decodeNumbers(encodeNumbers([1, 2, 3]), 2)).toBeNull();
  });
});

describe('byte hash', () => {
  it('depends on every byte, on the length and on the seed, not on where the bytes lie', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.nat({ max: 9 }),
        (bytes, at, flip, shift) => {
          const other = bytes.slice();
          other[at % bytes.length]! ^= flip;
          expect(keyOf(other)).not.toBe(keyOf(bytes));
          expect(keyOf(Uint8Array.of(...bytes, 0))).not.toBe(keyOf(bytes));
          expect(keyOf(bytes, 0, bytes.length, 2)).not.toBe(keyOf(bytes));
          const moved = new Uint8Array(bytes.length + shift);
          moved.set(bytes, shift);
          expect(keyOf(moved, shift, bytes.length)).toBe(keyOf(bytes));
        },
      ),
    );
  });

  it('spreads counters evenly and meets no collision among 200,000', () => {
    const seen = new Set<number>();
    const cells = new Float64Array(256);
    for (let i = 0; i < 200_000; i++) {
      const key = keyOf(Buffer.from(`{"id":${i},"flag":true}`));
      seen.add(key);
      cells[Math.floor(key / 2 ** 45)]! += 1;
    }
    expect(seen.size).toBe(200_000);
    const chi = cells.reduce((sum, count) => sum + (count - 781.25) ** 2 / 781.25, 0);
    // 99.9 % of χ² with 255 degrees of freedom.
    expect(chi).toBeLessThan(330.5);
  });

  it('refuses a range outside the bytes', () => {
    expect(() => keyOf(new Uint8Array(4), 2, 3)).toThrow(RangeError);
  });
});

describe('distinct counter', () => {
  it.each([0, 1, 10, 256, 3_000, 12_000, 300_000])('estimates %i within 5 %% (three standard errors)', (count) => {
    expect(Math.abs(counterOf(0, count).estimate() - count)).toBeLessThanOrEqual(0.05 * count + 0.01);
  });

  it('merges to exactly the counter of the union, and comes back from text bit by bit', () => {
    for (const [a, b] of [
      [20, 900],
      [3_000, 40_000],
    ] as const) {
      const merged = counterOf(0, b);
      merged.merge(counterOf(a, a + b));
      expect(merged.toText()).toBe(counterOf(0, a + b).toText());
      expect(DistinctCounter.fromText(merged.toText())!.toText()).toBe(merged.toText());
    }
  });

  it('refuses text that it would not write', () => {
    for (const text of [
      '',
      's',
      'd',
      'si1:AA==',
      'di1:AAAA',
      `d${encodeNumbers(new Uint8Array(4_096).fill(60))}`,
      `s${encodeNumbers([65, 65])}`,
    ]) {
      expect(DistinctCounter.fromText(text)).toBeNull();
    }
  });
});

describe('top values', () => {
  const lists = fc.array(fc.constantFrom(...Array.from('abcdefghijklmnop')), { maxLength: 300 });

  it('merges to the whole exactly while all values fit', () => {
    fc.assert(
      fc.property(lists, lists, (a, b) => {
        expect(mergeTop(countOf(a, 16).top, countOf(b, 16).top, 16)).toEqual(countOf([...a, ...b], 16).top);
      }),
    );
  });

  it('never is further from the truth than it says, and loses no row', () => {
    fc.assert(
      fc.property(fc.array(lists, { minLength: 2, maxLength: 6 }), (parts) => {
        const truth = countOf(parts.flat(), 99).counts;
        const merged = parts.map((part) => countOf(part, 4).top).reduce((x, y) => mergeTop(x, y, 4));
        expect(merged.counts.reduce((sum, count) => sum + count, merged.other)).toBe(parts.flat().length);
        for (const [value, count] of truth) {
          const listed = merged.counts[merged.values.indexOf(value)] ?? 0;
          expect(listed).toBeLessThanOrEqual(count);
          expect(count - listed).toBeLessThanOrEqual(merged.error);
        }
      }),
    );
  });
});

describe('row hashes', () => {
  it('counts every repeat of a small batch', () => {
    const read = readRowHashes(sketchOf([...rowsOf(0, 500), ...rowsOf(0, 20), 'row 7']))!;
    expect(read.hashes.length).toBe(500);
    expect([...read.counts].sort((a, b) => b - a).slice(0, 21)).toEqual([3, ...Array.from({ length: 19 }, () => 2), 1]);
  });

  it('keeps the smallest hashes of a large batch with exact multiplicities', () => {
    const read = readRowHashes(sketchOf([...rowsOf(0, 20_000), ...rowsOf(0, 20_000)]))!;
    expect(read.hashes.length).toBe(1_024);
    expect(read.counts.every((count) => count === 2)).toBe(true);
    // Bottom-k estimate of 20,000 distinct rows.
    expect(Math.abs((1_023 / read.hashes.at(-1)!) * 2 ** 53 - 20_000)).toBeLessThan(2_500);
  });

  it('merges to exactly the sketch of the whole', () => {
    for (const size of [300, 1_024, 5_000]) {
      const merged = mergeRowHashes(sketchOf(rowsOf(0, size)), sketchOf(rowsOf(size / 2, 2 * size)))!;
      expect(merged).toEqual(sketchOf([...rowsOf(0, size), ...rowsOf(size / 2, 2 * size)]));
    }
    expect(mergeRowHashes(sketchOf(['a'], 1), sketchOf(['a'], 2))).toBeNull();
  });

  it('refuses hashes that do not rise or do not add up', () => {
    const good = sketchOf(rowsOf(0, 10));
    expect(readRowHashes({ ...good, rows: 11 })).toBeNull();
    expect(
      readRowHashes({ ...good, hashes: encodeNumbers([5, 4]), counts: encodeNumbers([1, 1]), rows: 2 }),
    ).toBeNull();
    expect(readRowHashes({ ...good, counts: encodeNumbers([1]) })).toBeNull();
  });
});
