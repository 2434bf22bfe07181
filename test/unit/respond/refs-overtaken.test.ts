import { beforeEach, describe, expect, it } from 'vitest';

import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Publisher } from '../../../src/publish/publisher.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { decide } from '../../../src/respond/decisions.ts';
import { resume, rollback } from '../../../src/respond/refs.ts';
import { overwrite } from '../../support/forge.ts';
import { TestLedger, all, never, partition } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);

describe('a resume', () => {
  let test: TestLedger;
  let publisher: Publisher;
  let first: string;
  let batch: LoggedBatch;
  /** What happens while batches are judged again. */
  let meanwhile: () => Promise<unknown>;
  const cleanAfter: Rejudge = async (_topic, batches, as, baseline) => {
    if (as === 'union') return null;
    const judged = await storeRejudgement(test.ledger, { as, batches, baseline, outcomeOf: () => 'clean' });
    await meanwhile();
    return judged;
  };
  const goOn = () => resume(test.reopened(), 'main', test.person(), cleanAfter, test.keys.publisher, never);
  const back = (to: string) => rollback(test.ledger, 'main', to, test.person(), never);
  const publish = async (): Promise<string> => {
    await publisher.publish(never);
    return (await test.ledger.control.head()).state.refs['main']!;
  };
  const kinds = async (): Promise<string[]> =>
    (await all(test.reopened().control.walk(3))).map(({ entry }) => entry.kind);
  const refused = (why: RegExp) => ({ code: 'REQUEST_INVALID', message: expect.stringMatching(why) as string });

  beforeEach(async () => {
    meanwhile = async () => undefined;
    test = await TestLedger.open();
    publisher = test.publisher(cleanAfter);
    await test.commit(a);
    first = await publish();
    await test.commit(a);
    await publish();
    batch = await test.commit(b);
    await publish();
  });

  it('signs its verdicts, then the resume', async () => {
    await back(first);
    expect(await goOn()).toMatchObject({ rejudged: 2, damaged: [] });
    expect((await kinds()).slice(-3)).toEqual(['rollback', 'verdict', 'resume']);
  });

  it('signs nothing after someone has rolled back further: its verdicts speak of another target', async () => {
    const second = (await test.ledger.snapshots.read((await test.ledger.control.head()).state.refs['main']!)).parent!;
    await back(second);
    meanwhile = () => back(first);
    await expect(goOn()).rejects.toMatchObject(refused(/^Cannot resume "main": meanwhile control entry \d+ holds it$/));
    expect((await kinds()).slice(-2)).toEqual(['rollback', 'rollback']);
    expect((await test.ledger.control.head()).state.verdicts).toEqual({});
  });

  it('signs nothing after another baseline was put in force: it was judged by the old one', async () => {
    await back(first);
    meanwhile = async () => {
      meanwhile = async () => undefined;
      await test.approveBaseline('second');
    };
    await expect(goOn()).rejects.toMatchObject(
      refused(/^Cannot resume "main": meanwhile another baseline of "orders" was put in force$/),
    );
    expect((await kinds()).slice(-3)).toEqual(['rollback', 'learn', 'approve']);
    expect(await goOn()).toMatchObject({ rejudged: 2, damaged: [] });
  });

  it('does not mind a baseline of a topic that it has not judged, a commit, or a decision', async () => {
    await test.pinSchema('returns');
    await back(first);
    meanwhile = async () => {
      await test.approveBaseline('other', 'returns');
      await test.commit(a);
      await decide(test.ledger, 'main', batch.digest, 'condemned', test.person(), never).catch(() => undefined);
      await decide(test.ledger, 'main', 'test/orders/1@0', 'condemned', test.person(), never);
    };
    expect(await goOn()).toMatchObject({ rejudged: 2, damaged: [] });
    await publish();
    expect(await test.standings('held')).toEqual({ [batch.digest]: 'condemned' });
  });
});

describe('a rollback', () => {
  it('leads away from a snapshot whose pages are damaged, as long as it is told where to', async () => {
    const test = await TestLedger.open();
    const publisher = test.publisher();
    await test.commit(a);
    await publisher.publish(never);
    const first = (await test.ledger.control.head()).state.refs['main']!;
    await test.commit(b);
    await publisher.publish(never);
    for (const { sha256 } of (await test.snapshot()).batches.pages)
      await overwrite(test.store, test.ledger.layout.page(sha256), Buffer.from('damaged'));
    expect(await rollback(test.reopened(), 'main', first, test.person(), never)).toMatchObject({
      to: first,
      batchesRemoved: 1,
      recordsRemoved: 2,
    });
  });

  it('says how many fewer there are, less than none when what was condemned comes back', async () => {
    const test = await TestLedger.open();
    const publisher = test.publisher();
    const bad = await test.commit(a);
    await publisher.publish(never);
    const first = (await test.ledger.control.head()).state.refs['main']!;
    await test.decide(bad, 'condemned');
    await publisher.publish(never);
    expect(await rollback(test.ledger, 'main', first, test.person(), never)).toMatchObject({
      batchesRemoved: -1,
      recordsRemoved: -2,
    });
  });
});
