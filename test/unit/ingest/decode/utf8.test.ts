import { describe, expect, it } from 'vitest';
import {
  isSuspicious,
  sequenceLength,
  threeByteCodePoint,
  writeCodePoint,
} from '../../../../src/ingest/decode/utf8.ts';

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

/** Length of the one character that `bytes` begins with, by the platform's decoder; 0 if it is not well-formed. */
function oracle(bytes: Uint8Array): number {
  const codePoint = lenient.decode(bytes).codePointAt(0)!;
  const isReplacement = codePoint === 0xfffd && !(bytes[0] === 0xef && bytes[1] === 0xbf && bytes[2] === 0xbd);
  return isReplacement ? 0 : Buffer.byteLength(String.fromCodePoint(codePoint));
}

describe('UTF-8', () => {
  it('is judged like the platform does, for every lead and second byte and the edges of the rest', () => {
    const bytes = new Uint8Array(4);
    const edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    for (let lead = 0x80; lead <= 0xff; lead++) {
      for (let second = 0; second <= 0xff; second++) {
        for (const third of edges) {
          for (const fourth of [0x41, 0x80, 0xbf, 0xc0]) {
            bytes.set([lead, second, third, fourth]);
            const length = sequenceLength(bytes, 0, 4);
            if (length !== oracle(bytes)) expect.fail(`${Buffer.from(bytes).toString('hex')}: ${length}`);
          }
        }
      }
    }
  });

  it('does not read past the end', () => {
    for (const text of ['é', '€', '😀']) {
      const bytes = new TextEncoder().encode(text);
      for (let end = 1; end < bytes.length; end++) expect(sequenceLength(bytes, 0, end)).toBe(0);
      expect(sequenceLength(bytes, 0, bytes.length)).toBe(bytes.length);
    }
  });

  it('writes every code point as the platform does', () => {
    const bytes = new Uint8Array(4);
    const encoder = new TextEncoder();
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += codePoint < 0x1_1000 ? 1 : 257) {
      if (codePoint >= 0xd800 && codePoint <= 0xdfff) continue;
      const expected = encoder.encode(String.fromCodePoint(codePoint));
      const end = writeCodePoint(bytes, 0, codePoint);
      if (Buffer.compare(bytes.subarray(0, end), expected) !== 0) expect.fail(codePoint.toString(16));
      if (end === 3 && threeByteCodePoint(bytes, 0) !== codePoint) expect.fail(codePoint.toString(16));
    }
  });

  it('holds NUL, zero-width and bidirectional controls suspicious, and nothing else', () => {
    const found: string[] = [];
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++)
      if (isSuspicious(codePoint)) found.push(codePoint.toString(16));
    expect(found).toEqual([
      '0',
      '200b',
      '200c',
      '200d',
      '200e',
      '200f',
      '202a',
      '202b',
      '202c',
      '202d',
      '202e',
      '2060',
      '2066',
      '2067',
      '2068',
      '2069',
      'feff',
    ]);
  });
});
