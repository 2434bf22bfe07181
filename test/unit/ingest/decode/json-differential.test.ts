import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJsonDecoder } from '../../../../src/ingest/decode/json-decoder.ts';
import { DEAD_LETTER_REASONS, type DeadLetterReason } from '../../../../src/record/dead-letter.ts';
import { decodeOne, schemaOf, toRows } from './decoded-values.ts';

/** Rules that are stricter than JSON.parse, each with an independent check that a document breaks it. */
const STRICTER: Partial<Record<DeadLetterReason, (text: string, parsed: unknown) => boolean>> = {
  'not-an-object': (_, parsed) => typeof parsed !== 'object' || parsed === null || Array.isArray(parsed),
  'duplicate-key': (text, parsed) => {
    // Every string is matched, also those that are values: a match must not begin in the middle of one.
    const keys = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/gs)].filter(([, colon]) => colon !== undefined);
    return keys.length > countKeys(parsed);
  },
  'lone-surrogate': (text) => stringsOf(text).some((string) => /\p{Surrogate}/u.test(JSON.parse(string) as string)),
  'too-deep': (text) => depthOf(text) > 64,
  'byte-order-mark': () => false,
  'unsafe-key': (text) =>
    stringsOf(text).some((string) => /^(__proto__|prototype)$/.test(JSON.parse(string) as string)),
};

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

describe('the JSON decoder beside JSON.parse', () => {
  it('accepts what JSON.parse accepts, but for the stricter rules, and keeps the same value', () => {
    const decoder = createJsonDecoder(schemaOf('json', { v: 'json' }));
    fc.assert(
      fc.property(writtenValue(), (text) => {
        const record = `{"v":${text}}`;
        const reason = decodeOne(decoder, record);
        checkOutcome(Buffer.from(record), reason);
        if (reason !== 'ok') return;
        const [[value]] = toRows(decoder.take()) as [[string | null]];
        expect(value).toBe(text === 'null' ? null : text);
      }),
      { numRuns: 10_000 },
    );
  }, 60_000);

  it('reads the same typed values as JSON.parse from objects with fields in any order and any spelling', () => {
    const decoder = createJsonDecoder(
      schemaOf('json', { f: 'float64', s: 'string', b: 'boolean', 'o.s': 'string', 'o.f': 'float64' }),
    );
    fc.assert(
      fc.property(typedObject(), (text) => {
        expect(decodeOne(decoder, text)).toBe('ok');
        const parsed = JSON.parse(text) as Record<string, unknown>;
        const inner = (parsed['o'] ?? {}) as Record<string, unknown>;
        const expected = [parsed['f'], parsed['s'], parsed['b'], inner['s'], inner['f']].map((value) => value ?? null);
        expect(toRows(decoder.take())[0]).toEqual(expected);
      }),
      { numRuns: 5_000 },
    );
  }, 60_000);

  it('agrees about documents with bytes changed, inserted, removed, or doubled', () => {
    const decoders = [{}, { v: 'json' }].map((columns) =>
      createJsonDecoder(schemaOf('json', columns as Record<string, 'json'>)),
    );
    const counts = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(writtenValue(), fc.array(mutation(), { minLength: 1, maxLength: 3 }), (text, mutations) => {
        const bytes = mutations.reduce<Buffer>(
          (current, mutate) => mutate(current),
          Buffer.from(`{"v":${text},"w":1}`),
        );
        for (const decoder of decoders) {
          const reason = decodeOne(decoder, bytes);
          checkOutcome(bytes, reason);
          counts[reason === 'ok' ? 'accepted' : 'refused']++;
        }
      }),
      { numRuns: 15_000 },
    );
    // Both sides of the comparison must have been exercised.
    expect(counts.accepted).toBeGreaterThan(1_000);
    expect(counts.refused).toBeGreaterThan(1_000);
  }, 60_000);

  it('agrees about random sequences of tokens', () => {
    const decoder = createJsonDecoder(schemaOf('json', {}));
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '1',
      '-0.5e3',
      'true',
      'null',
      ' ',
      '\n',
      '{"c":',
      '"\\u0061"',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 10 }), (tokens) => {
        const bytes = Buffer.from(`{"x":${tokens.join('')}}`);
        checkOutcome(bytes, decodeOne(decoder, bytes));
      }),
      { numRuns: 10_000 },
    );
  }, 60_000);
});

/** Holds one outcome to what JSON.parse and the strict rules say of the same bytes. */
function checkOutcome(bytes: Buffer, reason: DeadLetterReason): void {
  expect(DEAD_LETTER_REASONS).toContain(reason);
  const oracle = parse(bytes);
  if (!oracle.valid) {
    expect(reason, bytes.toString('latin1')).not.toBe('ok');
    return;
  }
  if (reason === 'ok') {
    for (const [name, breaks] of Object.entries(STRICTER)) {
      if (name !== 'unsafe-key') expect(breaks(oracle.text, oracle.value), `${name}: ${oracle.text}`).toBe(false);
    }
    return;
  }
  const breaks = STRICTER[reason];
  expect(breaks?.(oracle.text, oracle.value), `${reason}: ${oracle.text}`).toBe(true);
}

function parse(bytes: Buffer): { valid: true; text: string; value: unknown } | { valid: false } {
  try {
    const text = strict.decode(bytes);
    return { valid: true, text, value: JSON.parse(text) as unknown };
  } catch {
    return { valid: false };
  }
}

function childrenOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function countKeys(value: unknown): number {
  const own = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value).length : 0;
  return childrenOf(value).reduce<number>((sum, child) => sum + countKeys(child), own);
}

/** The string tokens of a valid document; parsing alone would lose those that a duplicate key overwrites. */
function stringsOf(text: string): string[] {
  return text.match(/"(?:[^"\\]|\\.)*"/gs) ?? [];
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const char of text.replaceAll(/"(?:[^"\\]|\\.)*"/gs, '')) {
    if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    if (char === '}' || char === ']') depth--;
  }
  return deepest;
}

/** A string as JSON text, some of whose characters are escaped without need. */
function writtenString(): fc.Arbitrary<string> {
  const unit = fc.oneof(
    { weight: 6, arbitrary: fc.string({ unit: 'grapheme', minLength: 0, maxLength: 8 }) },
    { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
    { weight: 1, arbitrary: fc.constantFrom('', 'a', 'b', '__proto', '\u0000', '\ud800', '\udc00', '\u202e') },
  );
  return fc.tuple(unit, fc.nat()).map(([text, seed]) => {
    const escaped = Array.from(text, (char, i) => {
      if (((seed >>> (i % 24)) & 3) !== 0) return JSON.stringify(char).slice(1, -1);
      return char
        .split('')
        .map((half) => `\\u${half.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('');
    });
    return `"${escaped.join('')}"`;
  });
}

function writtenNumber(): fc.Arbitrary<string> {
  return fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? '-0' : String(value))),
    fc.bigInt({ min: -(10n ** 22n), max: 10n ** 22n }).map(String),
    fc.tuple(fc.nat(99_999), fc.nat(99_999), fc.integer({ min: -330, max: 330 })).map(([a, b, e]) => `${a}.${b}E${e}`),
  );
}

function writtenValue(): fc.Arbitrary<string> {
  const space = fc.constantFrom('', '', '', ' ', '\n\t', '\r ');
  const { value } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('true', 'false', 'null', '0', '""', '[]', '{}'),
      writtenNumber(),
      writtenString(),
      fc
        .tuple(space, fc.array(tie('value'), { maxLength: 4 }))
        .map(([gap, items]) => `[${gap}${items.join(`${gap},`)}${gap}]`),
      fc
        .tuple(space, fc.array(fc.tuple(writtenString(), tie('value')), { maxLength: 4 }))
        .map(
          ([gap, fields]) =>
            `{${gap}${fields.map(([key, item]) => `${key}${gap}:${gap}${item}`).join(`,${gap}`)}${gap}}`,
        ),
    ),
  }));
  return value;
}

/** A key as JSON text, its first character escaped or not. */
function writtenKey(name: string): fc.Arbitrary<string> {
  return fc.constantFrom(`"${name}"`, `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}"`);
}

/** A field that may be absent or null. */
function optionalField(name: string, value: fc.Arbitrary<string>): fc.Arbitrary<string[]> {
  const orNull = fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: fc.constant('null') });
  return fc
    .option(fc.tuple(writtenKey(name), orNull), { nil: undefined })
    .map((pair) => (pair === undefined ? [] : [pair.join(' : ')]));
}

/** An object of the given fields, beginning with any of them. */
function rotatedObject(...fields: fc.Arbitrary<string[]>[]): fc.Arbitrary<string> {
  return fc.tuple(fc.tuple(...fields), fc.nat()).map(([list, seed]) => {
    const parts = list.flat();
    const shift = parts.length === 0 ? 0 : seed % parts.length;
    return `{${[...parts.slice(shift), ...parts.slice(0, shift)].join(',')}}`;
  });
}

function typedObject(): fc.Arbitrary<string> {
  // From 2^53 on, String would write some as whole numbers that they are not; numbers.test.ts has those.
  const double = fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => (Object.is(value, -0) ? '-0' : Math.abs(value) < 2 ** 53 ? String(value) : value.toExponential()));
  const string = writtenString().filter((text) => !/\p{Surrogate}/u.test(JSON.parse(text) as string));
  const boolean = fc.constantFrom('true', 'false');
  const inner = rotatedObject(
    optionalField('s', string),
    optionalField('f', double),
    optionalField('x', writtenNumber()),
  );
  return rotatedObject(
    optionalField('f', double),
    optionalField('s', string),
    optionalField('b', boolean),
    optionalField('o', inner),
    optionalField('z', string),
  );
}

function mutation(): fc.Arbitrary<(bytes: Buffer) => Buffer> {
  const byte = fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]:,"\\ 019-.eEtfnu/\u0000')));
  return fc.oneof(
    fc.tuple(fc.nat(), byte).map(([at, value]) => (bytes: Buffer) => {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[at % copy.length] = value;
      return copy;
    }),
    fc.tuple(fc.nat(), byte).map(([at, value]) => (bytes: Buffer) => {
      const cut = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, cut), Buffer.from([value]), bytes.subarray(cut)]);
    }),
    fc.tuple(fc.nat(), fc.nat(3)).map(([at, length]) => (bytes: Buffer) => {
      const cut = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, cut), bytes.subarray(cut + length)]);
    }),
    fc.tuple(fc.nat(), fc.nat(12)).map(([at, length]) => (bytes: Buffer) => {
      const cut = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, cut + length), bytes.subarray(cut)]);
    }),
  );
}
