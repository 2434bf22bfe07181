import { IntegrityError, type ErrorCode } from '../errors.ts';
import type { Layout } from '../ledger/layout.ts';
import { pagesOf } from '../ledger/listing.ts';
import type { LogHead } from '../ledger/log-head.ts';
import type { LoggedBatch, PartitionLogs } from '../ledger/partition-log.ts';
import type { HeadLine } from '../ledger/snapshot.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { formatLogId, parseLogId, type LogId } from '../record/log-id.ts';

/** A batch that no snapshot has covered yet. */
export type NewBatch = LoggedBatch;

/** A log that is left where a snapshot has it, because what was signed of it cannot be read any more. */
export interface DamagedLog {
  /** As {@link formatLogId} prints it; where only an object is known, and the log's name is long, the path of its folder. */
  readonly log: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** What is new in the partition logs beyond the heads of a snapshot. */
export interface News {
  readonly batches: readonly NewBatch[];
  /** New head of every log that moved. */
  readonly heads: readonly LogHead[];
  /** Logs of which nothing is told here, by the keys of their hints: each until it is read again without fault. */
  readonly damaged: ReadonlyMap<string, DamagedLog>;
}

/**
 * Finds what was committed since a snapshot. One listing of the head hints tells which logs may have moved; hints are
 * only hints, so every log is looked at now and then whatever they say. A damaged log keeps nothing of another one back.
 */
export class NewsFinder {
  readonly #store: ObjectStore;
  readonly #layout: Layout;
  readonly #logs: PartitionLogs;
  readonly #clock: Clock;
  readonly #fullWalkIntervalMs: number;
  /** Tag of each hint when its log was last read to the end. */
  #seen = new Map<string, string>();
  /** By the key of the hint. */
  #known = new Map<string, LogId>();
  /** By the key of the hint that the log has or would have. */
  readonly #damaged = new Map<string, DamagedLog>();
  #lastFullWalkMs: number | null = null;

  constructor(options: {
    store: ObjectStore;
    layout: Layout;
    logs: PartitionLogs;
    clock: Clock;
    fullWalkIntervalMs: number;
  }) {
    this.#store = options.store;
    this.#layout = options.layout;
    this.#logs = options.logs;
    this.#clock = options.clock;
    this.#fullWalkIntervalMs = options.fullWalkIntervalMs;
  }

  /** @throws UnavailableError */
  async since(heads: ReadonlyMap<string, HeadLine>): Promise<News> {
    const now = this.#clock.monotonic();
    const full = this.#lastFullWalkMs === null || now - this.#lastFullWalkMs >= this.#fullWalkIntervalMs;
    const tags = await this.#hintTags();
    if (full) this.#damaged.clear();
    const changed = [...tags].filter(([key, tag]) => this.#seen.get(key) !== tag).map(([key]) => key);
    if (full || changed.some((key) => !this.#known.has(key))) await this.#learnLogs(heads);
    const logs = full ? [...this.#known.values()] : changed.flatMap((key) => this.#known.get(key) ?? []);
    if (full) this.#missLogs(heads);
    const news = await this.#read(logs, heads);
    this.#seen = tags;
    if (full) this.#lastFullWalkMs = now;
    return news;
  }

  /**
   * Looks at every log again next time: called when what was found could not be published, or when the snapshot went back
   * and what its heads no longer cover is news again.
   */
  forget(): void {
    this.#seen = new Map();
    this.#lastFullWalkMs = null;
  }

  async #hintTags(): Promise<Map<string, string>> {
    const tags = new Map<string, string>();
    for await (const objects of pagesOf(this.#store, this.#layout.headHints()))
      for (const { key, tag } of objects) tags.set(key, tag);
    return tags;
  }

  /**
   * Learns which logs there are. What cannot be read where one begins is damage only if a log was ever there: if the snapshot
   * covers it, or anything that was signed lies behind. A stray object is no log, and nothing that anyone is owed: verify names it.
   */
  async #learnLogs(heads: ReadonlyMap<string, HeadLine>): Promise<void> {
    const covered = new Map<string, LogId>();
    for (const log of [...heads.keys()].flatMap((name) => parseLogId(name) ?? []))
      covered.set(this.#layout.headHint(log), log);
    const faults = new Map<string, IntegrityError>();
    this.#known = new Map();
    for await (const key of this.#logs.firstKeys()) {
      const hint = this.#layout.headHintOf(key);
      if (hint === null || this.#known.has(hint)) continue;
      try {
        const log = await this.#logs.logAt(key);
        if (log !== null) this.#known.set(hint, log);
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        faults.set(hint, error);
      }
    }
    for (const [hint, fault] of faults) {
      if (this.#known.has(hint)) continue;
      // Where too much lies there to tell, it passes for a log that cannot be read.
      const path = hint.slice(this.#layout.headHints().length);
      await this.#orDamaged(hint, path, async () => {
        const log = covered.get(hint) ?? (await this.#logs.logBelow(this.#layout.logOfHint(hint)));
        if (log !== null) this.#note(hint, formatLogId(log), fault);
      });
    }
  }

  /** Notes logs as damaged of which nothing is left. */
  #missLogs(heads: ReadonlyMap<string, HeadLine>): void {
    for (const name of heads.keys()) {
      const log = parseLogId(name);
      const hint = log === undefined ? null : this.#layout.headHint(log);
      if (hint === null || this.#known.has(hint) || this.#damaged.has(hint)) continue;
      const message = `Cannot read log "${name}": nothing of it is left, although the snapshot covers it`;
      this.#damaged.set(hint, { log: name, code: 'SLOT_MISSING', message });
    }
  }

  async #read(logs: readonly LogId[], heads: ReadonlyMap<string, HeadLine>): Promise<News> {
    const batches: NewBatch[] = [];
    const moved: LogHead[] = [];
    for (const log of logs) {
      const name = formatLogId(log);
      const hint = this.#layout.headHint(log);
      await this.#orDamaged(hint, name, async () => {
        const found: NewBatch[] = [];
        let newest: LogHead | null = null;
        for await (const { verified, head } of this.#logs.walkSince(log, heads.get(name))) {
          const { entry, digest } = verified;
          newest = head;
          if (entry.kind === 'batch') found.push({ log, entry, digest });
        }
        for (const batch of found) batches.push(batch);
        if (newest !== null) moved.push(newest);
        this.#damaged.delete(hint);
      });
    }
    return { batches, heads: moved, damaged: new Map(this.#damaged) };
  }

  /** Notes the log as damaged where `read` finds it so. @throws what it throws but IntegrityError */
  async #orDamaged(hint: string, log: string, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#note(hint, log, error);
    }
  }

  #note(hint: string, log: string, { code, message }: IntegrityError): void {
    this.#damaged.set(hint, { log, code, message });
  }
}
