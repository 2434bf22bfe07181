import type { PartitionBounds, StartPosition } from '../../ports/record-source.ts';
import { BROKER_ERROR, brokerErrorName } from './broker-errors.ts';
import { EARLIEST_TIME, LATEST_TIME, listOffsetCall } from './calls.ts';
import type { Call } from './calls.ts';
import type { KafkaCluster } from './cluster.ts';
import { brokerRefusal, unavailable } from './failures.ts';
import { fetchCall } from './fetch-call.ts';
import type { FetchedPartition } from './fetch-call.ts';
import { BATCH_HEADER_BYTES, BatchFault, BatchHeader } from './record-batch.ts';

/** One partition of one topic. */
export interface PartitionId {
  readonly topic: string;
  readonly partition: number;
}

/** Errors that pass once the metadata are read anew. */
const STALE_METADATA: ReadonlySet<number> = new Set([
  BROKER_ERROR.UNKNOWN_TOPIC_OR_PARTITION,
  BROKER_ERROR.LEADER_NOT_AVAILABLE,
  BROKER_ERROR.NOT_LEADER_OR_FOLLOWER,
  BROKER_ERROR.REPLICA_NOT_AVAILABLE,
  BROKER_ERROR.BROKER_NOT_AVAILABLE,
  BROKER_ERROR.FENCED_LEADER_EPOCH,
  BROKER_ERROR.UNKNOWN_LEADER_EPOCH,
  BROKER_ERROR.UNKNOWN_TOPIC_ID,
]);
const ATTEMPTS_MAX = 4;
/** Enough for the header of the batch that covers an offset; the broker sends that batch whole even when it is larger. */
const PROBE_BYTES = 4_096;

/**
 * First offset and high watermark. The high watermark, not the last stable offset: the caller compares it with what the
 * ledger holds to see whether the log was cut, and an open transaction lowers the last stable offset without cutting anything.
 * It also counts records of open transactions as lag, which they are.
 * @throws {UnavailableError}
 */
export async function readBounds(cluster: KafkaCluster, id: PartitionId): Promise<PartitionBounds> {
  // The end first: a log that is cut at its start in between must not seem to end before it begins.
  const latest = await listOffset(cluster, id, LATEST_TIME, false);
  const earliest = await listOffset(cluster, id, EARLIEST_TIME, false);
  return { earliest, latest: Math.max(earliest, latest) };
}

/**
 * The offset that a start position means now. `latest` is the last stable offset: a transaction that is open now and
 * commits later happens after the start. A time after every record means the high watermark.
 * @throws {UnavailableError}
 */
export async function readStart(cluster: KafkaCluster, id: PartitionId, start: StartPosition): Promise<number> {
  if (start.at === 'earliest') return listOffset(cluster, id, EARLIEST_TIME, false);
  if (start.at === 'latest') return listOffset(cluster, id, LATEST_TIME, true);
  const offset = await listOffset(cluster, id, Math.max(0, Math.floor(start.timeMs)), false);
  return offset >= 0 ? offset : listOffset(cluster, id, LATEST_TIME, false);
}

/**
 * Leader epoch of the batch that covers `offset`, or of the next one; null when there is none or it has no epoch.
 * @throws {UnavailableError}
 */
export async function readLeaderEpoch(
  cluster: KafkaCluster,
  id: PartitionId,
  offset: number,
): Promise<{ readonly covered: boolean; readonly leaderEpoch: number } | null> {
  const answer = await askLeader(
    cluster,
    id,
    `read the leader epoch at offset ${offset} of`,
    probeCall(id, cluster.topicId(id.topic), offset),
  );
  if (answer.errorCode !== 0)
    throw brokerRefusal(`read at offset ${offset} of ${describe(id)}`, id.topic, answer.errorCode);
  const header = new BatchHeader();
  for (let at = 0; at + BATCH_HEADER_BYTES <= answer.batches.length; at += header.bytes) {
    try {
      header.load(answer.batches, at);
    } catch (error) {
      // What is wrong with it is named by the poll that reads it.
      if (error instanceof BatchFault) return null;
      throw error;
    }
    if (header.lastOffset < offset) continue;
    return header.leaderEpoch === null
      ? null
      : { covered: header.baseOffset <= offset, leaderEpoch: header.leaderEpoch };
  }
  return null;
}

/** `topic "t" partition 3`, for messages. */
export function describe({ topic, partition }: PartitionId): string {
  return `topic "${topic}" partition ${partition}`;
}

/** True for errors that say that the metadata are old. */
export function isStaleMetadata(errorCode: number): boolean {
  return STALE_METADATA.has(errorCode);
}

async function listOffset(
  cluster: KafkaCluster,
  id: PartitionId,
  timeMs: number,
  readCommitted: boolean,
): Promise<number> {
  const call = listOffsetCall(id.topic, id.partition, timeMs, readCommitted);
  const { errorCode, offset } = await askLeader(cluster, id, 'read the offsets of', call);
  if (errorCode !== 0) throw brokerRefusal(`read the offsets of ${describe(id)}`, id.topic, errorCode);
  return offset;
}

/** A fetch that waits for nothing and sees all batches. */
function probeCall({ topic, partition }: PartitionId, topicId: string | null, offset: number): Call<FetchedPartition> {
  const partitions = [{ topic, topicId, partition, offset, bytesMax: PROBE_BYTES }];
  const call = fetchCall({ waitMs: 0, bytesMax: PROBE_BYTES, readCommitted: false, partitions });
  return {
    ...call,
    decode: (reader, version) => {
      const answer = call.decode(reader, version);
      const found = answer.partitions.find((each) => each.topic === topic && each.partition === partition);
      if (found !== undefined && answer.errorCode === 0) return found;
      const errorCode = answer.errorCode === 0 ? BROKER_ERROR.UNKNOWN_TOPIC_OR_PARTITION : answer.errorCode;
      return { topic, partition, errorCode, lastStable: -1, logStart: -1, aborted: [], batches: Buffer.alloc(0) };
    },
  };
}

/** Asks the partition's leader, again with new metadata while the broker says that they are old. */
async function askLeader<T extends { readonly errorCode: number }>(
  cluster: KafkaCluster,
  id: PartitionId,
  action: string,
  call: Call<T>,
): Promise<T> {
  let why = 'it has no leader';
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const leader = cluster.leaderOf(id.topic, id.partition);
    if (leader !== null) {
      const answer = await cluster.link(leader, 'control').send(call);
      if (!isStaleMetadata(answer.errorCode)) return answer;
      why = `the broker answers ${brokerErrorName(answer.errorCode)}`;
    }
    if (attempt < ATTEMPTS_MAX) await cluster.refresh();
  }
  throw unavailable(`Cannot ${action} ${describe(id)}: ${why}`);
}
