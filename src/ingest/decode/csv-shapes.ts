import { RequestError } from '../../errors.ts';
import type { CsvDelimiter } from '../../record/csv.ts';
import type { Column } from '../../record/schema.ts';
import { createCsvDecoder } from './csv-decoder.ts';
import { CsvText } from './csv-text.ts';
import { CsvWords, FALSE_WORDS, TRUE_WORDS } from './csv-words.ts';
import type { Decoder } from './decoder.ts';
import type { FieldDecision } from './field-decision.ts';
import { NumberText } from './number-text.ts';
import { ValueShape } from './value-shape.ts';

/** Learns what the values of each CSV column look like. */
export class CsvShapes {
  readonly #header: readonly string[];
  readonly #shapes: readonly ValueShape[];
  readonly #nullWords: CsvWords;
  readonly #text: CsvText;
  readonly #number = new NumberText();
  /** Refuses what a decoder would refuse, so that reading may rely on valid text. */
  readonly #check: Decoder;

  /**
   * @param header Column names. @param nullValues As in CsvDecodeOptions; also below.
   * @throws {RequestError} REQUEST_INVALID if there are no names, or they can be no columns.
   */
  constructor(header: readonly string[], nullValues: readonly string[], delimiter: CsvDelimiter) {
    if (header.length === 0) {
      throw new RequestError('REQUEST_INVALID', 'Cannot infer a schema of CSV: the column names are missing');
    }
    this.#header = header;
    this.#shapes = header.map(() => new ValueShape());
    this.#nullWords = new CsvWords(nullValues);
    this.#text = new CsvText(delimiter);
    // The name at rest does not matter here, and one with a prefix may be that of another column.
    const columns = header.map((name, index): Column => ({ name: String(index), path: [name], type: 'string' }));
    this.#check = createCsvDecoder({ version: 1, format: 'csv', columns }, { delimiter });
  }

  /** Learns from one record. @returns False, having learned nothing, if it cannot be decoded. */
  add(bytes: Uint8Array, start: number, length: number): boolean {
    const code = this.#check.decode(bytes, start, length);
    this.#check.take();
    if (code !== 0) return false;
    const text = this.#text;
    text.open(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), start + length);
    let p = start;
    for (const shape of this.#shapes) {
      p = text.scanField(p);
      this.#addField(shape);
      if (bytes[p] === text.delimiter) p++;
    }
    return true;
  }

  /** All columns with the type that holds their values. */
  decide(): FieldDecision[] {
    return this.#header.map((name, index) => ({ path: [name], decision: this.#shapes[index]!.decide('string') }));
  }

  #addField(shape: ValueShape): void {
    const text = this.#text;
    if (!text.quoted && this.#nullWords.include(text)) return;
    if (TRUE_WORDS.include(text) || FALSE_WORDS.include(text)) {
      shape.addBoolean();
    } else if (this.#number.scan(text.source, text.textStart, text.textEnd) === text.textEnd) {
      shape.addNumber(this.#number, text.source);
    } else {
      shape.addString(text.source, text.textStart, text.textEnd);
    }
  }
}
