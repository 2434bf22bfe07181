import type { DecodedColumns } from '../../record/columns.ts';
import type { CsvDelimiter } from '../../record/csv.ts';
import { DEAD_LETTER } from '../../record/dead-letter.ts';
import type { ColumnType, Schema } from '../../record/schema.ts';
import { hashBytes } from './byte-hash.ts';
import { CsvFields, NO_COLUMN as NO } from './csv-fields.ts';
import { CsvText } from './csv-text.ts';
import { CsvWords, FALSE_WORDS, TRUE_WORDS } from './csv-words.ts';
import type { Decoder } from './decoder.ts';
import { FIELD_KINDS } from './field-kinds.ts';
import { JsonReader } from './json-reader.ts';
import { NumberText } from './number-text.ts';
import { RowWriter } from './row-writer.ts';
import { checkSchema } from './schema-check.ts';
import { byteOrderMarkLength } from './utf8.ts';

// Constants of other modules are read from memory at each use; of this module they are part of the machine code.
const { boolean: BOOLEAN, int64: INT64, float64: FLOAT64, decimal: DECIMAL } = FIELD_KINDS;
const { string: STRING, timestamp: TIMESTAMP, json: JSON_TEXT } = FIELD_KINDS;
const NO_COLUMN = NO;

const LF = 0x0a;
const CR = 0x0d;
const FIELD_COUNT = DEAD_LETTER['field-count'];
const WRONG_TYPE = DEAD_LETTER['wrong-type'];
const TRAILING_DATA = DEAD_LETTER['trailing-data'];
const BYTE_ORDER_MARK = DEAD_LETTER['byte-order-mark'];
const SYNTAX = DEAD_LETTER.syntax;

/** What CSV itself leaves open. */
export interface CsvDecodeOptions {
  /** Texts of an unquoted field that mean null; by default only the empty one. A quoted field is never null. */
  readonly nullValues?: readonly string[];
  /** What stands between fields; by default a comma. */
  readonly delimiter?: CsvDelimiter;
  /**
   * Names of the file's fields in order (see `parseCsvHeader`); they find their columns by name. A column that the file
   * lacks is null and absent; a field that is no column must be valid CSV and is counted as extra. Without a header the
   * fields are the schema's columns in their order.
   */
  readonly header?: readonly string[];
}

/**
 * A decoder of CSV records: one strict pass over the bytes (RFC 4180, UTF-8), without an object per record. A record may
 * end with one line break. Numbers are written as in JSON, booleans `true`, `True` or `TRUE` and likewise false,
 * timestamps by RFC 3339; the text of a json column must be a JSON value. A record with more or fewer fields than the
 * header (without one: the schema) is a dead letter `field-count`.
 * @throws {RequestError} REQUEST_INVALID if the schema or the header is unusable.
 */
export function createCsvDecoder(schema: Schema, options: CsvDecodeOptions = {}): Decoder {
  checkSchema(schema, 'csv');
  const { nullValues = [''], delimiter = ',', header } = options;
  return new CsvDecoder(schema, new CsvFields(schema, header), new CsvText(delimiter), nullValues);
}

class CsvDecoder implements Decoder {
  readonly #rows: RowWriter;
  readonly #kinds: Uint8Array;
  readonly #nullWords: CsvWords;
  readonly #fields: CsvFields;
  readonly #text: CsvText;
  readonly #number = new NumberText();
  readonly #json = new JsonReader();
  refusedColumn = -1;
  #given: Uint8Array | null = null;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(schema: Schema, fields: CsvFields, text: CsvText, nullValues: readonly string[]) {
    this.#rows = new RowWriter(schema);
    this.#fields = fields;
    this.#text = text;
    this.#kinds = Uint8Array.from(schema.columns, ({ type }: { type: ColumnType }) => FIELD_KINDS[type]);
    this.#nullWords = new CsvWords(nullValues);
  }

  get rows(): number {
    return this.#rows.rows;
  }

  get rowsExpected(): number {
    return this.#rows.rowsExpected;
  }

  decode(bytes: Uint8Array, start: number, length: number): number {
    if (length < 0) return DEAD_LETTER['null-value'];
    if (bytes !== this.#given) this.#adopt(bytes);
    this.#rows.begin();
    const code = this.#readRecord(start, start + length);
    if (code === 0) this.#rows.commit();
    else this.#rows.rollback();
    return code;
  }

  take(): DecodedColumns {
    this.#given = null;
    this.#bytes = new Uint8Array(0);
    this.#text.close();
    this.#json.close();
    return this.#rows.take(this.#fields.countExtra(this.#rows.rows));
  }

  /** A plain view of the same bytes: the machine code for element access depends on the class, and Buffer is another. */
  #adopt(bytes: Uint8Array): void {
    this.#given = bytes;
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #readRecord(start: number, end: number): number {
    const bytes = this.#bytes;
    const { count, targets } = this.#fields;
    const { delimiter } = this.#text;
    if (byteOrderMarkLength(bytes, start, end) !== 0) return BYTE_ORDER_MARK;
    this.#text.open(bytes, end);
    let p = start;
    // A row with too many or too few fields is that, even if one that slid into another column has the wrong type.
    let refused = 0;
    let written = NO_COLUMN;
    for (let index = 0; ; index++) {
      if (index === count) return FIELD_COUNT;
      p = this.#text.scanField(p);
      if (p < 0) return -p;
      const target = targets[index]!;
      if (refused === 0 && target !== NO_COLUMN) {
        refused = this.#writeField(target);
        written = target;
      }
      if (p < end && bytes[p] === delimiter) {
        p++;
        continue;
      }
      const fault = p === end ? 0 : endOfRecord(bytes, p, end);
      if (fault !== 0) return fault;
      if (index + 1 !== count) return FIELD_COUNT;
      if (refused === 0) this.#writeAbsent();
      else this.refusedColumn = written;
      return refused;
    }
  }

  /** Writes the columns that the file lacks. */
  #writeAbsent(): void {
    const { absent } = this.#fields;
    for (let i = 0; i < absent.length; i++) this.#rows.writeAbsent(absent[i]!);
  }

  /** Writes the field that was scanned last into column `index`. @returns 0, or a dead-letter code. */
  #writeField(index: number): number {
    const text = this.#text;
    if (!text.quoted && this.#nullWords.include(text)) {
      this.#rows.writeNull(index);
      return 0;
    }
    const kind = this.#kinds[index]!;
    switch (kind) {
      case STRING:
        this.#rows.writeText(index, text.source, text.textStart, text.textEnd, text.hash, text.suspicious);
        return 0;
      case INT64:
      case FLOAT64:
      case DECIMAL:
        return this.#writeNumber(index, kind);
      case TIMESTAMP:
        return this.#rows.writeTimestamp(index, text.source, text.textStart, text.textEnd);
      case BOOLEAN: {
        const value = TRUE_WORDS.include(text);
        if (!value && !FALSE_WORDS.include(text)) return WRONG_TYPE;
        this.#rows.writeBoolean(index, value);
        return 0;
      }
      case JSON_TEXT:
      default:
        return this.#writeJson(index);
    }
  }

  #writeNumber(index: number, kind: number): number {
    const { source, textStart, textEnd } = this.#text;
    const number = this.#number;
    if (number.scan(source, textStart, textEnd) !== textEnd) return WRONG_TYPE;
    if (kind === INT64) return this.#rows.writeInt64(index, number, source);
    if (kind === FLOAT64) return this.#rows.writeFloat64(index, number, source);
    return this.#rows.writeDecimal(index, number, source);
  }

  /** A json column holds any JSON value with valid keys; white space around it is not part of it. */
  #writeJson(index: number): number {
    const { source, textStart, textEnd } = this.#text;
    const json = this.#json;
    json.open(source, textEnd, 0);
    json.text.suspicious = false;
    const from = json.text.skipSpace(textStart);
    const to = json.skipValue(from, 0, false);
    if (to < 0) return to === -SYNTAX ? WRONG_TYPE : -to;
    if (json.text.skipSpace(to) !== textEnd) return WRONG_TYPE;
    this.#rows.writeText(index, source, from, to, hashBytes(source, from, to), json.text.suspicious);
    return 0;
  }
}

/** What stands at `at`, neither delimiter nor end: one line break that ends the record, or a fault. */
function endOfRecord(bytes: Uint8Array, at: number, end: number): number {
  const isPair = bytes[at] === CR && at + 1 < end && bytes[at + 1] === LF;
  if (bytes[at] !== LF && !isPair) return SYNTAX;
  return at + (isPair ? 2 : 1) === end ? 0 : TRAILING_DATA;
}
