import type { GroupMember, PartitionSet } from './assigner.ts';
import { WireFault, WireReader, WireWriter } from './wire.ts';

/** Name of our assignment protocol; members that name another one cannot share the group. */
export const STICKY_PROTOCOL = 'headgate-sticky-1';

const SUBSCRIPTION_VERSION = 0;
const USER_DATA_VERSION = 1;

/** A subscription for the group's leader: topics, and what we had before. Source: Kafka's ConsumerProtocolSubscription v0 */
export function encodeSubscription(topics: readonly string[], previous: PartitionSet, generation: number): Buffer {
  const userData = writePartitions(new WireWriter().int16(USER_DATA_VERSION).int32(generation), previous).finish();
  const writer = new WireWriter().int16(SUBSCRIPTION_VERSION);
  return writer
    .array(topics, (topic) => writer.text(topic))
    .bytes(userData)
    .finish();
}

/**
 * A member as the leader sees it. A subscription that does not parse reads as one without topics, user data that do not
 * parse as none: one broken member must not keep the whole group from working.
 * Trust: hostile; any client that may join the group writes them.
 */
export function decodeSubscription(memberId: string, subscription: Buffer): GroupMember {
  const nothing: GroupMember = { memberId, topics: [], previous: new Map(), generation: -1 };
  try {
    const reader = new WireReader(subscription);
    reader.int16();
    const topics = reader.array(2, () => reader.text());
    const userData = reader.remaining === 0 ? null : reader.nullableBytes();
    return { ...nothing, topics, ...(userData === null ? {} : decodeUserData(userData)) };
  } catch (error) {
    if (error instanceof WireFault) return nothing;
    throw error;
  }
}

function decodeUserData(userData: Buffer): Pick<GroupMember, 'previous' | 'generation'> | null {
  try {
    const reader = new WireReader(userData);
    if (reader.int16() !== USER_DATA_VERSION) return null;
    const generation = reader.int32();
    return { generation, previous: readPartitions(reader) };
  } catch (error) {
    if (error instanceof WireFault) return null;
    throw error;
  }
}

/** Source: Kafka's ConsumerProtocolAssignment v0 */
export function encodeAssignment(partitions: PartitionSet): Buffer {
  return writePartitions(new WireWriter().int16(SUBSCRIPTION_VERSION), partitions).bytes(Buffer.alloc(0)).finish();
}

/** What the leader gave us; no bytes at all mean nothing. @throws {WireFault} when it does not parse */
export function decodeAssignment(assignment: Buffer): PartitionSet {
  if (assignment.length === 0) return new Map();
  const reader = new WireReader(assignment);
  reader.int16();
  return readPartitions(reader);
}

function writePartitions(writer: WireWriter, partitions: PartitionSet): WireWriter {
  return writer.array([...partitions], ([topic, numbers]) => {
    writer.text(topic).array(numbers, (number) => writer.int32(number));
  });
}

function readPartitions(reader: WireReader): PartitionSet {
  const partitions = new Map<string, Set<number>>();
  reader.array(6, () => {
    const topic = reader.text();
    const numbers = partitions.get(topic) ?? new Set<number>();
    partitions.set(topic, numbers);
    for (const number of reader.array(4, () => reader.int32())) {
      if (number < 0) throw new WireFault(`partition ${number} is negative`);
      numbers.add(number);
    }
  });
  return new Map([...partitions].map(([topic, numbers]) => [topic, [...numbers]]));
}
