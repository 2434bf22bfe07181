import { RequestError } from '../../errors.ts';
import type { CsvDelimiter } from '../../record/csv.ts';
import { DEAD_LETTER_REASONS } from '../../record/dead-letter.ts';
import { COLUMN_NAME_BYTES_MAX, COLUMNS_MAX } from '../../record/schema.ts';
import { CsvText } from './csv-text.ts';
import { byteOrderMarkLength } from './utf8.ts';
import { quoteName } from '../../record/quote-name.ts';

/** Of the mark that spreadsheets write; UTF-16 has a shorter one. */
const UTF8_MARK_BYTES = 3;

/**
 * Column names of a CSV file's first record `bytes[start, start + length)`, without its line break. A UTF-8 byte order
 * mark before the first name is dropped: spreadsheets write one, and it is no part of the name.
 * @throws {RequestError} REQUEST_INVALID if the row is malformed, has more than COLUMNS_MAX names, or a name is empty,
 * longer than COLUMN_NAME_BYTES_MAX bytes, or given twice.
 * Trust: the header is hostile.
 */
export function parseCsvHeader(bytes: Uint8Array, start: number, length: number, delimiter: CsvDelimiter): string[] {
  const end = start + length;
  const text = new CsvText(delimiter);
  text.open(bytes, end);
  const names: string[] = [];
  let p = byteOrderMarkLength(bytes, start, end) === UTF8_MARK_BYTES ? start + UTF8_MARK_BYTES : start;
  for (;;) {
    p = text.scanField(p);
    if (p < 0) throw refused(`column ${names.length + 1} is malformed (${DEAD_LETTER_REASONS[-p]!})`);
    const { source, textStart, textEnd } = text;
    addName(names, source, textStart, textEnd);
    if (p === end) break;
    if (bytes[p] !== text.delimiter) throw refused('it holds a line break outside of quotes');
    p++;
  }
  const twice = findRepeated(names);
  if (twice !== undefined) throw refused(`the name ${quoteName(twice)} is given twice`);
  return names;
}

function addName(names: string[], source: Uint8Array, start: number, end: number): void {
  if (names.length === COLUMNS_MAX) throw refused(`it has more than ${COLUMNS_MAX} columns`);
  if (end === start) throw refused(`column ${names.length + 1} has no name`);
  if (end - start > COLUMN_NAME_BYTES_MAX) {
    throw refused(`the name of column ${names.length + 1} has ${end - start} bytes, at most ${COLUMN_NAME_BYTES_MAX}`);
  }
  names.push(Buffer.from(source.buffer, source.byteOffset + start, end - start).toString('utf8'));
}

function findRepeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}

function refused(fault: string): RequestError {
  return new RequestError('REQUEST_INVALID', `Cannot use the CSV header row: ${fault}`);
}
