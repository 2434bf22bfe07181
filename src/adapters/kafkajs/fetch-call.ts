import type { AbortedTransaction } from './aborted-transactions.ts';
import type { Call } from './calls.ts';
import type { WireReader } from './wire.ts';
import { WireWriter } from './wire.ts';

/** What to fetch of one partition. */
export interface FetchPartition {
  readonly topic: string;
  /** The topic's id when it was first seen; null where brokers do not tell. */
  readonly topicId: string | null;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
}

/** What to fetch from one broker. */
export interface FetchRequest {
  /** Longest wait for the first record, in ms. */
  readonly waitMs: number;
  readonly bytesMax: number;
  /** Without it, batches of open transactions come too. */
  readonly readCommitted: boolean;
  /** In the order in which the broker fills the answer. */
  readonly partitions: readonly FetchPartition[];
}

/** One partition of an answer. */
export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Past the last offset that a reader of committed records may see now. */
  readonly lastStable: number;
  /** Offset of the first record that may still be there. */
  readonly logStart: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Raw record batches, a view into the answer; the last one may be cut off. */
  readonly batches: Buffer;
}

/** Record batches as the broker sent them, not checked yet. */
export interface FetchAnswer {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** From this version on topics are asked for by id, and fields are compact. */
const BY_ID_VERSION = 13;
const BY_NAME_VERSION = 11;

/**
 * A fetch without a session, from the leader. The batches are left as they came.
 *
 * By topic id where all ids are known: the broker then answers UNKNOWN_TOPIC_ID for a topic that was made again, instead of
 * records that have nothing to do with ours. Source: https://kafka.apache.org/protocol#The_Messages_Fetch, KIP-516
 */
export function fetchCall(request: FetchRequest): Call<FetchAnswer> {
  const names = new Map<string, string>();
  for (const { topic, topicId } of request.partitions) if (topicId !== null) names.set(topicId, topic);
  return {
    api: 'Fetch',
    versionMax: request.partitions.every(({ topicId }) => topicId !== null) ? BY_ID_VERSION : BY_NAME_VERSION,
    encode: (version) => (version >= BY_ID_VERSION ? encodeById(request) : encodeByName(request)),
    decode: (reader, version) => (version >= BY_ID_VERSION ? decodeById(reader, names) : decodeByName(reader)),
  };
}

function writeHead(writer: WireWriter, { waitMs, bytesMax, readCommitted }: FetchRequest): WireWriter {
  // Replica −1 is a consumer; at least one byte, or the broker would not wait at all.
  writer
    .int32(-1)
    .int32(waitMs)
    .int32(waitMs > 0 ? 1 : 0)
    .int32(bytesMax)
    .int8(readCommitted ? 1 : 0);
  // No session.
  return writer.int32(0).int32(-1);
}

// In both forms a topic may appear several times: the order of partitions is what counts (KIP-74). Leader epoch and log
// start (−1) are for followers and for clients that validate positions themselves.

function encodeByName(request: FetchRequest): Buffer {
  const writer = writeHead(new WireWriter(), request);
  writer.array(request.partitions, ({ topic, partition, offset, bytesMax }) => {
    writer.text(topic).int32(1).int32(partition).int32(-1).int64(offset).int64(-1).int32(bytesMax);
  });
  return writer.int32(0).text('').finish();
}

function encodeById(request: FetchRequest): Buffer {
  // The first byte ends the request header (version 2), which kafkajs writes without its tagged fields.
  const writer = writeHead(new WireWriter().noTags(), request);
  writer.compactArray(request.partitions, ({ topicId, partition, offset, bytesMax }) => {
    writer.uuid(topicId!).compactArray([partition], () => {
      writer.int32(partition).int32(-1).int64(offset).int32(-1).int64(-1).int32(bytesMax).noTags();
    });
    writer.noTags();
  });
  return writer
    .compactArray([], () => undefined)
    .compactText('')
    .noTags()
    .finish();
}

function decodeByName(reader: WireReader): FetchAnswer {
  reader.int32(); // throttle time
  const errorCode = reader.int16();
  reader.int32(); // session
  const topics = reader.array(6, () => {
    const topic = reader.text();
    return reader.array(42, (): FetchedPartition => {
      const fields = readFields(reader, topic);
      const aborted = reader.array(16, () => readAborted(reader));
      reader.int32(); // preferred replica: only ever −1, since we name no rack
      return { ...fields, aborted, batches: reader.nullableBytes() ?? Buffer.alloc(0) };
    });
  });
  return { errorCode, partitions: topics.flat() };
}

function decodeById(reader: WireReader, names: ReadonlyMap<string, string>): FetchAnswer {
  reader.skipTags(); // response header, version 1
  reader.int32(); // throttle time
  const errorCode = reader.int16();
  reader.int32(); // session
  const topics = reader.compactArray(18, () => {
    // An id that was not asked for has no name, and no request finds its answer.
    const topic = names.get(reader.uuid()) ?? '';
    const partitions = reader.compactArray(37, (): FetchedPartition => {
      const fields = readFields(reader, topic);
      const aborted = reader.compactArray(17, () => {
        const entry = readAborted(reader);
        reader.skipTags();
        return entry;
      });
      reader.int32(); // preferred replica
      const batches = reader.compactNullableBytes() ?? Buffer.alloc(0);
      reader.skipTags(); // of which one names the current leader; the metadata do, too
      return { ...fields, aborted, batches };
    });
    reader.skipTags();
    return partitions;
  });
  return { errorCode, partitions: topics.flat() };
}

function readFields(reader: WireReader, topic: string): Omit<FetchedPartition, 'aborted' | 'batches'> {
  const [partition, errorCode] = [reader.int32(), reader.int16()];
  reader.int64(); // high watermark
  const [lastStable, logStart] = [reader.int64(), reader.int64()];
  return { topic, partition, errorCode, lastStable, logStart };
}

function readAborted(reader: WireReader): AbortedTransaction {
  return { producerId: reader.bigInt64(), firstOffset: reader.int64() };
}
