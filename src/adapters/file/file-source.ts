import type { Readable } from 'node:stream';

import { ConfigError, HaltError, UnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Assignment, PartitionBounds, ReadRequest, ReadResult, RecordSource } from '../../ports/record-source.ts';
import { waitForAny } from '../../ports/wait.ts';
import type { SourcePosition } from '../../record/chunk.ts';
import type { CsvDelimiter } from '../../record/csv.ts';
import type { LogId } from '../../record/log-id.ts';
import { FileReader } from './file-reader.ts';
import { refusalOf } from './file-trouble.ts';
import { FileFinder, type FoundFiles } from './find-files.ts';
import { OWN_NOTHING, OwnPlaces, type NotData } from './own-places.ts';
import { PipeReader } from './pipe-reader.ts';
import { RECORD_BYTES_MAX, type FileFormatName, type FileLayout } from './record-buffer.ts';

/** What the files are and how they are read. */
export interface FileSourceOptions {
  /** Name of the stream that the files make up. */
  readonly topic: string;
  /** Files, folders, globs, or `-`. */
  readonly paths: readonly string[];
  /** Folder that relative paths start from. */
  readonly base: string;
  readonly format: FileFormatName;
  /** CSV only; by default a comma. */
  readonly delimiter?: CsvDelimiter;
  /** Read to the end of what is there; otherwise wait for files to grow and for new ones. */
  readonly once: boolean;
  readonly clock: Clock;
  /** Partition id of standard input; new for every run. */
  readonly stdinId: string;
  /** Opens standard input; asked at most once, and only if `-` is among the paths. */
  readonly openStdin: () => Readable;
  /** What must not be read though the paths lead there; by default nothing. */
  readonly own?: NotData;
  /** Held for as long as the source is open. */
  readonly lock?: AsyncDisposable | null;
  /** Bytes of one read; by default 1 MiB. */
  readonly readBytes?: number;
  /** Largest record, in bytes; by default RECORD_BYTES_MAX. */
  readonly recordBytesMax?: number;
}

/** Pause between looks for new files, and for more in those that had no more. */
const RESCAN_MS = 2_000;
const READ_BYTES = 1_048_576;
/** One poll goes on to the next file while it has read less than this. */
const POLL_BYTES = 1_048_576;
const LOOKS_AT_ONCE = 64;
/** Files that are open at the same time. */
const OPEN_FILES_MAX = 64;

/** One file while it is ours. */
interface FileState {
  readonly path: string | null;
  reader: FileReader | PipeReader | null;
  /** It had no more at the last look. */
  isIdle: boolean;
  /** Why nothing of it can be read. */
  readonly refusal: HaltError | null;
}

/**
 * Files as partitions: the id is the relative path, the offset is the number of the record, lines come in order. Files
 * are read one after another in the order of their ids, so that time-ordered data stay so.
 * Trust: names and bytes are hostile; whoever owns a file may change it at any time.
 */
export class FileSource implements RecordSource {
  readonly cluster = 'file';
  readonly #o: FileSourceOptions;
  readonly #layout: FileLayout;
  readonly #own: OwnPlaces;
  readonly #finder: FileFinder;
  readonly #files = new Map<string, FileState>();
  /** Readers that may hold a file open, least recently used first. */
  readonly #open = new Set<FileReader>();
  #assignment: Assignment | null = null;
  #scannedAtMs = 0;

  constructor(options: FileSourceOptions) {
    const { format, delimiter = ',', recordBytesMax = RECORD_BYTES_MAX } = options;
    this.#o = options;
    this.#own = new OwnPlaces(options.own ?? OWN_NOTHING);
    this.#finder = new FileFinder(options.paths, options.base, options.stdinId, this.#own);
    this.#layout = { format, delimiter, recordBytesMax };
  }

  /** @throws ConfigError CONFIG_INVALID for paths that name nothing (matrix C2, C3) */
  async join(): Promise<void> {
    const faults = await this.#scan();
    if (faults.length > 0)
      throw new ConfigError('CONFIG_INVALID', 'Cannot read files: some paths cannot be used', faults);
  }

  assignment(): Assignment | null {
    return this.#assignment;
  }

  /** The end of a file is not known before it is read. */
  async bounds(): Promise<PartitionBounds> {
    return { earliest: 0, latest: Number.MAX_SAFE_INTEGER };
  }

  async resolveStart(): Promise<number> {
    return 0;
  }

  async leaderEpochAt(): Promise<null> {
    return null;
  }

  topicId(): null {
    return null;
  }

  async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal): Promise<readonly ReadResult[]> {
    if (await this.#lookAgain()) return [];
    const results: ReadResult[] = [];
    let trouble: UnavailableError | null = null;
    let bytes = 0;
    for (const request of [...requests].sort((a, b) => (a.log.partition < b.log.partition ? -1 : 1))) {
      try {
        const result = await this.#readOne(request);
        results.push(result);
        if (result.kind !== 'records') continue;
        bytes += bytesOf(result.chunk.valueLengths);
        if (bytes >= POLL_BYTES || this.#files.get(request.log.partition)?.reader?.isSpent !== true) return results;
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        // One file's trouble must not keep the others waiting.
        trouble = error;
      }
    }
    if (results.some((result) => result.kind !== 'drained' || result.ended)) return results;
    if (trouble !== null) throw trouble;
    await this.#wait(waitMs, signal);
    return results;
  }

  async restore(log: LogId, offset: number, position: SourcePosition | null): Promise<void> {
    const file = this.#files.get(log.partition);
    // What was handed out of a pipe and not committed is kept: the next poll says from where on it is wanted again.
    if (file === undefined || file.path === null) return;
    await this.#close(file);
    file.reader = await FileReader.open(this.#readerOptions(file.path), offset, position);
    file.isIdle = false;
  }

  /**
   * Files remember nothing: the ledger's own entry holds the position and the digest of what came before.
   * @throws HaltError SOURCE_UNAVAILABLE for what can have no log, before one is begun
   */
  async witness(log: LogId): Promise<null> {
    const refusal = this.#files.get(log.partition)?.refusal ?? null;
    if (refusal !== null) throw refusal;
    return null;
  }

  async commit(log: LogId, offset: number): Promise<void> {
    const reader = this.#files.get(log.partition)?.reader;
    if (reader instanceof PipeReader) reader.release(offset);
  }

  label({ partition }: LogId): string {
    return partition;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#files.values()) await this.#close(file);
    await this.#o.lock?.[Symbol.asyncDispose]();
  }

  async #readOne({ log, ...wanted }: ReadRequest): Promise<ReadResult> {
    const file = this.#files.get(log.partition);
    if (file === undefined) return { kind: 'drained', log, ended: this.#o.once };
    if (file.refusal !== null) return { kind: 'halt', log, error: file.refusal };
    if (file.isIdle && file.reader?.offset === wanted.offset) return { kind: 'drained', log, ended: false };
    try {
      const reader = (file.reader ??= await this.#openReader(file.path));
      if (reader instanceof FileReader) await this.#use(reader);
      const chunk = await reader.read(wanted);
      file.isIdle = !this.#o.once && chunk === null && reader instanceof FileReader;
      if (chunk !== null) return { kind: 'records', log, chunk };
      const unread = reader instanceof FileReader ? reader.unread : null;
      return { kind: 'drained', log, ended: reader.ended, ...(unread === null ? {} : { unread }) };
    } catch (error) {
      if (error instanceof HaltError) return { kind: 'halt', log, error };
      throw error;
    }
  }

  async #openReader(path: string | null): Promise<FileReader | PipeReader> {
    return path === null
      ? new PipeReader(this.#o.openStdin(), this.#layout)
      : FileReader.open(this.#readerOptions(path), 0, null);
  }

  #readerOptions(path: string): Parameters<typeof FileReader.open>[0] {
    const { once, clock, readBytes = READ_BYTES } = this.#o;
    return { path, layout: this.#layout, own: this.#own, once, clock, readBytes };
  }

  /** Marks a reader as used last, and closes the file that was not used for the longest time if too many are open. */
  async #use(reader: FileReader): Promise<void> {
    this.#open.delete(reader);
    this.#open.add(reader);
    if (this.#open.size <= OPEN_FILES_MAX) return;
    const [oldest] = this.#open;
    this.#open.delete(oldest!);
    await oldest!.rest();
  }

  async #close(file: FileState): Promise<void> {
    const { reader } = file;
    file.reader = null;
    if (reader instanceof PipeReader) reader.close();
    if (!(reader instanceof FileReader)) return;
    this.#open.delete(reader);
    await reader.rest();
  }

  /** Waits for time to pass, or for standard input. */
  async #wait(waitMs: number, signal: AbortSignal): Promise<void> {
    const readers = [...this.#files.values()].flatMap(({ reader }) => (reader instanceof PipeReader ? [reader] : []));
    const news = readers.map((reader) => reader.news());
    await waitForAny(this.#o.clock, waitMs, news, signal);
  }

  /** From time to time, looks for new files and for more in those that had no more. @returns true if there are new ones */
  async #lookAgain(): Promise<boolean> {
    if (this.#o.once || this.#o.clock.monotonic() - this.#scannedAtMs < RESCAN_MS) return false;
    const before = this.#assignment;
    await this.#scan();
    const idle = [...this.#files.values()].filter(({ isIdle }) => isIdle);
    for (let at = 0; at < idle.length; at += LOOKS_AT_ONCE)
      await Promise.all(idle.slice(at, at + LOOKS_AT_ONCE).map(lookAt));
    return this.#assignment !== before;
  }

  /** Finds files; new ones join the assignment, and those that were there stay ours. */
  async #scan(): Promise<FoundFiles['faults']> {
    this.#scannedAtMs = this.#o.clock.monotonic();
    const { files, refused, faults } = await this.#finder.find();
    const before = this.#files.size;
    for (const { id, path } of files)
      if (!this.#files.has(id)) this.#files.set(id, { path, reader: null, isIdle: false, refusal: null });
    for (const { id, why } of refused)
      if (!this.#files.has(id))
        this.#files.set(id, { path: null, reader: null, isIdle: false, refusal: refusalOf(id, why) });
    if (this.#assignment !== null && this.#files.size === before) return faults;
    const logs = [...this.#files.keys()]
      .sort()
      .map((partition) => ({ cluster: this.cluster, topic: this.#o.topic, partition }));
    this.#assignment = { token: (this.#assignment?.token ?? 0) + 1, logs, retained: true };
    return faults;
  }
}

async function lookAt(file: FileState): Promise<void> {
  if (file.reader instanceof FileReader) file.isIdle = !(await file.reader.hasChanged());
}

function bytesOf(lengths: Int32Array): number {
  let bytes = 0;
  for (const length of lengths) bytes += length;
  return bytes;
}
