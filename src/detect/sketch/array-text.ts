/**
 * Arrays of numbers as short text, exactly: the narrowest little-endian form that holds every value, then base64.
 * `i1:`, `i2:`, `i4:` integers of 1, 2, 4 bytes; `f4:`, `f8:` floats. The form depends on the values alone, so equal
 * arrays give equal text on every machine (all of Node's platforms are little-endian).
 */

const FORMS = {
  'i1:': { bytes: 1, make: (from: Float64Array | ArrayBuffer) => new Int8Array(from as ArrayBuffer) },
  'i2:': { bytes: 2, make: (from: Float64Array | ArrayBuffer) => new Int16Array(from as ArrayBuffer) },
  'i4:': { bytes: 4, make: (from: Float64Array | ArrayBuffer) => new Int32Array(from as ArrayBuffer) },
  'f4:': { bytes: 4, make: (from: Float64Array | ArrayBuffer) => new Float32Array(from as ArrayBuffer) },
  'f8:': { bytes: 8, make: (from: Float64Array | ArrayBuffer) => new Float64Array(from as ArrayBuffer) },
} as const;

type Form = keyof typeof FORMS;

/** What {@link encodeNumbers} can write and nothing else; for the schemas of stored objects. */
export const NUMBERS_PATTERN = '^(i1|i2|i4|f4|f8):[A-Za-z0-9+/]*={0,2}$';

/** Text of the first `count` values; −0 and NaN survive. */
export function encodeNumbers(values: ArrayLike<number>, count: number = values.length): string {
  // One kind of array for the loop below keeps it fast; the narrowing copies are native.
  const source = values instanceof Float64Array ? values.subarray(0, count) : Float64Array.from(values);
  const form = narrowestForm(source);
  const packed = FORMS[form].make(source);
  return form + Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength).toString('base64');
}

/** Values of a text that {@link encodeNumbers} wrote; null for any other text or more than `countMax` values.
 * Trust: `text` may be hostile; nothing is allocated beyond its own length. */
export function decodeNumbers(text: string, countMax: number): Float64Array | null {
  const form = FORMS[text.slice(0, 3) as Form];
  if (form === undefined || (text.length - 3) % 4 !== 0) return null;
  const bytes = Buffer.from(text.slice(3), 'base64');
  if (bytes.length % form.bytes !== 0 || bytes.length / form.bytes > countMax) return null;
  // Base64 has many spellings of the same bytes; only the one we write is taken.
  if (bytes.toString('base64') !== text.slice(3)) return null;
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return new Float64Array(form.make(copy));
}

function narrowestForm(values: Float64Array): Form {
  let low = 0;
  let high = 0;
  let integers = true;
  let singles = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // −0 is an integer that only floats can hold.
    if (integers && ((value | 0) !== value || (value === 0 && 1 / value < 0))) integers = false;
    if (singles && Math.fround(value) !== value && value === value) singles = false;
    if (!integers && !singles) return 'f8:';
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!integers) return 'f4:';
  if (low >= -0x80 && high < 0x80) return 'i1:';
  return low >= -0x8000 && high < 0x8000 ? 'i2:' : 'i4:';
}
