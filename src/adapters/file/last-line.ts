import type { Stats } from 'node:fs';

import type { Clock } from '../../ports/clock.ts';
import type { FileLayout, RecordBuffer } from './record-buffer.ts';

const TAB = 0x09;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const ZERO = 0x30;
const NINE = 0x39;
const BRACKET_OPEN = 0x5b;
const BACKSLASH = 0x5c;
const BRACKET_CLOSE = 0x5d;
const BRACE_OPEN = 0x7b;
const BRACE_CLOSE = 0x7d;
/** Of a line that is only a number, or a word such as `true`; a longer one is taken for a part. */
const SCALAR_BYTES_MAX = 1_024;
/** A last line that may be whole or not, as in CSV, is taken once its file has been watched for so long and has not changed. */
const QUIET_MS = 5_000;
/** A file untouched for so long is not watched: no clock or time zone of another machine is as far off as that. */
const OLD_MS = 86_400_000;

/** Decides what a one-pass reader does with the bytes behind the last line break of a file. */
export class LastLine {
  readonly #layout: FileLayout;
  readonly #clock: Clock;
  /** The file as it was when waiting for it to be quiet began. */
  #waiting: { readonly file: Stats; readonly sinceMs: number } | null = null;

  constructor(layout: FileLayout, clock: Clock) {
    this.#layout = layout;
    this.#clock = clock;
  }

  /**
   * Take what is left as a record, leave it to the next pass, or wait and ask again; the waiting ends after QUIET_MS.
   * @param file as it is now.
   */
  decide({ rest, complete, settled, csvHeader }: RecordBuffer, file: Stats): 'take' | 'leave' | 'wait' {
    if (rest.length === 0) return 'take';
    const unbroken = settled - complete;
    // What follows a line that was taken without its line break can only be the line break.
    if (unbroken > 0) return rest.length === unbroken + 1 && rest[unbroken] === CR ? 'leave' : 'take';
    const judged = judgeLastLine(rest, this.#layout, csvHeader);
    if (judged === 'unclear') return this.#awaitQuiet(file);
    return judged === 'whole' ? 'take' : 'leave';
  }

  /** Has the file not changed while it was watched? Its own time says little of that: on a shared disk it is another machine's. */
  #awaitQuiet(now: Stats): 'take' | 'leave' | 'wait' {
    if (this.#clock.now() - now.mtimeMs >= OLD_MS) return 'take';
    const { file, sinceMs } = (this.#waiting ??= { file: now, sinceMs: this.#clock.monotonic() });
    if (now.size !== file.size || now.mtimeMs !== file.mtimeMs) return 'leave';
    return this.#clock.monotonic() - sinceMs >= QUIET_MS ? 'take' : 'wait';
  }
}

/**
 * Whether the last line of a file is all of it, though no line break says so: `whole`, `part`, or `unclear`.
 *
 * JSON tells by itself: a value that is whole ends with its last byte, but for a number, which could have more digits. CSV
 * does not: a line with all its fields may have lost the end of the last one.
 * @param line not empty. @param csvHeader first record of the CSV file; null if it is this one, which is no record.
 * Trust: the bytes are hostile.
 */
export function judgeLastLine(
  line: Uint8Array,
  { format, delimiter }: FileLayout,
  csvHeader: Uint8Array | null,
): 'whole' | 'part' | 'unclear' {
  const last = line[line.length - 1]!;
  if (format === 'csv' && csvHeader === null) return 'whole';
  // Half of a line break.
  if (last === CR) return 'part';
  if (format === 'csv') {
    const wanted = countFields(withoutMark(csvHeader!), delimiter);
    return countFields(line, delimiter) === wanted ? 'unclear' : 'part';
  }
  if (last >= ZERO && last <= NINE) return 'part';
  return endsWithItsValue(line) ? 'whole' : 'part';
}

/**
 * Whether the JSON value that begins the line ends it. Only strings and brackets are followed, not even the kinds of the
 * brackets: whether the value is JSON, and not too deep, is for the decoder to say.
 * Cost: one pass and no memory, whatever the line.
 */
function endsWithItsValue(line: Uint8Array): boolean {
  const start = endOfBlanks(line, 0);
  const first = line[start];
  if (first !== BRACE_OPEN && first !== BRACKET_OPEN && first !== QUOTE) return isScalar(line);
  let depth = 0;
  let isQuoted = false;
  for (let p = start; p < line.length; p++) {
    const c = line[p]!;
    if (c === QUOTE) isQuoted = !isQuoted;
    else if (isQuoted) {
      if (c === BACKSLASH) p++;
    } else if (c === BRACE_OPEN || c === BRACKET_OPEN) depth++;
    else if (c === BRACE_CLOSE || c === BRACKET_CLOSE) depth--;
    if (depth === 0 && !isQuoted) return endOfBlanks(line, p + 1) === line.length;
  }
  return false;
}

function isScalar(line: Uint8Array): boolean {
  if (line.length > SCALAR_BYTES_MAX) return false;
  try {
    JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

function endOfBlanks(line: Uint8Array, start: number): number {
  let p = start;
  while (line[p] === SPACE || line[p] === TAB || line[p] === CR) p++;
  return p;
}

/** A byte order mark would hide the quote that opens the first field. */
function withoutMark(header: Uint8Array): Uint8Array {
  return header[0] === 0xef && header[1] === 0xbb && header[2] === 0xbf ? header.subarray(3) : header;
}

/** Fields of a CSV record, told apart as CsvSplitter does; 0 if a quoted one is not closed. */
function countFields(record: Uint8Array, delimiter: string): number {
  const separator = delimiter.charCodeAt(0);
  let fields = 0;
  for (let p = 0; p <= record.length; p++) {
    fields++;
    if (record[p] === QUOTE) {
      p = endOfQuoted(record, p + 1);
      if (p < 0) return 0;
    }
    p = record.indexOf(separator, p);
    if (p < 0) return fields;
  }
  return fields;
}

/** Position after the quote that ends the field; -1 if there is none. */
function endOfQuoted(record: Uint8Array, start: number): number {
  for (let p = record.indexOf(QUOTE, start); p >= 0; p = record.indexOf(QUOTE, p + 2))
    if (record[p + 1] !== QUOTE) return p + 1;
  return -1;
}
