import type { ColumnData, DecimalData } from '../../record/columns.ts';
import { isValid } from '../../record/columns.ts';
import { dictionaryText } from '../profile/dictionary-value.ts';
import { readNumbers } from '../profile/read-numbers.ts';

/** Rows with a value that is not allowed. A value of another type than the rule speaks of is not allowed. */
export function countRows(
  data: ColumnData,
  rows: number,
  isAllowed: (value: string | number | boolean) => boolean,
): number {
  let broken = 0;
  if (data.kind === 'text') {
    // 0 = not looked at yet, 1 = allowed, 2 = not.
    const verdicts = new Uint8Array(data.dictionary.size);
    for (let row = 0; row < rows; row++) {
      const code = data.codes[row]!;
      if (code < 0) continue;
      if (verdicts[code] === 0) verdicts[code] = isAllowed(dictionaryText(data.dictionary, code)) ? 1 : 2;
      if (verdicts[code] === 2) broken += 1;
    }
    return broken;
  }
  const numbers = new Float64Array(rows);
  readNumbers(data, rows, numbers);
  for (let row = 0; row < rows; row++) {
    if (!isValid(data.validity, row)) continue;
    if (!isAllowed(data.kind === 'boolean' ? numbers[row] === 1 : numbers[row]!)) broken += 1;
  }
  return broken;
}

/** Rows whose value an earlier row of the batch had. */
export function countRepeats(data: ColumnData, rows: number): number {
  const filled = rows - data.nullCount;
  if (data.kind === 'text') {
    const seen = new Uint8Array(data.dictionary.size);
    let distinct = 0;
    for (let row = 0; row < rows; row++) {
      const code = data.codes[row]!;
      if (code >= 0 && seen[code] === 0) distinct += seen[code] = 1;
    }
    return filled - distinct;
  }
  if (data.kind === 'boolean') {
    const used = new Set<number>();
    for (let row = 0; row < rows; row++) if (isValid(data.validity, row)) used.add(data.values[row]!);
    return filled - used.size;
  }
  if (data.kind === 'float64') {
    const kept = new Float64Array(filled);
    for (let row = 0, at = 0; row < rows; row++) if (isValid(data.validity, row)) kept[at++] = data.values[row]!;
    kept.sort();
    let repeats = 0;
    for (let i = 1; i < filled; i++) if (kept[i] === kept[i - 1]) repeats += 1;
    return repeats;
  }
  return data.kind === 'decimal'
    ? countRepeatedDecimals(data, rows, filled)
    : countRepeatedWords(keptWords(data.words, data.validity, rows, filled, 2));
}

/** The lowest two words of each valid row, of which every row has `width`. */
function keptWords(
  words: Int32Array | Uint32Array,
  validity: Uint8Array,
  rows: number,
  filled: number,
  width: number,
): Int32Array<ArrayBuffer> {
  const kept = new Int32Array(2 * filled);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    if (!isValid(validity, row)) continue;
    kept[at++] = words[row * width]!;
    kept[at++] = words[row * width + 1]!;
  }
  return kept;
}

/** 64-bit values that occurred before, as (low, high) pairs of `words`, which are reordered. No numbers: beyond 2^53 different integers share a double. */
function countRepeatedWords(words: Int32Array<ArrayBuffer>): number {
  new BigInt64Array(words.buffer).sort();
  let repeats = 0;
  for (let i = 2; i < words.length; i += 2) {
    if (words[i] === words[i - 2] && words[i + 1] === words[i - 1]) repeats += 1;
  }
  return repeats;
}

function countRepeatedDecimals({ words, validity }: DecimalData, rows: number, filled: number): number {
  let areNarrow = true;
  for (let row = 0; row < rows && areNarrow; row++) {
    const sign = (words[4 * row + 1]! | 0) >> 31;
    areNarrow = (words[4 * row + 2]! | 0) === sign && (words[4 * row + 3]! | 0) === sign;
  }
  // Nearly always: less than 19 digits.
  if (areNarrow) return countRepeatedWords(keptWords(words, validity, rows, filled, 4));
  const seen = new Set<string>();
  for (let row = 0, at = 0; row < rows; row++, at += 4) {
    if (isValid(validity, row)) seen.add(`${words[at]},${words[at + 1]},${words[at + 2]},${words[at + 3]}`);
  }
  return filled - seen.size;
}
