import { RequestError } from '../../errors.ts';
import { escapePath, type Schema } from '../../record/schema.ts';
import { EXTRA_NAMES_MAX, EXTRA_REST } from './extra-fields.ts';
import { quoteName } from '../../record/quote-name.ts';

/** Target of a field that no column of the schema wants. */
export const NO_COLUMN = -1;

/** Which column each field of a CSV file goes to: files of one topic may differ in order and set of fields. */
export class CsvFields {
  /** Fields of every record. */
  readonly count: number;
  /** Column of each field, or {@link NO_COLUMN}. */
  readonly targets: Int32Array;
  /** Columns that the file lacks. */
  readonly absent: Int32Array;
  readonly #extra: readonly string[];

  /**
   * @param header Names of the file's fields in order; without it the fields are the schema's columns in their order.
   * @throws {RequestError} REQUEST_INVALID if the header is empty or a name is given twice.
   */
  constructor({ columns }: Schema, header: readonly string[] | undefined) {
    const names = header ?? columns.map(({ path }) => path[0]!);
    if (header?.length === 0) throw refused('it has no fields');
    const fieldOf = new Map<string, number>();
    for (const [field, name] of names.entries()) {
      if (fieldOf.has(name)) throw refused(`the name ${quoteName(name)} is given twice`);
      fieldOf.set(name, field);
    }
    const columnOf = new Map(columns.map(({ path }, column) => [path[0]!, column]));
    this.count = names.length;
    this.targets = Int32Array.from(names, (name) => columnOf.get(name) ?? NO_COLUMN);
    this.absent = Int32Array.from([...columnOf].filter(([name]) => !fieldOf.has(name)).map(([, column]) => column));
    this.#extra = names.filter((name) => !columnOf.has(name)).map((name) => escapePath([name]));
  }

  /**
   * Unknown fields of `rows` decoded rows, as {@link DecodedColumns.extraFields} counts them: every row of a file has
   * every field of its header.
   */
  countExtra(rows: number): ReadonlyMap<string, number> {
    if (rows === 0) return new Map();
    const named = this.#extra.filter((name) => name !== EXTRA_REST).slice(0, EXTRA_NAMES_MAX);
    const counts = new Map(named.map((name) => [name, rows]));
    if (named.length < this.#extra.length) counts.set(EXTRA_REST, rows);
    return counts;
  }
}

function refused(fault: string): RequestError {
  return new RequestError('REQUEST_INVALID', `Cannot use the CSV header row: ${fault}`);
}
