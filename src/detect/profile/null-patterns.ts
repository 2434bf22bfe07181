import type { ColumnData } from '../../record/columns.ts';
import { isValid } from '../../record/columns.ts';
import { takeTop } from '../sketch/top-values.ts';
import type { TopValues } from '../sketch/top-values.ts';
import { ByteHash } from '../sketch/hash.ts';

/** Patterns told apart while counting; rows of any further one count as others. */
const PATTERNS_MAX = 4_096;
/** Column names in a pattern's own name. */
const NAMES_MAX = 8;

/**
 * The patterns as they would be without some columns. Patterns that do not tell all their columns are left out, for nobody can
 * say whether they differ by more than those.
 * @param names of all columns, in schema order
 */
export function withoutColumns(patterns: TopValues, columns: ReadonlySet<string>, names: readonly string[]): TopValues {
  if (columns.size === 0) return patterns;
  const counts = new Map<string, number>();
  for (const [i, pattern] of patterns.values.entries()) {
    const nulls = columnsOf(pattern, names);
    const name = nulls?.filter((each) => !columns.has(each)).join('+');
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + patterns.counts[i]!);
  }
  return takeTop([...counts.keys()], [...counts.values()], patterns.other, patterns.error);
}

/** The columns that a pattern is named after; null where it does not tell all of them. */
function columnsOf(pattern: string, names: readonly string[]): string[] | null {
  let rest = pattern;
  const found: string[] = [];
  for (const name of names) {
    if (rest !== name && !rest.startsWith(`${name}+`)) continue;
    found.push(name);
    rest = rest.slice(name.length + 1);
  }
  return rest === '' ? found : null;
}

/**
 * Which columns are null together, row by row. Values that belong together go missing together; a null that comes alone is
 * seen here even where each column's nulls come in bursts.
 *
 * Cost: nothing for columns without nulls, 2 ns a row for the others.
 */
export class NullPatterns {
  readonly #rows: number;
  readonly #hash = new ByteHash(0);
  /** Sum of the marks of each row's null columns, 52 bits; the order of columns does not matter. */
  readonly #marks: Float64Array;
  readonly #columns: { readonly name: string; readonly validity: Uint8Array }[] = [];

  constructor(rows: number) {
    this.#rows = rows;
    this.#marks = new Float64Array(rows);
  }

  add(data: ColumnData): void {
    if (data.nullCount === 0) return;
    const name = Buffer.from(data.column.name, 'utf8');
    this.#hash.update(name, 0, name.length);
    // 2,048 columns of 41 bits add up exactly.
    const mark = Math.floor(this.#hash.key / 4_096);
    for (let row = 0; row < this.#rows; row++) if (!isValid(data.validity, row)) this.#marks[row]! += mark;
    this.#columns.push({ name: data.column.name, validity: data.validity });
  }

  /** Rows by pattern; a pattern is the names of its null columns joined by `+`, empty for complete rows. */
  finish(): TopValues {
    const counts = new Map<number, number>();
    const firstRows = new Map<number, number>();
    let complete = 0;
    let other = 0;
    for (let row = 0; row < this.#rows; row++) {
      const mark = this.#marks[row]!;
      if (mark === 0) complete += 1;
      else if (counts.has(mark)) counts.set(mark, counts.get(mark)! + 1);
      else if (counts.size < PATTERNS_MAX) {
        counts.set(mark, 1);
        firstRows.set(mark, row);
      } else other += 1;
    }
    const names = [...firstRows].map(([mark, row]) => this.#nameOf(mark, row));
    const all =
      complete > 0
        ? { names: ['', ...names], counts: [complete, ...counts.values()] }
        : { names, counts: [...counts.values()] };
    return takeTop(all.names, all.counts, other, other);
  }

  #nameOf(mark: number, row: number): string {
    const names = this.#columns.filter(({ validity }) => !isValid(validity, row)).map(({ name }) => name);
    if (names.length <= NAMES_MAX) return names.join('+');
    return `${names.slice(0, NAMES_MAX).join('+')}+${names.length - NAMES_MAX} more#${mark.toString(36)}`;
  }
}
