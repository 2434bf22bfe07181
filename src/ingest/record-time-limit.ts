/** A batch never ends below this many records: a producer with wild clocks must not force tiny batches. */
const RECORDS_MIN = 100;
const LIMIT_MIN_MS = 1_000;
const CLOCK_SKEW_MAX_MS = 24 * 3_600_000;

/**
 * Ends a batch by the timestamps of its records: before the first one that is `maxMs` or more later than the batch's first.
 * Only forward: a late record neither ends a batch nor widens what belongs to it.
 *
 * Trust: timestamps come from producers and are hostile, so they count as at most 24 h away from the wall clock.
 */
export class RecordTimeLimit {
  readonly #maxMs: number;
  readonly #earliestMs: number;
  readonly #latestMs: number;
  #firstMs = Number.NaN;

  /**
   * @param maxMs less than 1 s counts as 1 s; null = no limit.
   * @param nowMs wall clock when the batch began; null for history, whose timestamps are taken as they are.
   */
  constructor(maxMs: number | null, nowMs: number | null) {
    this.#maxMs = maxMs === null ? Infinity : Math.max(LIMIT_MIN_MS, maxMs);
    this.#earliestMs = nowMs === null ? -Infinity : nowMs - CLOCK_SKEW_MAX_MS;
    this.#latestMs = nowMs === null ? Infinity : nowMs + CLOCK_SKEW_MAX_MS;
  }

  /**
   * True if the next record belongs to the next batch.
   * @param timestampMs any int64, as the nearest number. @param records how many the batch has.
   */
  endsBefore(timestampMs: number, records: number): boolean {
    const ms = Math.min(Math.max(timestampMs, this.#earliestMs), this.#latestMs);
    if (Number.isNaN(this.#firstMs)) this.#firstMs = ms;
    return ms - this.#firstMs >= this.#maxMs && records >= RECORDS_MIN;
  }
}
