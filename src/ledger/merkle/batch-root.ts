import { int64Words, LeafHasher } from '../../record/leaf.ts';
import type { LogId } from '../../record/log-id.ts';
import { hasValue, type BinaryColumn, type RawRecords } from '../../record/raw-records.ts';
import { SHA256_BYTES } from '../../record/sha256.ts';
import { merkleRoot } from './tree.ts';

/** What was recomputed from the records themselves, and the first stored leaf that disagrees, if any. */
export interface RecomputedRoot {
  readonly root: Buffer;
  /** Offset of the first record whose stored leaf differs from its recomputed one; null when all agree. */
  readonly firstWrongOffset: number | null;
  readonly records: number;
}

/**
 * Recomputes every leaf of a batch from its raw records and the root over them.
 * @param parts the decoded records and the dead letters, each with rising offsets; they are merged by offset.
 * Cost: one hash a record for the leaf, one for the tree.
 */
export function recomputeRoot(log: LogId, batchKey: Uint8Array, parts: readonly RawRecords[]): RecomputedRoot {
  const { leaves, firstWrongOffset } = recomputeLeaves(log, batchKey, parts);
  return { root: merkleRoot(leaves), firstWrongOffset, records: leaves.length / SHA256_BYTES };
}

/** The leaves alone, 32 bytes a record in offset order: half the cost. For callers who hold the leaves of the root. */
export function recomputeLeaves(
  log: LogId,
  batchKey: Uint8Array,
  parts: readonly RawRecords[],
): { readonly leaves: Buffer; readonly firstWrongOffset: number | null } {
  const records = parts.reduce((sum, part) => sum + part.count, 0);
  const leaves = Buffer.alloc(records * SHA256_BYTES);
  const hasher = new LeafHasher(log, batchKey);
  hasher.takeSalts(records);
  const timestamps = parts.map((part) => int64Words(part.timestamps));
  const next = parts.map(() => 0);
  let firstWrongOffset: number | null = null;
  for (let i = 0; i < records;) {
    const from = partWithLowestOffset(parts, next);
    const part = parts[from]!;
    const row = next[from]!;
    const run = runBeforeOthers(parts, next, from);
    for (let j = 0; j < run; j++) hashRow(hasher, part, timestamps[from]!, row + j, leaves, (i + j) * SHA256_BYTES);
    const wrong = firstDifference(leaves, i, part.leaves, row, run);
    if (wrong !== -1) firstWrongOffset ??= part.offsets[row + wrong]!;
    next[from]! += run;
    i += run;
  }
  return { leaves, firstWrongOffset };
}

function partWithLowestOffset(parts: readonly RawRecords[], next: readonly number[]): number {
  let best = -1;
  for (let p = 0; p < parts.length; p++) {
    if (next[p]! >= parts[p]!.count) continue;
    if (best === -1 || parts[p]!.offsets[next[p]!]! < parts[best]!.offsets[next[best]!]!) best = p;
  }
  return best;
}

/** Rows of part `from`, from its next one on, whose offsets lie before the next one of every other part. */
function runBeforeOthers(parts: readonly RawRecords[], next: readonly number[], from: number): number {
  const { offsets, count } = parts[from]!;
  let limit = Infinity;
  for (let p = 0; p < parts.length; p++)
    if (p !== from && next[p]! < parts[p]!.count) limit = Math.min(limit, parts[p]!.offsets[next[p]!]!);
  let end = next[from]! + 1;
  if (limit === Infinity) end = count;
  else while (end < count && offsets[end]! < limit) end++;
  return end - next[from]!;
}

function hashRow(
  hasher: LeafHasher,
  part: RawRecords,
  timestamps: Int32Array,
  row: number,
  out: Buffer,
  at: number,
): void {
  let p = hasher.begin(part.offsets[row]!, timestamps, row, part.timestampTypes[row]!);
  p = hashValue(hasher, p, part.keys, row);
  p = hashValue(hasher, p, part.values, row);
  const { headers } = part;
  p =
    headers === null
      ? hasher.headers(p, out, 0, 0)
      : hasher.headers(p, headers.bytes, headers.offsets[row]!, headers.offsets[row + 1]! - headers.offsets[row]!);
  hasher.finish(p, out, at);
}

function hashValue(hasher: LeafHasher, at: number, column: BinaryColumn, row: number): number {
  const start = column.offsets[row]!;
  return hasher.bytes(at, column.bytes, start, hasValue(column, row) ? column.offsets[row + 1]! - start : -1);
}

/** First of `count` leaves that differs, counted from 0; -1 when all agree. */
function firstDifference(a: Uint8Array, aFrom: number, b: Uint8Array, bFrom: number, count: number): number {
  const left = leavesOf(a, aFrom, count);
  const right = leavesOf(b, bFrom, count);
  if (Buffer.compare(left, right) === 0) return -1;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return Math.floor(i / SHA256_BYTES);
  return -1;
}

function leavesOf(leaves: Uint8Array, from: number, count: number): Uint8Array {
  return leaves.subarray(from * SHA256_BYTES, (from + count) * SHA256_BYTES);
}
