import { beforeEach, describe, expect, it } from 'vitest';

import type { MemoryBroker } from '../../../src/adapters/memory/broker.ts';
import type { Rule } from '../../../src/detect/rules/rule.ts';
import type { LogId } from '../../../src/record/log-id.ts';
import { findHalts } from '../../../src/respond/halts.ts';
import {
  consumeAll,
  entriesOf,
  openStream,
  orders,
  TestConsumer,
  type TestConsumerOptions,
} from '../../support/ingest.ts';
import type { TestLedger } from '../../support/ledger.ts';

const range = (name: string, column: string, max: number, action: Rule['action'] = 'halt'): Rule => ({
  kind: 'range',
  name,
  column,
  max,
  action,
});
const RULES = [range('ids', 'id', 5), range('amounts', 'amount', 2), range('all', 'id', 1_000)];

let test: TestLedger;
let broker: MemoryBroker;
let log: LogId;

beforeEach(async () => {
  ({ test, broker, log } = await openStream());
  broker.append(log, orders(10));
});

const consume = (options: TestConsumerOptions = {}): Promise<TestConsumer> => consumeAll(test, broker, options);

async function resume(): Promise<void> {
  await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'looking' });
  await test.act({ kind: 'resume', by: 'a person', ref: 'main', reason: 'known' });
}

async function haltsInStatus() {
  const ledger = test.reopened();
  return findHalts(ledger, [(await ledger.logs.head(log))!], -1);
}

describe('a batch that breaks several rules with action halt', () => {
  it('names them all: in the halt, in that of a later process, and in status', async () => {
    const { halts } = await consume({ rules: RULES });
    expect(halts).toMatchObject([
      { code: 'RULE', message: expect.stringContaining('rules "ids", "amounts" with action halt were broken; ') },
    ]);
    expect((await consume({ rules: [], seed: 1 })).halts).toEqual(halts);
    expect(await haltsInStatus()).toMatchObject([
      { code: 'RULE', message: expect.stringMatching(/^Rules "ids", "amounts" with action halt were broken; /) },
    ]);
  });

  it('names five of them and counts the rest, as their names may be long', async () => {
    const many = Array.from({ length: 12 }, (_, i) => range(`rule ${i} ${'x'.repeat(100)}`, 'id', 5));
    const { halts } = await consume({ rules: many });
    expect(halts[0]!.message).toMatch(
      /^Cannot go on with [^;]*"rule 4 x[^;]* and 7 more with action halt were broken; /,
    );
    expect(halts[0]!.message.length).toBeLessThan(1_000);
  });

  it('halts also when more other rules are broken than its evidence lists', async () => {
    const others = Array.from({ length: 40 }, (_, i) => range(`held ${i}`, 'id', 5, 'quarantine'));
    const { halts } = await consume({ rules: [...others, range('stop', 'id', 5)] });
    expect(halts).toMatchObject([
      { code: 'RULE', message: expect.stringContaining('rule "stop" with action halt was') },
    ]);
  });

  it('halts all the same where its evidence is damaged', async () => {
    await consume({ rules: RULES });
    const batch = await test.ledger.logs.newestBatch(log, 1);
    await test.store.put(batch!.entry.evidence.key, Buffer.from('{}'));
    expect((await consume({ seed: 1 })).halts).toMatchObject([
      { code: 'RULE', message: expect.stringContaining(': a rule with action halt was broken; ') },
    ]);
    expect(await haltsInStatus()).toMatchObject([{ code: 'RULE', source: 'log' }]);
  });
});

describe('a partition that a rule has halted', () => {
  it('gets no entry before a resume, not even for a gap that the configuration lets pass', async () => {
    await consume({ rules: RULES });
    broker.append(log, orders(20, 10));
    broker.deleteBefore(log, 15);
    const before = await entriesOf(test, log);
    const { halts } = await consume({ rules: RULES, onGap: 'continue', seed: 1 });
    expect(halts).toMatchObject([{ code: 'RULE', next: 10 }]);
    expect(await entriesOf(test, log)).toEqual(before);
    await resume();
    expect((await consume({ onGap: 'continue', seed: 2 })).halts).toEqual([]);
    expect((await entriesOf(test, log)).map(({ kind }) => kind)).toEqual([
      'open',
      'batch',
      'open',
      'gap',
      'batch',
      'batch',
    ]);
  });

  it('gets none either while its process waits for the resume', async () => {
    const consumer = new TestConsumer(test, broker, { rules: RULES, onGap: 'continue', once: false });
    const running = consumer.run();
    await expect.poll(() => consumer.halts.length).toBe(1);
    broker.append(log, orders(20, 10));
    broker.deleteBefore(log, 15);
    const before = await entriesOf(test, log);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await entriesOf(test, log)).toEqual(before);
    await resume();
    await expect.poll(async () => (await entriesOf(test, log)).some(({ kind }) => kind === 'gap')).toBe(true);
    consumer.stop();
    await running;
  });
});
