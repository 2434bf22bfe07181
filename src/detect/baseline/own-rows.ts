import type { PastHashes } from '../detectors/detector.ts';
import { pastHashes } from '../detectors/replay.ts';
import type { Profile } from '../profile.ts';
import { hashesOf } from './learn.ts';
import type { PreparedBaseline } from './prepare.ts';

/**
 * Tells the batches that a baseline was learned from among batches that waited for it: their own rows are no replay of
 * themselves. A learned batch is one of them at most, the first that has the same rows; a copy of it is a replay.
 */
export class OwnRows {
  readonly #baseline: PreparedBaseline;
  readonly #owners = new Map<PastHashes, string>();

  constructor(baseline: PreparedBaseline) {
    this.#baseline = baseline;
  }

  /** @param batch digest of a batch that the baseline may have been learned from; those committed first go first. */
  claim(profile: Profile, batch: string): void {
    const own = hashesOf(profile);
    if (own === null || [...this.#owners.values()].includes(batch)) return;
    const mine = pastHashes(own.info, own.counted);
    const entry = this.#baseline.baseline.past.find((each) => !this.#owners.has(each) && isSame(each, mine));
    if (entry !== undefined) this.#owners.set(entry, batch);
  }

  /** The baseline as seen by these batches, judged as one. */
  without(batches: ReadonlySet<string>): PreparedBaseline {
    const { baseline } = this.#baseline;
    const past = baseline.past.filter((entry) => !batches.has(this.#owners.get(entry) ?? ''));
    return past.length === baseline.past.length
      ? this.#baseline
      : { ...this.#baseline, baseline: { ...baseline, past } };
  }
}

function isSame(a: PastHashes, b: PastHashes): boolean {
  return (
    a.seedMark === b.seedMark &&
    a.cutoff === b.cutoff &&
    a.low.length === b.low.length &&
    a.low.every((low, i) => low === b.low[i])
  );
}
