import { RecordBatchStreamWriter, Table, type RecordBatch } from 'apache-arrow';

const BYTES_FIRST = 65_536;
/** A larger buffer is not kept. */
const KEPT_BYTES_MAX = 67_108_864;

/**
 * Writes record batches as Arrow IPC streams into one buffer that serves them all: `tableToIPC` makes a new one of their
 * whole size each time, and the freed ones scatter what lives longer over the heap.
 */
export class IpcStream {
  #bytes = new Uint8Array(BYTES_FIRST);
  #length = 0;

  /** The stream of one batch; valid until the next call. */
  write(batch: RecordBatch): Uint8Array {
    this.#length = 0;
    new StreamWriter((part) => this.#append(part)).writeAll(new Table([batch]));
    const stream = this.#bytes.subarray(0, this.#length);
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#bytes = new Uint8Array(BYTES_FIRST);
    return stream;
  }

  #append(part: Uint8Array): void {
    const end = this.#length + part.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(part, this.#length);
    this.#length = end;
  }
}

/** Arrow's writer with another sink: its own takes nothing but its own queue, which joins all parts in the end. */
class StreamWriter extends RecordBatchStreamWriter {
  readonly #append: (part: Uint8Array) => void;

  constructor(append: (part: Uint8Array) => void) {
    super();
    this.#append = append;
  }

  protected override _write(part: ArrayBufferView | ArrayBufferLike): this {
    const bytes = ArrayBuffer.isView(part)
      ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
      : new Uint8Array(part);
    if (!this._started || bytes.length === 0) return this;
    this.#append(bytes);
    this._position += bytes.length;
    return this;
  }
}
