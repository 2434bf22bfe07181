import type { Call } from './calls.ts';
import { onePartition, readOnePartition } from './calls.ts';
import { WireWriter } from './wire.ts';

/** What we are in the group: nothing of it is valid once the broker names another generation. */
export interface Membership {
  readonly groupId: string;
  readonly generation: number;
  readonly memberId: string;
}

/** An answer that says no more than whether it worked. */
export interface PlainAnswer {
  readonly errorCode: number;
}

/** The broker that keeps the group. */
export interface CoordinatorAnswer extends PlainAnswer {
  readonly nodeId: number;
}

/** Which broker keeps the group. */
export function findCoordinatorCall(groupId: string): Call<CoordinatorAnswer> {
  return {
    api: 'FindCoordinator',
    encode: () => new WireWriter().text(groupId).int8(0).finish(),
    decode: (reader) => {
      reader.int32(); // throttle time
      const errorCode = reader.int16();
      reader.nullableText(); // message
      return { errorCode, nodeId: reader.int32() };
    },
  };
}

/** A member that wants in. */
export interface JoinRequest {
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Empty at first; the broker then names one and wants to be asked again. */
  readonly memberId: string;
  readonly protocol: string;
  readonly metadata: Buffer;
}

/** The member's place in the new generation; the leader also gets the members. */
export interface JoinAnswer extends PlainAnswer {
  readonly generation: number;
  readonly protocol: string | null;
  readonly leaderId: string;
  readonly memberId: string;
  /** Told to the leader only. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}

/** Waits until the group has gathered, at most the rebalance time-out. */
export function joinGroupCall(request: JoinRequest): Call<JoinAnswer> {
  return {
    api: 'JoinGroup',
    encode: () => {
      const writer = new WireWriter()
        .text(request.groupId)
        .int32(request.sessionTimeoutMs)
        .int32(request.rebalanceTimeoutMs);
      writer.text(request.memberId).nullableText(null).text('consumer');
      return writer.int32(1).text(request.protocol).bytes(request.metadata).finish();
    },
    decode: (reader) => {
      reader.int32(); // throttle time
      const errorCode = reader.int16();
      const generation = reader.int32();
      const protocol = reader.nullableText();
      const [leaderId, memberId] = [reader.nullableText() ?? '', reader.nullableText() ?? ''];
      const members = reader.array(8, () => {
        const id = reader.text();
        reader.nullableText(); // instance id
        return { memberId: id, metadata: reader.bytes() };
      });
      return { errorCode, generation, protocol, leaderId, memberId, members };
    },
  };
}

/** The partitions of one member, encoded by the group's leader. */
export interface SyncAnswer extends PlainAnswer {
  readonly assignment: Buffer;
}

/** @param assignments of all members, from the leader; empty from the others */
export function syncGroupCall(member: Membership, assignments: ReadonlyMap<string, Buffer>): Call<SyncAnswer> {
  return {
    api: 'SyncGroup',
    encode: () => {
      const writer = writeMember(new WireWriter(), member).nullableText(null);
      return writer
        .array([...assignments], ([memberId, assignment]) => writer.text(memberId).bytes(assignment))
        .finish();
    },
    decode: (reader) => {
      reader.int32(); // throttle time
      return { errorCode: reader.int16(), assignment: reader.nullableBytes() ?? Buffer.alloc(0) };
    },
  };
}

/** Tells the coordinator that the member lives; its answer tells of a rebalance. */
export function heartbeatCall(member: Membership): Call<PlainAnswer> {
  return {
    api: 'Heartbeat',
    encode: () => writeMember(new WireWriter(), member).nullableText(null).finish(),
    decode: (reader) => {
      reader.int32(); // throttle time
      return { errorCode: reader.int16() };
    },
  };
}

/** Gives the partitions back at once, not after the session has timed out. */
export function leaveGroupCall(groupId: string, memberId: string): Call<PlainAnswer> {
  return {
    api: 'LeaveGroup',
    encode: () => new WireWriter().text(groupId).int32(1).text(memberId).nullableText(null).finish(),
    decode: (reader) => {
      reader.int32(); // throttle time
      return { errorCode: reader.int16() };
    },
  };
}

/** Stores an offset with its metadata, if the membership is still that of the group's generation. */
export function offsetCommitCall(
  member: Membership,
  topic: string,
  partition: number,
  offset: number,
  metadata: string,
): Call<PlainAnswer> {
  return {
    api: 'OffsetCommit',
    encode: () => {
      const writer = writeMember(new WireWriter(), member);
      return onePartition(writer, topic, partition).int64(offset).text(metadata).finish();
    },
    decode: (reader) => {
      reader.int32(); // throttle time
      return readOnePartition(reader, topic, partition, 6, () => ({ errorCode: reader.int16() }));
    },
  };
}

/** The committed offset of one partition. */
export interface CommittedAnswer extends PlainAnswer {
  /** −1: nothing was committed. */
  readonly offset: number;
  readonly metadata: string | null;
}

/** What the group has stored for a partition. */
export function offsetFetchCall(groupId: string, topic: string, partition: number): Call<CommittedAnswer> {
  return {
    api: 'OffsetFetch',
    encode: () => onePartition(new WireWriter().text(groupId), topic, partition).finish(),
    decode: (reader) => {
      reader.int32(); // throttle time
      const answer = readOnePartition(reader, topic, partition, 16, () => {
        const [offset, metadata] = [reader.int64(), reader.nullableText()];
        return { offset, metadata, errorCode: reader.int16() };
      });
      const groupError = reader.int16();
      return groupError === 0 ? answer : { ...answer, errorCode: groupError };
    },
  };
}

function writeMember(writer: WireWriter, { groupId, generation, memberId }: Membership): WireWriter {
  return writer.text(groupId).int32(generation).text(memberId);
}
