import type { AbortedTransaction } from '../../src/adapters/kafkajs/aborted-transactions.ts';
import type { WireReader } from '../../src/adapters/kafkajs/wire.ts';
import { WireWriter } from '../../src/adapters/kafkajs/wire.ts';
import { FakeBroker, metadataAnswer } from './fake-broker.ts';
import type { FakeTopic } from './fake-broker.ts';

/** One partition as the fake brokers serve it. */
export interface FakePartition {
  readonly batches?: readonly Buffer[];
  readonly errorCode?: number;
  readonly aborted?: readonly AbortedTransaction[];
  readonly earliest?: number;
  readonly latest?: number;
  readonly lastStable?: number;
  /** As fetch answers tell it; default: `earliest`. */
  readonly logStart?: number;
}

/** What a fetch asked of one partition. */
export interface SeenFetch {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
  /** Only where it was asked for by id. */
  readonly id?: string;
}

export interface SeenFetchRequest {
  readonly nodeId: number;
  readonly waitMs: number;
  readonly bytesMax: number;
  readonly readCommitted: boolean;
  readonly partitions: readonly SeenFetch[];
}

/** Brokers that serve metadata, offsets and fetches from a table that the test may change at any time. */
export class FakeCluster implements AsyncDisposable {
  readonly brokers = new Map<number, FakeBroker>();
  readonly fetches: SeenFetchRequest[] = [];
  topics: FakeTopic[] = [{ name: 't', leaders: [1] }];
  clusterId: string | null = 'fake-cluster';
  /** Brokers that leave fetches unanswered. */
  readonly silent = new Set<number>();
  /** `topic/partition` → what is there; a function is asked at each fetch. */
  readonly partitions = new Map<string, FakePartition | ((fetch: SeenFetch) => FakePartition)>();

  static async start(nodeIds: readonly number[] = [1]): Promise<FakeCluster> {
    const cluster = new FakeCluster();
    for (const nodeId of nodeIds) {
      const broker = await FakeBroker.start();
      cluster.brokers.set(nodeId, broker);
      broker.on('Metadata', ({ version }) =>
        metadataAnswer(version, cluster.brokers, cluster.topics, cluster.clusterId),
      );
      broker.on('Fetch', ({ body, version }) =>
        cluster.silent.has(nodeId) ? null : cluster.#fetch(nodeId, version, body),
      );
      broker.on('ListOffsets', ({ body }) => cluster.#listOffsets(body));
    }
    return cluster;
  }

  get addresses(): string[] {
    return [...this.brokers.values()].map(({ address }) => address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.brokers.values()].map((broker) => broker[Symbol.asyncDispose]()));
  }

  #find(fetch: SeenFetch): FakePartition {
    const found = this.partitions.get(`${fetch.topic}/${fetch.partition}`) ?? {};
    return typeof found === 'function' ? found(fetch) : found;
  }

  #fetch(nodeId: number, version: number, body: WireReader): Buffer {
    if (version >= 13) body.skipTags();
    body.int32();
    const [waitMs, , bytesMax, isolation] = [body.int32(), body.int32(), body.int32(), body.int8()];
    body.int32();
    body.int32();
    const partitions = version >= 13 ? this.#readById(body) : readByName(body);
    this.fetches.push({ nodeId, waitMs, bytesMax, readCommitted: isolation === 1, partitions });
    return version >= 13 ? this.#answerById(partitions) : this.#answerByName(partitions);
  }

  #readById(body: WireReader): SeenFetch[] {
    const topics = body.compactArray(16, () => {
      const id = body.uuid();
      const topic = this.topics.find((each) => each.id === id)?.name ?? `unknown ${id}`;
      const partitions = body.compactArray(33, (): SeenFetch => {
        const partition = body.int32();
        body.int32();
        const offset = body.int64();
        body.int32();
        body.int64();
        const fetch = { topic, id, partition, offset, bytesMax: body.int32() };
        body.skipTags();
        return fetch;
      });
      body.skipTags();
      return partitions;
    });
    return topics.flat();
  }

  #answerByName(fetches: readonly SeenFetch[]): Buffer {
    const writer = new WireWriter().int32(0).int16(0).int32(0);
    writer.array(fetches, (fetch) => {
      writer.text(fetch.topic).int32(1);
      const { aborted, batches } = this.#answerPartition(writer, fetch);
      writer.array(aborted, ({ producerId, firstOffset }) => void writer.int64(Number(producerId)).int64(firstOffset));
      writer.int32(-1).bytes(batches);
    });
    return writer.finish();
  }

  #answerById(fetches: readonly SeenFetch[]): Buffer {
    const writer = new WireWriter().noTags().int32(0).int16(0).int32(0);
    writer.compactArray(fetches, (fetch) => {
      writer.uuid(fetch.id!).compactArray([fetch], () => {
        const { aborted, batches } = this.#answerPartition(writer, fetch);
        writer.compactArray(aborted, ({ producerId, firstOffset }) => {
          writer.int64(Number(producerId)).int64(firstOffset).noTags();
        });
        // A tag, as real brokers add them.
        writer
          .int32(-1)
          .unsignedVarint(batches.length + 1)
          .raw(batches);
        writer.unsignedVarint(1).unsignedVarint(1).unsignedVarint(9).raw(Buffer.alloc(9));
      });
      writer.noTags();
    });
    return writer.noTags().finish();
  }

  #answerPartition(writer: WireWriter, fetch: SeenFetch): { aborted: readonly AbortedTransaction[]; batches: Buffer } {
    const found: FakePartition = fetch.topic.startsWith('unknown') ? { errorCode: 100 } : this.#find(fetch);
    const { batches = [], errorCode = 0, aborted = [], earliest = 0, latest = 0, lastStable = latest } = found;
    writer
      .int32(fetch.partition)
      .int16(errorCode)
      .int64(latest)
      .int64(lastStable)
      .int64(found.logStart ?? earliest);
    return { aborted, batches: Buffer.concat(batches) };
  }

  #listOffsets(body: WireReader): Buffer {
    body.int32();
    const isolation = body.int8();
    const writer = new WireWriter().int32(0);
    const topics = body.array(6, () => {
      const topic = body.text();
      return body.array(12, () => ({ topic, partition: body.int32(), timeMs: body.int64() }));
    });
    writer.array(topics.flat(), ({ topic, partition, timeMs }) => {
      const {
        earliest = 0,
        latest = 0,
        lastStable = latest,
      } = this.#find({ topic, partition, offset: -1, bytesMax: 0 });
      const end = isolation === 1 ? lastStable : latest;
      const offset = timeMs === -2 ? earliest : timeMs === -1 ? end : -1;
      writer.text(topic).int32(1).int32(partition).int16(0).int64(-1).int64(offset);
    });
    return writer.finish();
  }
}

function readByName(body: WireReader): SeenFetch[] {
  const topics = body.array(6, () => {
    const topic = body.text();
    return body.array(24, (): SeenFetch => {
      const partition = body.int32();
      body.int32();
      const offset = body.int64();
      body.int64();
      return { topic, partition, offset, bytesMax: body.int32() };
    });
  });
  return topics.flat();
}
