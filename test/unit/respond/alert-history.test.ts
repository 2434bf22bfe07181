import { beforeEach, describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { HaltError } from '../../../src/errors.ts';
import { EMPTY_SEQUENCE, type Sequence } from '../../../src/ledger/sequence.ts';
import { formatBatchLine, type Snapshot, type Standing } from '../../../src/ledger/snapshot.ts';
import type { ObjectStat } from '../../../src/ports/object-store.ts';
import type { Job, JobQueue } from '../../../src/ports/job-queue.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { alertId, haltCause, type AlertCause } from '../../../src/respond/alert-cause.ts';
import { AlertDesk } from '../../../src/respond/alerts.ts';
import { HaltNotes } from '../../../src/respond/halt-notes.ts';
import { finder, RecordingChannel } from '../../support/alert-desk.ts';
import { CountingStore } from '../../support/counting-store.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { overwrite } from '../../support/forge.ts';
import { TestLedger, never, partition } from '../../support/ledger.ts';

const CHANNELS = ['hook', 'pager', 'chat'];

describe('alerts over a long history', () => {
  let store: CountingStore;
  let test: TestLedger;
  let batches: Sequence;
  let snapshot: string | null;
  let added: Job[];
  const queue: JobQueue = {
    add: async (job) => void added.push(job),
    handle: () => undefined,
    depth: async () => added.length,
    [Symbol.asyncDispose]: async () => undefined,
  };
  const desk = (channels = CHANNELS): AlertDesk =>
    new AlertDesk({
      ledger: test.reopened(),
      queue,
      channels: channels.map((name) => new RecordingChannel(name)),
      alertColumns: () => [],
    });
  const digestOf = (log: string, slot: number): string => sha256Hex(Buffer.from(`${log} ${slot}`, 'utf8'));
  const idOf = (slot: number, log = 'test/orders/0'): string =>
    alertId({ about: 'batch', log, slot, digest: digestOf(log, slot) });

  /** Publishes batches `from` to `to` of a log as let through in observe mode, or as they stand now. */
  const publish = async (
    from: number,
    to: number,
    { log = 'test/orders/0', standing = 'suspect' }: { readonly log?: string; readonly standing?: Standing } = {},
  ): Promise<string> => {
    const { snapshots } = test.ledger;
    const changes = Array.from({ length: to - from }, (_, i) => {
      const slot = from + i;
      const digest = digestOf(log, slot);
      const line = {
        log,
        start: slot,
        end: slot + 1,
        slot,
        epoch: 0,
        digest,
        records: 1,
        rows: 1,
        data: null,
        standing,
      };
      return { key: [log, slot] as const, line: formatBatchLine(line) };
    });
    batches = await snapshots.update(batches, changes, never);
    const none = EMPTY_SEQUENCE as Snapshot['held'];
    const published: Snapshot = {
      version: 1,
      pipeline: 'shop',
      parent: snapshot,
      controlSeq: 0,
      baselines: {},
      records: 0,
      bytes: 0,
      batches: batches as Snapshot['batches'],
      held: none,
      heads: none,
    };
    const sha256 = await snapshots.write(published, never);
    await test.act({ kind: 'publish', by: 'publisher', ref: 'main', parent: snapshot, snapshot: sha256 });
    return (snapshot = sha256);
  };
  /** What the channels have confirmed. */
  const confirm = async (ids: Iterable<string>, channels = CHANNELS): Promise<void> => {
    for (const id of ids)
      for (const name of channels) await store.create(test.ledger.layout.receipt(id, name), Buffer.from('{}'));
  };
  const ids = (from: number, to: number, log?: string): string[] =>
    Array.from({ length: to - from }, (_, i) => idOf(from + i, log));
  const jobs = (): string[] => [...new Set(added.map(({ id }) => id.replace(/-[a-z]+$/, '')))];

  beforeEach(async () => {
    store = new CountingStore(new MemoryStore());
    test = await TestLedger.open({ store, prepared: false });
    [batches, snapshot, added] = [EMPTY_SEQUENCE, null, []];
  });

  it('are looked up once, sixteen at a time, by a process that has just started, and not again', async () => {
    await publish(0, 10_001);
    await confirm(ids(0, 10_001));
    const finding = finder(test.reopened());
    const telling = desk();
    await telling.catchUp(finding, never);
    expect([store.looks('receipts'), store.looksAtOnce, added]).toEqual([30_003, 16, []]);
    store.reset();
    for (let i = 0; i < 3; i++) await telling.catchUp(finding, never);
    expect([store.looks('receipts'), store.reads('pages'), added]).toEqual([0, 0, []]);
    expect(store.reads()).toBeLessThanOrEqual(3);
  });

  it('cost what is new, although it comes into a page with much else', async () => {
    await publish(0, 10_001);
    await publish(0, 2_000, { log: 'test/orders/1' });
    await confirm([...ids(0, 10_001), ...ids(0, 2_000, 'test/orders/1')]);
    const finding = finder(test.reopened());
    const telling = desk();
    await telling.catchUp(finding, never);
    for (let next = 10_001; next < 10_011; next += 2) {
      store.reset();
      added = [];
      await publish(next, next + 2);
      await telling.catchUp(finding, never);
      expect([store.looks('receipts'), jobs().toSorted()]).toEqual([6, ids(next, next + 2).toSorted()]);
      expect(store.reads('pages')).toBeLessThan(20);
      await confirm(ids(next, next + 2));
      await telling.catchUp(finding, never);
    }
  });

  it('are owed of a batch that was found suspect when it was judged again, and of no other in its page', async () => {
    await publish(0, 500);
    await publish(500, 501, { standing: 'small' });
    await publish(501, 900);
    await confirm([...ids(0, 500), ...ids(501, 900)]);
    const finding = finder(test.reopened());
    const telling = desk();
    await telling.catchUp(finding, never);
    store.reset();
    await publish(500, 501);
    await telling.catchUp(finding, never);
    expect([store.looks('receipts'), jobs()]).toEqual([3, [idOf(500)]]);
  });

  it('are looked up again where a rollback went back to, but not what stood there when it was looked at', async () => {
    const first = await publish(0, 1_500);
    const second = await publish(1_500, 3_000);
    await confirm(ids(0, 3_000));
    const finding = finder(test.reopened());
    const telling = desk();
    await telling.catchUp(finding, never);
    store.reset();
    await test.act({
      kind: 'rollback',
      by: 'a person',
      ref: 'main',
      from: second,
      to: first,
      baselines: {},
      reason: 'r',
    });
    await telling.catchUp(finding, never);
    // The rollback itself.
    expect([store.looks('receipts'), jobs()]).toEqual([3, [expect.stringMatching(/^control-/)]]);
  });

  it('are made again a part at a time, the newest of each log first, and what comes meanwhile before the rest', async () => {
    await publish(0, 20_000);
    await publish(0, 100, { log: 'test/orders/1' });
    await confirm([...ids(0, 20_000), ...ids(0, 100, 'test/orders/1')], ['hook']);
    const finding = finder(test.reopened());
    const first = (await finding.find()).map(alertId);
    expect(first.length).toBeLessThan(3_000 + 4_096);
    expect(first).toEqual(expect.arrayContaining([idOf(19_999), idOf(99, 'test/orders/1')]));
    expect(first).not.toContain(idOf(0));
    expect(finding.hasMore).toBe(true);
    let held: Promise<unknown> = Promise.resolve();
    // Long before the first part is done.
    const stat = store.stat.bind(store);
    store.stat = (key) => {
      if (store.looks('receipts') === 100) held = test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'r' });
      return stat(key);
    };
    const seen: string[] = [];
    const watched = new (class extends StoreDecorator {
      override stat(key: string): Promise<ObjectStat | null> {
        const [, id] = /receipts\/([^/]+)\/hook$/.exec(key) ?? [];
        if (id !== undefined) seen.push(id);
        return super.stat(key);
      }
    })(store);
    const telling = new AlertDesk({
      ledger: test.reopened(watched),
      queue,
      channels: [new RecordingChannel('hook')],
      alertColumns: () => [],
    });
    await telling.catchUp(finding, never);
    await held;
    expect(new Set(seen).size).toBe(20_101);
    const at = seen.findIndex((id) => id.startsWith('control-'));
    expect(at).toBeGreaterThan(100);
    expect(at).toBeLessThan(3_000 + 4_096);
    expect(jobs()).toEqual([seen[at]]);
  });

  it('keep to a bound while no channel takes them, and are all made in the end', async () => {
    await publish(0, 12_000);
    const finding = finder(test.reopened());
    const telling = desk(['hook']);
    await telling.catchUp(finding, never);
    const waiting = jobs();
    expect(waiting.length).toBeLessThan(3_000 + 4_096);
    await publish(12_000, 16_000);
    added = [];
    await telling.catchUp(finding, never);
    expect(ids(13_500, 16_000).filter((id) => !jobs().includes(id))).toEqual([]);
    expect(jobs().length).toBeLessThan(3_000 + 2 * 4_096);
    const made = new Set(jobs());
    for (let rounds = 0; rounds < 20; rounds++) {
      await confirm(jobs(), ['hook']);
      added = [];
      await telling.catchUp(finding, never);
      for (const id of jobs()) made.add(id);
    }
    expect([jobs(), finding.hasMore]).toEqual([[], false]);
    expect([...made].toSorted()).toEqual(ids(0, 16_000).toSorted());
  });

  it('are looked up once a look, though a look has many parts, and not at all where there is no channel', async () => {
    await publish(0, 2_500);
    for (let i = 0; i < 40; i++)
      await test.act({ kind: 'learn', by: 'p', topic: 'orders', baseline: 'f'.repeat(64), reason: 'r' });
    await publish(2_500, 9_000);
    await confirm(ids(2_500, 9_000), ['hook']);
    await desk(['hook']).catchUp(finder(test.reopened()), never);
    expect([store.looks('receipts'), jobs().length]).toEqual([9_000, 2_500]);
    store.reset();
    await desk([]).catchUp(finder(test.reopened()), never);
    expect([store.looks(), store.reads()]).toEqual([0, 0]);
  });

  it('end after the part at hand when the process stops', async () => {
    await publish(0, 10_001);
    await confirm(ids(0, 10_001));
    const finding = finder(test.reopened());
    await desk(['hook']).catchUp(finding, AbortSignal.abort());
    expect(store.looks('receipts')).toBeLessThan(3_000 + 4_096);
    expect(finding.hasMore).toBe(true);
  });
});

describe('an alert about a halt that was noted', () => {
  const a = partition(0);
  const gone = new HaltError('GAP', 'Cannot go on (way out: set onGap: continue)');
  let test: TestLedger;
  let added: Job[];
  let desk: AlertDesk;
  const note = async (error = gone): Promise<string> => {
    const notes = await HaltNotes.open(test.reopened(), (failure) => {
      throw failure;
    });
    const since = await notes.halted(a, error, 7);
    await notes.settled();
    return since;
  };
  const receipt = (cause: AlertCause): string => test.ledger.layout.receipt(alertId(cause), 'hook');

  beforeEach(async () => {
    test = await TestLedger.open({ prepared: false });
    added = [];
    const queue: JobQueue = {
      add: async (job) => void added.push(job),
      handle: () => undefined,
      depth: async () => added.length,
      [Symbol.asyncDispose]: async () => undefined,
    };
    const channels = [new RecordingChannel('hook')];
    desk = new AlertDesk({ ledger: test.reopened(), queue, channels, alertColumns: () => [] });
  });

  it('is made by a process that sends alerts, under the id of the process that halted, until a channel has confirmed it', async () => {
    const cause = haltCause(a, gone, 7, await note());
    const finding = finder(test.reopened());
    for (let i = 0; i < 2; i++) await desk.catchUp(finding, never);
    const job = { id: `${alertId(cause)}-hook`, kind: 'alert', data: { ...cause, channel: 'hook' } };
    expect(added).toEqual([job, job]);
    await test.store.create(receipt(cause), Buffer.from('{}'));
    added = [];
    for (let i = 0; i < 2; i++) await desk.catchUp(finding, never);
    expect(added).toEqual([]);
  });

  it('costs no GET while the note stays as it is, and is another one when the halt is', async () => {
    await note();
    const store = new CountingStore(test.store);
    const finding = finder(test.reopened(store));
    expect(await finding.halts()).toMatchObject([{ code: 'GAP', next: 7 }]);
    store.reset();
    const halts = await finding.halts();
    expect([halts, store.reads()]).toEqual([[expect.objectContaining({ code: 'GAP' })], 0]);
    finding.settle(new Set(halts));
    expect(await finding.halts()).toEqual([]);
    await note(new HaltError('CRC', 'broken'));
    expect(await finding.halts()).toMatchObject([{ code: 'CRC' }]);
  });

  it('is made although the log cannot be read to its end, and so is what the others tell', async () => {
    await test.pinSchema();
    for (let i = 0; i < 2; i++) await test.commit(a, { verdict: 'no-baseline' });
    const suspect = await test.commit(partition(1), { verdict: 'suspect' });
    await test.store.delete(test.ledger.layout.slot(a, 1));
    await note(new HaltError('SLOT_MISSING', 'slot 1 is missing'));
    await desk.catchUp(finder(test.reopened()), never);
    expect(added).toMatchObject([{ data: { code: 'SLOT_MISSING' } }, { data: { digest: suspect.digest } }]);
  });

  it('is made although the snapshot is damaged, of which is told then', async () => {
    await test.pinSchema();
    await test.commit(a, { verdict: 'no-baseline' });
    const { snapshot } = await test.publisher().publish(never);
    await overwrite(test.store, test.ledger.layout.snapshot(snapshot!), Buffer.from('{}'));
    await note();
    const held = await test.act({ kind: 'hold', by: 'a person', ref: 'main', reason: 'r' });
    await expect(desk.catchUp(finder(test.reopened()), never)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(added).toMatchObject([{ data: { about: 'halt', code: 'GAP' } }, { data: { digest: held.digest } }]);
  });

  it('by a rule is not made up from a note: its batch tells it', async () => {
    const text = JSON.stringify({
      halt: { log: 'test/orders/0', code: 'RULE', message: 'all is well', next: 0, since: '2026-11-21T10:00:00.000Z' },
    });
    await test.store.put(test.ledger.layout.haltHint(a), Buffer.from(text));
    await desk.catchUp(finder(test.reopened()), never);
    expect(added).toEqual([]);
  });
});
