import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCsvDecoder } from '../../../../src/ingest/decode/csv-decoder.ts';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import { decodeOne, schemaOf, toRows, type Value } from './decoded-values.ts';

const PER_SECOND = { ms: 1_000n, us: 1_000_000n, ns: 1_000_000_000n } as const;
type Unit = keyof typeof PER_SECOND;

const decoders = Object.fromEntries(
  (['ms', 'us', 'ns'] as const).map((unit) => [
    unit,
    {
      json: createJsonDecoder(schemaOf('json', { v: `timestamp(${unit})` })),
      csv: createCsvDecoder(schemaOf('csv', { v: `timestamp(${unit})` })),
    },
  ]),
) as unknown as Record<Unit, { json: ReturnType<typeof createJsonDecoder>; csv: ReturnType<typeof createCsvDecoder> }>;

/** What a text gives in a column, which JSON and CSV must agree on: ticks, or the reason of a dead letter. */
function read(unit: Unit, text: string): Value {
  const outcomes = (['json', 'csv'] as const).map((format) => {
    const decoder = decoders[unit][format];
    const reason = decodeOne(decoder, format === 'json' ? JSON.stringify({ v: text }) : `"${text}"`);
    const decoded = decoder.take();
    if (reason !== 'ok') return reason;
    return toRows(decoded)[0]![0]!;
  });
  expect(outcomes[0]).toBe(outcomes[1]);
  return outcomes[0]!;
}

const pad = (value: number, length = 2): string => String(value).padStart(length, '0');

/** A date of the years 1–9999 that exists, by the engine's own calendar. */
const day = fc.integer({ min: Date.UTC(2000, 0, 1) / 864e5 - 730_119, max: Date.UTC(9999, 11, 31) / 864e5 });

describe('a timestamp column', () => {
  it('counts every instant of the years 1 to 9999 exactly, in every unit', () => {
    const time = fc.tuple(fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999_999_999), fc.nat(12));
    const offset = fc.option(fc.tuple(fc.constantFrom(1, -1), fc.nat(23), fc.nat(59)), { nil: undefined });
    fc.assert(
      fc.property(
        day,
        time,
        offset,
        fc.constantFrom('T', 't', ' '),
        (date, [hour, minute, second, nanos, decimals], zone, separator) => {
          const fraction = decimals === 0 ? '' : pad(nanos, 9).padEnd(12, '0').slice(0, decimals);
          const zoneText = zone === undefined ? 'Z' : `${zone[0] < 0 ? '-' : '+'}${pad(zone[1])}:${pad(zone[2])}`;
          const dateText = new Date(date * 864e5).toISOString().slice(0, 10);
          const text = `${dateText}${separator}${pad(hour)}:${pad(minute)}:${pad(second)}${fraction === '' ? '' : `.${fraction}`}${zoneText}`;
          const zoneSeconds = zone === undefined ? 0 : zone[0] * (zone[1] * 3_600 + zone[2] * 60);
          const seconds = BigInt(date) * 86_400n + BigInt(hour * 3_600 + minute * 60 + second - zoneSeconds);
          const picos = BigInt(fraction.padEnd(12, '0'));
          for (const unit of ['ms', 'us', 'ns'] as const) {
            const perTick = 10n ** 12n / PER_SECOND[unit];
            const ticks = seconds * PER_SECOND[unit] + picos / perTick;
            const fits = picos % perTick === 0n && BigInt.asIntN(64, ticks) === ticks;
            expect(read(unit, text), `${unit} ${text}`).toBe(fits ? ticks : 'unrepresentable');
          }
        },
      ),
      { numRuns: 4_000 },
    );
  });

  it('takes a date as its midnight in UTC', () => {
    fc.assert(
      fc.property(day, (date) => {
        expect(read('ms', new Date(date * 864e5).toISOString().slice(0, 10))).toBe(BigInt(date) * 86_400_000n);
      }),
      { numRuns: 1_000 },
    );
  });

  // Known answers of GNU date (date -u -d … +%s).
  it.each([
    ['1970-01-01T00:00:00Z', 0n],
    ['1969-12-31T23:59:59.999Z', -1n],
    ['0001-01-01T00:00:00Z', -62_135_596_800_000n],
    ['9999-12-31T23:59:59.999Z', 253_402_300_799_999n],
    ['1900-03-01', -2_203_891_200_000n],
    ['2000-02-29', 951_782_400_000n],
    ['2400-02-29', 13_574_563_200_000n],
    ['2024-02-29T12:00:00+05:30', 1_709_188_200_000n],
    ['1582-10-10', -12_219_724_800_000n],
    ['0001-01-01T00:00:00+00:01', -62_135_596_860_000n],
    ['2024-01-01T00:00:00-00:00', 1_704_067_200_000n],
    ['2024-01-01T00:00:00.1230000000000000000000Z', 1_704_067_200_123n],
  ])('reads %s', (text, expected) => {
    expect(read('ms', text)).toBe(expected);
  });

  it('reaches from 1677-09-21 to 2262-04-11 in nanoseconds', () => {
    expect(read('ns', '1677-09-21T00:12:43.145224192Z')).toBe(-(2n ** 63n));
    expect(read('ns', '1677-09-21T00:12:43.145224191Z')).toBe('unrepresentable');
    expect(read('ns', '2262-04-11T23:47:16.854775807Z')).toBe(2n ** 63n - 1n);
    expect(read('ns', '2262-04-11T23:47:16.854775808Z')).toBe('unrepresentable');
  });

  it.each([
    '2016-12-31T23:59:60Z',
    '2016-12-31T23:59:60.5+00:00',
    '2024-06-01T12:00:60Z',
    '0000-01-01T00:00:00Z',
    '0000-02-29',
    '2024-01-01T00:00:00.0001Z',
  ])('cannot hold %s', (text) => {
    expect(read('ms', text)).toBe('unrepresentable');
  });

  it.each([
    '',
    'now',
    '2024',
    '2024-01',
    '2024-1-01',
    '2024-01-1',
    '24-01-01',
    '2024-00-01',
    '2024-13-01',
    '2024-01-00',
    '2024-01-32',
    '2023-02-29',
    '1900-02-29',
    '1800-02-29',
    '2100-02-29',
    '2024-04-31',
    '2024/01/01',
    '20240101',
    '2024-01-01T',
    '2024-01-01T00:00',
    '2024-01-01T00:00Z',
    '2024-01-01T00:00:00',
    '2024-01-01 00:00:00',
    '2024-01-01T24:00:00Z',
    '2024-01-01T00:60:00Z',
    '2024-01-01T00:00:61Z',
    '2024-01-01T00:00:00.Z',
    '2024-01-01T00:00:00.5',
    '2024-01-01T00:00:00,5Z',
    '2024-01-01T00:00:00+0000',
    '2024-01-01T00:00:00+00',
    '2024-01-01T00:00:00+24:00',
    '2024-01-01T00:00:00+00:60',
    '2024-01-01T00:00:00+5:30',
    '2024-01-01T00:00:00ZZ',
    '2024-01-01T00:00:00Z ',
    ' 2024-01-01',
    '2024-01-01 ',
    '2024-01-01_00:00:00Z',
    '+2024-01-01T00:00:00Z',
    '-2024-01-01',
    '2024-01-01T00:00:00 Z',
    '２０２４-01-01',
    '2024-01-01T00-00-00Z',
    '2024-01-01T00:00:00UTC',
    '12024-01-01T00:00:00Z',
    '2024-01-01T-1:00:00Z',
  ])('refuses %j', (text) => {
    for (const unit of ['ms', 'us', 'ns'] as const) expect(read(unit, text)).toBe('wrong-type');
  });

  it('reads a timestamp that is written with escapes', () => {
    expect(decodeOne(decoders.ms.json, '{"v":"\\u0031970-01-01T00:00:00\\u005a"}')).toBe('ok');
    expect(toRows(decoders.ms.json.take())).toEqual([[0n]]);
  });
});
