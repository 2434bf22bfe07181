import { expect, it } from 'vitest';

import { schemaDigest, type Schema } from '../../../src/record/schema.ts';
import { entriesOf, openStream, orders, TestConsumer } from '../../support/ingest.ts';
import { never, ORDER_SCHEMA, TOPIC } from '../../support/ledger.ts';

const wider: Schema = {
  ...ORDER_SCHEMA,
  columns: [...ORDER_SCHEMA.columns, { name: 'note', path: ['note'], type: 'string' }],
};

it('a running consumer finishes its batch by the old schema, reads the next by the new one, and says what differs', async () => {
  const { test, broker, log } = await openStream();
  const consumer = new TestConsumer(test, broker, { once: false, limits: { ageMaxMs: 1e12 } });
  const running = consumer.run();
  broker.append(log, orders(15));
  await expect.poll(() => consumer.committed.length).toBe(1);
  await expect.poll(() => consumer.source.assignment()).not.toBeNull();
  await test.pinSchema(TOPIC, wider);
  broker.append(log, orders(5, 15));
  await expect.poll(() => consumer.committed.length).toBe(2);
  await test.clock.sleep(2_000, never);
  broker.append(log, orders(10, 20));
  await expect.poll(() => consumer.committed.length).toBe(3);
  consumer.stop();
  await running;
  const used = (await entriesOf(test, log)).flatMap((entry) => (entry.kind === 'batch' ? [entry.schema] : []));
  const old = schemaDigest(ORDER_SCHEMA);
  expect(used).toEqual([old, old, schemaDigest(wider)]);
  expect(consumer.committed.every(({ deadLetters }) => deadLetters === 0)).toBe(true);
  expect(consumer.halts).toEqual([]);
  expect(consumer.notes).toEqual([
    expect.stringMatching(
      /^orders: records are read by the pinned schema, not by the configured one: "note" is pinned and not configured \(mend: /,
    ),
  ]);
});
