import { hash } from 'node:crypto';

import { SHA256_BYTES as HASH_BYTES, sha256Into } from '../../record/sha256.ts';

const LEAF_PREFIX = Buffer.from([0x00]);
const NODE_PREFIX = 0x01;

/** Leaves that are hashed up at once: their levels stay in the nearest cache. */
const SUBTREE_LEAVES = 1_024;
const HASH_WORDS = HASH_BYTES / 4;
const LEVEL = Buffer.alloc(SUBTREE_LEAVES * HASH_BYTES);
/** The same memory by words: copying a hash by a view of it would cost as much as hashing it. */
const LEVEL_WORDS = new Int32Array(LEVEL.buffer, LEVEL.byteOffset, LEVEL.length / 4);
/** The prefix is the last byte before the pair, which so lies on a word. */
const NODE_WORDS = new Int32Array(1 + 2 * HASH_WORDS);
const NODE = Buffer.from(NODE_WORDS.buffer, 3);
NODE[0] = NODE_PREFIX;

/** Root of the empty tree: SHA-256 of no bytes. Source: RFC 6962 §2.1. */
export const EMPTY_ROOT = Buffer.from('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'hex');

/** Leaf hash of arbitrary bytes: SHA-256(0x00 ‖ data). Source: RFC 6962 §2.1. */
export function leafHash(data: Uint8Array): Buffer {
  return hash('sha256', Buffer.concat([LEAF_PREFIX, data]), 'buffer');
}

/** Inner node: SHA-256(0x01 ‖ left ‖ right). Source: RFC 6962 §2.1. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const node = Buffer.alloc(1 + 2 * HASH_BYTES);
  node[0] = NODE_PREFIX;
  node.set(left, 1);
  node.set(right, 1 + HASH_BYTES);
  return hash('sha256', node, 'buffer');
}

/**
 * Root hash of the RFC 6962 tree over `leaves`, in order. The last node of an odd level is carried up, never doubled.
 * @param leaves n leaf hashes of 32 bytes, back to back; n may be 0.
 * @throws {RangeError} if the length is not a multiple of 32.
 * Cost: n − 1 hashes, n / 32 bytes of memory. Source: RFC 6962 §2.1.
 */
export function merkleRoot(leaves: Uint8Array): Buffer {
  if (leaves.length % HASH_BYTES !== 0) {
    throw new RangeError(`Cannot compute a root: ${leaves.length} bytes of leaves is not a multiple of ${HASH_BYTES}`);
  }
  const count = leaves.length / HASH_BYTES;
  if (count === 0) return Buffer.from(EMPTY_ROOT);
  // The subtrees of a power of two of leaves are nodes of one level: their roots are the leaves of the rest of the tree.
  const roots = Buffer.alloc(Math.ceil(count / SUBTREE_LEAVES) * HASH_BYTES);
  for (let from = 0, at = 0; from < leaves.length; from += SUBTREE_LEAVES * HASH_BYTES, at += HASH_BYTES)
    subtreeRoot(leaves.subarray(from, from + SUBTREE_LEAVES * HASH_BYTES), roots, at);
  return roots.length === HASH_BYTES ? roots : merkleRoot(roots);
}

/** Writes the root over 1 to SUBTREE_LEAVES leaves into `out` at byte `at`. */
function subtreeRoot(leaves: Uint8Array, out: Buffer, at: number): void {
  LEVEL.set(leaves);
  for (let count = leaves.length / HASH_BYTES; count > 1; count = (count + 1) >> 1) {
    const pairs = count >> 1;
    for (let i = 0; i < pairs; i++) {
      for (let word = 0; word < 2 * HASH_WORDS; word++) NODE_WORDS[1 + word] = LEVEL_WORDS[2 * i * HASH_WORDS + word]!;
      sha256Into(NODE, LEVEL, i * HASH_BYTES);
    }
    if (count % 2 === 1) LEVEL.copyWithin(pairs * HASH_BYTES, (count - 1) * HASH_BYTES, count * HASH_BYTES);
  }
  out.set(LEVEL.subarray(0, HASH_BYTES), at);
}
