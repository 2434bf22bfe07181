import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../../src/adapters/kafkajs/group-metadata.ts';

const require = createRequire(import.meta.url);
const kafkajs = require('kafkajs/src/consumer/assignerProtocol') as {
  MemberMetadata: { decode(bytes: Buffer): { version: number; topics: string[]; userData: Buffer } };
  MemberAssignment: { decode(bytes: Buffer): { assignment: Record<string, number[]> } };
};

const partitions = new Map([
  ['orders', [0, 5, 2]],
  ['__proto__', [1]],
]);

describe('a subscription', () => {
  it('comes back with its claim', () => {
    const encoded = encodeSubscription(['a', 'b'], partitions, 17);
    expect(decodeSubscription('m', encoded)).toEqual({
      memberId: 'm',
      topics: ['a', 'b'],
      previous: partitions,
      generation: 17,
    });
  });

  it('reads the same in kafkajs', () => {
    expect(kafkajs.MemberMetadata.decode(encodeSubscription(['a', 'b'], partitions, 17))).toMatchObject({
      version: 0,
      topics: ['a', 'b'],
    });
  });

  it('without user data, or with those of another assigner, has no claim', () => {
    const bare = Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, 0x61]);
    const none = { memberId: 'm', topics: ['a'], previous: new Map(), generation: -1 };
    expect(decodeSubscription('m', bare)).toEqual(none);
    expect(decodeSubscription('m', Buffer.concat([bare, Buffer.from([0xff, 0xff, 0xff, 0xff])]))).toEqual(none);
    expect(decodeSubscription('m', Buffer.concat([bare, Buffer.from([0, 0, 0, 3, 9, 9, 9])]))).toEqual(none);
  });

  it('never throws, however it was changed or cut', () => {
    const encoded = encodeSubscription(['a', 'b'], partitions, 17);
    fc.assert(
      fc.property(fc.nat(encoded.length - 1), fc.nat(255), fc.nat(encoded.length), (at, value, cut) => {
        const changed = Buffer.from(encoded);
        changed[at] = value;
        expect(decodeSubscription('m', changed.subarray(0, cut)).memberId).toBe('m');
      }),
      { numRuns: 5_000 },
    );
  });

  it('that repeats a topic a hundred thousand times is read in linear time', () => {
    const item = Buffer.from([0, 1, 0x61, 0, 0, 0, 1, 0, 0, 0, 0]);
    const items = Buffer.alloc(item.length * 100_000, item);
    const head = Buffer.from([0, 1, 0, 0, 0, 0]);
    const userData = Buffer.concat([head, int32(100_000), items]);
    const startedMs = performance.now();
    const { previous } = decodeSubscription(
      'm',
      Buffer.concat([Buffer.from([0, 0]), int32(0), int32(userData.length), userData]),
    );
    expect([...previous]).toEqual([['a', [0]]]);
    expect(performance.now() - startedMs).toBeLessThan(500);
  });
});

describe('an assignment', () => {
  it('comes back, and reads the same in kafkajs', () => {
    const plain = new Map([['orders', [3, 1]]]);
    expect(decodeAssignment(encodeAssignment(partitions))).toEqual(partitions);
    expect(kafkajs.MemberAssignment.decode(encodeAssignment(plain)).assignment).toEqual({ orders: [3, 1] });
  });

  it('of no bytes is empty', () => {
    expect(decodeAssignment(Buffer.alloc(0))).toEqual(new Map());
  });

  it.each([
    ['is cut off', encodeAssignment(partitions).subarray(0, 9)],
    ['has a negative partition', encodeAssignment(new Map([['a', [-1]]]))],
  ])('that %s is refused', (_, bytes) => {
    expect(() => decodeAssignment(bytes)).toThrow(expect.objectContaining({ name: 'WireFault' }));
  });
});

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
