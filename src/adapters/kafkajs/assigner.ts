/** Partitions of topics: topic → partition numbers. A Map, because `__proto__` is a valid topic name. */
export type PartitionSet = ReadonlyMap<string, readonly number[]>;

/** What a member of the group says of itself. */
export interface GroupMember {
  readonly memberId: string;
  readonly topics: readonly string[];
  /** What it had before, and in which generation; hostile as far as we know. */
  readonly previous: PartitionSet;
  readonly generation: number;
}

interface Holder {
  readonly memberId: string;
  readonly topics: ReadonlySet<string>;
  readonly held: Slot[];
}

interface Slot {
  readonly topic: string;
  readonly partition: number;
}

/**
 * Divides partitions among members: complete, no partition twice, and as few moves as balance allows.
 *
 * Members that read the same topics get shares that differ by one at most; where subscriptions differ, no partition can
 * move to a member with two fewer. A claim made in a later generation wins over an earlier one; the same inputs give the
 * same result in any order, so it does not matter which member leads.
 * @param partitions of every topic that exists; topics without a reader stay unassigned
 * Cost: O(moves × (partitions + members)) at worst; 10,000 partitions and 100 members take well under a second.
 */
export function assignSticky(
  members: readonly GroupMember[],
  partitions: PartitionSet,
): ReadonlyMap<string, PartitionSet> {
  const sorted = members.toSorted((a, b) => compareText(a.memberId, b.memberId));
  const holders: Holder[] = sorted.map(({ memberId, topics }) => ({ memberId, topics: new Set(topics), held: [] }));
  const free = grantClaims(sorted, holders, partitions);
  for (const slot of free) {
    const taker = leastLoaded(holders, slot.topic);
    taker?.held.push(slot);
  }
  balance(holders);
  return new Map(holders.map((holder) => [holder.memberId, toPartitionSet(holder.held)]));
}

/** Gives members what they had, as far as it exists and nobody has a later claim. @returns what is left, in order */
function grantClaims(members: readonly GroupMember[], holders: readonly Holder[], partitions: PartitionSet): Slot[] {
  const claims = new Map<string, Map<number, { holder: Holder; generation: number }>>();
  members.forEach(({ previous, generation }, i) => {
    const holder = holders[i]!;
    for (const [topic, numbers] of previous) {
      if (!holder.topics.has(topic)) continue;
      const ofTopic = claims.get(topic) ?? new Map<number, { holder: Holder; generation: number }>();
      claims.set(topic, ofTopic);
      for (const number of numbers) {
        const rival = ofTopic.get(number);
        if (rival === undefined || generation > rival.generation) ofTopic.set(number, { holder, generation });
      }
    }
  });
  const free: Slot[] = [];
  for (const topic of [...partitions.keys()].toSorted(compareText)) {
    for (const partition of [...new Set(partitions.get(topic))].toSorted((a, b) => a - b)) {
      const claim = claims.get(topic)?.get(partition);
      if (claim === undefined) free.push({ topic, partition });
      else claim.holder.held.push({ topic, partition });
    }
  }
  return free;
}

function leastLoaded(holders: readonly Holder[], topic: string): Holder | undefined {
  let best: Holder | undefined;
  for (const holder of holders) {
    if (holder.topics.has(topic) && (best === undefined || holder.held.length < best.held.length)) best = holder;
  }
  return best;
}

/** Moves single partitions to members with at least two fewer until there is no such move. Each one brings the squares of the shares down, so it ends. */
function balance(holders: readonly Holder[]): void {
  while (moveOne(holders));
}

/** One move from whoever holds most, or else from the next who can give something: so no partition moves twice. */
function moveOne(holders: readonly Holder[]): boolean {
  const takers = new Map<string, Holder | undefined>();
  for (const giver of holders.toSorted((a, b) => b.held.length - a.held.length)) {
    // The last ones first: what comes first in order stays.
    for (let i = giver.held.length - 1; i >= 0; i--) {
      const slot = giver.held[i]!;
      if (!takers.has(slot.topic)) takers.set(slot.topic, leastLoaded(holders, slot.topic));
      const taker = takers.get(slot.topic);
      if (taker === undefined || taker.held.length > giver.held.length - 2) continue;
      giver.held.splice(i, 1);
      taker.held.push(slot);
      return true;
    }
  }
  return false;
}

function toPartitionSet(held: readonly Slot[]): PartitionSet {
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of held) {
    const numbers = topics.get(topic);
    if (numbers === undefined) topics.set(topic, [partition]);
    else numbers.push(partition);
  }
  for (const numbers of topics.values()) numbers.sort((a, b) => a - b);
  return topics;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
