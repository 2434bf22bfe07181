import { hash } from 'node:crypto';

import { SHA256_BYTES as HASH_BYTES, sha256Into } from '../../record/sha256.ts';

const LEAF_PREFIX = Buffer.from([0x00]);
const NODE_PREFIX = 0x01;

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
 * Cost: n − 1 hashes, 16 n bytes of memory. Source: RFC 6962 §2.1.
 */
export function merkleRoot(leaves: Uint8Array): Buffer {
  if (leaves.length % HASH_BYTES !== 0) {
    throw new RangeError(`Cannot compute a root: ${leaves.length} bytes of leaves is not a multiple of ${HASH_BYTES}`);
  }
  let count = leaves.length / HASH_BYTES;
  if (count === 0) return Buffer.from(EMPTY_ROOT);
  if (count === 1) return Buffer.from(leaves);
  const level = Buffer.alloc(Math.ceil(count / 2) * HASH_BYTES);
  const node = Buffer.alloc(1 + 2 * HASH_BYTES);
  node[0] = NODE_PREFIX;
  // No Buffer: its views cost three times as much to make, and there is one a pair.
  let source = new Uint8Array(leaves.buffer, leaves.byteOffset, leaves.byteLength);
  const levelBytes = new Uint8Array(level.buffer, level.byteOffset, level.byteLength);
  while (count > 1) {
    const pairs = count >> 1;
    for (let i = 0; i < pairs; i++) {
      node.set(source.subarray(2 * i * HASH_BYTES, (2 * i + 2) * HASH_BYTES), 1);
      sha256Into(node, level, i * HASH_BYTES);
    }
    if (count % 2 === 1) level.set(source.subarray((count - 1) * HASH_BYTES, count * HASH_BYTES), pairs * HASH_BYTES);
    source = levelBytes;
    count = (count + 1) >> 1;
  }
  return Buffer.from(level.subarray(0, HASH_BYTES));
}
