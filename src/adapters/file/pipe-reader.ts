import type { Readable } from 'node:stream';

import { HaltError } from '../../errors.ts';
import type { RecordChunk } from '../../record/chunk.ts';
import type { RecordRequest } from './file-reader.ts';
import { RecordBuffer, standingAtStart, type FileLayout } from './record-buffer.ts';

const NAME = 'standard input';

/**
 * Reads a stream that can be read only once. What was handed out is kept until it is committed, so that an outage of
 * the store loses nothing; how much that is, is bounded by what the caller holds open.
 * Trust: the bytes are hostile.
 */
export class PipeReader {
  readonly #stream: Readable;
  readonly #buffer: RecordBuffer;
  /** Chunks that were handed out and are not committed, in order. */
  #kept: RecordChunk[] = [];
  /** Something has happened since the last read. */
  #hasNews = true;
  #wake: () => void = () => undefined;
  #inputEnded = false;
  #failure: Error | null = null;
  #ended = false;

  constructor(stream: Readable, layout: FileLayout) {
    this.#stream = stream;
    this.#buffer = new RecordBuffer(NAME, layout, standingAtStart());
    stream.on('readable', () => this.#notice());
    stream.on('end', () => {
      this.#inputEnded = true;
      this.#notice();
    });
    stream.on('error', (error) => {
      this.#failure = error;
      this.#notice();
    });
  }

  /** Number of the next record. */
  get offset(): number {
    return this.#buffer.offset;
  }

  /** True when everything is handed out and nothing will follow. */
  get ended(): boolean {
    return this.#ended && this.#buffer.isEmpty;
  }

  /** True when no more is known to follow. */
  get isSpent(): boolean {
    return this.ended;
  }

  /** Resolves when another read may bring more; asked for by one caller at a time. */
  news(): Promise<void> {
    if (this.#hasNews) return Promise.resolve();
    return new Promise((resolve) => (this.#wake = resolve));
  }

  /**
   * Next chunk from record `offset` on; null when there is none now. Does not wait.
   * @throws HaltError SOURCE_CHANGED for a record that was committed, SIZE_EXCEEDED; SOURCE_UNAVAILABLE when the stream broke
   */
  read({ offset, recordsMax, bytesMax }: RecordRequest): RecordChunk | null {
    this.#hasNews = false;
    if (offset !== this.#buffer.offset) return this.#again(offset);
    for (;;) {
      const chunk = this.#buffer.take(recordsMax, bytesMax);
      if (chunk !== null) {
        // A position would be of no use: nobody can go back to it.
        this.#kept.push({ ...chunk, position: null });
        return this.#kept.at(-1)!;
      }
      if (!this.#fill()) return null;
    }
  }

  /** Lets go of everything before record `offset`. */
  release(offset: number): void {
    this.#kept = this.#kept.filter(({ nextOffset }) => nextOffset > offset);
  }

  /** Stops reading; the other end of the pipe notices. */
  close(): void {
    this.#stream.destroy();
  }

  #fill(): boolean {
    const part = this.#stream.read() as Uint8Array | null;
    if (part !== null) {
      this.#buffer.space(part.length).set(part);
      this.#buffer.add(part.length, false);
      return true;
    }
    if (this.#failure !== null) {
      const why = `Cannot read ${NAME} to its end: ${this.#failure.message} (way out: read from a file)`;
      throw new HaltError('SOURCE_UNAVAILABLE', why, { cause: this.#failure });
    }
    if (!this.#inputEnded || this.#ended) return false;
    this.#buffer.space(0);
    this.#buffer.add(0, true);
    this.#ended = true;
    return true;
  }

  #again(offset: number): RecordChunk {
    const kept = this.#kept.find((chunk) => chunk.from <= offset && offset < chunk.nextOffset);
    if (kept !== undefined) return kept;
    throw new HaltError(
      'SOURCE_CHANGED',
      `Cannot go back to record ${offset} of ${NAME}: it can be read only once (way out: read from a file)`,
    );
  }

  #notice(): void {
    this.#hasNews = true;
    this.#wake();
  }
}
