import type { WireReader } from './wire.ts';
import { WireWriter } from './wire.ts';

/**
 * The APIs that are used, by name: key, and the versions that we speak, best first. One version each where it is enough.
 * The last ones are spoken by every broker from Kafka 2.3 to 4.1 and by those that imitate it; the first ones need 3.1.
 * Source: https://kafka.apache.org/protocol#protocol_api_keys
 */
export const APIS = {
  // 13 asks by topic id: a topic that was deleted and made again cannot be taken for the old one.
  Fetch: { key: 1, versions: [13, 11] },
  ListOffsets: { key: 2, versions: [3] },
  // 12 tells topic ids.
  Metadata: { key: 3, versions: [12, 5] },
  OffsetCommit: { key: 8, versions: [5] },
  OffsetFetch: { key: 9, versions: [4] },
  FindCoordinator: { key: 10, versions: [2] },
  JoinGroup: { key: 11, versions: [5] },
  Heartbeat: { key: 12, versions: [3] },
  LeaveGroup: { key: 13, versions: [3] },
  SyncGroup: { key: 14, versions: [3] },
  ApiVersions: { key: 18, versions: [2] },
} as const satisfies Record<string, { readonly key: number; readonly versions: readonly number[] }>;

/** Name of a request of the Kafka protocol that we send. */
export type ApiName = keyof typeof APIS;

/** One request and how its answer is read. */
export interface Call<T> {
  readonly api: ApiName;
  /** Highest version that this request can be made in; default: the best that both sides speak. */
  readonly versionMax?: number;
  /** Body of the request, after the header. */
  encode(version: number): Buffer;
  /** @throws {WireFault} when the answer does not parse */
  decode(reader: WireReader, version: number): T;
}

/** Versions of every API that a broker speaks. */
export interface ApiVersionsAnswer {
  readonly errorCode: number;
  readonly versions: readonly { readonly key: number; readonly min: number; readonly max: number }[];
}

/** Which requests, in which versions, the broker answers. */
export const apiVersionsCall: Call<ApiVersionsAnswer> = {
  api: 'ApiVersions',
  encode: () => Buffer.alloc(0),
  decode: (reader) => ({
    errorCode: reader.int16(),
    versions: reader.array(6, () => ({ key: reader.int16(), min: reader.int16(), max: reader.int16() })),
  }),
};

/** One partition of a topic; `leader` −1 = none now. */
export interface PartitionAnswer {
  readonly errorCode: number;
  readonly partition: number;
  readonly leader: number;
}

/** One topic of a metadata answer. */
export interface TopicAnswer {
  readonly errorCode: number;
  readonly name: string;
  /** Changes when a topic is made again; null where the broker does not tell. */
  readonly id: string | null;
  readonly partitions: readonly PartitionAnswer[];
}

/** Brokers and topics, as the asked broker knows them. */
export interface MetadataAnswer {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly clusterId: string | null;
  readonly topics: readonly TopicAnswer[];
}

/** Brokers, cluster id, and the partitions of `topics`, each topic with an error of its own. Never creates a topic. */
export function metadataCall(topics: readonly string[]): Call<MetadataAnswer> {
  return {
    api: 'Metadata',
    encode: (version) => (version >= 9 ? encodeFlexibleMetadata(topics) : encodePlainMetadata(topics)),
    decode: (reader, version) => (version >= 9 ? decodeFlexibleMetadata(reader) : decodePlainMetadata(reader)),
  };
}

function encodePlainMetadata(topics: readonly string[]): Buffer {
  const writer = new WireWriter();
  return writer
    .array(topics, (topic) => writer.text(topic))
    .int8(0)
    .finish();
}

/** Asks by name. */
const NO_ID = '0'.repeat(32);

function encodeFlexibleMetadata(topics: readonly string[]): Buffer {
  // The first byte ends the request header (version 2), which kafkajs writes without its tagged fields.
  const writer = new WireWriter().noTags();
  writer.compactArray(topics, (topic) => writer.uuid(NO_ID).compactText(topic).noTags());
  return writer.int8(0).int8(0).noTags().finish();
}

function decodePlainMetadata(reader: WireReader): MetadataAnswer {
  reader.int32(); // throttle time
  const brokers = reader.array(12, () => {
    const broker = { nodeId: reader.int32(), host: reader.text(), port: reader.int32() };
    reader.nullableText(); // rack
    return broker;
  });
  const clusterId = reader.nullableText();
  reader.int32(); // controller
  const topics = reader.array(9, () => {
    const [errorCode, name] = [reader.int16(), reader.text()];
    reader.boolean(); // internal
    const partitions = reader.array(22, () => {
      const partition = { errorCode: reader.int16(), partition: reader.int32(), leader: reader.int32() };
      for (let i = 0; i < 3; i++) reader.array(4, () => reader.int32()); // replicas, in sync, offline
      return partition;
    });
    return { errorCode, name, id: null, partitions };
  });
  return { brokers, clusterId, topics };
}

function decodeFlexibleMetadata(reader: WireReader): MetadataAnswer {
  reader.skipTags(); // response header, version 1
  reader.int32(); // throttle time
  const brokers = reader.compactArray(11, () => {
    const broker = { nodeId: reader.int32(), host: reader.compactNullableText() ?? '', port: reader.int32() };
    reader.compactNullableText(); // rack
    reader.skipTags();
    return broker;
  });
  const clusterId = reader.compactNullableText();
  reader.int32(); // controller
  const topics = reader.compactArray(26, () => {
    const errorCode = reader.int16();
    const name = reader.compactNullableText() ?? '';
    const id = reader.uuid();
    reader.boolean(); // internal
    const partitions = reader.compactArray(18, () => {
      const partition = { errorCode: reader.int16(), partition: reader.int32(), leader: reader.int32() };
      reader.int32(); // leader epoch
      for (let i = 0; i < 3; i++) reader.compactArray(4, () => reader.int32()); // replicas, in sync, offline
      reader.skipTags();
      return partition;
    });
    reader.int32(); // authorized operations
    reader.skipTags();
    return { errorCode, name, id: id === NO_ID ? null : id, partitions };
  });
  return { brokers, clusterId, topics };
}

/** Offsets are asked for by time: these two stand for the ends. */
export const EARLIEST_TIME = -2;
export const LATEST_TIME = -1;

/** Offset of the first record at or after a time. */
export interface OffsetAnswer {
  readonly errorCode: number;
  /** −1: no such record. */
  readonly offset: number;
}

/** @param readCommitted the end is then the last stable offset, else the high watermark */
export function listOffsetCall(
  topic: string,
  partition: number,
  timeMs: number,
  readCommitted: boolean,
): Call<OffsetAnswer> {
  return {
    api: 'ListOffsets',
    encode: () => {
      const writer = new WireWriter().int32(-1).int8(readCommitted ? 1 : 0);
      return onePartition(writer, topic, partition).int64(timeMs).finish();
    },
    decode: (reader) => {
      reader.int32(); // throttle time
      return readOnePartition(reader, topic, partition, 22, () => {
        const errorCode = reader.int16();
        reader.int64(); // time of the record
        return { errorCode, offset: reader.int64() };
      });
    },
  };
}

/** Array of one topic with an array of one partition; what follows is the partition's fields. */
export function onePartition(writer: WireWriter, topic: string, partition: number): WireWriter {
  return writer.int32(1).text(topic).int32(1).int32(partition);
}

/** Fields of one partition in an answer that has topics and partitions; `UNKNOWN_TOPIC_OR_PARTITION` when it is missing there.
 * @param read reads the fields after the partition number, every time it is called */
export function readOnePartition<T extends { readonly errorCode: number }>(
  reader: WireReader,
  topic: string,
  partition: number,
  bytesMin: number,
  read: () => T,
): T | { errorCode: 3; offset: -1; metadata: null } {
  let found: T | null = null;
  reader.array(6, () => {
    const name = reader.text();
    reader.array(bytesMin, () => {
      const number = reader.int32();
      const fields = read();
      if (name === topic && number === partition) found ??= fields;
    });
  });
  return found ?? { errorCode: 3, offset: -1, metadata: null };
}
