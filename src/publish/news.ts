import type { BatchEntry } from '../ledger/partition-entry.ts';
import type { LogHead, PartitionLogs, VerifiedEntry } from '../ledger/partition-log.ts';
import type { Layout } from '../ledger/layout.ts';
import type { HeadLine } from '../ledger/snapshot.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';

/** A batch that no snapshot has covered yet. */
export interface NewBatch {
  readonly log: LogId;
  readonly entry: BatchEntry;
  readonly digest: string;
}

/** What is new in the partition logs beyond the heads of a snapshot. */
export interface News {
  readonly batches: readonly NewBatch[];
  /** New head of every log that moved. */
  readonly heads: readonly LogHead[];
}

const LIST_PAGE = 1_000;

/**
 * Finds what was committed since a snapshot. One listing of the head hints tells which logs may have moved; hints are
 * only hints, so every log is looked at now and then whatever they say.
 */
export class NewsFinder {
  readonly #store: ObjectStore;
  readonly #layout: Layout;
  readonly #logs: PartitionLogs;
  readonly #clock: Clock;
  readonly #fullWalkIntervalMs: number;
  /** Tag of each hint when its log was last read to the end. */
  #seen = new Map<string, string>();
  #known = new Map<string, LogId>();
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

  /** @throws IntegrityError, UnavailableError */
  async since(heads: ReadonlyMap<string, HeadLine>): Promise<News> {
    const now = this.#clock.monotonic();
    const full = this.#lastFullWalkMs === null || now - this.#lastFullWalkMs >= this.#fullWalkIntervalMs;
    const tags = await this.#hintTags();
    const changed = [...tags].filter(([key, tag]) => this.#seen.get(key) !== tag).map(([key]) => key);
    if (full || changed.some((key) => !this.#known.has(key))) await this.#learnLogs();
    const logs = full ? [...this.#known.values()] : changed.flatMap((key) => this.#known.get(key) ?? []);
    const news = await this.#read(logs, heads);
    this.#seen = tags;
    if (full) this.#lastFullWalkMs = now;
    return news;
  }

  /** Looks at every log again next time: called when what was found could not be published. */
  forget(): void {
    this.#seen = new Map();
    this.#lastFullWalkMs = null;
  }

  async #hintTags(): Promise<Map<string, string>> {
    const tags = new Map<string, string>();
    const prefix = this.#layout.headHints();
    for (let after: string | null = ''; after !== null;) {
      const page = await this.#store.list(prefix, { limit: LIST_PAGE, ...(after === '' ? {} : { startAfter: after }) });
      for (const { key, tag } of page.objects) tags.set(key, tag);
      after = page.next;
    }
    return tags;
  }

  async #learnLogs(): Promise<void> {
    for await (const log of this.#logs.list()) this.#known.set(this.#layout.headHint(log), log);
  }

  async #read(logs: readonly LogId[], heads: ReadonlyMap<string, HeadLine>): Promise<News> {
    const batches: NewBatch[] = [];
    const moved: LogHead[] = [];
    for (const log of logs) {
      const covered = heads.get(formatLogId(log));
      let head = covered === undefined ? null : await this.#logs.headAt(log, covered.slot);
      const before = head;
      for await (const step of this.#logs.walk(log, head)) {
        head = step.head;
        const batch = asBatch(step.verified);
        if (batch !== null) batches.push({ log, entry: batch, digest: step.verified.digest });
      }
      if (head !== null && head !== before) moved.push(head);
    }
    return { batches, heads: moved };
  }
}

function asBatch({ entry }: VerifiedEntry): BatchEntry | null {
  return entry.kind === 'batch' ? entry : null;
}
