import type { Hash } from 'node:crypto';

import type { SourcePosition } from '../../record/chunk.ts';

/**
 * SHA-256 of a file's bytes from its first up to any point of one buffer. Asked for rising points, it hashes each byte
 * once; a lower point costs the buffer again.
 */
export class BufferPrefix {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #before: Hash;
  #running: Hash;
  #hashed = 0;

  /** @param before state after all bytes before the buffer; it is not changed. @param at position of `bytes[0]` in the file. */
  constructor(before: Hash, bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#before = before;
    this.#running = before.copy();
  }

  /** Where a reader stands that is done with everything before `bytes[end]`. */
  position(end: number): SourcePosition {
    return { byte: this.#at + end, prefixSha256: this.state(end).digest('hex') };
  }

  /** State of the hash after everything before `bytes[end]`; the caller's own. */
  state(end: number): Hash {
    if (end < this.#hashed) {
      this.#running = this.#before.copy();
      this.#hashed = 0;
    }
    this.#running.update(this.#bytes.subarray(this.#hashed, end));
    this.#hashed = end;
    return this.#running.copy();
  }
}
