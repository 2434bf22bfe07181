import {
  TIMESTAMP_CREATE,
  TIMESTAMP_NONE,
  type ChunkSpan,
  type RecordChunk,
  type SkipReason,
} from '../../record/chunk.ts';
import { formatLogId, type LogId } from '../../record/log-id.ts';

/** One record to append. */
export interface MemoryRecord {
  readonly value: Uint8Array | null;
  readonly key?: Uint8Array | null;
  /** Milliseconds since 1970 UTC; without it the record has no timestamp. */
  readonly timestamp?: bigint;
}

/** One offset of a partition: a record, or why there is none. */
interface Slot {
  readonly record: MemoryRecord | null;
  readonly skip: SkipReason | null;
  readonly leaderEpoch: number;
}

interface Partition {
  readonly log: LogId;
  readonly topicId: string;
  /** Offset of `slots[0]`. */
  earliest: number;
  slots: Slot[];
  leaderEpoch: number;
}

/** Partitions in memory, shared by all sources of a test or a simulation: what a cluster of brokers would hold. */
export class MemoryBroker {
  readonly cluster: string;
  readonly #partitions = new Map<string, Partition>();
  #made = 0;
  #wake: (() => void)[] = [];

  /** @param cluster as in {@link LogId.cluster}. */
  constructor(cluster = 'memory') {
    this.cluster = cluster;
  }

  /** All partitions, in the order in which they were made. */
  get logs(): readonly LogId[] {
    return [...this.#partitions.values()].map(({ log }) => log);
  }

  /** Makes an empty partition; one that is there already is made anew, under another topic id. */
  create(topic: string, partition: number): LogId {
    const log = { cluster: this.cluster, topic, partition: String(partition) };
    const topicId = `memory-${this.#made++}`;
    this.#partitions.set(formatLogId(log), { log, topicId, earliest: 0, slots: [], leaderEpoch: 0 });
    return log;
  }

  /** Appends records. @throws RangeError for a partition that was not made; as do all below */
  append(log: LogId, records: readonly MemoryRecord[]): void {
    const { slots, leaderEpoch } = this.#partition(log);
    for (const record of records) slots.push({ record, skip: null, leaderEpoch });
    this.#notify();
  }

  /** Appends offsets that carry no record. */
  skip(log: LogId, count: number, skip: SkipReason): void {
    const { slots, leaderEpoch } = this.#partition(log);
    for (let i = 0; i < count; i++) slots.push({ record: null, skip, leaderEpoch });
    this.#notify();
  }

  /** Deletes what lies before `offset`, as retention does. */
  deleteBefore(log: LogId, offset: number): void {
    const partition = this.#partition(log);
    partition.slots = partition.slots.slice(Math.max(0, offset - partition.earliest));
    partition.earliest = Math.max(partition.earliest, offset);
  }

  /** Deletes what lies at and after `offset`, as an unclean election does; what follows has a higher leader epoch. */
  truncate(log: LogId, offset: number): void {
    const partition = this.#partition(log);
    partition.slots = partition.slots.slice(0, Math.max(0, offset - partition.earliest));
    partition.leaderEpoch++;
  }

  /** Offsets that are held now: `[earliest, latest)`. */
  bounds(log: LogId): { readonly earliest: number; readonly latest: number } {
    const { earliest, slots } = this.#partition(log);
    return { earliest, latest: earliest + slots.length };
  }

  /** Id of the partition as it was made last. */
  topicId(log: LogId): string {
    return this.#partition(log).topicId;
  }

  /** Leader epoch at `offset`; null past the end. */
  leaderEpochAt(log: LogId, offset: number): number | null {
    const { earliest, slots } = this.#partition(log);
    return slots[Math.max(0, offset - earliest)]?.leaderEpoch ?? null;
  }

  /** First offset whose record is not older than `timeMs`; the end if there is none. */
  offsetAt(log: LogId, timeMs: number): number {
    const { earliest, slots } = this.#partition(log);
    const at = slots.findIndex(({ record }) => (record?.timestamp ?? -1n) >= BigInt(timeMs));
    return earliest + (at < 0 ? slots.length : at);
  }

  /** How many records lie in `[from, to)`. */
  recordsIn(log: LogId, from: number, to: number): number {
    const { earliest, slots } = this.#partition(log);
    const inside = slots.slice(Math.max(0, from - earliest), Math.max(0, to - earliest));
    return inside.filter(({ record }) => record !== null).length;
  }

  /** What lies from `offset` on, as a chunk; null when nothing does. */
  read(log: LogId, offset: number, recordsMax: number, bytesMax: number): RecordChunk | null {
    const { earliest, slots } = this.#partition(log);
    const taken: Slot[] = [];
    let records = 0;
    let bytes = 0;
    for (let at = offset - earliest; at < slots.length; at++) {
      const slot = slots[at]!;
      if (slot.record !== null) {
        bytes += (slot.record.value?.length ?? 0) + (slot.record.key?.length ?? 0);
        if (records === recordsMax || (records > 0 && bytes > bytesMax)) break;
        records++;
      }
      taken.push(slot);
    }
    return taken.length === 0 ? null : toChunk(offset, taken);
  }

  /** Resolves at the next append. */
  appended(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #partition(log: LogId): Partition {
    const found = this.#partitions.get(formatLogId(log));
    if (found === undefined) throw new RangeError(`Cannot use partition "${formatLogId(log)}": it was not made`);
    return found;
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

function toChunk(from: number, slots: readonly Slot[]): RecordChunk {
  const records = slots.flatMap(({ record }, i) => (record === null ? [] : [{ ...record, offset: from + i }]));
  const parts: Uint8Array[] = [];
  let end = 0;
  const place = (bytes: Uint8Array | null | undefined): { readonly start: number; readonly length: number } => {
    if (bytes === null || bytes === undefined) return { start: 0, length: -1 };
    parts.push(bytes);
    end += bytes.length;
    return { start: end - bytes.length, length: bytes.length };
  };
  const keys = records.map(({ key }) => place(key));
  const values = records.map(({ value }) => place(value));
  return {
    from,
    nextOffset: from + slots.length,
    count: records.length,
    bytes: Uint8Array.from(Buffer.concat(parts)),
    offsets: Float64Array.from(records, ({ offset }) => offset),
    timestamps: BigInt64Array.from(records, ({ timestamp }) => timestamp ?? 0n),
    timestampTypes: Uint8Array.from(records, ({ timestamp }) =>
      timestamp === undefined ? TIMESTAMP_NONE : TIMESTAMP_CREATE,
    ),
    keyStarts: Int32Array.from(keys, ({ start }) => start),
    keyLengths: Int32Array.from(keys, ({ length }) => length),
    valueStarts: Int32Array.from(values, ({ start }) => start),
    valueLengths: Int32Array.from(values, ({ length }) => length),
    headers: null,
    spans: toSpans(from, slots),
    position: null,
  };
}

/** Runs of offsets with the same leader epoch and the same reason to be skipped. */
function toSpans(from: number, slots: readonly Slot[]): ChunkSpan[] {
  const spans: ChunkSpan[] = [];
  for (const [i, { skip, leaderEpoch }] of slots.entries()) {
    const last = spans.at(-1);
    if (last?.skip === skip && last.leaderEpoch === leaderEpoch)
      spans[spans.length - 1] = { ...last, to: from + i + 1 };
    else spans.push({ from: from + i, to: from + i + 1, leaderEpoch, skip });
  }
  return spans;
}
