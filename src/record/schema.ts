import { createHash } from 'node:crypto';

/** How a value of a column is stored. `json` keeps the exact text of a nested value (arrays, mixed shapes). */
export type ColumnType = 'boolean' | 'int64' | 'float64' | 'decimal' | 'string' | 'timestamp' | 'json';

/** Resolution of a timestamp column, as in Arrow. */
export type TimestampUnit = 'ms' | 'us' | 'ns';

/** One column of the decoded rows. */
export interface Column {
  /**
   * Name at rest. Nested objects are flattened: the path's segments joined by `.`, with `.` and `\` inside a segment
   * escaped by `\`. A name that belongs to the system columns gets the prefix `user`.
   */
  readonly name: string;
  /** Keys from the top of the record down to the value; CSV columns have one segment. */
  readonly path: readonly string[];
  readonly type: ColumnType;
  /** Total digits of a decimal, 1–38. */
  readonly precision?: number;
  /** Digits after the point of a decimal, 0–precision. */
  readonly scale?: number;
  /** Resolution of a timestamp; all timestamps are instants in UTC. */
  readonly unit?: TimestampUnit;
}

/** The pinned shape of a topic's rows. A record that does not fit is a dead letter; a field that is not in it is counted. */
export interface Schema {
  readonly version: 1;
  readonly format: 'json' | 'csv';
  /** At most 2,048 columns, unique names, in the order in which they were first seen. */
  readonly columns: readonly Column[];
}

/** Caps on hostile schemas (matrix S10, S11). */
export const COLUMNS_MAX = 2_048;
export const COLUMN_NAME_BYTES_MAX = 512;
/** Deepest nesting of a record that is read (matrix J5). */
export const DEPTH_MAX = 64;
/** Most fields of one record, counted at all depths (matrix J7). */
export const FIELDS_MAX = 10_000;
/** Longest string, or text of a json value, in bytes as written in the record (matrix J8). */
export const STRING_BYTES_MAX = 16_777_216;

/** Names that Headgate itself stores beside the user's columns. */
export const SYSTEM_COLUMNS = [
  '_offset',
  '_timestamp',
  '_timestamp_type',
  '_headers',
  '_raw_key',
  '_raw_value',
  '_leaf',
  '_salt',
  '_reason',
] as const;

/** A path as one text: segments joined by `.`, with `.` and `\` inside a segment escaped by `\`. */
export function escapePath(path: readonly string[]): string {
  return path.map((segment) => segment.replace(/[.\\]/g, '\\$&')).join('.');
}

/** Column name of a path; see {@link Column.name}. */
export function columnName(path: readonly string[]): string {
  const name = escapePath(path);
  return (SYSTEM_COLUMNS as readonly string[]).includes(name) ? `user${name}` : name;
}

/** The exact bytes that a schema is stored, digested and compared as: JSON with keys in a fixed order. */
export function encodeSchema(schema: Schema): Uint8Array {
  const columns = schema.columns.map(({ name, path, type, precision, scale, unit }) => ({
    name,
    path,
    type,
    ...(precision === undefined ? {} : { precision }),
    ...(scale === undefined ? {} : { scale }),
    ...(unit === undefined ? {} : { unit }),
  }));
  return Buffer.from(JSON.stringify({ version: schema.version, format: schema.format, columns }), 'utf8');
}

/** SHA-256 of {@link encodeSchema}, hex. */
export function schemaDigest(schema: Schema): string {
  return createHash('sha256').update(encodeSchema(schema)).digest('hex');
}
