import { hashBytes } from './byte-hash.ts';
import type { CsvText } from './csv-text.ts';

interface Word {
  readonly bytes: Uint8Array;
  readonly hash: number;
}

/** A few texts that a CSV field is compared with. */
export class CsvWords {
  readonly #words: readonly Word[];

  constructor(texts: readonly string[]) {
    this.#words = texts.map((text) => {
      const bytes = new TextEncoder().encode(text);
      return { bytes, hash: hashBytes(bytes, 0, bytes.length) };
    });
  }

  /** True if the field that `text` scanned last is one of the words, byte for byte. */
  include(text: CsvText): boolean {
    const words = this.#words;
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!;
      if (word.hash === text.hash && isSame(word.bytes, text.source, text.textStart, text.textEnd)) return true;
    }
    return false;
  }
}

/** How CSV files of common tools write booleans. */
export const TRUE_WORDS = new CsvWords(['true', 'True', 'TRUE']);
export const FALSE_WORDS = new CsvWords(['false', 'False', 'FALSE']);

function isSame(word: Uint8Array, source: Uint8Array, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let i = 0; i < word.length; i++) if (word[i] !== source[start + i]) return false;
  return true;
}
