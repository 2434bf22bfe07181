import { DEAD_LETTER } from '../../record/dead-letter.ts';
import { STRING_BYTES_MAX } from '../../record/schema.ts';
import { hashBytes } from './byte-hash.ts';
import { FIELD_KINDS } from './field-kinds.ts';
import type { JsonReader } from './json-reader.ts';
import type { RowWriter } from './row-writer.ts';

// Constants of other modules are read from memory at each use; of this module they are part of the machine code.
const { boolean: BOOLEAN, int64: INT64, float64: FLOAT64, decimal: DECIMAL } = FIELD_KINDS;
const { string: STRING, timestamp: TIMESTAMP, json: JSON_TEXT } = FIELD_KINDS;

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const BRACKET_OPEN = 0x5b;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const BRACE_OPEN = 0x7b;

const SYNTAX = -DEAD_LETTER.syntax;
const WRONG_TYPE = -DEAD_LETTER['wrong-type'];
const STRING_TOO_LONG = -DEAD_LETTER['string-too-long'];

/**
 * Reads one JSON value into one column. Positions go in and come out as numbers; a negative position is minus a
 * dead-letter code.
 */
export class JsonCells {
  readonly #reader: JsonReader;
  readonly #rows: RowWriter;

  /** @param reader Open on the record. @param rows Begun on its row. */
  constructor(reader: JsonReader, rows: RowWriter) {
    this.#reader = reader;
    this.#rows = rows;
  }

  /**
   * Reads the value at `p`, which lies before the record's end.
   * @param kind One of FIELD_KINDS but object: the type of column `column`.
   * @param depth Containers that are open around the value.
   * @param inConstructor Whether its key is `constructor`.
   * @returns Position after the value, or minus a dead-letter code.
   */
  read(kind: number, column: number, p: number, depth: number, inConstructor: boolean): number {
    const c = this.#reader.text.bytes[p]!;
    switch (kind) {
      case STRING:
        if (c === QUOTE) return this.#readString(column, p + 1);
        break;
      case INT64:
      case FLOAT64:
      case DECIMAL:
        if (c === MINUS || (c >= ZERO && c <= NINE)) return this.#readNumber(kind, column, p);
        break;
      case TIMESTAMP:
        if (c === QUOTE) return this.#readTimestamp(column, p + 1);
        break;
      case BOOLEAN:
        if (c === LETTER_T || c === LETTER_F) {
          this.#rows.writeBoolean(column, c === LETTER_T);
          return this.#reader.readLiteral(p);
        }
        break;
      case JSON_TEXT:
        if (c !== LETTER_N) return this.#readJson(column, p, depth, inConstructor);
        break;
      default:
    }
    if (c !== LETTER_N) return this.refuse(p);
    const after = this.#reader.readLiteral(p);
    if (after >= 0) this.#rows.writeNull(column);
    return after;
  }

  /** Minus the code for a value at `p` of a type that the schema does not expect there: wrong-type, or syntax if it begins no value. */
  refuse(p: number): number {
    const c = this.#reader.text.bytes[p]!;
    if (c === LETTER_T || c === LETTER_F || c === LETTER_N) {
      const after = this.#reader.readLiteral(p);
      return after < 0 ? after : WRONG_TYPE;
    }
    const begins = c === QUOTE || c === BRACE_OPEN || c === BRACKET_OPEN;
    return begins || c === MINUS || (c >= ZERO && c <= NINE) ? WRONG_TYPE : SYNTAX;
  }

  #readNumber(kind: number, column: number, start: number): number {
    const { number, text } = this.#reader;
    const p = number.scan(text.bytes, start, text.end);
    if (p < 0) return p;
    const code =
      kind === FLOAT64
        ? this.#rows.writeFloat64(column, number, text.bytes)
        : kind === INT64
          ? this.#rows.writeInt64(column, number, text.bytes)
          : this.#rows.writeDecimal(column, number, text.bytes);
    return code === 0 ? p : -code;
  }

  #readString(column: number, start: number): number {
    const { text } = this.#reader;
    text.suspicious = false;
    const close = text.scanString(start);
    if (close < 0) return close;
    if (text.escaped) {
      this.#rows.writeText(column, text.scratch, text.textStart, text.textEnd, text.hash, text.suspicious);
      text.scratchUsed = text.textStart;
    } else {
      this.#rows.writeText(column, text.bytes, start, close, text.hash, text.suspicious);
    }
    return close + 1;
  }

  #readTimestamp(column: number, start: number): number {
    const { text } = this.#reader;
    const close = text.scanString(start);
    if (close < 0) return close;
    const code = text.escaped
      ? this.#rows.writeTimestamp(column, text.scratch, text.textStart, text.textEnd)
      : this.#rows.writeTimestamp(column, text.bytes, start, close);
    if (text.escaped) text.scratchUsed = text.textStart;
    return code === 0 ? close + 1 : -code;
  }

  #readJson(column: number, start: number, depth: number, inConstructor: boolean): number {
    const { text } = this.#reader;
    text.suspicious = false;
    const p = this.#reader.skipValue(start, depth, inConstructor);
    if (p < 0) return p;
    if (p - start > STRING_BYTES_MAX) return STRING_TOO_LONG;
    this.#rows.writeText(column, text.bytes, start, p, hashBytes(text.bytes, start, p), text.suspicious);
    return p;
  }
}
