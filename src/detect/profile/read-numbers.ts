import type { ColumnData, TextData } from '../../record/columns.ts';
import { isValid } from '../../record/columns.ts';

/** Writes each row's value as a number into `out`, NaN where null: timestamps in ms, booleans as 0 and 1, decimals rounded. */
export function readNumbers(data: Exclude<ColumnData, TextData>, rows: number, out: Float64Array): void {
  switch (data.kind) {
    case 'float64':
      out.set(data.values.subarray(0, rows));
      break;
    case 'boolean':
      for (let row = 0; row < rows; row++) out[row] = data.values[row]!;
      break;
    case 'int64': {
      const perMs =
        data.column.type !== 'timestamp' ? 1 : data.column.unit === 'us' ? 1e3 : data.column.unit === 'ns' ? 1e6 : 1;
      const words = data.words;
      for (let row = 0; row < rows; row++) {
        out[row] = (words[2 * row + 1]! * 4_294_967_296 + (words[2 * row]! >>> 0)) / perMs;
      }
      break;
    }
    case 'decimal': {
      // Nearest double of the 128-bit integer, then of the quotient: statistics need no more.
      const unit = Number(`1e${data.column.scale ?? 0}`);
      const words = data.words;
      for (let row = 0; row < rows; row++) {
        out[row] = numberOfInt128(words, 4 * row) / unit;
      }
      break;
    }
  }
  if (data.nullCount > 0) for (let row = 0; row < rows; row++) if (!isValid(data.validity, row)) out[row] = NaN;
}

/** Nearest double (within two roundings) of the little-endian two's complement 128-bit integer at `words[at]`. */
function numberOfInt128(words: Uint32Array, at: number): number {
  // Adding a large negative high half to a large low half would cancel; the complement of a negative number does not.
  const negative = words[at + 3]! >>> 31 === 1;
  const flip = negative ? 0xffff_ffff : 0;
  const high = ((words[at + 3]! ^ flip) >>> 0) * 4_294_967_296 + ((words[at + 2]! ^ flip) >>> 0);
  const low = ((words[at + 1]! ^ flip) >>> 0) * 4_294_967_296 + ((words[at]! ^ flip) >>> 0);
  const magnitude = high * 18_446_744_073_709_551_616 + low;
  return negative ? -(magnitude + 1) : magnitude;
}
