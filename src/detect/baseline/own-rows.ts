import type { PastHashes } from '../detectors/detector.ts';
import { pastHashes } from '../detectors/replay.ts';
import type { Profile } from '../profile.ts';
import { hashesOf } from './learn.ts';
import type { PreparedBaseline } from './prepare.ts';

/**
 * The baseline as seen by one of the batches that it was learned from: its own rows are no replay of themselves. One entry
 * only is left out, so that a second batch of the same rows is still found.
 */
export function withoutOwnRows(prepared: PreparedBaseline, profile: Profile): PreparedBaseline {
  const own = hashesOf(profile);
  if (own === null) return prepared;
  const mine = pastHashes(own.info, own.counted);
  const { past } = prepared.baseline;
  const at = past.findIndex((entry) => isSame(entry, mine));
  return at === -1
    ? prepared
    : { ...prepared, baseline: { ...prepared.baseline, past: past.filter((_, i) => i !== at) } };
}

function isSame(a: PastHashes, b: PastHashes): boolean {
  return (
    a.seedMark === b.seedMark &&
    a.cutoff === b.cutoff &&
    a.low.length === b.low.length &&
    a.low.every((low, i) => low === b.low[i])
  );
}
