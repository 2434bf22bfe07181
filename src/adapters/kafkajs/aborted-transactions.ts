/** One entry of a fetch answer's list: a transaction that was aborted, and where it began. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/**
 * Tells which batches of one fetch answer belong to aborted transactions.
 *
 * A producer's transaction is open from its first batch to its marker, so a producer is in the aborted set from the entry
 * that names it until its abort marker passes. Batches must be shown in offset order.
 * Source: Kafka's `CompletedFetch` (consumeAbortedTransactionsUpTo, containsAbortMarker); kafkajs 2.2.4 takes in one entry
 * a batch and knows a marker by its key, and so lets aborted records through.
 */
export class AbortedTransactions {
  readonly #byFirstOffset: readonly AbortedTransaction[];
  #next = 0;
  readonly #producers = new Set<bigint>();

  constructor(entries: readonly AbortedTransaction[]) {
    this.#byFirstOffset = entries.length === 0 ? entries : entries.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  /** Takes in every entry that began by `lastOffset`, the end of the batch that comes next: all of them, also several of one offset. */
  advance(lastOffset: number): void {
    for (let entry = this.#byFirstOffset[this.#next]; entry !== undefined; entry = this.#byFirstOffset[this.#next]) {
      if (entry.firstOffset > lastOffset) return;
      this.#producers.add(entry.producerId);
      this.#next++;
    }
  }

  /** The producer's transaction ends here. */
  endAborted(producerId: bigint): void {
    this.#producers.delete(producerId);
  }

  /** True while an aborted transaction of this producer is open. Ask for transactional batches only. */
  has(producerId: bigint): boolean {
    return this.#producers.size > 0 && this.#producers.has(producerId);
  }
}
