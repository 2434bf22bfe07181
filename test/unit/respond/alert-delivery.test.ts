import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { HaltError, UnavailableError } from '../../../src/errors.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { AlertChannel } from '../../../src/ports/alert-channel.ts';
import type { Job, JobQueue } from '../../../src/ports/job-queue.ts';
import { sha256Hex } from '../../../src/record/sha256.ts';
import { alertId, haltCause, type AlertCause } from '../../../src/respond/alert-cause.ts';
import { ALERT_JOB, AlertDesk } from '../../../src/respond/alerts.ts';
import { hold } from '../../../src/respond/refs.ts';
import {
  ATTEMPTS_MAX,
  RecordingChannel,
  RecordingQueue,
  causeOf,
  controlCause,
  finder,
  openDesk,
} from '../../support/alert-desk.ts';
import { FaultyStore } from '../../support/faulty-store.ts';
import { bytesOf } from '../../support/forge.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TestLedger, keysOf, never, partition } from '../../support/ledger.ts';
import { settle } from '../../support/manual-clock.ts';

const HALTED_AT = '2026-11-21T10:00:00.000Z';
const a = partition(0);
let store: FaultyStore;
let clock: LeapingClock;
let test: TestLedger;
let channel: RecordingChannel;

beforeEach(async () => {
  store = new FaultyStore(new MemoryStore());
  clock = new LeapingClock();
  test = await TestLedger.open({ store, clock });
  channel = new RecordingChannel();
});

describe('an alert that is sent', () => {
  let batch: LoggedBatch;
  let cause: AlertCause;
  const receipts = (): Promise<string[]> => keysOf(store, test.ledger.layout.receipts());

  beforeEach(async () => {
    batch = await test.commit(a, { verdict: 'suspect' });
    cause = causeOf(batch);
  });

  it('leaves a receipt for each channel that was told', async () => {
    const other = new RecordingChannel('pager');
    const { desk, queue } = await openDesk(test.reopened(), [channel, other]);
    clock.advance(60_000);
    await desk.notify(cause);
    await queue.drain();
    const { layout } = test.ledger;
    const keys = [channel, other].map(({ name }) => layout.receipt(alertId(cause), name));
    expect(await receipts()).toEqual(keys.toSorted());
    expect(JSON.parse((await bytesOf(store, keys[0]!)).toString('utf8'))).toEqual({
      alert: alertId(cause),
      channel: 'hook',
      deliveredAt: new Date(clock.now()).toISOString(),
    });
  });

  it('is heard once by each channel, however often it is told, by any number of processes', async () => {
    const other = new RecordingChannel('pager');
    const channels = [channel, other];
    const processes = [await openDesk(test.reopened(), channels), await openDesk(test.reopened(), channels)];
    for (const { desk, queue } of [...processes, ...processes]) {
      await desk.notify(cause);
      await desk.notify(cause);
      await queue.drain();
      await desk.reconcile([cause, cause]);
      await queue.drain();
    }
    for (const { delivered } of channels) expect(delivered.map(({ id }) => id)).toEqual([alertId(cause)]);
    expect(await receipts()).toHaveLength(2);
  });

  it('is heard once although two processes have queued it before either could send it', async () => {
    const slow = await RecordingQueue.open();
    onTestFinished(() => slow[Symbol.asyncDispose]());
    const waiting = new AlertDesk({
      ledger: test.reopened(),
      queue: slow,
      channels: [channel],
      alertColumns: () => [],
    });
    await waiting.notify(cause);
    const { desk, queue } = await openDesk(test.reopened(), [channel]);
    await desk.notify(cause);
    await queue.drain();
    expect(await slow.depth()).toBe(1);
    waiting.start();
    await slow.drain();
    expect(channel.tried).toEqual([alertId(cause)]);
  });

  it('is tried again under the same id until the channel takes it', async () => {
    channel.failures = ATTEMPTS_MAX - 1;
    const { desk, queue } = await openDesk(test.reopened(), [channel]);
    await desk.notify(cause);
    await queue.drain();
    expect(channel.tried).toEqual(Array.from({ length: ATTEMPTS_MAX }, () => alertId(cause)));
    expect(channel.delivered).toHaveLength(1);
  });

  it('keeps its id when the process dies and another one begins anew', async () => {
    channel.failures = Number.MAX_SAFE_INTEGER;
    const first = await openDesk(test.reopened(), [channel]);
    await first.desk.notify(cause);
    await first.queue.drain();
    expect(channel.delivered).toEqual([]);
    expect(await receipts()).toEqual([]);
    channel.failures = 0;
    await test.publisher().publish(never);
    const ledger = test.reopened();
    const second = await openDesk(ledger, [channel]);
    await second.desk.reconcile((await finder(ledger).find()).filter(({ about }) => about === 'batch'));
    await second.queue.drain();
    expect(channel.delivered).toHaveLength(1);
    expect(new Set(channel.tried)).toEqual(new Set([alertId(cause)]));
  });

  it('reaches a channel although another one fails, and that one alone is tried again', async () => {
    const broken = new RecordingChannel('broken');
    broken.failures = Number.MAX_SAFE_INTEGER;
    const { desk, queue } = await openDesk(test.reopened(), [broken, channel]);
    await desk.notify(cause);
    await queue.drain();
    expect(channel.delivered).toHaveLength(1);
    expect(broken.tried).toHaveLength(ATTEMPTS_MAX);
    expect(await receipts()).toEqual([test.ledger.layout.receipt(alertId(cause), 'hook')]);
    broken.failures = 0;
    await desk.reconcile([]);
    await queue.drain();
    expect(broken.delivered).toHaveLength(1);
    expect(channel.tried).toHaveLength(1);
  });

  it('reaches a channel although another one hangs, which is called off in the end', async () => {
    const signals: AbortSignal[] = [];
    const hanging: AlertChannel = {
      name: 'hanging',
      deliver: (_alert, signal) =>
        new Promise((_resolve, reject) => {
          signals.push(signal);
          signal.addEventListener('abort', () => reject(new Error('called off')), { once: true });
        }),
    };
    const { desk, queue } = await openDesk(test.reopened(), [hanging, channel]);
    await desk.notify(cause);
    while (channel.delivered.length === 0) await settle();
    await queue[Symbol.asyncDispose]();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(await receipts()).toHaveLength(1);
  });

  it.each(['refused', 'answer-lost', 'lost', 'own-exists'] as const)(
    'is heard at least once, under one id, when its receipt is %s',
    async (fault) => {
      const { desk, queue } = await openDesk(test.reopened(), [channel]);
      store.creates.push(fault);
      await desk.notify(cause);
      await queue.drain();
      expect(channel.delivered.length).toBeGreaterThanOrEqual(1);
      expect(new Set(channel.tried)).toEqual(new Set([alertId(cause)]));
      expect(await receipts()).toHaveLength(1);
    },
  );

  it('is not lost when the store cannot be read for a while', async () => {
    const { desk, queue } = await openDesk(test.reopened(), [channel]);
    store.failingReads = 2;
    await desk.notify(cause);
    await queue.drain();
    expect(channel.delivered).toHaveLength(1);
  });

  it('takes nothing from evidence that was changed: it says that, and what the entry says', async () => {
    const { key } = batch.entry.evidence;
    const own = await bytesOf(store, key);
    await store.put(key, Buffer.from(own.toString('utf8').replace('"outcome":"suspect"', '"outcome":"suspecT"')));
    const { desk, queue } = await openDesk(test.reopened(), [channel]);
    await desk.notify(cause);
    await queue.drain();
    expect(channel.delivered).toMatchObject([
      { data: { verdict: 'suspect', damagedObject: expect.any(String) as string, findings: [] } },
    ]);
  });

  it('is not sent from an entry that was changed', async () => {
    const key = test.ledger.layout.slot(a, batch.entry.slot);
    const own = await bytesOf(store, key);
    await store.put(key, Buffer.from('{}'));
    const { desk, queue } = await openDesk(test.reopened(), [channel]);
    await desk.notify(cause);
    await queue.drain();
    expect(channel.tried).toEqual([]);
    expect(queue.failures.map(({ error }) => error)).toContainEqual(expect.objectContaining({ object: key }));
    await store.put(key, own);
    await desk.reconcile([]);
    await queue.drain();
    expect(channel.delivered).toHaveLength(1);
  });
});

describe('an alert whose jobs are lost', () => {
  it('is made again from the ledger: all that no channel has confirmed, and nothing else', async () => {
    const suspects = [await test.commit(a, { verdict: 'suspect' }), await test.commit(a, { verdict: 'failed' })];
    await test.commit(a);
    await test.publisher().publish(never);
    await hold(test.ledger, 'main', test.person(), never);
    const other = new RecordingChannel('pager');
    const first = await openDesk(test.reopened(), [channel, other]);
    other.failures = 1_000;
    await first.desk.notify(causeOf(suspects[0]!));
    await first.queue.drain();
    expect(channel.delivered).toHaveLength(1);
    other.failures = 0;
    // The queue forgets everything, the process is another one.
    const ledger = test.reopened();
    const second = await openDesk(ledger, [channel, other]);
    await second.desk.reconcile(await finder(ledger).find());
    await second.queue.drain();
    const approved = (await test.ledger.control.read(2))!;
    const held = (await test.ledger.control.head()).newest!;
    const ids = [...suspects.map(causeOf), controlCause(approved), controlCause(held)].map(alertId);
    for (const { delivered } of [channel, other])
      expect(delivered.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    second.queue.added.length = 0;
    await second.desk.reconcile(await finder(ledger).find());
    expect(second.queue.added).toEqual([]);
  });

  it('is remembered by the process that was told, also when the ledger does not know it: a halt', async () => {
    const cause = haltCause(a, new HaltError('GAP', 'Cannot go on'), 5, HALTED_AT);
    channel.failures = ATTEMPTS_MAX;
    const { desk, queue } = await openDesk(test.reopened(), [channel]);
    await desk.notify(cause);
    await queue.drain();
    expect(channel.delivered).toEqual([]);
    await desk.reconcile([]);
    await queue.drain();
    expect(channel.delivered.map(({ id }) => id)).toEqual([alertId(cause)]);
    queue.added.length = 0;
    await desk.reconcile([]);
    expect(queue.added).toEqual([]);
  });

  it('is queued although the queue was out of reach when it happened', async () => {
    const cause = haltCause(a, new HaltError('GAP', 'Cannot go on'), 5, HALTED_AT);
    const added: Job[] = [];
    let up = false;
    const queue: JobQueue = {
      add: async (job) => {
        if (!up) throw new UnavailableError('QUEUE_UNAVAILABLE', 'Cannot add a job: planned fault');
        added.push(job);
      },
      handle: () => undefined,
      depth: async () => added.length,
      [Symbol.asyncDispose]: async () => undefined,
    };
    const desk = new AlertDesk({ ledger: test.reopened(), queue, channels: [channel], alertColumns: () => [] });
    await expect(desk.notify(cause)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    await expect(desk.reconcile([])).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    up = true;
    await desk.reconcile([]);
    expect(added).toEqual([{ id: `${alertId(cause)}-hook`, kind: ALERT_JOB, data: { ...cause, channel: 'hook' } }]);
  });

  it('is forgotten when ten thousand newer ones wait: memory is bounded', async () => {
    const added: string[] = [];
    const queue: JobQueue = {
      add: async ({ id }) => void added.push(id),
      handle: () => undefined,
      depth: async () => 0,
      [Symbol.asyncDispose]: async () => undefined,
    };
    const desk = new AlertDesk({ ledger: test.reopened(), queue, channels: [channel], alertColumns: () => [] });
    const ids = [];
    for (let next = 0; next < 10_050; next++) {
      const cause = haltCause(a, new HaltError('GAP', 'Cannot go on'), next, HALTED_AT);
      ids.push(`${alertId(cause)}-hook`);
      await desk.notify(cause);
    }
    expect(added).toEqual(ids);
    added.length = 0;
    await desk.reconcile([]);
    expect(added).toEqual(ids.slice(50));
  });

  it('is no longer sent about a batch that was released before a channel could be reached', async () => {
    const small = await test.commit(a, { verdict: 'small' });
    const bytes = Buffer.from('evidence');
    await store.create(test.ledger.layout.judgement(sha256Hex(bytes)), bytes);
    const suspects = test.publisher(async (_topic, batches) => ({
      clean: [],
      suspect: batches,
      evidence: sha256Hex(bytes),
    }));
    await suspects.publish(never);
    channel.failures = ATTEMPTS_MAX;
    const { desk, queue } = await openDesk(test.reopened(), [channel]);
    await desk.notify(causeOf(small));
    await queue.drain();
    await test.decide(small, 'released');
    await suspects.publish(never);
    await desk.reconcile([]);
    await queue.drain();
    expect(channel.delivered).toEqual([]);
    queue.added.length = 0;
    await desk.reconcile([]);
    expect(queue.added).toEqual([]);
  });
});
