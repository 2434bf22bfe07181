import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { crc32c } from '../../../../src/adapters/kafkajs/crc32c.ts';

/** RFC 3720 §B.4, and the check value of the CRC catalogue (reveng.sourceforge.io, CRC-32/ISCSI). */
const KNOWN: readonly (readonly [string, Buffer, number])[] = [
  ['no bytes', Buffer.alloc(0), 0],
  ['"123456789"', Buffer.from('123456789'), 0xe3069283],
  ['32 bytes of zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['32 rising bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  ['32 falling bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
];

describe('crc32c', () => {
  it.each(KNOWN)('is the published value of %s', (_, bytes, wanted) => {
    expect(crc32c(bytes, 0, bytes.length)).toBe(wanted);
  });

  it('is the same at every alignment and length as one bit at a time', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(9), fc.nat(9), (content, before, after) => {
        const bytes = Buffer.concat([Buffer.alloc(before, 1), content, Buffer.alloc(after, 2)]);
        expect(crc32c(bytes, before, before + content.length)).toBe(bitwiseCrc32c(content));
      }),
      { numRuns: 500 },
    );
  });
});

function bitwiseCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
