import type { CountedHashes, RowHashes } from '../sketch/row-hashes.ts';
import { cutoffOf } from '../sketch/row-hashes.ts';
import { shareStatistic } from './detector.ts';
import type { Detector, PastHashes } from './detector.ts';

const DETECTOR = 'replay';

/**
 * Rows that are in some one earlier batch already, and rows that repeat within the batch.
 *
 * Matched against whole earlier batches, not against what was new in them, so that replays of the oldest are found too.
 * Cost: one merge of two sorted lists of at most 1,024 per earlier batch, about 3 µs each.
 */
export const replayDetector: Detector = {
  id: DETECTOR,
  family: 'duplicates',
  about: 'Rows of one earlier batch again, rows repeated within the batch',
  atlas: 'AML.T0020',
  measure({ hashes, past }) {
    if (hashes === null) return [];
    const { info, counted } = hashes;
    const sampled = counted.counts.reduce((sum, count) => sum + count, 0);
    const most = counted.counts.reduce((largest, count) => Math.max(largest, count), 0);
    const repeated = sampled - counted.hashes.length;
    const statistics = [
      shareStatistic(about('repeated-rows', 'Share of rows that repeat another row of the batch'), repeated, sampled, {
        side: 'high',
        surprise: true,
      }),
      shareStatistic(
        about('most-repeated-row', 'Share of copies of the most repeated row'),
        Math.max(0, most - 1),
        sampled,
        { side: 'high', surprise: true },
      ),
    ];
    const overlap = largestOverlap(info, counted, past);
    if (overlap !== null) {
      const subject = 'Share of rows that one earlier batch has already';
      statistics.push(
        shareStatistic(about('overlap', subject), overlap.shared, overlap.rows, { side: 'high', surprise: true }),
      );
    }
    return statistics;
  },
};

function about(name: string, subject: string) {
  return { detector: DETECTOR, name, columns: [], subject };
}

/** Row hashes of a batch as {@link replayDetector} compares later ones with. */
export function pastHashes(info: RowHashes, counted: CountedHashes): PastHashes {
  return { seedMark: info.seedMark, cutoff: cutoffOf(counted.hashes), low: lowBits(counted.hashes) };
}

/** The low 32 bits of each hash, rising: enough to recognise it, at half the size. */
function lowBits(hashes: Float64Array): Uint32Array {
  return Uint32Array.from(hashes, (hash) => hash % 4_294_967_296).sort();
}

/** Fewest comparable hashes that say anything about an overlap. */
export const COMPARABLE_MIN = 32;

/** The earlier batch that shares the largest part of this batch's comparable rows. */
function largestOverlap(info: RowHashes, own: CountedHashes, past: readonly PastHashes[]) {
  let best: { shared: number; rows: number } | null = null;
  const whole = lowBits(own.hashes);
  for (const other of past) {
    if (other.seedMark !== info.seedMark) continue;
    let rows = own.hashes.length;
    // Hashes at or above the other's cut-off are unknown there, so they say neither yes nor no.
    while (rows > 0 && own.hashes[rows - 1]! >= other.cutoff) rows -= 1;
    if (rows < COMPARABLE_MIN) continue;
    const low = rows === whole.length ? whole : lowBits(own.hashes.subarray(0, rows));
    const shared = countShared(low, other.low);
    if (best === null || shared * best.rows > best.shared * rows) best = { shared, rows };
  }
  return best;
}

/** Numbers that stand in both sorted lists. */
function countShared(a: Uint32Array, b: Uint32Array): number {
  let shared = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i]! < b[j]!) i++;
    else if (a[i]! > b[j]!) j++;
    else {
      shared++;
      i++;
      j++;
    }
  }
  return shared;
}
