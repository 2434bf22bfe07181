import { expect, it } from 'vitest';

import { MemorySource } from '../../../src/adapters/memory/source.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import type { PartitionBounds, ReadRequest, ReadResult } from '../../../src/ports/record-source.ts';
import type { LogId } from '../../../src/record/log-id.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { entriesOf, openStream, orders, TestConsumer } from '../../support/ingest.ts';
import { never } from '../../support/ledger.ts';
import { settle } from '../../support/manual-clock.ts';

/** A source whose answer to one poll arrives late. */
class LateSource extends MemorySource {
  /** Offset of the request whose answer is late. */
  lateAt = -1;
  /** How often the partition was opened. */
  opened = 0;
  #arrive: () => void = () => undefined;

  /** Lets the late answer arrive. */
  arrive(): void {
    this.#arrive();
  }

  override async bounds(log: LogId): Promise<PartitionBounds> {
    this.opened++;
    return super.bounds(log);
  }

  override async poll(
    requests: readonly ReadRequest[],
    waitMs: number,
    signal: AbortSignal,
  ): Promise<readonly ReadResult[]> {
    if (requests[0]?.offset !== this.lateAt) return super.poll(requests, waitMs, signal);
    this.lateAt = -1;
    await new Promise<void>((resolve) => {
      this.#arrive = resolve;
    });
    return super.poll(requests, waitMs, signal);
  }
}

it('drops what a poll brings that was begun before the partition was opened again', async () => {
  const { test, broker, log } = await openStream();
  broker.append(log, orders(10));
  const before = await test.newWriter(log, { writer: 'the one before' });
  await before.claim({ next: 0, label: null }, never);
  const source = new LateSource(broker, test.clock);
  source.lateAt = 10;
  // The last commit of the one before lands while the next one makes its claim: that one has to open the log again.
  let isLanded = false;
  class SlowStore extends StoreDecorator {
    override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
      if (!isLanded && key === test.ledger.layout.slot(log, 1)) {
        isLanded = true;
        await test.commit(log, { values: orders(5).map(({ value }) => value.toString()) }, before);
      }
      return super.create(key, bytes);
    }
  }
  const consumer = new TestConsumer(test, broker, { source, store: new SlowStore(test.store), seed: 1, once: false });
  const running = consumer.run();
  await expect.poll(() => source.opened).toBe(2);
  // By then it reads from offset 5 on.
  await settle();
  broker.append(log, orders(5, 10));
  source.arrive();
  await expect.poll(() => consumer.committed.at(-1)?.end).toBe(15);
  consumer.stop();
  await running;
  const read = (await entriesOf(test, log)).flatMap((entry) => (entry.kind === 'batch' ? [entry] : []));
  expect(read.reduce((sum, { records }) => sum + records, 0)).toBe(15);
  expect(read.every(({ skipped }) => skipped.compacted === 0)).toBe(true);
  const { problems } = await verifyPipeline(test.reopened(), { deep: true, format: parquetFormat, signal: never });
  expect(problems).toEqual([]);
});
