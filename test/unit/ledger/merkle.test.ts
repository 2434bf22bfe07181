import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { SHA256_BYTES as HASH_BYTES } from '../../../src/record/sha256.ts';
import { inclusionProof, rootFromInclusionProof } from '../../../src/ledger/merkle/proof.ts';
import { leafHash, merkleRoot, nodeHash } from '../../../src/ledger/merkle/tree.ts';

/** Inputs and roots of the certificate-transparency reference implementation (merkletree_test.go). */
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const leaves = (count: number) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => leafHash(Buffer.from(`leaf ${i}`))));

/** The definition of RFC 6962 §2.1, word for word and slow. */
function recursiveRoot(hashes: Uint8Array): Buffer {
  const count = hashes.length / HASH_BYTES;
  if (count === 1) return Buffer.from(hashes);
  let split = 1;
  while (split * 2 < count) split *= 2;
  return nodeHash(
    recursiveRoot(hashes.subarray(0, split * HASH_BYTES)),
    recursiveRoot(hashes.subarray(split * HASH_BYTES)),
  );
}

describe('merkleRoot', () => {
  it('is SHA-256 of nothing for no leaves', () => {
    expect(merkleRoot(Buffer.alloc(0)).toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  it.each(ROOTS.map((root, i) => [i + 1, root] as const))(
    'gives the reference root of the first %i inputs',
    (count, root) => {
      const hashes = Buffer.concat(INPUTS.slice(0, count).map((input) => leafHash(Buffer.from(input, 'hex'))));
      expect(merkleRoot(hashes).toString('hex')).toBe(root);
    },
  );

  it('equals the recursive definition for every size up to 130', () => {
    for (let count = 1; count <= 130; count++) expect(merkleRoot(leaves(count))).toEqual(recursiveRoot(leaves(count)));
  });

  it.each([1_023, 1_024, 1_025, 2_048, 3_077])('equals the recursive definition for %i leaves', (count) => {
    expect(merkleRoot(leaves(count))).toEqual(recursiveRoot(leaves(count)));
  });

  it('puts one leaf beyond a full tree of a million beside its root', () => {
    const hashes = Buffer.alloc((2 ** 20 + 1) * HASH_BYTES, 'any bytes will do');
    const full = hashes.subarray(0, 2 ** 20 * HASH_BYTES);
    const halves = [full.subarray(0, full.length / 2), full.subarray(full.length / 2)].map(merkleRoot);
    expect(merkleRoot(hashes)).toEqual(nodeHash(nodeHash(halves[0]!, halves[1]!), hashes.subarray(full.length)));
  });

  it('reads leaves that do not lie on a word', () => {
    const shifted = Buffer.concat([Buffer.alloc(1), leaves(1_030)]).subarray(1);
    expect(merkleRoot(shifted)).toEqual(recursiveRoot(leaves(1_030)));
  });

  it('carries an odd leaf up instead of doubling it (M19)', () => {
    const three = leaves(3);
    expect(merkleRoot(three)).not.toEqual(merkleRoot(Buffer.concat([three, three.subarray(64)])));
  });

  it('rejects a length that is not whole hashes', () => {
    expect(() => merkleRoot(Buffer.alloc(33))).toThrow(RangeError);
  });
});

describe('inclusion proofs', () => {
  it('prove every leaf of every tree up to 40 leaves', () => {
    for (let size = 1; size <= 40; size++) {
      const hashes = leaves(size);
      const root = merkleRoot(hashes);
      for (let index = 0; index < size; index++) {
        const leaf = hashes.subarray(index * 32, index * 32 + 32);
        expect(rootFromInclusionProof(leaf, index, size, inclusionProof(hashes, index))).toEqual(root);
      }
    }
  });

  it('fail for a longer or shorter path, another index or size (M20)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), fc.nat(), (size, seed) => {
        const index = seed % size;
        const hashes = leaves(size);
        const root = merkleRoot(hashes).toString('hex');
        const leaf = hashes.subarray(index * 32, index * 32 + 32);
        const path = inclusionProof(hashes, index);
        expect(rootFromInclusionProof(leaf, index, size, path.slice(1))?.toString('hex')).not.toBe(root);
        expect(rootFromInclusionProof(leaf, index, size, [...path, leaf])?.toString('hex')).not.toBe(root);
        expect(rootFromInclusionProof(leaf, (index + 1) % size, size, path)?.toString('hex')).not.toBe(root);
        expect(rootFromInclusionProof(leaf, size, size, path)).toBeUndefined();
        expect(rootFromInclusionProof(leaf, 0, 0, [])).toBeUndefined();
      }),
    );
  });
});
