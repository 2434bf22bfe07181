import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { merkleRoot } from '../../../src/ledger/merkle/tree.ts';
import { LeafHasher, SaltStream } from '../../../src/record/leaf.ts';
import { makeChunk, type TestRecord } from '../../support/chunk.ts';

interface Vector {
  readonly batchKey: string;
  readonly topic: string;
  readonly partition: string;
  readonly root: string;
  readonly records: readonly {
    readonly offset: number;
    readonly timestamp: string;
    readonly timestampType: number;
    readonly key: string | null;
    readonly value: string | null;
    readonly headers: readonly (readonly [string, string | null])[];
    readonly leaf: string;
  }[];
}

/** Made by test/vectors/leaf.py, an implementation in another language. */
const vector = JSON.parse(readFileSync(new URL('../../vectors/leaf.json', import.meta.url), 'utf8')) as Vector;
const unhex = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text, 'hex'));
const log = { cluster: 'c', topic: vector.topic, partition: vector.partition };
const records: TestRecord[] = vector.records.map((record) => ({
  offset: record.offset,
  timestamp: BigInt(record.timestamp),
  timestampType: record.timestampType,
  key: unhex(record.key),
  value: unhex(record.value),
  headers: record.headers.map(([name, value]) => ({ name: Buffer.from(name, 'hex'), value: unhex(value) })),
}));

function leavesOf(input: readonly TestRecord[], batchKey = Buffer.from(vector.batchKey, 'hex')): Buffer {
  const out = Buffer.alloc(input.length * 32);
  new LeafHasher(log, batchKey).hash(makeChunk(input), 0, input.length, out, 0);
  return out;
}

describe('LeafHasher', () => {
  it('gives the leaves of the independent implementation', () => {
    const leaves = leavesOf(records);
    vector.records.forEach(({ leaf }, i) => expect(leaves.subarray(i * 32, i * 32 + 32).toString('hex')).toBe(leaf));
    expect(merkleRoot(leaves).toString('hex')).toBe(vector.root);
  });

  it('gives the same leaves however the batch is cut into chunks', () => {
    const hasher = new LeafHasher(log, Buffer.from(vector.batchKey, 'hex'));
    const out = Buffer.alloc(records.length * 32);
    const chunk = makeChunk(records);
    hasher.hash(chunk, 0, 2, out, 0);
    hasher.hash(chunk, 2, 3, out, 64);
    hasher.hash(chunk, 3, records.length, out, 96);
    expect(out).toEqual(leavesOf(records));
  });

  it('tells null, empty and tombstone apart (K20)', () => {
    const one = (key: string | null, value: string | null) => leavesOf([{ offset: 0, key, value }]).toString('hex');
    expect(new Set([one(null, 'x'), one('', 'x'), one(null, ''), one(null, null), one('', null)]).size).toBe(5);
  });

  it('keeps order and duplicates of headers (K21)', () => {
    const a = { name: Buffer.from('a'), value: Buffer.from('1') };
    const b = { name: Buffer.from('a'), value: Buffer.from('2') };
    const one = (headers: TestRecord['headers']) =>
      leavesOf([{ offset: 0, value: 'x', ...(headers === undefined ? {} : { headers }) }]).toString('hex');
    expect(new Set([one([]), one([a]), one([a, b]), one([b, a]), one([a, a])]).size).toBe(5);
  });

  it('gives other leaves under another batch key', () => {
    expect(leavesOf(records, Buffer.alloc(32, 9))).not.toEqual(leavesOf(records));
  });

  it('hashes a value larger than its scratch buffer, and small ones after it', () => {
    const large = [
      { offset: 0, value: Buffer.alloc(1_000_000, 7) },
      { offset: 1, value: 'small' },
    ];
    const together = leavesOf(large);
    expect(together).toEqual(leavesOf(large));
    expect(together.subarray(0, 32)).not.toEqual(together.subarray(32));
  });
});

describe('SaltStream', () => {
  it('is the AES-256-CTR keystream: NIST SP 800-38A F.5.5 with its counter moved to zero by hand', () => {
    // AES-256(key, 0^128) for the all-zero key, from the AES known-answer tests.
    expect(new SaltStream(Buffer.alloc(32)).next(1).toString('hex')).toBe('dc95c078a2408989ad48a21492842087');
  });

  it('gives the same salts in one piece and in many', () => {
    const whole = new SaltStream(Buffer.alloc(32, 1)).next(10);
    const parts = new SaltStream(Buffer.alloc(32, 1));
    expect(Buffer.concat([parts.next(3), parts.next(0), parts.next(7)])).toEqual(whole);
  });

  it('refuses a key that is not 32 bytes', () => {
    expect(() => new SaltStream(Buffer.alloc(16))).toThrow(RangeError);
  });
});
