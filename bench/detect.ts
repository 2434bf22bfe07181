/**
 * What detection costs (bench/detect-flights.ts: what it finds): µs a record to profile, ms a batch to judge, bytes of profile and baseline a column.
 *
 *     npm run build && node dist/bench/detect.js
 */
import { encodeBaseline } from '../src/detect/baseline/format.ts';
import { learnBaseline } from '../src/detect/baseline/learn.ts';
import { prepareBaseline } from '../src/detect/baseline/prepare.ts';
import type { PreparedBaseline } from '../src/detect/baseline/prepare.ts';
import type { Profile } from '../src/detect/profile.ts';
import { buildProfile } from '../src/detect/profile/build.ts';
import type { ProfileInput } from '../src/detect/profile/build.ts';
import { encodeProfile } from '../src/detect/profile/format.ts';
import { KllSketch } from '../src/detect/sketch/kll.ts';
import { RowHashSketch } from '../src/detect/sketch/row-hashes.ts';
import { judge } from '../src/detect/verdict.ts';
import type { ColumnCounts, ColumnData, DecodedColumns } from '../src/record/columns.ts';
import type { Column, ColumnType } from '../src/record/schema.ts';

const COLUMNS: readonly (readonly [string, ColumnType])[] = [
  ['f1', 'float64'],
  ['f2', 'float64'],
  ['f3', 'float64'],
  ['f4', 'float64'],
  ['i1', 'int64'],
  ['i2', 'int64'],
  ['s1', 'string'],
  ['label', 'string'],
];
const RECORD_BYTES = 147;

/** Uniform numbers in [0, 1). Source: xorshift32. */
function randomOf(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 4_294_967_296;
  };
}

function makeColumn(column: Column, rows: number, random: () => number): ColumnData {
  const validity = new Uint8Array(Math.ceil(rows / 8)).fill(255);
  const counts: ColumnCounts = { absent: 0, inexact: 0, negativeZero: 0, suspiciousText: 0 };
  const base = { column, validity, nullCount: 0, counts };
  if (column.type === 'float64')
    return { ...base, kind: 'float64', values: Float64Array.from({ length: rows }, () => random() ** 3) };
  if (column.type === 'int64') {
    return {
      ...base,
      kind: 'int64',
      words: Int32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? random() * 1e6 : 0)),
    };
  }
  const size = column.name === 'label' ? 2 : 100;
  const values = Array.from({ length: size }, (_, i) => Buffer.from(`value-${i}`));
  const offsets = new Int32Array(size + 1);
  for (const [i, value] of values.entries()) offsets[i + 1] = offsets[i]! + value.length;
  const dictionary = { size, bytes: new Uint8Array(Buffer.concat(values)), offsets };
  return { ...base, kind: 'text', codes: Int32Array.from({ length: rows }, () => random() ** 2 * size), dictionary };
}

function makeInput(rows: number, seed: number, baseline: PreparedBaseline | null): ProfileInput {
  const random = randomOf(seed);
  const columns = COLUMNS.map(([name, type]): Column => ({ name, path: [name], type }));
  const decoded: DecodedColumns = {
    schema: { version: 1, format: 'json', columns },
    rows,
    columns: columns.map((column) => makeColumn(column, rows, random)),
    extraFields: new Map(),
  };
  return {
    columns: decoded,
    roles: {
      label: 'label',
      source: null,
      time: null,
    },
    counts: {
      records: rows,
      bytes: rows * RECORD_BYTES,
      deadLetters: {},
      skipped: {},
    },
    times: {
      firstMs: 0,
      lastMs: rows,
      sealedMs: rows,
    },
    rowHashes: null,
    seed: 1,
    baseline,
    rules: [],
  };
}

/** Median of the milliseconds that `work` takes. */
function time(repeats: number, work: () => unknown): number {
  for (let i = 0; i < repeats; i++) work();
  const spent = Array.from({ length: repeats }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return spent.sort((a, b) => a - b)[repeats >> 1]!;
}

const line = (name: string, value: number, unit: string): void =>
  console.log(`${name.padEnd(52)}${value.toFixed(2).padStart(10)} ${unit}`);

for (const rows of [1_000, 10_000, 50_000]) {
  const repeats = Math.max(10, Math.round(200_000 / rows));
  const profiles: Profile[] = Array.from({ length: 20 }, (_, i) => buildProfile(makeInput(rows, i + 1, null)));
  const learned = learnBaseline(profiles);
  const prepared = prepareBaseline(learned);
  const plain = makeInput(rows, 99, null);
  const bound = { ...plain, baseline: prepared };
  const profile = buildProfile(bound);
  console.log(`\n${rows} rows, ${COLUMNS.length} columns`);
  line('profile, no baseline', (1_000 * time(repeats, () => buildProfile(plain))) / rows, 'µs a record');
  line(
    'profile, bound to a baseline with a label model',
    (1_000 * time(repeats, () => buildProfile(bound))) / rows,
    'µs a record',
  );
  line(
    'encode the profile',
    time(repeats, () => encodeProfile(profile)),
    'ms',
  );
  line(
    'judge',
    time(repeats, () => judge(profile, prepared)),
    'ms',
  );
  line(
    'learn from 20 batches',
    time(3, () => learnBaseline(profiles)),
    'ms',
  );
  line('profile', encodeProfile(profile).length / COLUMNS.length, 'bytes a column');
  line('baseline of 20 batches', encodeBaseline({ ...learned, past: [] }).length / COLUMNS.length, 'bytes a column');
}

const bytes = new Uint8Array(1 << 20).map((_, i) => (i * 2_654_435_761) >>> 24);
const hashed = Math.floor(bytes.length / RECORD_BYTES);
console.log('\nsketches');
const hashAll = (): void => {
  const sketch = new RowHashSketch(1);
  for (let i = 0; i < hashed; i++) sketch.add(bytes, i * RECORD_BYTES, RECORD_BYTES);
};
line(`row hash of ${RECORD_BYTES} bytes`, (1e6 * time(20, hashAll)) / hashed, 'ns a record');
const random = randomOf(5);
const values = Float64Array.from({ length: 100_000 }, random);
line(
  'quantile sketch, update',
  (1e6 *
    time(20, () => {
      const kll = new KllSketch(1);
      for (const value of values) kll.update(value);
    })) /
    values.length,
  'ns a value',
);
line(
  'quantile sketch, updateAll',
  (1e6 * time(20, () => new KllSketch(1).updateAll(values, values.length))) / values.length,
  'ns a value',
);
