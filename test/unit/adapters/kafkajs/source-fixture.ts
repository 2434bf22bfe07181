import { expect } from 'vitest';

import { KafkaSource } from '../../../../src/adapters/kafkajs/kafka-source.ts';
import type { KafkaSourceOptions } from '../../../../src/adapters/kafkajs/options.ts';
import type { HeadgateError } from '../../../../src/errors.ts';
import type { ReadRequest, ReadResult } from '../../../../src/ports/record-source.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { ShiftedClock } from '../../../support/shifted-clock.ts';

/** A fake cluster and the sources that read from it. */
export class SourceFixture implements AsyncDisposable {
  readonly cluster: FakeCluster;
  readonly clock = new ShiftedClock();
  readonly #sources: KafkaSource[] = [];

  private constructor(cluster: FakeCluster) {
    this.cluster = cluster;
  }

  /** @param nodeIds of its brokers */
  static async start(...nodeIds: readonly number[]): Promise<SourceFixture> {
    return new SourceFixture(await FakeCluster.start(nodeIds));
  }

  async open(options: Partial<KafkaSourceOptions> = {}): Promise<KafkaSource> {
    const defaults = { brokers: this.cluster.addresses, clientId: 'c', groupId: 'g', topics: ['t'], fetchWaitMs: 50 };
    const source = await KafkaSource.open({ ...defaults, ...options }, { log: () => undefined, clock: this.clock });
    this.#sources.push(source);
    return source;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sources.map((source) => source[Symbol.asyncDispose]()));
    await this.cluster[Symbol.asyncDispose]();
  }
}

export function request(partition: number, offset: number, topic = 't'): ReadRequest {
  const log = { cluster: 'fake-cluster', topic, partition: String(partition) };
  return { log, offset, recordsMax: 50_000, bytesMax: 64 * 1024 * 1024 };
}

export function poll(
  source: KafkaSource,
  requests: readonly ReadRequest[],
  waitMs = 50,
): Promise<readonly ReadResult[]> {
  return source.poll(requests, waitMs, new AbortController().signal);
}

/** The only result is a halt with this code. */
export function expectHalt(results: readonly ReadResult[], code: string, fields: HeadgateError['fields'] = {}): void {
  expect(results).toHaveLength(1);
  expect(results[0]).toMatchObject({ kind: 'halt', error: { name: 'HaltError', code, fields } });
}
