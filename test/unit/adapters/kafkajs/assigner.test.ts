import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { assignSticky } from '../../../../src/adapters/kafkajs/assigner.ts';
import type { GroupMember, PartitionSet } from '../../../../src/adapters/kafkajs/assigner.ts';

describe('assignSticky', () => {
  it('gives a single member everything', () => {
    expect(shares(assignSticky([member('a')], topic(3)))).toEqual({ a: ['t/0', 't/1', 't/2'] });
  });

  it('gives members without partitions nothing', () => {
    expect(shares(assignSticky([member('a'), member('b')], topic(1)))).toEqual({ a: ['t/0'], b: [] });
  });

  it('leaves everything where it is when nothing has changed', () => {
    const members = [member('a', { t: [0, 3] }, 4), member('b', { t: [1, 2] }, 4)];
    expect(shares(assignSticky(members, topic(4)))).toEqual({ a: ['t/0', 't/3'], b: ['t/1', 't/2'] });
  });

  it('moves no more than a new member needs', () => {
    const members = [member('a', { t: [0, 1, 2] }, 1), member('b', { t: [3, 4, 5] }, 1), member('c')];
    expect(shares(assignSticky(members, topic(6)))).toEqual({
      a: ['t/0', 't/1'],
      b: ['t/3', 't/4'],
      c: ['t/2', 't/5'],
    });
  });

  it('gives the partitions of a member that left to the others, and moves nothing else', () => {
    const members = [member('a', { t: [0, 1] }, 1), member('b', { t: [2, 3] }, 1)];
    expect(shares(assignSticky(members, topic(6)))).toEqual({ a: ['t/0', 't/1', 't/4'], b: ['t/2', 't/3', 't/5'] });
  });

  it('believes the later of two claims, and at a tie the first member', () => {
    const stale = [member('a', { t: [0, 1] }, 3), member('b', { t: [0, 1] }, 7)];
    expect(shares(assignSticky(stale, topic(4)))).toEqual({ a: ['t/2', 't/3'], b: ['t/0', 't/1'] });
    const tied = [member('b', { t: [0] }, 3), member('a', { t: [0] }, 3)];
    expect(shares(assignSticky(tied, topic(2)))).toEqual({ a: ['t/0'], b: ['t/1'] });
  });

  it('ignores claims on what does not exist or was not subscribed', () => {
    const members = [
      member('a', { t: [0, 99, -1, Number.NaN], gone: [0], u: [0] }, 9),
      member('b', {}, -1, ['t', 'u']),
    ];
    const partitions = new Map([...topic(2), ...topic(1, 'u')]);
    expect(shares(assignSticky(members, partitions))).toEqual({ a: ['t/0'], b: ['t/1', 'u/0'] });
  });

  it('leaves topics that nobody reads to nobody', () => {
    expect(shares(assignSticky([member('a')], new Map([...topic(1), ...topic(5, 'other')])))).toEqual({ a: ['t/0'] });
  });

  it('takes topics named like parts of an object for what they are', () => {
    const partitions = new Map([...topic(1, '__proto__'), ...topic(1, 'constructor')]);
    const result = assignSticky([member('a', {}, -1, ['__proto__', 'constructor'])], partitions);
    expect(shares(result)).toEqual({ a: ['__proto__/0', 'constructor/0'] });
  });

  it('divides 10,000 partitions among 100 members in less than a second, also when one of them had all', () => {
    const members = Array.from({ length: 100 }, (_, i) => member(`m${String(i).padStart(3, '0')}`));
    members[0] = member('m000', { t: Array.from({ length: 10_000 }, (_, i) => i) }, 1);
    const startedMs = performance.now();
    const result = assignSticky(members, topic(10_000));
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(new Set(Object.values(shares(result)).map((share) => share.length))).toEqual(new Set([100]));
  });
});

describe('assignSticky, whatever the members claim,', () => {
  const partitionSet = fc
    .array(
      fc.tuple(fc.constantFrom('t', 'u', 'v', 'gone'), fc.array(fc.integer({ min: -1, max: 12 }), { maxLength: 12 })),
      { maxLength: 4 },
    )
    .map((entries): PartitionSet => new Map(entries));
  const topics = fc.uniqueArray(fc.constantFrom('t', 'u', 'v'), { minLength: 0, maxLength: 3 });
  const anyMember = fc.record({ topics, previous: partitionSet, generation: fc.integer({ min: -1, max: 5 }) });
  const anyMembers = fc
    .array(anyMember, { minLength: 1, maxLength: 8 })
    .map((members): GroupMember[] => members.map((each, i) => ({ ...each, memberId: `m${i}` })));
  const partitions = fc
    .tuple(fc.nat(10), fc.nat(10), fc.nat(3))
    .map(([t, u, v]) => new Map([...topic(t), ...topic(u, 'u'), ...topic(v, 'v')]));

  it('assigns every partition that has a reader once, to a reader', () => {
    fc.assert(
      fc.property(anyMembers, partitions, (members, all) => {
        const given = Object.entries(shares(assignSticky(members, all)));
        const flat = given.flatMap(([, share]) => share);
        const readable = [...all].filter(([name]) => members.some((each) => each.topics.includes(name)));
        expect(flat.toSorted()).toEqual(
          readable.flatMap(([name, numbers]) => numbers.map((number) => `${name}/${number}`)).toSorted(),
        );
        for (const [id, share] of given) {
          const own = members.find(({ memberId }) => memberId === id)!.topics;
          expect(share.every((slot) => own.includes(slot.split('/')[0]!))).toBe(true);
        }
      }),
    );
  });

  it('leaves no partition that could move to a member with two fewer', () => {
    fc.assert(
      fc.property(anyMembers, partitions, (members, all) => {
        const given = shares(assignSticky(members, all));
        for (const share of Object.values(given)) {
          for (const slot of share) {
            const takers = members.filter((each) => each.topics.includes(slot.split('/')[0]!));
            for (const { memberId } of takers) expect(given[memberId]!.length).toBeGreaterThanOrEqual(share.length - 1);
          }
        }
      }),
    );
  });

  it('gives the same result in any order of members and partitions', () => {
    fc.assert(
      fc.property(anyMembers, partitions, fc.infiniteStream(fc.nat()), (members, all, random) => {
        const shuffled = members.map((each) => ({ each, at: random.next().value })).toSorted((a, b) => a.at - b.at);
        const reversed = new Map([...all].toReversed().map(([name, numbers]) => [name, numbers.toReversed()]));
        expect(
          shares(
            assignSticky(
              shuffled.map(({ each }) => each),
              reversed,
            ),
          ),
        ).toEqual(shares(assignSticky(members, all)));
      }),
    );
  });

  it('moves as few partitions as balance allows when all members read the same topics', () => {
    const counts = fc.array(fc.nat(8), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(counts, fc.nat(6), fc.nat(4), (held, free, newcomers) => {
        let next = 0;
        const owners = held.map((count, i) => member(`m${i}`, { t: Array.from({ length: count }, () => next++) }, 1));
        const members = [...owners, ...Array.from({ length: newcomers }, (_, i) => member(`n${i}`))];
        const total = next + free;
        const result = assignSticky(members, topic(total));
        const moved = owners.reduce((sum, { memberId, previous }) => {
          const kept = new Set(result.get(memberId)!.get('t') ?? []);
          return sum + previous.get('t')!.filter((number) => !kept.has(number)).length;
        }, 0);
        expect(moved).toBe(fewestMoves(held, members.length, total));
      }),
    );
  });
});

/** What must move at least: with shares of ⌊n/m⌋ and n mod m larger ones, the larger ones to those who hold most. */
function fewestMoves(held: readonly number[], members: number, total: number): number {
  const small = Math.floor(total / members);
  const large = total % members;
  return held
    .toSorted((a, b) => b - a)
    .reduce((sum, count, i) => sum + Math.max(0, count - (i < large ? small + 1 : small)), 0);
}

function topic(count: number, name = 't'): PartitionSet {
  return new Map([[name, Array.from({ length: count }, (_, i) => i)]]);
}

function member(
  memberId: string,
  previous: Record<string, number[]> = {},
  generation = -1,
  topics = ['t'],
): GroupMember {
  return { memberId, topics, previous: new Map(Object.entries(previous)), generation };
}

function shares(assigned: ReadonlyMap<string, PartitionSet>): Record<string, string[]> {
  return Object.fromEntries(
    [...assigned].map(([id, share]) => [
      id,
      [...share].flatMap(([name, numbers]) => numbers.map((number) => `${name}/${number}`)).toSorted(),
    ]),
  );
}
