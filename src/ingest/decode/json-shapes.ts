import { COLUMN_NAME_BYTES_MAX, COLUMNS_MAX } from '../../record/schema.ts';
import { createJsonDecoder } from './json-decoder.ts';
import { JsonReader } from './json-reader.ts';
import { type FieldDecision, nameTooLong, tooManyFields } from './field-decision.ts';
import { STRAY_SHARE_MAX, ValueShape } from './value-shape.ts';

const COMMA = 0x2c;
const QUOTE = 0x22;
const BRACKET_OPEN = 0x5b;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;

/** Fields that are kept while reading, more than may be left at the end: fields of objects that turn out mixed are dropped. */
const FIELDS_READ_MAX = 4 * COLUMNS_MAX;

interface FieldShape {
  readonly shape: ValueShape;
  readonly children: Map<string, FieldShape>;
  objects: number;
  others: number;
}

/** Learns the fields of JSON records: their paths, in order of first appearance, and what their values look like. */
export class JsonShapes {
  readonly #root = newField();
  readonly #reader = new JsonReader();
  /** Refuses what a decoder would refuse, so that reading may rely on valid text. */
  readonly #check = createJsonDecoder({ version: 1, format: 'json', columns: [] });
  #fields = 0;

  /** Learns from one record. @returns False, having learned nothing, if it cannot be decoded. @throws {RequestError} as inferSchema. */
  add(bytes: Uint8Array, start: number, length: number): boolean {
    const code = this.#check.decode(bytes, start, length);
    this.#check.take();
    if (code !== 0) return false;
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#reader.open(plain, start + length, 0);
    this.#readObject(this.#root, this.#reader.text.skipSpace(start));
    return true;
  }

  /** All fields with the type that holds their values. */
  decide(): FieldDecision[] {
    const decisions: FieldDecision[] = [];
    collect(this.#root, [], decisions);
    return decisions;
  }

  /** Reads the object that begins at `start`. Recurses as deep as the text, which is at most DEPTH_MAX. */
  #readObject(parent: FieldShape, start: number): number {
    const { text } = this.#reader;
    let p = text.skipSpace(start + 1);
    while (text.bytes[p] !== BRACE_CLOSE) {
      const close = text.scanString(p + 1);
      const key = text.escaped
        ? Buffer.from(text.scratch.subarray(text.textStart, text.textEnd))
        : Buffer.from(text.bytes.subarray(p + 1, close));
      text.scratchUsed = 0;
      const field = this.#childOf(parent, key);
      p = this.#readValue(field, text.skipSpace(this.#reader.skipColon(close + 1)));
      p = text.skipSpace(p);
      if (text.bytes[p] === COMMA) p = text.skipSpace(p + 1);
    }
    return p + 1;
  }

  #readValue(field: FieldShape, p: number): number {
    const { text, number } = this.#reader;
    const { shape } = field;
    const c = text.bytes[p]!;
    if (c === BRACE_OPEN) {
      field.objects++;
      return this.#readObject(field, p);
    }
    if (c === LETTER_N) return this.#reader.readLiteral(p);
    field.others++;
    if (c === BRACKET_OPEN) {
      shape.addNested();
      return this.#reader.skipValue(p, 0, false);
    }
    if (c === QUOTE) {
      const close = text.scanString(p + 1);
      if (text.escaped) shape.addString(text.scratch, text.textStart, text.textEnd);
      else shape.addString(text.bytes, p + 1, close);
      text.scratchUsed = 0;
      return close + 1;
    }
    if (c === LETTER_T || c === LETTER_F) {
      shape.addBoolean();
      return this.#reader.readLiteral(p);
    }
    const after = number.scan(text.bytes, p, text.end);
    shape.addNumber(number, text.bytes);
    return after;
  }

  #childOf(parent: FieldShape, key: Buffer): FieldShape {
    const name = key.toString('utf8');
    const known = parent.children.get(name);
    if (known !== undefined) return known;
    if (key.length > COLUMN_NAME_BYTES_MAX) throw nameTooLong(key.length);
    if (++this.#fields > FIELDS_READ_MAX) throw tooManyFields(this.#fields);
    const child = newField();
    parent.children.set(name, child);
    return child;
  }
}

function newField(): FieldShape {
  return { shape: new ValueShape(), children: new Map(), objects: 0, others: 0 };
}

function collect(field: FieldShape, path: readonly string[], decisions: FieldDecision[]): void {
  for (const [key, child] of field.children) {
    const childPath = [...path, key];
    if (child.children.size > 0 && child.others <= STRAY_SHARE_MAX * (child.others + child.objects)) {
      collect(child, childPath, decisions);
    } else {
      // Objects beside other values, or never with a field: only their text can be kept.
      child.shape.addNested(child.objects);
      decisions.push({ path: childPath, decision: child.shape.decide('json') });
    }
  }
}
