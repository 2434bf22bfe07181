import { quoteName } from './quote-name.ts';
import type { Column, Schema } from './schema.ts';

/** A column that two schemas have apart: in the one, in the other, or in both but not alike. */
export interface ColumnDifference {
  readonly name: string;
  readonly from: Column | null;
  readonly to: Column | null;
}

/** What two schemas have apart. Their order of columns says nothing: rows are read and compared by name. */
export interface SchemaDifference {
  /** Null when both are of one format. */
  readonly format: { readonly from: Schema['format']; readonly to: Schema['format'] } | null;
  /** In the order of the first schema, then what only the second has. */
  readonly columns: readonly ColumnDifference[];
}

/** What leads from one schema to another; null when nothing does. */
export function compareSchemas(from: Schema, to: Schema): SchemaDifference | null {
  const [before, after] = [byName(from), byName(to)];
  const columns = [...new Set([...before.keys(), ...after.keys()])]
    .map((name) => ({ name, from: before.get(name) ?? null, to: after.get(name) ?? null }))
    .filter(({ from: one, to: other }) => one === null || other === null || !isAlike(one, other));
  const format = from.format === to.format ? null : { from: from.format, to: to.format };
  return format === null && columns.length === 0 ? null : { format, columns };
}

/** How values of a column are stored, as a sentence says it: `decimal(10, 2)`, `timestamp(ms)`. */
export function describeType({ type, precision, scale, unit }: Column): string {
  if (type === 'decimal') return `${type}(${precision}, ${scale})`;
  return type === 'timestamp' ? `${type}(${unit})` : type;
}

/** Differences that a sentence names. */
const NAMED_MAX = 5;

/**
 * Why a configured schema is not the pinned one, in one sentence with the way out; null when it is.
 * @param difference from the pinned schema to the configured one.
 */
export function describeConfiguredSchema(topic: string, difference: SchemaDifference | null): string | null {
  if (difference === null) return null;
  const parts = [
    ...(difference.format === null
      ? []
      : [`its format is ${difference.format.from}, configured is ${difference.format.to}`]),
    ...difference.columns.map(({ name, from, to }) => {
      if (from === null) return `${quoteName(name)} is configured and not pinned`;
      if (to === null) return `${quoteName(name)} is pinned and not configured`;
      const [is, wanted] = [describeType(from), describeType(to)];
      return `${quoteName(name)} is ${is}, configured is ${is === wanted ? 'another path' : wanted}`;
    }),
  ];
  const more = parts.length > NAMED_MAX ? ` (and ${parts.length - NAMED_MAX} more)` : '';
  return `records are read by the pinned schema, not by the configured one: ${parts.slice(0, NAMED_MAX).join('; ')}${more} (mend: headgate schema pin --topic ${topic} --reason TEXT, or make the configuration say what is pinned: headgate schema show)`;
}

function byName({ columns }: Schema): Map<string, Column> {
  return new Map(columns.map((column) => [column.name, column]));
}

function isAlike(a: Column, b: Column): boolean {
  return describeType(a) === describeType(b) && JSON.stringify(a.path) === JSON.stringify(b.path);
}
