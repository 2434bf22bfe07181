import type { Stats } from 'node:fs';

import type { Clock } from '../../ports/clock.ts';
import type { FileLayout, RecordBuffer } from './record-buffer.ts';

const CR = 0x0d;
const QUOTE = 0x22;
const ZERO = 0x30;
const NINE = 0x39;
/** A last line that may be whole or not, as in CSV, is taken once its file has not changed for so long. */
const QUIET_MS = 5_000;

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

  /** Has the file not changed for a while: by its own time, or, where that cannot be believed, by watching it? */
  #awaitQuiet(now: Stats): 'take' | 'leave' | 'wait' {
    const clock = this.#clock;
    if (clock.now() - now.mtimeMs >= QUIET_MS) return 'take';
    const { file, sinceMs } = (this.#waiting ??= { file: now, sinceMs: clock.monotonic() });
    if (now.size !== file.size || now.mtimeMs !== file.mtimeMs) return 'leave';
    return clock.monotonic() - sinceMs >= QUIET_MS ? 'take' : 'wait';
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
    return countFields(line, delimiter) === countFields(csvHeader!, delimiter) ? 'unclear' : 'part';
  }
  if (last >= ZERO && last <= NINE) return 'part';
  try {
    JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8'));
    return 'whole';
  } catch {
    return 'part';
  }
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
