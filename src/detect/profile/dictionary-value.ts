import type { TextDictionary } from '../../record/columns.ts';
import { ByteHash } from '../sketch/hash.ts';

/** Bytes of a value that a profile keeps; of a longer one it keeps the start, its length and a hash. */
export const VALUE_BYTES_MAX = 96;

/** Value `code` of a dictionary as it stands in profiles: itself, or `start…#length:hash` when it is long. */
export function dictionaryValue(dictionary: TextDictionary, code: number): string {
  const start = dictionary.offsets[code]!;
  const length = dictionary.offsets[code + 1]! - start;
  const { bytes } = dictionary;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, Math.min(length, VALUE_BYTES_MAX)).toString('utf8');
  if (length <= VALUE_BYTES_MAX) return text;
  const hash = new ByteHash(0);
  hash.update(bytes, start, length);
  // The cut may fall inside a character; what is kept are whole ones.
  return `${text.slice(0, 32).replace(/[\uD800-\uDBFF]$/, '')}…#${length}:${hash.key.toString(36)}`;
}

/** Value `code` of a dictionary, whole. */
export function dictionaryText({ bytes, offsets }: TextDictionary, code: number): string {
  const start = offsets[code]!;
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, offsets[code + 1]! - start).toString('utf8');
}
