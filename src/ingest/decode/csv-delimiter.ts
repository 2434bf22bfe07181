import { RequestError } from '../../errors.ts';
import { CSV_DELIMITERS, type CsvDelimiter } from '../../record/csv.ts';
import { quoteName } from '../../record/quote-name.ts';
import { parseCsvHeader } from './csv-header.ts';

const NAMES_SHOWN_MAX = 5;

/**
 * Reads a CSV file's header, and checks that it was split where its writer meant it to be: under another delimiter, or the
 * schema of other files, every record would decode to nothing but nulls.
 * @param header the first record, without its line break.
 * @param expected names of the schema's fields; empty while the schema is not known, then a header of one name is refused
 *   that another delimiter would split.
 * @returns the names, as `parseCsvHeader` gives them.
 * @throws {RequestError} REQUEST_INVALID, naming the likely delimiter; as `parseCsvHeader`
 * Trust: the header is hostile.
 */
export function readHeader(header: Uint8Array, delimiter: CsvDelimiter, expected: readonly string[]): string[] {
  const names = namesUnder(header, delimiter);
  const isExpected = new Set(expected);
  const isKnown = expected.length > 0;
  const countHits = (split: readonly string[]): number =>
    isKnown ? split.filter((name) => isExpected.has(name)).length : split.length;
  if (countHits(names) > (isKnown ? 0 : 1)) return names;
  let likely: { readonly delimiter: CsvDelimiter; readonly names: readonly string[] } = { delimiter, names };
  for (const other of CSV_DELIMITERS) {
    const split = namesUnder(header, other);
    if (countHits(split) > countHits(likely.names)) likely = { delimiter: other, names: split };
  }
  if (likely.delimiter !== delimiter && countHits(likely.names) > (isKnown ? 0 : 1)) {
    const read = names.length === 0 ? 'is malformed' : `has ${list(names)}`;
    const orElse = isKnown ? '' : ', or name the column in the configuration if it is one';
    throw refused(
      `split at ${spell(delimiter)} it ${read}, split at ${spell(likely.delimiter)} it has ${list(likely.names)} (way out: set source.files.csv.delimiter to ${spell(likely.delimiter)}${orElse})`,
    );
  }
  if (names.length === 0) return parseCsvHeader(header, 0, header.length, delimiter);
  if (isKnown) throw refused(`it has ${list(names)}, and none of that is a column of the schema (${list(expected)})`);
  return names;
}

/** No names where the delimiter gives no usable header. */
function namesUnder(header: Uint8Array, delimiter: CsvDelimiter): string[] {
  try {
    return parseCsvHeader(header, 0, header.length, delimiter);
  } catch (error) {
    if (error instanceof RequestError) return [];
    throw error;
  }
}

function spell(delimiter: CsvDelimiter): string {
  return delimiter === '\t' ? '"\\t"' : `"${delimiter}"`;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX).map(quoteName).join(', ');
  return names.length > NAMES_SHOWN_MAX ? `${shown} and ${names.length - NAMES_SHOWN_MAX} more` : shown;
}

function refused(fault: string): RequestError {
  return new RequestError('REQUEST_INVALID', `Cannot use the CSV header row: ${fault}`);
}
