import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Decoder } from '../../../../src/ingest/decode/decoder.ts';
import { createCsvDecoder } from '../../../../src/ingest/decode/csv-decoder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import type { ColumnCounts } from '../../../../src/record/columns.ts';
import { decodeOne, schemaOf, toRows, type TypeText, type Value } from './decoded-values.ts';

const RUNS = { numRuns: 5_000 };
/** The reason of a record with a number that the column's type cannot hold. */
const UNREPRESENTABLE = 'unrepresentable';

interface Outcome {
  /** What the column holds, or the reason why the record is refused. */
  readonly value: Value;
  readonly counts: Readonly<ColumnCounts>;
}

/** Reads number texts in a column of a type, which JSON and CSV must agree on. */
function reader(type: TypeText): (text: string) => Outcome {
  const json = createJsonDecoder(schemaOf('json', { v: type }));
  const csv = createCsvDecoder(schemaOf('csv', { v: type }));
  return (text) => {
    const outcome = readOne(json, `{"v":${text}}`);
    expect(readOne(csv, text)).toEqual(outcome);
    return outcome;
  };
}

function readOne(decoder: Decoder, record: string): Outcome {
  const reason = decodeOne(decoder, record);
  const decoded = decoder.take();
  if (reason !== 'ok') expect(['wrong-type', UNREPRESENTABLE]).toContain(reason);
  return { value: reason === 'ok' ? toRows(decoded)[0]![0]! : reason, counts: decoded.columns[0]!.counts };
}

/** Exact value of a JSON number as digits × 10^power. */
function exact(text: string): { digits: bigint; power: number } {
  const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  const digits = BigInt(`${whole}${fraction}`);
  return { digits: sign === '-' ? -digits : digits, power: Number(exponent) - fraction.length };
}

/** Significant digits, from the first to the last that is not 0. */
function significantDigits(text: string): number {
  return exact(text).digits.toString().replace('-', '').replace(/0+$/, '').length;
}

const digits = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.nat(9), { minLength, maxLength }).map((list) => list.join(''));

const wholePart = fc.oneof(
  fc.constant('0'),
  fc.tuple(fc.integer({ min: 1, max: 9 }).map(String), digits(0, 24)).map(([first, rest]) => first + rest),
  fc.constantFrom(
    '9007199254740992',
    '9007199254740993',
    '9223372036854775807',
    '9223372036854775808',
    '18446744073709551616',
  ),
);

/** Number texts of all shapes: long, short, with zeros at either end, with and without point and exponent. */
const numberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    wholePart,
    fc.option(fc.oneof(digits(1, 4), digits(1, 30), fc.constantFrom('0', '000', '10', '50')), { nil: undefined }),
    fc.option(fc.oneof(fc.integer({ min: -30, max: 30 }), fc.integer({ min: -340, max: 320 })).map(String), {
      nil: undefined,
    }),
    fc.constantFrom('e', 'E', 'e+'),
  )
  .map(([sign, whole, fraction, exponent, mark]) => {
    const power = exponent === undefined ? '' : `${exponent.startsWith('-') ? mark[0] : mark}${exponent}`;
    return `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${power}`;
  });

describe('an int64 column', () => {
  const read = reader('int64');

  it('holds every int64 exactly, and none beyond', () => {
    const edge = fc.constantFrom(
      0n,
      2n ** 31n,
      2n ** 32n,
      10n ** 15n,
      10n ** 16n,
      10n ** 18n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n,
      10n ** 19n,
      10n ** 20n,
    );
    const near = fc
      .tuple(edge, fc.bigInt({ min: -3n, max: 3n }), fc.boolean())
      .map(([base, delta, negative]) => (negative ? -base : base) + delta);
    const any = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n });
    const inside = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    fc.assert(
      fc.property(fc.oneof(near, any, inside), (value) => {
        const fits = BigInt.asIntN(64, value) === value;
        expect(read(String(value)).value).toBe(fits ? value : UNREPRESENTABLE);
      }),
      RUNS,
    );
  });

  it('takes integers only', () => {
    for (const text of ['1.0', '1.5', '1e3', '1E0', '-0.0', '0e0', '1e400'])
      expect(read(text).value).toBe('wrong-type');
  });

  it.each([
    ['0', 0n],
    ['-1', -1n],
    ['4294967295', 4_294_967_295n],
    ['-4294967296', -4_294_967_296n],
    ['999999999999999', 999_999_999_999_999n],
    ['-1000000000000000', -1_000_000_000_000_000n],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808', -(2n ** 63n)],
    ['9223372036854775808', UNREPRESENTABLE],
    ['-9223372036854775809', UNREPRESENTABLE],
    ['99999999999999999999', UNREPRESENTABLE],
  ])('reads %s', (text, expected) => {
    expect(read(text).value).toBe(expected);
  });
});

describe('a float64 column', () => {
  const read = reader('float64');
  const check = (text: string): void => {
    const { value, counts } = read(text);
    const nearest = Number(text);
    const isZero = exact(text).digits === 0n;
    // A whole number is held as it is or not at all; anything else by the nearest double.
    const isWhole = /^-?\d+$/.test(text);
    const isRounded = isWhole && Number.isFinite(nearest) && BigInt(text) !== BigInt(nearest);
    const fits = Number.isFinite(nearest) && (nearest !== 0 || isZero) && !isRounded;
    expect(value, text).toBe(fits ? nearest : UNREPRESENTABLE);
    expect(counts, text).toEqual({
      absent: 0,
      inexact: fits && !isWhole && significantDigits(text) > 17 ? 1 : 0,
      negativeZero: fits && Object.is(nearest, -0) ? 1 : 0,
      suspiciousText: 0,
    });
  };

  it('holds the nearest double to every number text, but no whole number that it would round', () => {
    fc.assert(fc.property(numberText, check), RUNS);
  });

  it('holds a whole number exactly when it is a double', () => {
    const size = fc.integer({ min: 0, max: 1_023 });
    const digitsOf = (bits: number): bigint => 2n ** BigInt(bits);
    const whole = fc
      .tuple(
        size,
        fc.bigInt({ min: 0n, max: 2n ** 53n }),
        fc.integer({ min: 0, max: 70 }),
        fc.integer({ min: -2, max: 2 }),
      )
      .map(([bits, low, shift, delta]) => digitsOf(bits) + (low << BigInt(shift)) + BigInt(delta));
    const int64 = fc.bigInt({ min: 2n ** 49n, max: 2n ** 64n });
    const even = fc
      .tuple(int64, fc.integer({ min: 0, max: 12 }))
      .map(([value, zeros]) => value & -(2n ** BigInt(zeros)));
    fc.assert(
      fc.property(fc.oneof(whole, int64, even), fc.boolean(), (value, negative) =>
        check(String(negative ? -value : value)),
      ),
      RUNS,
    );
  });

  it.each([
    ['9007199254740992', 2 ** 53],
    ['9007199254740993', UNREPRESENTABLE],
    ['-9007199254740993', UNREPRESENTABLE],
    ['9007199254740993.0', 2 ** 53],
    ['9007199254740993e0', 2 ** 53],
    ['9007199254740994', 2 ** 53 + 2],
    ['9223372036854775807', UNREPRESENTABLE],
    ['-9223372036854775808', -(2 ** 63)],
    ['9223372036854775808', 2 ** 63],
    ['1152921504606846976', 2 ** 60],
    ['1152921504606847000', UNREPRESENTABLE],
    ['10000000000000000000000', 1e22],
    ['100000000000000000000000', UNREPRESENTABLE],
    [String(BigInt(Number.MAX_VALUE)), Number.MAX_VALUE],
    [`9${'0'.repeat(5_000)}`, UNREPRESENTABLE],
  ])('reads %s', (text, expected) => {
    expect(read(text).value).toBe(expected);
  });

  it('rounds correctly next to ties: whole numbers above 2^53, and 16 to 19 digits around the point', () => {
    const long = fc.tuple(fc.bigInt({ min: 10n ** 15n, max: 10n ** 19n - 1n }), fc.integer({ min: -22, max: 22 }));
    // Every other whole number above 2^53 is a tie; so is every fourth of four above 2^54, and so on.
    const tie = fc
      .tuple(fc.integer({ min: 53, max: 63 }), fc.bigInt({ min: 0n, max: 2n ** 53n }), fc.bigInt({ min: -1n, max: 1n }))
      .map(
        ([bits, offset, delta]) =>
          [2n ** BigInt(bits) + (offset >> BigInt(64 - bits)) * 2n ** BigInt(bits - 53) + delta, 0] as [bigint, number],
      );
    fc.assert(
      fc.property(fc.oneof(long, tie), fc.nat(18), ([digitsValue, power], point) => {
        const text = String(digitsValue);
        const cut = 1 + (point % (text.length - 1));
        for (const written of [
          `${text}e${power}`,
          `${text.slice(0, cut)}.${text.slice(cut)}e${power}`,
          power === 0 ? text : `-${text}E${power}`,
        ])
          check(written);
      }),
      RUNS,
    );
  });

  it('round-trips every double', () => {
    const bits = fc
      .bigInt({ min: 0n, max: 2n ** 64n - 1n })
      .map((value) => new Float64Array(BigUint64Array.of(value).buffer)[0]!);
    fc.assert(
      fc.property(fc.oneof(bits, fc.double()).filter(Number.isFinite), (value) => {
        const text = Object.is(value, -0) ? '-0' : String(value);
        // Above 2^53, JavaScript writes a double as a whole number with zeros in place of digits: that is another number.
        if (Math.abs(value) < 2 ** 53 || text.includes('e')) expect(read(text).value).toBe(value);
        else check(text);
        if (value !== 0) expect(read(value.toExponential(16)).value).toBe(value);
      }),
      RUNS,
    );
  });

  // Halfway cases and ends of the range, from V. Bryant's and others' lists of hard cases for string to double conversion.
  it.each([
    '9007199254740993',
    '9007199254740992.9999999999999999999',
    '9007199254740993.00000000000000000000000000001',
    '1e23',
    '8.5e22',
    '1e22',
    '123456789012345e22',
    '123456789012345e-22',
    '0.1',
    '0.30000000000000004',
    '2.2250738585072014e-308',
    '2.2250738585072011e-308',
    '4.9e-324',
    '2.4703282292062327e-324',
    '2.4703282292062328e-324',
    '1.7976931348623157e308',
    '1.7976931348623158e308',
    '1.7976931348623159e308',
    '17976931348623157e292',
    '0.000000000000000000000000000000000000001e39',
    '6.9294956446009195e15',
    '3.5844466002796428e298',
    '7.2057594037927933e16',
    '100000000000000000000',
    '1.00000000000000000000000',
    '-0.00000',
    '0e999999999999',
    '1e-999999999999',
    '-1e999999999999',
    `0.${'0'.repeat(400)}1e401`,
    `${'9'.repeat(400)}e-390`,
    `1${'0'.repeat(5_000)}e-5000`,
  ])('reads %s correctly rounded', check);
});

describe('a decimal column', () => {
  const columns = [
    [38, 0],
    [38, 10],
    [38, 38],
    [10, 2],
    [1, 0],
    [1, 1],
    [18, 6],
    [20, 20],
  ] as const;

  it.each(columns)('of %d digits, %d after the point, holds what fits and nothing else', (precision, scale) => {
    const read = reader(`decimal(${precision},${scale})`);
    const fitting = fc
      .tuple(fc.bigInt({ min: -(10n ** BigInt(precision)) - 2n, max: 10n ** BigInt(precision) + 2n }), fc.nat(3))
      .map(([unscaled, zeros]) => `${shifted(unscaled, scale)}${scale > 0 ? '0'.repeat(zeros) : ''}`);
    fc.assert(
      fc.property(fc.oneof(numberText, fitting), (text) => {
        const expected = model(text, precision, scale);
        const { value, counts } = read(text);
        expect(value, text).toBe(expected ?? UNREPRESENTABLE);
        expect(counts.negativeZero).toBe(expected === 0n && text.startsWith('-') ? 1 : 0);
      }),
      { numRuns: 1_500 },
    );
  });

  it.each([
    ['decimal(4,2)', '-0.01', -1n],
    ['decimal(4,2)', '99.99', 9_999n],
    ['decimal(4,2)', '100', UNREPRESENTABLE],
    ['decimal(4,2)', '1.230000', 123n],
    ['decimal(4,2)', '1.231', UNREPRESENTABLE],
    ['decimal(4,2)', '1.2e1', 1_200n],
    ['decimal(4,2)', '0.00001e4', 10n],
    ['decimal(4,2)', '12000e-3', 1_200n],
    ['decimal(4,2)', '0e99999999999', 0n],
    ['decimal(4,2)', '1e99999999999', UNREPRESENTABLE],
    ['decimal(4,2)', '1e-99999999999', UNREPRESENTABLE],
    ['decimal(38,0)', '99999999999999999999999999999999999999', 10n ** 38n - 1n],
    ['decimal(38,0)', '-99999999999999999999999999999999999999', 1n - 10n ** 38n],
    ['decimal(38,0)', '100000000000000000000000000000000000000', UNREPRESENTABLE],
    ['decimal(38,38)', '0.00000000000000000000000000000000000001', 1n],
  ] as const)('%s reads %s', (type, text, expected) => {
    expect(reader(type)(text).value).toBe(expected);
  });
});

function shifted(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const text = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

/** The unscaled value by BigInt, or null. */
function model(text: string, precision: number, scale: number): bigint | null {
  const { digits: value, power } = exact(text);
  if (value === 0n) return 0n;
  const shift = power + scale;
  // Far beyond 38 digits either way: no need to write the zeros out.
  if (shift > 400) return null;
  const unscaled = shift >= 0 ? value * 10n ** BigInt(shift) : value / 10n ** BigInt(-shift);
  if (shift < 0 && unscaled * 10n ** BigInt(-shift) !== value) return null;
  return (unscaled < 0n ? -unscaled : unscaled) < 10n ** BigInt(precision) ? unscaled : null;
}
