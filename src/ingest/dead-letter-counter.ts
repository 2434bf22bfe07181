import { DEAD_LETTER, DEAD_LETTER_REASONS, type DeadLetterCause } from '../record/dead-letter.ts';
import type { Schema } from '../record/schema.ts';

const WRONG_TYPE = DEAD_LETTER['wrong-type'];
const UNREPRESENTABLE = DEAD_LETTER.unrepresentable;
/** Key of one cause: the column, above a reason in the low bits. Column −1 = none. */
const REASON_BITS = 8;

/** Counts what the records of one batch died of: by reason, and by column where it is one column's doing. Keeps no values. */
export class DeadLetterCounter {
  /** Place of each cause in the lists below. */
  readonly #places = new Map<number, number>();
  readonly #keys: number[] = [];
  readonly #records: number[] = [];
  readonly #offsets: number[] = [];
  /** Dead letters come in runs. */
  #lastKey = -1;
  #lastPlace = -1;

  /**
   * Counts a record.
   * @param reason a code of DEAD_LETTER_REASONS. @param column index in the schema, see Decoder.refusedColumn.
   */
  add(reason: number, column: number, offset: number): void {
    const isOfColumn = reason === WRONG_TYPE || reason === UNREPRESENTABLE;
    const key = ((isOfColumn ? column + 1 : 0) << REASON_BITS) | reason;
    if (key !== this.#lastKey) {
      this.#lastKey = key;
      this.#lastPlace = this.#places.get(key) ?? this.#append(key, offset);
    }
    this.#records[this.#lastPlace]!++;
  }

  /** What was counted, the most frequent first. At most a cause a reason, and two a column. @param schema that the columns are of */
  causes({ columns }: Schema): DeadLetterCause[] {
    const causes = this.#keys.map((key, i) => ({
      reason: DEAD_LETTER_REASONS[key & ((1 << REASON_BITS) - 1)]!,
      column: columns[(key >> REASON_BITS) - 1]?.name ?? null,
      records: this.#records[i]!,
      offset: this.#offsets[i]!,
    }));
    return causes.sort((a, b) => b.records - a.records || a.offset - b.offset);
  }

  #append(key: number, offset: number): number {
    this.#places.set(key, this.#keys.length);
    this.#records.push(0);
    this.#offsets.push(offset);
    return this.#keys.push(key) - 1;
  }
}
