import { SHA256_BYTES as HASH_BYTES } from '../../record/sha256.ts';
import { merkleRoot, nodeHash } from './tree.ts';

/**
 * Audit path of leaf `index`: the sibling hashes from the leaf up to the root.
 * @param leaves n leaf hashes of 32 bytes, back to back.
 * @throws {RangeError} if `index` is not in `[0, n)`.
 * Source: RFC 6962 §2.1.1.
 */
export function inclusionProof(leaves: Uint8Array, index: number): Buffer[] {
  const count = leaves.length / HASH_BYTES;
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new RangeError(`Cannot prove inclusion: index ${index} is not below the tree size ${count}`);
  }
  const path: Buffer[] = [];
  let start = 0;
  let end = count;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      path.push(merkleRoot(leaves.subarray(middle * HASH_BYTES, end * HASH_BYTES)));
      end = middle;
    } else {
      path.push(merkleRoot(leaves.subarray(start * HASH_BYTES, middle * HASH_BYTES)));
      start = middle;
    }
  }
  return path.reverse();
}

/**
 * Root that `leaf` at `index` of a tree of `size` leaves has under `path`; the caller compares it with the signed root.
 * @returns undefined when the path does not have exactly the length that index and size demand, or the index is outside.
 * Source: RFC 9162 §2.1.3.2. Trust: all arguments may come from an attacker.
 */
export function rootFromInclusionProof(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
): Buffer | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  if (leaf.length !== HASH_BYTES || path.some((hash) => hash.length !== HASH_BYTES)) return undefined;
  let node = index;
  let last = size - 1;
  let root: Buffer = Buffer.from(leaf);
  for (const sibling of path) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      root = nodeHash(sibling, root);
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2);
        last = Math.floor(last / 2);
      }
    } else {
      root = nodeHash(root, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? root : undefined;
}

/** Largest power of two below `count` (count ≥ 2). */
function splitPoint(count: number): number {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}
