import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';

import { IntegrityError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { sha256Hex } from '../record/sha256.ts';
import { BYTES_MAX, type Layout } from './layout.ts';
import { recordOf } from './named-records.ts';
import { getVerified, parseJson, putContent } from './objects.ts';
import { Recent } from './recent.ts';
import {
  EMPTY_SEQUENCE,
  compareKeys,
  keyOf,
  linesOf,
  updateSequence,
  type PageRef,
  type Sequence,
  type SequenceChange,
  type SequenceKey,
} from './sequence.ts';
import { Count, Sha256 } from './stored-types.ts';

const SequenceSchema = Type.Object(
  {
    count: Count,
    root: Sha256,
    pages: Type.Array(
      Type.Object(
        { sha256: Sha256, count: Count, root: Sha256, last: Type.Tuple([Type.String(), Count]) },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
const SnapshotSchema = Type.Object(
  {
    version: Type.Literal(1),
    pipeline: Type.String(),
    parent: Type.Union([Sha256, Type.Null()]),
    /** Newest control entry whose decisions are in here. */
    controlSeq: Type.Integer({ minimum: -1 }),
    /** Baselines in force by topic when this was published. */
    baselines: Type.Record(Type.String(), Sha256),
    records: Count,
    bytes: Count,
    batches: SequenceSchema,
    held: SequenceSchema,
    heads: SequenceSchema,
  },
  { additionalProperties: false },
);
const compiled = Compile(SnapshotSchema);

/** Bytes of snapshots and pages that are kept: whoever looks again, every few seconds, finds most of them unchanged. */
const KEPT_BYTES_MAX = 16 * 1_024 * 1_024;

/** An immutable version of the dataset: which batches are in it, which are held, and how far each log had been read. */
export type Snapshot = Static<typeof SnapshotSchema>;

/** A batch of the dataset, or a held one. */
export interface BatchLine {
  /** Log path as {@link formatLogId} prints it. */
  readonly log: string;
  readonly start: number;
  readonly end: number;
  readonly slot: number;
  readonly epoch: number;
  /** Digest of the batch's entry. */
  readonly digest: string;
  readonly records: number;
  /** Decoded records: rows of the data file. */
  readonly rows: number;
  /** The data file; null when no record decoded. */
  readonly data: { readonly sha256: string; readonly bytes: number } | null;
  /** `clean`, `suspect`, an undecided reason, `released`, or `condemned`. */
  readonly standing: Standing;
}

const STANDINGS = ['clean', 'suspect', 'no-baseline', 'small', 'failed', 'released', 'condemned'] as const;
/** Why a batch is where it is: its verdict, or the decision that overrode it. */
export type Standing = (typeof STANDINGS)[number];

/** How far a partition log is covered by a snapshot. */
export interface HeadLine {
  readonly log: string;
  readonly slot: number;
  readonly digest: string;
  readonly next: number;
}

/** The snapshot before the first one. */
export function emptySnapshot(pipeline: string): Snapshot {
  const empty = EMPTY_SEQUENCE as Snapshot['batches'];
  return {
    version: 1,
    pipeline,
    parent: null,
    controlSeq: -1,
    baselines: recordOf([]),
    records: 0,
    bytes: 0,
    batches: empty,
    held: empty,
    heads: empty,
  };
}

/** The line of a batch in a page. */
export function formatBatchLine(batch: BatchLine): string {
  const { log, start, end, slot, epoch, digest, records, rows, data, standing } = batch;
  return JSON.stringify([
    log,
    start,
    end,
    slot,
    epoch,
    digest,
    records,
    rows,
    data?.sha256 ?? null,
    data?.bytes ?? 0,
    standing,
  ]);
}

/** Inverse of {@link formatBatchLine}. Trust: lines come from pages whose digest was checked. */
export function parseBatchLine(line: string): BatchLine {
  const [log, start, end, slot, epoch, digest, records, rows, sha256, bytes, standing] = JSON.parse(line) as [
    string,
    number,
    number,
    number,
    number,
    string,
    number,
    number,
    string | null,
    number,
    Standing,
  ];
  return {
    log,
    start,
    end,
    slot,
    epoch,
    digest,
    records,
    rows,
    data: sha256 === null ? null : { sha256, bytes },
    standing,
  };
}

/** The line of a log's head in a page. */
export function formatHeadLine({ log, slot, digest, next }: HeadLine): string {
  return JSON.stringify([log, 0, slot, digest, next]);
}

/** Inverse of {@link formatHeadLine}. */
export function parseHeadLine(line: string): HeadLine {
  const [log, , slot, digest, next] = JSON.parse(line) as [string, 0, number, string, number];
  return { log, slot, digest, next };
}

/** The exact bytes of a snapshot. */
export function encodeSnapshot(snapshot: Snapshot): Buffer {
  return Buffer.from(JSON.stringify(snapshot), 'utf8');
}

/** Inverse of {@link encodeSnapshot}; the caller has checked the digest. @throws IntegrityError PAYLOAD_INVALID */
export function parseSnapshot(bytes: Uint8Array, object: string): Snapshot {
  const value = parseJson(bytes, object);
  if (!compiled.Check(value))
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": it is not a snapshot`);
  return { ...value, baselines: recordOf(Object.entries(value.baselines)) };
}

/**
 * Reads and writes snapshots and their pages; everything read is checked against the digest that named it. What was read
 * last is kept, so that an object which disappears later is missed only by those who have not read it.
 */
export class Snapshots {
  readonly #store: ObjectStore;
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #kept = new Recent<Buffer>(KEPT_BYTES_MAX);

  constructor(store: ObjectStore, layout: Layout, clock: Clock) {
    this.#store = store;
    this.#layout = layout;
    this.#clock = clock;
  }

  /** @throws IntegrityError, UnavailableError */
  async read(sha256: string): Promise<Snapshot> {
    const key = this.#layout.snapshot(sha256);
    return parseSnapshot(await this.#read(key, sha256, BYTES_MAX.snapshot), key);
  }

  /** Stores a snapshot; returns its digest. The pages must be stored already. @throws RequestError SIZE_EXCEEDED; UnavailableError when stopped */
  async write(snapshot: Snapshot, signal: AbortSignal): Promise<string> {
    const bytes = encodeSnapshot(snapshot);
    const sha256 = sha256Hex(bytes);
    const key = this.#layout.snapshot(sha256);
    await putContent(this.#store, key, bytes, this.#clock, signal);
    return sha256;
  }

  /** Lines of a sequence in order, page by page. */
  async *lines(sequence: Sequence): AsyncGenerator<string> {
    for (const page of sequence.pages) yield* linesOf(await this.#page(page));
  }

  /** The batches or held batches of a snapshot, in order. */
  async *batches({ pages }: Sequence): AsyncGenerator<BatchLine> {
    for (const page of pages) yield* await this.page(page);
  }

  /** The batches or held batches in one page. */
  async page(page: PageRef): Promise<BatchLine[]> {
    return linesOf(await this.#page(page)).map((line) => parseBatchLine(line));
  }

  /** The batch or held batch with this key; null if it is not in the sequence. Cost: one page. */
  async find(sequence: Sequence, key: SequenceKey): Promise<BatchLine | null> {
    const page = sequence.pages.find(({ last }) => compareKeys(key, last) <= 0);
    if (page === undefined) return null;
    const line = linesOf(await this.#page(page)).find((each) => compareKeys(keyOf(each), key) === 0);
    return line === undefined ? null : parseBatchLine(line);
  }

  /** How far each log is covered. */
  async heads(sequence: Sequence): Promise<Map<string, HeadLine>> {
    const heads = new Map<string, HeadLine>();
    for await (const line of this.lines(sequence)) {
      const head = parseHeadLine(line);
      heads.set(head.log, head);
    }
    return heads;
  }

  /** Applies changes to a sequence and stores the pages that are new. @throws RequestError SIZE_EXCEEDED; UnavailableError when stopped */
  async update(sequence: Sequence, changes: readonly SequenceChange[], signal: AbortSignal): Promise<Sequence> {
    if (changes.length === 0) return sequence;
    const updated = await updateSequence(sequence, changes, (page) => this.#page(page));
    for (const [sha256, bytes] of updated.pages)
      await putContent(this.#store, this.#layout.page(sha256), bytes, this.#clock, signal);
    return updated.sequence;
  }

  #page({ sha256 }: PageRef): Promise<Buffer> {
    return this.#read(this.#layout.page(sha256), sha256, BYTES_MAX.page);
  }

  async #read(key: string, sha256: string, bytesMax: number): Promise<Buffer> {
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const bytes = await getVerified(this.#store, key, sha256, bytesMax);
    this.#kept.set(key, bytes, bytes.length);
    return bytes;
  }
}
