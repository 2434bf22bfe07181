import type { DecodedColumns } from '../../record/columns.ts';
import { DEAD_LETTER } from '../../record/dead-letter.ts';
import { COLUMN_NAME_BYTES_MAX, FIELDS_MAX, type Schema } from '../../record/schema.ts';
import type { Decoder } from './decoder.ts';
import { ExtraFields } from './extra-fields.ts';
import { FIELD_KINDS } from './field-kinds.ts';
import { JsonCells } from './json-cells.ts';
import { type JsonPlan, planOf, ROOT } from './json-plan.ts';
import { JsonReader } from './json-reader.ts';
import { RowWriter } from './row-writer.ts';
import { byteOrderMarkLength } from './utf8.ts';

// Constants of other modules are read from memory at each use; of this module they are part of the machine code.
const OBJECT = FIELD_KINDS.object;
const FIELDS_LIMIT = FIELDS_MAX;
const NAME_BYTES_MAX = COLUMN_NAME_BYTES_MAX;

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const LETTER_N = 0x6e;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

const SYNTAX = -DEAD_LETTER.syntax;
const STRING_TOO_LONG = -DEAD_LETTER['string-too-long'];
const DUPLICATE_KEY = -DEAD_LETTER['duplicate-key'];
const TOO_MANY_FIELDS = -DEAD_LETTER['too-many-fields'];
/** No field of the plan; no dead-letter code is that large. */
const NO_FIELD = -1_000;
const SERIAL_MAX = 0x3fff_ffff;

/**
 * A decoder of JSON records: one strict pass over the bytes (RFC 8259, UTF-8 checked, no duplicate keys, no lone
 * surrogates, at most DEPTH_MAX levels and FIELDS_MAX fields), without an object per record.
 * @throws {RequestError} REQUEST_INVALID if the schema is unusable.
 */
export function createJsonDecoder(schema: Schema): Decoder {
  return new JsonDecoder(planOf(schema), new RowWriter(schema));
}

class JsonDecoder implements Decoder {
  readonly #plan: JsonPlan;
  readonly #rows: RowWriter;
  readonly #extra: ExtraFields;
  readonly #reader = new JsonReader();
  readonly #cells: JsonCells;
  #given: Uint8Array | null = null;
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;
  /** Rises with each record; a field whose stamp is equal was seen in this record. */
  #serial = 0;
  readonly #stamps: Int32Array;
  /** The field that followed each field last time: most records have one order. */
  readonly #next: Int32Array;
  /** The field that each node began with last time. */
  readonly #first: Int32Array;
  /** The innermost field whose value was refused in this record. */
  #refusedField = NO_FIELD;
  refusedColumn = -1;

  constructor(plan: JsonPlan, rows: RowWriter) {
    this.#plan = plan;
    this.#rows = rows;
    this.#extra = new ExtraFields(plan);
    this.#cells = new JsonCells(this.#reader, rows);
    this.#stamps = new Int32Array(plan.fieldCount);
    this.#next = Int32Array.from({ length: plan.fieldCount }, (_, field) => field + 1);
    this.#first = plan.fieldStarts.slice(0, plan.nodeCount);
    for (let node = 0; node < plan.nodeCount; node++) {
      const to = plan.fieldStarts[node + 1]!;
      if (plan.fieldStarts[node] === to) this.#first[node] = NO_FIELD;
      else this.#next[to - 1] = NO_FIELD;
    }
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
    this.#end = start + length;
    this.#reader.open(this.#bytes, this.#end, this.#plan.nodeCount);
    this.#serial = this.#serial === SERIAL_MAX ? this.#restartSerial() : this.#serial + 1;
    this.#rows.begin();
    const p = this.#readRecord(start);
    if (p < 0) {
      this.#rows.rollback();
      if (this.#refusedField >= 0) this.refusedColumn = this.#columnOf(this.#refusedField);
      this.#refusedField = NO_FIELD;
      return -p;
    }
    this.#rows.commit();
    if (this.#reader.keys.size !== 0) this.#extra.count(this.#reader);
    return 0;
  }

  take(): DecodedColumns {
    this.#given = null;
    this.#bytes = new Uint8Array(0);
    this.#reader.close();
    return this.#rows.take(this.#extra.take());
  }

  /** A plain view of the same bytes: the machine code for element access depends on the class, and Buffer is another. */
  #adopt(bytes: Uint8Array): void {
    this.#given = bytes;
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #restartSerial(): number {
    this.#stamps.fill(0);
    return 1;
  }

  /** @returns The record's end, or minus a dead-letter code. */
  #readRecord(start: number): number {
    const { text } = this.#reader;
    let p = text.skipSpace(start);
    if (p === this.#end) return -DEAD_LETTER.empty;
    if (this.#bytes[p] !== BRACE_OPEN) return this.#refuseRecord(p);
    p = this.#readObject(ROOT, p + 1, 1);
    if (p < 0 || p === this.#end) return p;
    p = text.skipSpace(p);
    return p === this.#end ? p : -DEAD_LETTER['trailing-data'];
  }

  /** Names what is wrong with a record that does not begin with a brace. */
  #refuseRecord(start: number): number {
    const bytes = this.#bytes;
    if (byteOrderMarkLength(bytes, start, this.#end) !== 0) return -DEAD_LETTER['byte-order-mark'];
    let p = this.#reader.skipValue(start, 0, false);
    if (p < 0) return p;
    p = this.#reader.text.skipSpace(p);
    return p === this.#end ? -DEAD_LETTER['not-an-object'] : -DEAD_LETTER['trailing-data'];
  }

  /**
   * Reads the object of node `node`.
   * @param start Position after the opening brace.
   * @param depth Open containers, this one included; at most DEPTH_MAX, because no path of a plan is longer.
   * @returns Position after the closing brace, or minus a dead-letter code.
   */
  #readObject(node: number, start: number, depth: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const reader = this.#reader;
    const { text } = reader;
    const stamps = this.#stamps;
    const serial = this.#serial;
    let seen = 0;
    let previous = NO_FIELD;
    let predicted = this.#first[node]!;
    let p = text.skipSpace(start);
    if (p < end && bytes[p] === BRACE_CLOSE) return this.#closeObject(node, 0, p + 1);
    for (;;) {
      if (p >= end || bytes[p] !== QUOTE) return SYNTAX;
      p++;
      let field = predicted;
      const matched = field < 0 ? -1 : this.#matchKey(field, p);
      if (matched >= 0) {
        if (++reader.fields > FIELDS_LIMIT) return TOO_MANY_FIELDS;
        p += matched + 1;
      } else {
        const close = text.scanString(p);
        if (close < 0) return close;
        field = this.#findField(node, p, close);
        if (field >= 0) this.#learn(node, previous, field);
        else if (field !== NO_FIELD) return field;
        p = close + 1;
      }
      if (p < end && bytes[p] === COLON) p++;
      else if ((p = reader.skipColon(p)) < 0) return p;
      if (p < end && bytes[p]! <= SPACE) p = text.skipSpace(p);
      if (p >= end) return SYNTAX;
      if (field >= 0) {
        if (stamps[field] === serial) return DUPLICATE_KEY;
        stamps[field] = serial;
        seen++;
        p = this.#readField(field, p, depth);
        previous = field;
        predicted = this.#next[field]!;
      } else {
        p = reader.skipValue(p, depth, reader.lastKeyIsConstructor);
      }
      if (p < 0) return this.#refuse(field, p);
      if (p < end && bytes[p]! <= SPACE) p = text.skipSpace(p);
      const c = p < end ? bytes[p]! : 0;
      if (c === BRACE_CLOSE) return this.#closeObject(node, seen, p + 1);
      if (c !== COMMA) return SYNTAX;
      p++;
      if (p < end && bytes[p]! <= SPACE) p = text.skipSpace(p);
    }
  }

  /** Notes what a record dies of; an object's field is refused after the field in it. @returns `code` */
  #refuse(field: number, code: number): number {
    if (field >= 0 && this.#refusedField < 0) this.#refusedField = field;
    return code;
  }

  /** The column of a field, of an object the first one below. */
  #columnOf(field: number): number {
    const { kinds, targets, fieldStarts } = this.#plan;
    let at = field;
    while (kinds[at] === OBJECT) at = fieldStarts[targets[at]!]!;
    return targets[at]!;
  }

  /** Length of the key of `field` if exactly it and a quote lie at `at`; −1 otherwise. */
  #matchKey(field: number, at: number): number {
    const plan = this.#plan;
    const bytes = this.#bytes;
    const length = plan.plainLengths[field]!;
    if (length < 0 || at + length >= this.#end || bytes[at + length] !== QUOTE) return -1;
    const { keyBytes } = plan;
    const from = plan.keyStarts[field]!;
    for (let i = 0; i < length; i++) if (keyBytes[from + i] !== bytes[at + i]) return -1;
    return length;
  }

  /**
   * Looks up the key that was scanned last.
   * @returns The field; NO_FIELD if the plan has none, then the key was added to those of the record; or minus a dead-letter code.
   */
  #findField(node: number, start: number, close: number): number {
    const reader = this.#reader;
    const { text } = reader;
    const field = text.escaped
      ? this.#plan.find(node, text.scratch, text.textStart, text.textEnd, text.hash)
      : this.#plan.find(node, this.#bytes, start, close, text.hash);
    if (field >= 0) return ++reader.fields > FIELDS_LIMIT ? TOO_MANY_FIELDS : field;
    // A field that could never become a column is refused (matrix S11); keys inside of json values may be longer.
    if (close - start > NAME_BYTES_MAX) return STRING_TOO_LONG;
    const code = reader.addKey(node, start, close, this.#plan.constructorNodes[node] === 1);
    return code === 0 ? NO_FIELD : code;
  }

  #learn(node: number, previous: number, field: number): void {
    if (previous < 0) this.#first[node] = field;
    else this.#next[previous] = field;
  }

  /** Gives the fields that the object did not have their null. */
  #closeObject(node: number, seen: number, p: number): number {
    const { fieldStarts } = this.#plan;
    const from = fieldStarts[node]!;
    const to = fieldStarts[node + 1]!;
    if (seen === to - from) return p;
    for (let field = from; field < to; field++) {
      if (this.#stamps[field] !== this.#serial) this.#writeAbsent(field);
    }
    return p;
  }

  /** All columns at or under `field` are absent. Recurses as deep as the plan, at most DEPTH_MAX. */
  #writeAbsent(field: number): void {
    const target = this.#plan.targets[field]!;
    if (this.#plan.kinds[field] !== OBJECT) {
      this.#rows.writeAbsent(target);
      return;
    }
    const { fieldStarts } = this.#plan;
    for (let child = fieldStarts[target]!; child < fieldStarts[target + 1]!; child++) this.#writeAbsent(child);
  }

  /** Reads the value of `field` at `p`. @returns Position after it, or minus a dead-letter code. */
  #readField(field: number, p: number, depth: number): number {
    const plan = this.#plan;
    const kind = plan.kinds[field]!;
    const target = plan.targets[field]!;
    if (kind !== OBJECT) return this.#cells.read(kind, target, p, depth, plan.constructorFields[field] === 1);
    const first = this.#bytes[p]!;
    if (first === BRACE_OPEN) return this.#readObject(target, p + 1, depth + 1);
    if (first !== LETTER_N) return this.#cells.refuse(p);
    const after = this.#reader.readLiteral(p);
    if (after >= 0) this.#writeAbsent(field);
    return after;
  }
}
