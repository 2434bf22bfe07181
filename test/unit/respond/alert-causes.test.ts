import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { formatLogId } from '../../../src/record/log-id.ts';
import { parseCause, type AlertCause } from '../../../src/respond/alert-cause.ts';
import { decide } from '../../../src/respond/decisions.ts';
import { hold, resume, rollback } from '../../../src/respond/refs.ts';
import { finder } from '../../support/alert-desk.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { overwrite } from '../../support/forge.ts';
import { TestLedger, never, partition, type TestBatch } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

const a = partition(0);
const b = partition(1);

const byDigest = (x: AlertCause, y: AlertCause): number =>
  'digest' in x && 'digest' in y && x.digest < y.digest ? -1 : 1;

describe('what people should have been told', () => {
  let store: CountingStore;
  let test: TestLedger;
  /** What is said of batches that are judged again; null = nothing can be decided. */
  let truth: 'clean' | 'suspect' | null;
  const rejudge: Rejudge = async (_topic, given, as, baseline) =>
    storeRejudgement(test.ledger, { as, batches: given, baseline, outcomeOf: () => truth ?? 'undecided' });
  /** Causes as a process finds them that has just started. */
  const causes = (ref = 'main'): Promise<AlertCause[]> => finder(test.reopened(), ref).find();
  const batches = async (): Promise<AlertCause[]> => (await causes()).filter(({ about }) => about === 'batch');
  const causeOf = ({ log, entry, digest }: LoggedBatch): AlertCause => ({
    about: 'batch',
    log: formatLogId(log),
    slot: entry.slot,
    digest,
  });
  const publish = async (...committed: TestBatch[]): Promise<LoggedBatch[]> => {
    const logged = [];
    for (const batch of committed) logged.push(await test.commit(a, batch));
    await test.publisher(rejudge).publish(never);
    return logged;
  };
  /** Kinds of the control entries among the causes, with their seqs. */
  const told = async (): Promise<string[]> => {
    const found = [];
    for (const cause of await causes()) {
      if (cause.about !== 'control') continue;
      const verified = (await test.ledger.control.read(cause.seq))!;
      expect(cause.digest).toBe(verified.digest);
      found.push(verified.entry.kind);
    }
    return found;
  };

  beforeEach(async () => {
    truth = null;
    store = new CountingStore(new MemoryStore());
    test = await TestLedger.open({ store, prepared: false });
    await test.pinSchema();
  });

  it('is nothing before anything happened', async () => {
    expect(await causes()).toEqual([]);
  });

  it('is the same on a ref that was never published: its batches are committed all the same', async () => {
    await test.approveBaseline('first');
    await publish({ verdict: 'suspect' });
    for (const ref of ['beta', 'constructor', '__proto__'])
      expect((await causes(ref)).map(({ about }) => about)).toEqual(['control', 'batch']);
  });

  it('is a suspect batch at once, though nothing is published while the ref is on hold', async () => {
    await test.approveBaseline('first');
    await publish({ verdict: 'clean' });
    await hold(test.ledger, 'main', test.person(), never);
    const finding = finder(test.reopened());
    expect((await finding.find()).filter(({ about }) => about === 'batch')).toEqual([]);
    const suspect = await test.commit(a, { verdict: 'suspect' });
    await test.commit(a, { verdict: 'clean' });
    const failed = await test.commit(b, { verdict: 'failed' });
    for (const each of [finding, finding, finder(test.reopened())]) {
      const found = (await each.find()).filter(({ about }) => about === 'batch');
      expect(found).toHaveLength(2);
      expect(found).toEqual(expect.arrayContaining([causeOf(suspect), causeOf(failed)]));
    }
    await resume(test.ledger, 'main', test.person(), rejudge, test.keys.publisher, never);
    await decide(test.ledger, 'main', `${formatLogId(b)}@0`, 'condemned', test.person(), never);
    await test.publisher(rejudge).publish(never);
    expect((await finding.find()).filter(({ about }) => about === 'batch')).toEqual([causeOf(suspect)]);
  });

  it('costs what is new since the last look', async () => {
    await test.approveBaseline('first');
    await publish({ mode: 'observe', verdict: 'suspect' }, { verdict: 'suspect' });
    const finding = finder(test.reopened());
    const first = await finding.find();
    store.reset();
    expect(await finding.find()).toEqual(first);
    expect(store.reads()).toBeLessThanOrEqual(1);
  });

  it('is every batch that was held as suspect, or because it could not be judged', async () => {
    await test.approveBaseline('first');
    const [, suspect, failed] = await publish(
      { verdict: 'clean' },
      { verdict: 'suspect' },
      { verdict: 'failed' },
      { verdict: 'small' },
    );
    expect(await batches()).toEqual([causeOf(suspect!), causeOf(failed!)]);
  });

  it('is no batch that only waits for its first baseline', async () => {
    await publish({ verdict: 'no-baseline' });
    expect(await causes()).toEqual([]);
  });

  it('is what observe mode let through, too', async () => {
    await test.approveBaseline('first');
    const [, suspect, failed] = await publish(
      { mode: 'observe', verdict: 'clean' },
      { mode: 'observe', verdict: 'suspect' },
      { mode: 'observe', verdict: 'failed' },
      { mode: 'observe', verdict: 'small' },
    );
    expect(await batches()).toEqual([causeOf(suspect!), causeOf(failed!)]);
  });

  it('is a batch that the publisher found suspect when it was judged again', async () => {
    await test.approveBaseline('first');
    truth = 'suspect';
    const small = await test.commit(a, { verdict: 'small' });
    await test.publisher(rejudge).publish(never);
    expect(await batches()).toEqual([causeOf(small)]);
  });

  it('is no longer a batch that a person has decided on: of the decision they are told', async () => {
    await test.approveBaseline('first');
    const [released, condemned] = await publish({ verdict: 'suspect' }, { verdict: 'suspect' });
    await decide(test.ledger, 'main', released!.digest, 'released', test.person(), never);
    await decide(test.ledger, 'main', condemned!.digest, 'condemned', test.person(), never);
    await test.publisher(rejudge).publish(never);
    expect(await batches()).toEqual([]);
    expect(await told()).toEqual(['approve', 'decision', 'decision']);
  });

  it('is what people did, and nothing that machines did by themselves', async () => {
    await test.approveBaseline('first');
    await publish({ verdict: 'clean' });
    const first = (await test.ledger.control.head()).state.refs['main']!;
    await publish({ verdict: 'clean' }, { verdict: 'suspect' });
    await hold(test.ledger, 'main', test.person(), never);
    await rollback(test.ledger, 'main', first, test.person(), never);
    truth = 'clean';
    await resume(test.ledger, 'main', test.person(), rejudge, test.keys.publisher, never);
    const kinds = [];
    for await (const { entry } of test.ledger.control.walk()) kinds.push(entry.kind);
    expect(kinds).toEqual([
      'schema',
      'learn',
      'approve',
      'publish',
      'publish',
      'hold',
      'rollback',
      'verdict',
      'resume',
    ]);
    expect(await told()).toEqual(['approve', 'hold', 'rollback', 'resume']);
  });

  it('is the same after every restart, and can be put into a job', async () => {
    await test.approveBaseline('first');
    await publish({ verdict: 'suspect' }, { verdict: 'failed' });
    await hold(test.ledger, 'main', test.person(), never);
    const found = await causes();
    expect(found).toHaveLength(4);
    expect(await causes()).toEqual(found);
    expect(found.map((cause) => parseCause({ ...cause }))).toEqual(found);
  });

  it('is still what lies between two snapshots when a rollback has gone back over it, in a process that goes on', async () => {
    await test.approveBaseline('first');
    await publish({ verdict: 'clean' });
    const first = (await test.ledger.control.head()).state.refs['main']!;
    const running = finder(test.reopened());
    const found = async (): Promise<AlertCause[]> =>
      (await running.find()).filter(({ about }) => about === 'batch').toSorted(byDigest);
    const between = await publish({ verdict: 'suspect' }, { verdict: 'clean' });
    const beyond = await test.commit(b, { verdict: 'suspect' });
    const suspect = [between[0]!, beyond].map(causeOf).toSorted(byDigest);
    expect(await found()).toEqual(suspect);
    await rollback(test.ledger, 'main', first, test.person(), never);
    for (let i = 0; i < 2; i++) expect(await found()).toEqual(suspect);
    const later = await test.commit(a, { verdict: 'suspect' });
    expect(await found()).toEqual([...suspect, causeOf(later)].toSorted(byDigest));
    truth = 'suspect';
    await resume(test.ledger, 'main', test.person(), rejudge, test.keys.publisher, never);
    await test.publisher(rejudge).publish(never);
    expect(await found()).toEqual((await batches()).toSorted(byDigest));
    expect(await found()).toEqual(expect.arrayContaining(suspect));
  });

  it('is not made up from an entry or a page that was changed', async () => {
    await test.approveBaseline('first');
    await publish({ verdict: 'suspect' });
    await test.commit(b, { verdict: 'suspect' });
    const page = test.ledger.layout.page((await test.snapshot()).held.pages[0]!.sha256);
    const line = JSON.stringify(['test/orders/0', 0, 2, 9, 0, 'f'.repeat(64), 2, 2, null, 0, 'suspect']);
    await overwrite(store, page, Buffer.from(`${line}\n`));
    await expect(causes()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', object: page });
    const approved = test.ledger.layout.controlEntry(2);
    await overwrite(store, approved, Buffer.from('{}'));
    // An altered act is not told, and does not keep anyone from what else there is.
    await expect(causes()).rejects.toMatchObject({ object: page });
  });
});
