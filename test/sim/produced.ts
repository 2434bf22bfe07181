import { formatLogId, type LogId } from '../../src/record/log-id.ts';

/** One record as its producer wrote it: without a key, and with the time of its creation. */
export interface ProducedRecord {
  readonly value: Buffer;
  /** Milliseconds since 1970 UTC. */
  readonly timestamp: bigint;
}

interface ProducedLog {
  /** By offset; null where there is no record. */
  readonly offsets: (ProducedRecord | null)[];
  /** First offset that retention has left. */
  earliest: number;
  /** Every value that `earliest` ever had. */
  readonly begins: Set<number>;
}

/** The producers' own books: what they wrote, and what retention has deleted since. The brokers are not asked. */
export class Produced {
  readonly #logs = new Map<string, ProducedLog>();

  add(log: LogId): void {
    this.#logs.set(formatLogId(log), { offsets: [], earliest: 0, begins: new Set([0]) });
  }

  /** @param records null for an offset that carries none. */
  append(log: LogId, records: readonly (ProducedRecord | null)[]): void {
    this.#of(log).offsets.push(...records);
  }

  deleteBefore(log: LogId, offset: number): void {
    const found = this.#of(log);
    found.earliest = Math.max(found.earliest, offset);
    found.begins.add(found.earliest);
  }

  /** Past the last offset. */
  latest(log: LogId): number {
    return this.#of(log).offsets.length;
  }

  earliest(log: LogId): number {
    return this.#of(log).earliest;
  }

  /** Whether the log began at an offset at any time. */
  hasBegunAt(log: LogId, offset: number): boolean {
    return this.#of(log).begins.has(offset);
  }

  /** The records in `[from, to)`, deleted ones too, each with its offset. */
  records(log: LogId, from: number, to: number): (ProducedRecord & { readonly offset: number })[] {
    const { offsets } = this.#of(log);
    return offsets.slice(from, to).flatMap((record, i) => (record === null ? [] : [{ ...record, offset: from + i }]));
  }

  #of(log: LogId): ProducedLog {
    return this.#logs.get(formatLogId(log))!;
  }
}
