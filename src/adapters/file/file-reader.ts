import { constants, type Stats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import { HeadgateError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { UnreadEnd } from '../../ports/record-source.ts';
import type { RecordChunk, SourcePosition } from '../../record/chunk.ts';
import { assertPrefix, readBytes, restoreStanding } from './file-prefix.ts';
import { fileTrouble, isMissing, refusalOf } from './file-trouble.ts';
import { LastLine } from './last-line.ts';
import { whyOwn, type OwnPlaces } from './own-places.ts';
import { RecordBuffer, sourceChanged, standingAtStart, type FileLayout, type Standing } from './record-buffer.ts';

/** How one file is read. */
export interface FileReaderOptions {
  readonly path: string;
  readonly layout: FileLayout;
  /** What is not read, wherever links lead by the time the file is opened. */
  readonly own: OwnPlaces;
  /**
   * Read the bytes that are there at the first look, and the rest of the record that they end in; a last line without a
   * line break is a record if it is whole, and left otherwise. When false, such a line waits for its line break.
   */
  readonly once: boolean;
  readonly clock: Clock;
  /** Bytes of one read, at least 1. */
  readonly readBytes: number;
}

/** What is wanted next. */
export interface RecordRequest {
  readonly offset: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
}

/** Bytes before the position that are compared when a file has grown. */
const EDGE_BYTES = 256;
/** Opening must not wait for the other end of a pipe that has taken a file's place. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Reads one file in order, a chunk at a time, from any record that was not committed yet. The file is open only while
 * there is something to read: when there is not, and after {@link rest}, nothing but the position is kept.
 *
 * A file that was read may only grow. All that was read is compared when the file is opened for the first time, when it
 * was replaced, and when it was touched without growing; after growth only the last bytes are, so that following a file
 * costs what it grows by. An edit further up is found by the next process at the latest.
 * Trust: the file's bytes are hostile; its owner may change it at any time.
 */
export class FileReader {
  readonly #o: FileReaderOptions;
  #file: FileHandle | null = null;
  /** The file as it was when it was last looked at. */
  #seen: Stats | null = null;
  /** What an earlier process committed, until it was compared. */
  #committed: { readonly offset: number; readonly position: SourcePosition } | null = null;
  /** Where this reader began: it can go back to there. */
  #origin: Standing = standingAtStart();
  #buffer: RecordBuffer;
  /** The last bytes of what was read when the file had no more. */
  #edge: { readonly at: number; readonly bytes: Buffer } = { at: 0, bytes: Buffer.alloc(0) };
  /** One pass: bytes that were there at the first look. */
  #endByte: number | null = null;
  #ended = false;
  /** One pass: what is left for the next one. */
  #unread: UnreadEnd | null = null;
  readonly #lastLine: LastLine;

  private constructor(options: FileReaderOptions) {
    this.#o = options;
    this.#lastLine = new LastLine(options.layout, options.clock);
    this.#buffer = this.#newBuffer(this.#origin);
  }

  /**
   * A reader that goes on where an earlier process left off.
   * @param offset first record that was not committed. @param position behind the record before; null: not known, or 0.
   * @throws HaltError SOURCE_CHANGED when the bytes before `position` are not those that were ingested; HaltError or
   * UnavailableError SOURCE_UNAVAILABLE
   */
  static async open(options: FileReaderOptions, offset: number, position: SourcePosition | null): Promise<FileReader> {
    const reader = new FileReader(options);
    if (position === null) return reader;
    reader.#committed = { offset, position };
    await reader.#open();
    await reader.rest();
    return reader;
  }

  /** Number of the next record. */
  get offset(): number {
    return this.#buffer.offset;
  }

  /** True when everything is handed out and nothing will follow. */
  get ended(): boolean {
    return this.#ended && this.#buffer.isEmpty;
  }

  /** What a one-pass reader that has ended left at the end of the file; null for nothing. */
  get unread(): UnreadEnd | null {
    return this.#unread;
  }

  /** True when no more is known to follow what was handed out. */
  get isSpent(): boolean {
    const { isEmpty, complete, end } = this.#buffer;
    return this.#ended ? isEmpty : isEmpty && this.#seen !== null && (this.#o.once ? complete : end) >= this.#seen.size;
  }

  /**
   * Next chunk from record `offset` on, which was not committed; null when there is none now.
   * @throws HaltError SOURCE_CHANGED, SIZE_EXCEEDED, SOURCE_UNAVAILABLE; UnavailableError
   */
  async read({ offset, recordsMax, bytesMax }: RecordRequest): Promise<RecordChunk | null> {
    if (this.#committed !== null && (await this.#open()) === null) return null;
    try {
      if (offset !== this.#buffer.offset) await this.#seek(offset);
      for (;;) {
        const chunk = this.#buffer.take(recordsMax, bytesMax);
        if (chunk !== null) return chunk;
        if (!(await this.#fill())) break;
      }
    } catch (error) {
      await this.rest();
      throw error;
    }
    await this.rest();
    return null;
  }

  /** Looks whether the file has changed since the last read found nothing new. */
  async hasChanged(): Promise<boolean> {
    const seen = this.#seen;
    if (this.#file !== null || seen === null) return true;
    const now = await stat(this.#o.path).catch((cause: unknown) => (isMissing(cause) ? seen : null));
    return now === null || !isSameFile(now, seen) || !isUntouched(now, seen);
  }

  /** Closes the file and forgets what was read ahead. */
  async rest(): Promise<void> {
    this.#buffer = this.#newBuffer(this.#buffer.standing);
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  /** Reads more; false when nothing new is there. */
  async #fill(): Promise<boolean> {
    if (this.#ended) return false;
    const file = this.#file ?? (await this.#open());
    if (file === null) return false;
    this.#ended = this.#endByte !== null && this.#buffer.complete >= this.#endByte;
    return !this.#ended && this.#mapped(this.#readMore(file));
  }

  async #readMore(file: FileHandle): Promise<boolean> {
    const left = await this.#bytesLeft(file);
    if (left > 0) {
      const space = this.#buffer.space(Math.min(left, this.#o.readBytes));
      const { bytesRead } = await file.read(space, 0, space.length, this.#buffer.end);
      if (bytesRead > 0) {
        this.#buffer.add(bytesRead, false);
        return true;
      }
      await this.#bytesLeft(file, true);
    }
    if (!this.#o.once) {
      await this.#rememberEdge(file);
      return false;
    }
    const decision = this.#lastLine.decide(this.#buffer, this.#seen!);
    if (decision === 'wait') return false;
    this.#ended = true;
    if (decision === 'leave') {
      this.#unread = { byte: this.#buffer.complete, bytes: this.#buffer.rest.length };
      return false;
    }
    this.#buffer.space(0);
    this.#buffer.add(0, true);
    return true;
  }

  /** Bytes between the buffer's end and the file's. @throws HaltError SOURCE_CHANGED when the file became shorter */
  async #bytesLeft(file: FileHandle, afresh = false): Promise<number> {
    const { end, settled } = this.#buffer;
    if (afresh || this.#seen!.size <= end) this.#seen = await file.stat();
    return this.#assertReaches(this.#seen!, Math.max(end, settled)) - end;
  }

  #assertReaches({ size }: Stats, byte: number): number {
    if (size < byte) throw sourceChanged(this.#o.path, `it now ends at byte ${size}, it was read up to byte ${byte}`);
    return size;
  }

  /** Opens the file and compares what is known of it; null if it is gone and may come back. */
  async #open(): Promise<FileHandle | null> {
    const { path, once } = this.#o;
    const file = await open(path, OPEN_FLAGS).catch((cause: unknown) => {
      if (isMissing(cause) && !once) return null;
      throw fileTrouble(path, cause, once);
    });
    if (file === null) return null;
    try {
      await this.#mapped(this.#adopt(file));
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#file = file;
    return file;
  }

  async #adopt(file: FileHandle): Promise<void> {
    const { path, own, once } = this.#o;
    const now = await file.stat();
    if (!now.isFile()) throw fileTrouble(path, { code: now.isDirectory() ? 'EISDIR' : 'ENXIO' }, once);
    const place = await own.placeOfOpen(path, now);
    if (place !== null) throw refusalOf(path, whyOwn(place));
    if (this.#committed === null) await this.#compare(file, now);
    else {
      const { offset, position } = this.#committed;
      this.#origin = await restoreStanding(file, path, this.#o.layout, offset, position);
      this.#buffer = this.#newBuffer(this.#origin);
      this.#committed = null;
    }
    this.#seen = now;
    if (once) this.#endByte ??= now.size;
  }

  /** Compares the file with what this reader read of it. @throws HaltError SOURCE_CHANGED */
  async #compare(file: FileHandle, now: Stats): Promise<void> {
    const seen = this.#seen;
    this.#assertReaches(now, this.#buffer.settled);
    if (seen === null || (isSameFile(now, seen) && isUntouched(now, seen))) return;
    if (isSameFile(now, seen) && now.size > seen.size) {
      const { at, bytes } = this.#edge;
      if (!(await readBytes(file, at, bytes.length)).equals(bytes))
        throw sourceChanged(this.#o.path, `its bytes ${at} to ${at + bytes.length} are not those that were read`);
      return;
    }
    const { byte, hash } = this.#buffer.standing;
    await assertPrefix(file, this.#o.path, { byte, prefixSha256: hash.digest('hex') });
  }

  async #rememberEdge(file: FileHandle): Promise<void> {
    const at = Math.max(0, this.#buffer.settled - EDGE_BYTES);
    this.#edge = { at, bytes: await readBytes(file, at, this.#buffer.settled - at) };
  }

  /** Goes to the record `offset`: back, for a caller who lost what it was given, or on. */
  async #seek(offset: number): Promise<void> {
    if (this.#buffer.seek(offset)) return;
    if (offset < this.#origin.offset)
      throw new RangeError(`Cannot read "${this.#o.path}" from record ${offset}: ${this.#origin.offset} was restored`);
    if (offset < this.#buffer.offset) {
      this.#buffer = this.#newBuffer(this.#origin);
      this.#ended = false;
    }
    while (!this.#buffer.seek(offset)) {
      this.#buffer.passAll();
      if (!(await this.#fill()))
        throw sourceChanged(
          this.#o.path,
          `it now ends at record ${this.#buffer.offset}, it was read up to record ${offset}`,
        );
    }
  }

  #newBuffer(standing: Standing): RecordBuffer {
    return new RecordBuffer(this.#o.path, this.#o.layout, standing);
  }

  async #mapped<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw error instanceof HeadgateError || error instanceof RangeError
        ? error
        : fileTrouble(this.#o.path, error, this.#o.once);
    }
  }
}

function isSameFile(a: Stats, b: Stats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

function isUntouched(a: Stats, b: Stats): boolean {
  return a.size === b.size && a.mtimeMs === b.mtimeMs;
}
