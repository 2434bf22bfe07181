import type { Column, TimestampUnit } from '../../src/record/schema.ts';
import type { DeadLetterReason } from '../../src/record/dead-letter.ts';

/** What a configuration says of a column. */
export type Typed = Omit<Column, 'name'>;

/** One record as its producer knows it. */
export interface Sent {
  readonly topic: string;
  readonly partition: string;
  readonly offset: number;
  readonly value: string | null;
  readonly key: string | null;
  readonly headers: readonly (readonly [name: string, value: string | null])[];
  readonly timestamp: number | null;
  readonly timestampType: number;
  readonly reason: DeadLetterReason | null;
}

/** A line of a file, and why it must be a dead letter. */
export type Line = readonly [bytes: Buffer, reason: DeadLetterReason | null];

/** A line that decodes. */
export const plain = (text: string): Line => [Buffer.from(text, 'utf8'), null];
/** A line that must be a dead letter. */
const bad = (reason: DeadLetterReason, text: string | Buffer): Line => [Buffer.from(text as string), reason];

/** Numbers as they are written, without their spaces. */
const numbers = (...lines: readonly string[]): string[] => lines.flatMap((line) => line.split(' '));

/** Timestamps, and the units that can hold each to its last digit. */
const INSTANTS: readonly (readonly [text: string, units: readonly TimestampUnit[]])[] = [
  ['"1970-01-01T00:00:00Z"', ['ms', 'us', 'ns']],
  ['"2026-02-28T23:59:59.123Z"', ['ms', 'us', 'ns']],
  ['"2024-02-29 12:00:00.123456+05:30"', ['us', 'ns']],
  ['"1969-12-31T23:59:59.999999999Z"', ['ns']],
  ['"0001-01-01T00:00:00Z"', ['ms', 'us']],
  ['"9999-12-31T23:59:59.999999Z"', ['us']],
  ['"2262-04-11T23:47:16.854775806Z"', ['ns']],
  ['"2262-04-11T23:47:16.854775807Z"', ['ns']],
  ['"2262-04-11T23:47:16.854775808Z"', []],
  ['"1677-09-21T00:12:43.145224192Z"', ['ns']],
  ['"1677-09-21T00:12:43.145224193Z"', ['ns']],
  ['"1677-09-21T00:12:43.145224191Z"', []],
  ['"2016-12-31T23:59:60Z"', []],
  ['"2026-03-01"', ['ms', 'us', 'ns']],
  ['"2026-03-01t00:00:00.5z"', ['ms', 'us', 'ns']],
  ['"2026-03-01T00:00:00-23:59"', ['ms', 'us', 'ns']],
];

/**
 * Column path → its type, and JSON texts of values: what a type can hold at its edges, and what it cannot, which makes a dead
 * letter.
 */
export const EDGES: readonly (readonly [column: Typed, values: readonly string[], beyond?: readonly string[]])[] = [
  [
    { path: ['int'], type: 'int64' },
    ['0', '-0', '1', '-1', '9007199254740993', '9223372036854775807', '-9223372036854775808'],
    ['9223372036854775808', '-9223372036854775809', '18446744073709551615'],
  ],
  [
    { path: ['float'], type: 'float64' },
    numbers(
      '0 -0 -0.0 1.5 0.1 0.30000000000000004 3 -1E+2 0e999 9007199254740992 9007199254740993.0 5e-324 -5e-324 2.2250738585072014e-308',
      '2.2250738585072011e-308 1.7976931348623157e308 -1.7976931348623157E308 123456789012345678901234567890.5',
    ),
    numbers('1e400 -1e400 1e-400 9007199254740993'),
  ],
  [
    { path: ['decimal 38'], type: 'decimal', precision: 38, scale: 0 },
    ['0', '-0', '99999999999999999999999999999999999999', '-99999999999999999999999999999999999999', '1e37'],
    ['1e38', '0.5'],
  ],
  [
    { path: ['fraction 38'], type: 'decimal', precision: 38, scale: 38 },
    ['0', '0.99999999999999999999999999999999999999', '-0.00000000000000000000000000000000000001'],
    ['1', '1e-39'],
  ],
  [
    { path: ['money'], type: 'decimal', precision: 18, scale: 4 },
    ['12.3400', '-99999999999999.9999', '1e2'],
    ['1.00001'],
  ],
  [
    { path: ['price'], type: 'decimal', precision: 9, scale: 2 },
    ['9999999.99', '-9999999.99', '0.1', '7'],
    ['10000000'],
  ],
  [{ path: ['digit'], type: 'decimal', precision: 1, scale: 0 }, ['9', '-9', '0'], ['10']],
  ...(['ms', 'us', 'ns'] as const).map(
    (unit) =>
      [
        { path: [`time ${unit}`], type: 'timestamp', unit },
        INSTANTS.filter(([, units]) => units.includes(unit)).map(([text]) => text),
        INSTANTS.filter(([, units]) => !units.includes(unit)).map(([text]) => text),
      ] as const,
  ),
  [{ path: ['flag'], type: 'boolean' }, ['true', 'false', 'true']],
  [
    { path: ['text'], type: 'string' },
    [
      '""',
      '"a"',
      '"Zürich"',
      '"日本語 🦆 𝄞"',
      String.raw`"\ud83e\udd86 \u0041"`,
      String.raw`"\u0000"`,
      '" "',
      '"null"',
      String.raw`"a\u0000b"`,
      String.raw`"line\nbreak\ttab\\ \/ \" '"`,
      String.raw`"a\rb\r\nc"`,
      '"\u202e\u200b\ufffd\uffff"',
      '"e\u0301"',
      JSON.stringify('x'.repeat(100_000)),
      JSON.stringify('é'.repeat(100)),
    ],
  ],
  [
    { path: ['nested'], type: 'json' },
    [
      '[]',
      '[1, 2,  3.10]',
      '{"a": [1, {"b": null}]}',
      '"text\\u0041"',
      '1.10',
      'true',
      '[null]',
      '{ }',
      '[["ü\\u0000"]]',
    ],
  ],
  [{ path: ['deep', 'er', 'number'], type: 'int64' }, ['1', '2', '3']],
  [{ path: ['deep', 'text'], type: 'string' }, ['"p"', '"q"']],
  [{ path: ['with.dot'], type: 'int64' }, ['4', '5']],
  [{ path: ['_leaf'], type: 'string' }, ['"mine"']],
  [{ path: ['Same'], type: 'int64' }, ['6']],
  [{ path: ['same'], type: 'string' }, ['"seven"', '"eight"']],
  [{ path: ['ключ "名前" 🦆'], type: 'boolean' }, ['false', 'true']],
  [{ path: ['always null'], type: 'string' }, []],
  [{ path: ['never there'], type: 'decimal', precision: 20, scale: 3 }, []],
];
/** The columns of {@link EDGES} in their order. */
export const EDGE_COLUMNS = EDGES.map(([column]) => column);

/** One record as text; `of` gives each column's value, undefined to leave the field out. */
function record(of: (column: Typed, index: number) => string | undefined): string {
  const inner: string[] = [];
  const members: string[] = [];
  let depth3 = '';
  EDGE_COLUMNS.forEach((column, i) => {
    const value = of(column, i);
    if (value === undefined) return;
    const [first, ...rest] = column.path;
    const member = `${JSON.stringify(column.path.at(-1))}: ${value}`;
    if (first !== 'deep') members.push(member);
    else if (rest.length === 1) inner.push(member);
    else depth3 = `"er":{${member}}`;
  });
  if (depth3 !== '') inner.push(depth3);
  return `{${[...members, `"deep":{${inner.join(',')}}`].join(',\t')} }`;
}

/** Every value of every column at least once; columns of shorter lists go on with null, no field, and their first again. */
export function edgeLines(): Line[] {
  const longest = Math.max(...EDGES.map(([, values]) => values.length));
  return Array.from({ length: longest + 7 }, (_, row) =>
    plain(
      record(({ path }, i) => {
        if (path[0] === 'never there') return undefined;
        const round = [...EDGES[i]![1], 'null', undefined];
        return round[row % round.length];
      }),
    ),
  );
}

/** JSON lines that must be dead letters; the last one passes a limit of 200,000 bytes. */
export const DEAD: readonly Line[] = [
  bad('empty', ''),
  bad('empty', '  '),
  bad('syntax', '{"int":1'),
  bad('syntax', '{"float":NaN}'),
  bad('syntax', '{"float":Infinity}'),
  bad('syntax', '{"int":01}'),
  bad('not-an-object', 'null'),
  bad('not-an-object', '[{"int":1}]'),
  bad('trailing-data', '{"int":1}{"int":2}'),
  bad('duplicate-key', '{"int":1,"int":1}'),
  bad('wrong-type', '{"int":1.0}'),
  bad('wrong-type', '{"text":1}'),
  bad('wrong-type', '{"time ms":"yesterday"}'),
  bad('lone-surrogate', String.raw`{"text":"\ud800"}`),
  bad('unsafe-key', '{"__proto__":1}'),
  bad('too-deep', `{"nested":${'['.repeat(100)}${']'.repeat(100)}}`),
  bad('invalid-utf8', Buffer.from('{"text":"\xff"}', 'latin1')),
  bad('byte-order-mark', '\ufeff{"int":1}'),
  ...EDGES.flatMap(([column, , beyond = []]) =>
    beyond.map((value) =>
      bad(
        'unrepresentable',
        record((other) => (other === column ? value : undefined)),
      ),
    ),
  ),
  bad('record-too-large', `{"text":"${'y'.repeat(200_001)}"}`),
];

/** The lines as a file. */
export const joined = (lines: readonly Line[], lineBreak = '\n'): Buffer =>
  Buffer.concat(lines.flatMap(([bytes]) => [bytes, Buffer.from(lineBreak)]));

/** Numbers in [0, 1) that are the same every time. Source: mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` records with the columns of {@link EDGES}, the same every time, with more different texts than a dictionary page holds. */
export function largeLines(count: number): Line[] {
  const random = randomFrom(7);
  const short = EDGES.map(([, values]) => values.filter((value) => value.length < 1_000));
  return Array.from({ length: count }, (_, row) =>
    plain(
      record(({ path, type }, i) => {
        const dice = random();
        if (dice < 0.05) return dice < 0.02 ? undefined : 'null';
        if (dice < 0.9) {
          if (path[0] === 'text') return JSON.stringify(`${row} ${'ü🦆'.repeat(Math.floor(random() * 40))}`);
          if (type === 'float64') return ((random() - 0.5) * 10 ** Math.floor(random() * 600 - 300)).toExponential();
          if (type === 'int64') return String(Math.floor((random() - 0.5) * 2 ** 53));
        }
        return short[i]![Math.floor(random() * short[i]!.length)];
      }),
    ),
  );
}

/** A field of CSV; `force` puts quotes where none are needed. */
export const csvField = (text: string, force: boolean): string =>
  force || text === '' || text === 'NA' || /[";\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

/** The values of EDGES as CSV, by the names in a header. */
export function csvRows(header: readonly string[], force: boolean): Line[] {
  const valuesOf = new Map(
    EDGES.map(([{ path, type }, values]) => [
      path[0]!,
      values.map((value) => (type === 'string' || type === 'timestamp' ? (JSON.parse(value) as string) : value)),
    ]),
  );
  const longest = Math.max(...EDGES.map(([, values]) => values.length));
  return Array.from({ length: longest + 7 }, (_, row) =>
    plain(
      header
        .map((name, i) => {
          const values = [...(valuesOf.get(name) ?? ['extra']).map((text) => csvField(text, force)), '', 'NA'];
          return values[(row + i) % values.length]!;
        })
        .join(';'),
    ),
  );
}

/** CSV lines that must be dead letters. */
export function csvDead(header: readonly string[]): Line[] {
  const row = (name: string, text: string): string => header.map((each) => (each === name ? text : '')).join(';');
  const beyond = EDGES.filter(([{ path }]) => header.includes(path[0]!)).flatMap(([{ path, type }, , values = []]) =>
    values.map((value) => row(path[0]!, type === 'timestamp' ? (JSON.parse(value) as string) : value)),
  );
  return [
    ...beyond.map((text) => bad('unrepresentable', text)),
    bad('field-count', ''),
    bad('field-count', row('', '').slice(1)),
    bad('field-count', `${row('', '')};`),
    bad('wrong-type', row('flag', 'yes')),
    bad('wrong-type', row('time us', 'today')),
    bad('wrong-type', row('digit', '1,5')),
    bad('wrong-type', row('nested', 'no json')),
    bad('syntax', row('text', 'a"b')),
    bad('invalid-utf8', Buffer.from(row('text', '\xff'), 'latin1')),
  ];
}

/** Records with every shape of key, headers, value and timestamp, over two partitions. */
export function kafkaRecords(): Omit<Sent, 'topic' | 'offset' | 'timestampType'>[] {
  const base64 = (bytes: Buffer | string | null): string | null =>
    bytes === null ? null : Buffer.from(bytes).toString('base64');
  const keys = [null, '', 'key', Buffer.from([0xff, 0x00, 0x80])].map(base64);
  const headers: Sent['headers'][] = [
    [],
    [['a', base64('1')]],
    [
      ['a', base64('1')],
      ['a', null],
      ['a', base64('')],
      ['ü🦆', base64(Buffer.from([0xfe, 0x00]))],
      ['', base64('nameless')],
    ],
  ];
  const values: readonly (readonly [string | null, DeadLetterReason | null])[] = [
    ['{"n":1}', null],
    [' { "n" : 2 }\n', null],
    [null, 'null-value'],
    ['', 'empty'],
    ['{"n":"1"}', 'wrong-type'],
  ];
  const timestamps = [1, 1_700_000_000_123, 253_402_300_799_999, null, 1_000];
  return Array.from({ length: 60 }, (_, i) => {
    const [value, reason] = values[i % values.length]!;
    return {
      partition: String(i % 2),
      value: base64(value),
      reason,
      key: keys[Math.floor(i / 2) % keys.length]!,
      headers: headers[Math.floor(i / 3) % headers.length]!,
      timestamp: timestamps[Math.floor(i / 5) % timestamps.length]!,
    };
  });
}
