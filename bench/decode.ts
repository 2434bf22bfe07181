/*
 * How fast records become columns, beside JSON.parse into objects on the same bytes.
 * Run: npm run build && node dist/bench/decode.js
 */
import { createCsvDecoder } from '../src/ingest/decode/csv-decoder.ts';
import type { Decoder } from '../src/ingest/decode/decoder.ts';
import { inferSchema } from '../src/ingest/decode/infer-schema.ts';
import { createJsonDecoder } from '../src/ingest/decode/json-decoder.ts';
import { CsvSplitter } from '../src/adapters/file/split/csv-splitter.ts';
import { NdjsonSplitter } from '../src/adapters/file/split/ndjson-splitter.ts';
import { columnName, type Column, type Schema } from '../src/record/schema.ts';

const RECORDS = 100_000;
/** Rows of one batch: the decoder hands its columns over and starts afresh. */
const BATCH_ROWS = 10_000;
const ROUNDS = 9;
const RECORD_BYTES = 147;

const TYPES = ['int64', 'timestamp', 'string', 'string', 'float64', 'int64', 'boolean', 'string'] as const;
const NAMES = ['id', 'ts', 'carrier', 'origin', 'delay', 'distance', 'cancelled', 'note'];

/** Records that are harder than the main ones, each in its own way. */
const SHAPES: Readonly<Record<string, (i: number) => object>> = {
  'short doubles': (i) => ({ a: i / 8, b: (i % 1_000) / 100, c: -i, d: i * 0.5 }),
  '17-digit doubles': (i) => ({ a: Math.sin(i) * 100, b: Math.cos(i), c: Math.sqrt(i + 2), d: i / 7 }),
  'Cyrillic strings': (i) => ({ name: `Привет, мир ${i % 100}`, city: 'Санкт-Петербург', n: i }),
  'escaped strings': (i) => ({ name: `line 1\nline 2 "${i % 100}"`, path: `C:\\folder\\file ${i % 10}`, n: i }),
  'distinct strings': (i) => ({
    id: `${Math.imul(i, 0x9e3779b1) >>> 0}-0000-4000-8000-${i.toString(16).padStart(12, '0')}`,
    n: i,
  }),
  'nested objects': (i) => ({
    id: i,
    user: { id: i % 100, name: 'bob', geo: { lat: 1.5, lon: -2.25 } },
    tags: ['a', { k: i % 10 }],
  }),
  'absent and null fields': (i) => (i % 2 === 0 ? { a: i, b: i, c: i } : { a: i, d: 'x', e: null }),
};

interface Records {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

const json = pack((cells) => `{${NAMES.map((name, i) => `"${name}":${quoted(i, cells[i]!)}`).join(',')}}`);
const csv = pack((cells) => cells.join(','));
const jsonDecoder = createJsonDecoder(schemaOf('json'));
const csvDecoder = createCsvDecoder(schemaOf('csv'));

const main = compare(jsonDecoder, json);
const csvNs = median(Array.from({ length: ROUNDS }, () => measure(() => decodeAll(csvDecoder, csv), RECORDS)));
console.log(`${RECORDS} records of ${averageBytes(json)} bytes, 8 columns, median of ${ROUNDS} alternating rounds`);
console.log(`JSON.parse into objects   ${main.parse.toFixed(0)} ns a record`);
console.log(
  `JSON into typed columns   ${main.decode.toFixed(0)} ns a record, ratio ${(main.decode / main.parse).toFixed(2)}`,
);
console.log(`CSV into typed columns    ${csvNs.toFixed(0)} ns a record of ${averageBytes(csv)} bytes`);

for (const [name, shape] of Object.entries(SHAPES)) {
  const records = packAll(Array.from({ length: RECORDS / 4 }, (_, i) => JSON.stringify(shape(i))));
  const { schema } = inferSchema('json', { ...records, count: 1_000 });
  const { decode, parse } = compare(createJsonDecoder(schema), records);
  const bytes = `${averageBytes(records)} bytes`.padStart(9);
  console.log(
    `${name.padEnd(25)} ${bytes}: ${decode.toFixed(0)} ns, JSON.parse ${parse.toFixed(0)} ns, ratio ${(decode / parse).toFixed(2)}`,
  );
}

const lines = [new NdjsonSplitter(1_048_576), joinLines(json)] as const;
const rows = [new CsvSplitter(1_048_576, ','), joinLines(csv)] as const;
for (const [splitter, bytes] of [lines, rows]) {
  const ns = median(
    Array.from({ length: ROUNDS }, () => measure(() => void splitter.split(bytes, bytes.length, true), bytes.length)),
  );
  console.log(`${splitter.constructor.name.padEnd(25)} ${(1_000 / ns).toFixed(0)} MB/s`);
}

/** Median nanoseconds a record, decoder and JSON.parse by turns. */
function compare(decoder: Decoder, records: Records): { decode: number; parse: number } {
  const times = { decode: [] as number[], parse: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    times.decode.push(measure(() => decodeAll(decoder, records), records.starts.length));
    times.parse.push(measure(() => parseAll(records), records.starts.length));
  }
  return { decode: median(times.decode), parse: median(times.parse) };
}

function decodeAll(decoder: Decoder, { bytes, starts, lengths }: Records): void {
  let refused = 0;
  for (let i = 0; i < starts.length; i++) {
    if (decoder.decode(bytes, starts[i]!, lengths[i]!) !== 0) refused++;
    if ((i + 1) % BATCH_ROWS === 0) decoder.take();
  }
  decoder.take();
  if (refused > 0) throw new Error(`Decoded the records, but ${refused} were refused`);
}

function parseAll({ bytes, starts, lengths }: Records): void {
  let fields = 0;
  for (let i = 0; i < starts.length; i++) {
    const start = starts[i]!;
    const row = JSON.parse(bytes.toString('utf8', start, start + lengths[i]!)) as object;
    if (row !== null) fields++;
  }
  if (fields !== starts.length) throw new Error('Parsed the records, but some are null');
}

/** Nanoseconds a unit of what `run` does `units` of. */
function measure(run: () => void, units: number): number {
  const begin = process.hrtime.bigint();
  run();
  return Number(process.hrtime.bigint() - begin) / units;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Cells of record `i`, seeded by it; the note fills the record to its length. */
function cellsOf(i: number): string[] {
  const x = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  const pick = (values: readonly string[], shift: number): string => values[(x >>> shift) % values.length]!;
  const time = new Date(1_714_521_600_000 + i * 137).toISOString();
  const airports = ['SFO', 'JFK', 'ATL', 'ORD', 'DFW', 'DEN', 'LAX', 'CLT', 'LAS', 'PHX', 'MCO', 'SEA', 'MIA', 'EWR'];
  const cells = [
    String(100_000 + i),
    time,
    pick(['UA', 'AA', 'DL', 'WN', 'B6', 'AS'], 3),
    pick(airports, 7),
    ((x % 4_000) / 10 - 60).toFixed(1),
    String(100 + (x % 2_600)),
    x % 50 === 0 ? 'true' : 'false',
  ];
  const used = cells.reduce((sum, cell, column) => sum + quoted(column, cell).length, 0);
  const keys = NAMES.reduce((sum, name) => sum + name.length + '"":,'.length, '{}'.length - 1);
  cells.push(
    'on schedule, gate 4'
      .padEnd(64, '.')
      .slice(0, RECORD_BYTES - used - keys - '""'.length)
      .replaceAll(',', ';'),
  );
  return cells;
}

function quoted(column: number, cell: string): string {
  return TYPES[column] === 'string' || TYPES[column] === 'timestamp' ? `"${cell}"` : cell;
}

function pack(format: (cells: readonly string[]) => string): Records {
  return packAll(Array.from({ length: RECORDS }, (_, i) => format(cellsOf(i))));
}

function packAll(texts: readonly string[]): Records {
  const parts = texts.map((text) => Buffer.from(text));
  const lengths = Int32Array.from(parts, (part) => part.length);
  const starts = new Int32Array(parts.length);
  for (let i = 1; i < parts.length; i++) starts[i] = starts[i - 1]! + lengths[i - 1]!;
  return { bytes: Buffer.concat(parts), starts, lengths };
}

function joinLines({ bytes, starts, lengths }: Records): Buffer {
  const lineBreak = Buffer.from('\n');
  return Buffer.concat(
    Array.from(starts, (start, i) => [bytes.subarray(start, start + lengths[i]!), lineBreak]).flat(),
  );
}

function averageBytes({ bytes, starts }: Records): string {
  return (bytes.length / starts.length).toFixed(0);
}

function schemaOf(format: Schema['format']): Schema {
  const columns = NAMES.map((name, i): Column => {
    const column = { name: columnName([name]), path: [name], type: TYPES[i]! };
    return TYPES[i] === 'timestamp' ? { ...column, unit: 'ms' } : column;
  });
  return { version: 1, format, columns };
}
