/** Smaller buffers are cheap to make. */
const BYTES_MIN = 1_048_576;
/** A larger one would lie in a small batch for as long as that is open, counted as its few bytes. */
const EXCESS_MAX = 8;

/** Large buffers that nobody needs any more, for those who need one next. */
export class SpareBuffers {
  readonly #bytesMax: number;
  /** Newest first: of the old ones some may be too small for the batches of today. */
  readonly #buffers: ArrayBuffer[] = [];
  #bytes = 0;

  /** @param bytesMax of all that are kept, together. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Keeps a buffer, and lets the oldest ones go that there is no more room for. */
  keep(buffer: ArrayBuffer): void {
    if (buffer.byteLength < BYTES_MIN || buffer.byteLength > this.#bytesMax) return;
    this.#buffers.unshift(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > this.#bytesMax) this.#bytes -= this.#buffers.pop()!.byteLength;
  }

  /** One of at least `bytes`, and not far more; null if there is none. */
  take(bytes: number): ArrayBuffer | null {
    const at = this.#buffers.findIndex(({ byteLength }) => byteLength >= bytes && byteLength <= EXCESS_MAX * bytes);
    if (at === -1) return null;
    const [buffer] = this.#buffers.splice(at, 1);
    this.#bytes -= buffer!.byteLength;
    return buffer!;
  }
}
