import { HaltError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Assignment, PartitionBounds, ReadRequest, ReadResult, RecordSource } from '../../ports/record-source.ts';
import type { SourcePosition } from '../../record/chunk.ts';
import type { LogId } from '../../record/log-id.ts';
import { FileReader, type FileFormatName } from './file-reader.ts';
import { findFiles, type SourceFile } from './find-files.ts';

export interface FileSourceOptions {
  /** Name of the stream that the files make up. */
  readonly topic: string;
  /** Files, folders, globs, or `-`. */
  readonly paths: readonly string[];
  /** Folder that relative paths start from. */
  readonly base: string;
  readonly format: FileFormatName;
  /** Read to the end of what is there; otherwise wait for files to grow and for new ones. */
  readonly once: boolean;
  readonly clock: Clock;
  /** Partition id of standard input; new for every run. */
  readonly stdinId: string;
}

const RESCAN_MS = 2_000;
/** Files read side by side: one, so that batches follow in the order of the files, as time-ordered data wants. */
const FILES_AT_ONCE = 1;

/** Files as partitions: the id is the relative path, the offset is the number of the record, lines come in order. */
export class FileSource implements RecordSource {
  readonly cluster = 'file';
  readonly #o: FileSourceOptions;
  readonly #files = new Map<string, SourceFile>();
  readonly #readers = new Map<string, FileReader>();
  #assignment: Assignment | null = null;
  #scannedAtMs = 0;

  constructor(options: FileSourceOptions) {
    this.#o = options;
  }

  async join(): Promise<void> {
    await this.#scan();
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

  async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal): Promise<readonly ReadResult[]> {
    if (!this.#o.once && this.#o.clock.monotonic() - this.#scannedAtMs >= RESCAN_MS) await this.#scan();
    const results: ReadResult[] = [];
    const inOrder = [...requests].sort((a, b) => (a.log.partition < b.log.partition ? -1 : 1));
    let read = 0;
    for (const request of inOrder) {
      const result = await this.#readOne(request);
      results.push(result);
      if (result.kind === 'records' && ++read >= FILES_AT_ONCE) return results;
    }
    if (read === 0 && results.every((result) => result.kind === 'drained' && !result.ended))
      await this.#o.clock.sleep(waitMs, signal);
    return results;
  }

  async restore(log: LogId, offset: number, position: SourcePosition | null): Promise<void> {
    const file = this.#files.get(log.partition);
    if (file === undefined) return;
    const known = this.#readers.get(log.partition);
    if (file.path !== null) {
      await known?.close();
      this.#readers.set(
        log.partition,
        await FileReader.open(file.path, this.#o.format, this.#o.once, offset, position),
      );
    } else if (known === undefined) {
      this.#readers.set(log.partition, await FileReader.openStdin(this.#o.format));
    } else if (known.offset !== offset) {
      throw new HaltError(
        'SOURCE_CHANGED',
        `Cannot go back to record ${offset} of standard input: it can be read only once (way out: read from a file)`,
      );
    }
  }

  /** Files remember nothing: the ledger's own entry holds the position and the digest of what came before. */
  async witness(): Promise<null> {
    return null;
  }

  async commit(): Promise<void> {}

  label({ partition }: LogId): string {
    return partition;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of this.#readers.values()) await reader.close();
    this.#readers.clear();
  }

  async #readOne({ log, recordsMax }: ReadRequest): Promise<ReadResult> {
    const reader = this.#readers.get(log.partition);
    if (reader === undefined) return { kind: 'drained', log, ended: true };
    try {
      const chunk = await reader.read(recordsMax);
      return chunk === null ? { kind: 'drained', log, ended: reader.ended } : { kind: 'records', log, chunk };
    } catch (error) {
      if (error instanceof HaltError) return { kind: 'halt', log, error };
      throw error;
    }
  }

  /** Finds files; new ones join the assignment, and those that were there stay ours. */
  async #scan(): Promise<void> {
    this.#scannedAtMs = this.#o.clock.monotonic();
    const found = await findFiles(this.#o.paths, this.#o.base, this.#o.stdinId);
    const fresh = found.filter(({ id }) => !this.#files.has(id));
    for (const file of fresh) this.#files.set(file.id, file);
    if (this.#assignment !== null && fresh.length === 0) return;
    const logs = [...this.#files.keys()]
      .sort()
      .map((partition) => ({ cluster: this.cluster, topic: this.#o.topic, partition }));
    this.#assignment = { token: (this.#assignment?.token ?? 0) + 1, logs, retained: true };
  }
}
