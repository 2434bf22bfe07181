import type { AbortedTransaction } from './aborted-transactions.ts';
import type { Call } from './calls.ts';
import type { WireReader } from './wire.ts';
import { WireWriter } from './wire.ts';

/** What to fetch of one partition. */
export interface FetchPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
}

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

export interface FetchAnswer {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** A fetch without a session, from the leader. The batches are left as they came. Source: https://kafka.apache.org/protocol#The_Messages_Fetch */
export function fetchCall(request: FetchRequest): Call<FetchAnswer> {
  return { api: 'Fetch', encode: () => encodeFetch(request), decode: decodeFetch };
}

function encodeFetch({ waitMs, bytesMax, readCommitted, partitions }: FetchRequest): Buffer {
  const writer = new WireWriter();
  // Replica −1 is a consumer; at least one byte, or the broker would not wait at all.
  writer
    .int32(-1)
    .int32(waitMs)
    .int32(waitMs > 0 ? 1 : 0)
    .int32(bytesMax)
    .int8(readCommitted ? 1 : 0);
  // No session.
  writer.int32(0).int32(-1);
  writer.array(partitions, ({ topic, partition, offset, bytesMax: partitionBytesMax }) => {
    // A topic may appear several times: the order of partitions is what counts (KIP-74).
    writer.text(topic).int32(1).int32(partition);
    // Leader epoch and log start are for followers and for clients that validate positions themselves.
    writer.int32(-1).int64(offset).int64(-1).int32(partitionBytesMax);
  });
  return writer.int32(0).text('').finish();
}

function decodeFetch(reader: WireReader): FetchAnswer {
  reader.int32(); // throttle time
  const errorCode = reader.int16();
  reader.int32(); // session
  const topics = reader.array(6, () => {
    const topic = reader.text();
    return reader.array(42, () => readPartition(reader, topic));
  });
  return { errorCode, partitions: topics.flat() };
}

function readPartition(reader: WireReader, topic: string): FetchedPartition {
  const partition = reader.int32();
  const errorCode = reader.int16();
  reader.int64(); // high watermark
  const lastStable = reader.int64();
  const logStart = reader.int64();
  const aborted = reader.array(16, () => ({ producerId: reader.bigInt64(), firstOffset: reader.int64() }));
  reader.int32(); // preferred replica: only ever −1, since we name no rack
  const batches = reader.nullableBytes() ?? Buffer.alloc(0);
  return { topic, partition, errorCode, lastStable, logStart, aborted, batches };
}
