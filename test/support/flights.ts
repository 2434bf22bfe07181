import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PreparedBaseline } from '../../src/detect/baseline/prepare.ts';
import type { Profile, Roles } from '../../src/detect/profile.ts';
import { buildProfile } from '../../src/detect/profile/build.ts';
import { RowHashSketch } from '../../src/detect/sketch/row-hashes.ts';
import type { ColumnType } from '../../src/record/schema.ts';
import { columnsOf } from './columns.ts';
import type { Row } from './columns.ts';

export const FLIGHT_TYPES = {
  time_hour: 'timestamp',
  carrier: 'string',
  flight: 'int64',
  origin: 'string',
  dest: 'string',
  distance: 'int64',
  sched_dep: 'int64',
  dep_delay: 'int64',
  arr_delay: 'int64',
  air_time: 'int64',
  late: 'int64',
} as const satisfies Record<string, ColumnType>;

export const FLIGHT_ROLES: Roles = { label: 'late', source: 'carrier', time: 'time_hour' };

/** Columns whose values an attack can scale. */
export const FLIGHT_NUMBERS = ['flight', 'distance', 'sched_dep', 'dep_delay', 'arr_delay', 'air_time'] as const;

/** Flights of a folder of NDJSON files, in the order of file names and lines, in batches of `size` rows; the rest is left out. */
export function readFlights(folder: string, size: number): Row[][] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.ndjson'));
  const lines = files.sort().flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'));
  const rows = lines.map((line) => JSON.parse(line) as Row);
  const batches: Row[][] = [];
  for (let at = 0; at + size <= rows.length; at += size) batches.push(rows.slice(at, at + size));
  return batches;
}

/** Profile of a batch as ingest would make it. */
export function profileRows(
  rows: readonly Row[],
  baseline: PreparedBaseline | null,
  types: Readonly<Record<string, ColumnType>> = FLIGHT_TYPES,
  roles: Roles = FLIGHT_ROLES,
): Profile {
  const rowHashes = new RowHashSketch(7);
  let bytes = 0;
  for (const row of rows) {
    const value = Buffer.from(
      JSON.stringify(row, (_, cell) => (typeof cell === 'bigint' ? String(cell) : cell)),
      'utf8',
    );
    rowHashes.add(value, 0, value.length);
    bytes += value.length;
  }
  return buildProfile({
    columns: columnsOf(rows, types),
    roles,
    counts: { records: rows.length, bytes, deadLetters: {}, skipped: {} },
    times: { firstMs: null, lastMs: null, sealedMs: null },
    rowHashes,
    seed: 42,
    baseline,
    rules: [],
  });
}

/** Uniform numbers in [0, 1) from a seed. Source: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** `rows` with `change` applied to a share of them, chosen at random; at least one. */
export function corrupt(
  rows: readonly Row[],
  share: number,
  random: () => number,
  change: (row: Row, i: number) => Row,
): Row[] {
  const order = rows.map((_, i) => ({ i, key: random() })).sort((a, b) => a.key - b.key);
  const chosen = new Set(order.slice(0, Math.max(1, Math.round(share * rows.length))).map(({ i }) => i));
  return rows.map((row, i) => (chosen.has(i) ? change(row, i) : row));
}

/** Attacks on a batch. `past` are the batches before it. */
export const ATTACKS: Readonly<
  Record<
    string,
    (
      rows: readonly Row[],
      share: number,
      random: () => number,
      past: readonly (readonly Row[])[],
      column: string,
    ) => Row[]
  >
> = {
  'unit x10': (rows, share, random, _, column) =>
    corrupt(rows, share, random, (row) => ({
      ...row,
      [column]: typeof row[column] === 'number' ? row[column] * 10 : null,
    })),
  'unit x1.1': (rows, share, random, _, column) =>
    corrupt(rows, share, random, (row) => ({
      ...row,
      [column]: typeof row[column] === 'number' ? Math.round(row[column] * 1.1) : null,
    })),
  nulls: (rows, share, random, _, column) => corrupt(rows, share, random, (row) => ({ ...row, [column]: null })),
  'implicit missing': (rows, share, random, _, column) =>
    corrupt(rows, share, random, (row) => ({ ...row, [column]: 99_999 })),
  'new category': (rows, share, random) => corrupt(rows, share, random, (row) => ({ ...row, dest: 'XXX' })),
  'flip labels': (rows, share, random) =>
    corrupt(rows, share, random, (row) => ({ ...row, late: 1 - Number(row['late']) })),
  replay: (rows, share, random, past) => {
    const old = past[Math.floor(random() * past.length)]!;
    return corrupt(rows, share, random, (_, i) => old[i]!);
  },
  'swap columns': (rows, share, random) =>
    corrupt(rows, share, random, (row) => ({ ...row, distance: row['air_time']!, air_time: row['distance']! })),
  flood: (rows, share, random) => {
    const copy = rows[Math.floor(random() * rows.length)]!;
    return corrupt(rows, share, random, () => copy);
  },
};
