import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import { readEvidence } from '../../../src/ledger/evidence.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Publisher } from '../../../src/publish/publisher.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { resume, rollback } from '../../../src/respond/refs.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { formatLogId } from '../../../src/record/log-id.ts';
import { bytesOf } from '../../support/forge.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);

describe('resume after a rollback, over a damaged log', () => {
  let clock: LeapingClock;
  let test: TestLedger;
  let publisher: Publisher;
  let bad: LoggedBatch;
  let other: LoggedBatch;
  const suspect = new Set<string>();
  /** Reads what it judges, as the real one does. */
  const rejudge: Rejudge = async (_topic, batches, as, baseline) => {
    for (const batch of batches) await readEvidence(test.ledger, batch);
    const outcomeOf = ({ digest }: LoggedBatch) => (suspect.has(digest) ? 'suspect' : 'clean');
    return storeRejudgement(test.ledger, { as, batches, baseline, outcomeOf });
  };
  const goOn = () => resume(test.ledger, 'main', test.person(), rejudge, test.keys.publisher, never);
  const publish = () => publisher.publish(never);
  const state = async () => (await test.reopened().control.head()).state;
  const verified = async () =>
    (await verifyPipeline(test.reopened(), { deep: false, format: parquetFormat, signal: never })).problems;

  beforeEach(async () => {
    clock = new LeapingClock();
    test = await TestLedger.open({ store: new MemoryStore(), clock });
    publisher = test.publisher(rejudge);
    suspect.clear();
    await test.commit(a);
    const { snapshot } = await publish();
    // Clean by its own verdict, by the baseline that the target has too: nothing but a resume finds it suspect.
    bad = await test.commit(a);
    suspect.add(bad.digest);
    other = await test.commit(b);
    await test.commit(a);
    await publish();
    await rollback(test.ledger, 'main', snapshot!, test.person(), never);
  });

  it.each(['its entry', 'a later entry', 'its end', 'its evidence', 'all of the log'])(
    'lets the others go on, and judges the log again once it is mended: %s lost',
    async (what) => {
      const { layout } = test.ledger;
      const keys = {
        'its entry': [layout.slot(a, 2)],
        'a later entry': [layout.slot(a, 3)],
        'its end': [layout.slot(a, 2), layout.slot(a, 3)],
        'its evidence': [bad.entry.evidence.key],
        'all of the log': [0, 1, 2, 3].map((slot) => layout.slot(a, slot)),
      }[what]!;
      // Something must lie behind what is lost, or the log just ends there.
      if (what === 'a later entry') await test.commit(a);
      const bytes = await Promise.all(keys.map((key) => bytesOf(test.store, key)));
      for (const key of keys) await test.store.delete(key);

      const log = 'test/orders/0';
      expect(await goOn()).toMatchObject({ rejudged: 1, damaged: [{ log }] });
      expect((await state()).unjudged).toEqual({ main: [log] });
      publisher = test.publisher(rejudge, test.reopened());
      expect(await publish()).toMatchObject({ published: 1, held: 0, onHold: false, damaged: [{ log }] });
      expect(await test.standings('batches')).toMatchObject({ [other.digest]: 'clean' });

      for (const [i, key] of keys.entries()) await test.store.create(key, bytes[i]!);
      clock.advance(600_000);
      expect(await publish()).toMatchObject({
        snapshot: null,
        damaged: [{ log, code: 'UNJUDGED', message: expect.stringContaining('headgate resume') as string }],
      });
      expect(await goOn()).toMatchObject({ damaged: [] });
      expect(await state()).not.toHaveProperty('unjudged');
      expect(await publish()).toMatchObject({ held: 1, damaged: [] });
      expect(await test.standings('held')).toEqual({ [bad.digest]: 'suspect' });
      expect(await verified()).toEqual([]);
    },
  );

  it('judges a log again that began beyond the target, and of which nothing was left', async () => {
    const slots = [0, 1].map((slot) => test.ledger.layout.slot(b, slot));
    const bytes = await Promise.all(slots.map((slot) => bytesOf(test.store, slot)));
    for (const slot of slots) await test.store.delete(slot);
    suspect.add(other.digest);
    expect(await goOn()).toMatchObject({ rejudged: 2, damaged: [{ log: 'test/orders/1', code: 'SLOT_MISSING' }] });
    for (const [i, slot] of slots.entries()) await test.store.create(slot, bytes[i]!);
    publisher = test.publisher(rejudge, test.reopened());
    expect(await publish()).toMatchObject({ published: 1, damaged: [{ log: 'test/orders/1', code: 'UNJUDGED' }] });
    await goOn();
    await publish();
    expect(await test.standings('held')).toEqual({ [bad.digest]: 'suspect', [other.digest]: 'suspect' });
  });

  it.each(['.DS_Store', 'x', 'test/orders/-', 'test/orders/7/0', 'test/orders/7/x/y', 'test/orders/1/0'])(
    'owes nothing of an object that is no log: %s',
    async (stray) => {
      await test.store.put(test.ledger.layout.logs() + stray, Buffer.from('x'));
      expect(await goOn()).toMatchObject({ rejudged: 3, damaged: [] });
      expect(await state()).not.toHaveProperty('unjudged');
      publisher = test.publisher(rejudge, test.reopened());
      expect(await publish()).toMatchObject({ damaged: [] });
      expect(await verified()).toMatchObject([{ object: test.ledger.layout.logs() + stray }]);
    },
  );

  it('owes a log that no snapshot covers as long as anything signed is left of it', async () => {
    const c = { ...partition(2), cluster: 'x'.repeat(300) };
    suspect.add((await test.commit(c)).digest);
    const beginning = test.ledger.layout.slot(c, 0);
    const bytes = await bytesOf(test.store, beginning);
    await test.store.put(beginning, Buffer.from('x'));
    expect(await goOn()).toMatchObject({ rejudged: 3, damaged: [{ log: formatLogId(c) }] });
    await test.store.put(beginning, bytes);
    publisher = test.publisher(rejudge, test.reopened());
    expect(await publish()).toMatchObject({ damaged: [{ log: formatLogId(c), code: 'UNJUDGED' }] });
    await goOn();
    await publish();
    expect(await test.standings('held')).toMatchObject(
      Object.fromEntries([...suspect].map((each) => [each, 'suspect'])),
    );
  });

  it('says how many logs are damaged where they are more than an entry can name, and signs nothing', async () => {
    const name = 'x'.repeat(4_000);
    for (let i = 0; i < 34; i++) {
      const batch = await test.commit({ ...partition(i), cluster: name });
      await test.store.delete(batch.entry.evidence.key);
    }
    const { seq } = (await test.reopened().control.head()).newest!.entry;
    await expect(goOn()).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(/^Cannot resume "main": 34 damaged logs .*way out: .*headgate verify/) as string,
    });
    expect((await test.reopened().control.head()).newest!.entry.seq).toBe(seq);
  });

  it('owes the log no longer after another rollback, which judges all again', async () => {
    const { layout } = test.ledger;
    const bytes = await bytesOf(test.store, layout.slot(a, 2));
    await test.store.delete(layout.slot(a, 2));
    await goOn();
    await publish();
    const target = (await test.snapshot()).parent!;
    await rollback(test.ledger, 'main', target, test.person(), never);
    expect(await state()).not.toHaveProperty('unjudged');
    await test.store.create(layout.slot(a, 2), bytes);
    expect(await goOn()).toMatchObject({ rejudged: 3, damaged: [] });
    await publish();
    expect(await test.standings('held')).toEqual({ [bad.digest]: 'suspect' });
  });
});
