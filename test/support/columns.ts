import type { ColumnCounts, ColumnData, DecodedColumns, TextDictionary } from '../../src/record/columns.ts';
import type { Column, ColumnType, Schema } from '../../src/record/schema.ts';

/** A cell as tests write it: null and a missing field are both null, a missing field is also counted as absent. */
export type Cell = string | number | bigint | boolean | null | undefined;
export type Row = Readonly<Record<string, Cell>>;

/** Decoded columns of plain objects. Timestamps are RFC 3339 text or milliseconds; decimals are unscaled integers.
 * @param types column names and types, in order; fields that are not in it are counted as extra. */
export function columnsOf(rows: readonly Row[], types: Readonly<Record<string, ColumnType>>): DecodedColumns {
  const columns = Object.entries(types).map(([name, type]): Column => {
    const base = { name, path: [name], type };
    if (type === 'timestamp') return { ...base, unit: 'ms' };
    return type === 'decimal' ? { ...base, precision: 38, scale: 2 } : base;
  });
  const schema: Schema = { version: 1, format: 'json', columns };
  const extraFields = new Map<string, number>();
  for (const row of rows) {
    for (const key of Object.keys(row)) if (!(key in types)) extraFields.set(key, (extraFields.get(key) ?? 0) + 1);
  }
  return { schema, rows: rows.length, columns: columns.map((column) => columnOf(rows, column)), extraFields };
}

function columnOf(rows: readonly Row[], column: Column): ColumnData {
  const cells = rows.map((row) => row[column.name] ?? null);
  const validity = new Uint8Array(Math.ceil(rows.length / 8) || 1);
  let nullCount = 0;
  for (const [i, cell] of cells.entries()) {
    if (cell === null) nullCount += 1;
    else validity[i >> 3]! |= 1 << (i & 7);
  }
  const counts: ColumnCounts = { absent: 0, inexact: 0, negativeZero: 0, suspiciousText: 0 };
  for (const row of rows) if (row[column.name] === undefined) counts.absent += 1;
  const base = { column, validity, nullCount, counts };
  switch (column.type) {
    case 'boolean':
      return { ...base, kind: 'boolean', values: Uint8Array.from(cells, Number) };
    case 'float64':
      return { ...base, kind: 'float64', values: Float64Array.from(cells, Number) };
    case 'int64':
    case 'timestamp': {
      const toMs = (cell: Cell): bigint => BigInt(typeof cell === 'string' ? Date.parse(cell) : Number(cell ?? 0));
      const values = BigInt64Array.from(cells, (cell) => (typeof cell === 'bigint' ? cell : toMs(cell)));
      return { ...base, kind: 'int64', words: new Int32Array(values.buffer) };
    }
    case 'decimal': {
      const words = new Uint32Array(4 * cells.length);
      for (const [i, cell] of cells.entries()) {
        const value = BigInt.asUintN(128, BigInt(cell ?? 0));
        for (let w = 0; w < 4; w++) words[4 * i + w] = Number((value >> BigInt(32 * w)) & 0xffffffffn);
      }
      return { ...base, kind: 'decimal', words };
    }
    case 'string':
    case 'json':
      return { ...base, kind: 'text', ...textOf(cells.map((cell) => (cell === null ? null : String(cell)))) };
    default:
      return column.type satisfies never;
  }
}

function textOf(cells: readonly (string | null)[]): { codes: Int32Array; dictionary: TextDictionary } {
  const places = new Map<string, number>();
  const codes = Int32Array.from(cells, (cell) => {
    if (cell === null) return -1;
    if (!places.has(cell)) places.set(cell, places.size);
    return places.get(cell)!;
  });
  const encoded = [...places.keys()].map((value) => Buffer.from(value, 'utf8'));
  const offsets = new Int32Array(encoded.length + 1);
  for (const [i, value] of encoded.entries()) offsets[i + 1] = offsets[i]! + value.length;
  return { codes, dictionary: { size: encoded.length, bytes: new Uint8Array(Buffer.concat(encoded)), offsets } };
}
