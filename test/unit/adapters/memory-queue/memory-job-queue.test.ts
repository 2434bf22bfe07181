import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { MemoryJobQueue, type MemoryJobQueueOptions } from '../../../../src/adapters/memory-queue/memory-job-queue.ts';
import { UnavailableError } from '../../../../src/errors.ts';
import type { Job } from '../../../../src/ports/job-queue.ts';
import type { Rng } from '../../../../src/ports/rng.ts';
import { ManualClock, settle } from '../../../support/manual-clock.ts';

const LONGEST: Rng = { bytes: (count) => new Uint8Array(count).fill(0xff) };

function job(id: string): Job {
  return { id, kind: 'alert', data: {} };
}

describe('the in-process queue', () => {
  let clock: ManualClock;

  beforeEach(() => {
    clock = new ManualClock();
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  function open(options: Partial<MemoryJobQueueOptions> = {}): Promise<MemoryJobQueue> {
    return MemoryJobQueue.open({ clock, rng: LONGEST, ...options });
  }

  it('refuses jobs beyond its bound, counting those that run and those that wait for a try, and takes them again after', async () => {
    const queue = await open({ jobsMax: 3 });
    let finish!: () => void;
    queue.handle('alert', 1, ({ id }, { attempt }) => {
      if (id === 'fails' && attempt === 1) throw new Error('no');
      return new Promise<void>((resolve) => (finish = resolve));
    });
    await queue.add(job('fails'));
    await settle();
    await queue.add(job('runs'));
    await queue.add(job('waits'));
    await settle();
    expect(await queue.depth()).toBe(3);
    await expect(queue.add(job('much'))).rejects.toMatchObject({
      code: 'QUEUE_UNAVAILABLE',
      message: expect.stringContaining('at most 3') as string,
    });
    await expect(queue.add(job('much'))).rejects.toBeInstanceOf(UnavailableError);
    // What is known already is no more.
    await queue.add(job('waits'));
    finish();
    await settle();
    await queue.add(job('much'));
    expect(await queue.depth()).toBe(3);
  });

  it('holds 10,000 jobs by default', async () => {
    await using queue = await open();
    for (let index = 0; index < 10_000; index += 1) await queue.add(job(`j-${index}`));
    await expect(queue.add(job('much'))).rejects.toThrow('at most 10000');
  });

  it('tries again after exactly the pauses of the rules, by the clock it was given', async () => {
    await using queue = await open({ retryRules: { attemptsMax: 5, firstPauseMs: 1_000, pauseMsMax: 5_000 } });
    const startMs = clock.now();
    const triedAt: number[] = [];
    queue.handle('alert', 1, async () => {
      triedAt.push(clock.now() - startMs);
      throw new Error('never');
    });
    await queue.add(job('a'));
    await clock.advance(60_000);
    expect(triedAt).toEqual([0, 1_000, 3_000, 7_000, 12_000]);
    expect(await queue.depth()).toBe(0);
  });

  it('is first come, first served, with a retry at the end of the line', async () => {
    await using queue = await open();
    const order: string[] = [];
    for (const id of ['a', 'b', 'c']) await queue.add(job(id));
    queue.handle('alert', 1, async ({ id }, { attempt }) => {
      order.push(`${id}${attempt}`);
      if (id === 'a' && attempt === 1) throw new Error('once');
    });
    await clock.advance(1_000);
    expect(order).toEqual(['a1', 'b1', 'c1', 'a2']);
  });

  it('never runs a handler inside the call that adds', async () => {
    await using queue = await open();
    let runs = 0;
    queue.handle('alert', 1, async () => void (runs += 1));
    const added = queue.add(job('a'));
    expect(runs).toBe(0);
    await added;
    await settle();
    expect(runs).toBe(1);
  });

  it('uses no time and no chance but what it was given', async () => {
    const calls = [
      vi.spyOn(Date, 'now'),
      vi.spyOn(Math, 'random'),
      vi.spyOn(globalThis, 'setTimeout'),
      vi.spyOn(globalThis, 'setInterval'),
      vi.spyOn(performance, 'now'),
    ];
    const queue = await open();
    queue.handle('alert', 2, async (_job, { attempt }) => {
      if (attempt < 3) throw new Error('no');
    });
    await queue.add(job('a'));
    await queue.add(job('b'));
    await clock.advance(10_000);
    expect(await queue.depth()).toBe(0);
    await queue[Symbol.asyncDispose]();
    expect(calls.map((call) => call.mock.calls.length)).toEqual([0, 0, 0, 0, 0]);
  });

  it('gives up its pauses at once when it is disposed', async () => {
    const queue = await open();
    queue.handle('alert', 1, () => Promise.reject(new Error('no')));
    await queue.add(job('a'));
    await settle();
    expect(clock.sleeping).toEqual([1_000]);
    await queue[Symbol.asyncDispose]();
    expect(clock.sleeping).toEqual([]);
  });

  it('waits the drain time for a running job, tells it to stop, and waits a second more', async () => {
    const queue = await open({ drainTimeoutMs: 2_000 });
    const signals: AbortSignal[] = [];
    queue.handle('alert', 1, (_job, { signal }) => {
      signals.push(signal);
      return new Promise(() => {});
    });
    await queue.add(job('a'));
    await settle();
    let isDisposed = false;
    const disposed = queue[Symbol.asyncDispose]().then(() => (isDisposed = true));
    await clock.advance(1_999);
    expect([signals[0]?.aborted, isDisposed]).toEqual([false, false]);
    await clock.advance(1);
    expect([signals[0]?.aborted, isDisposed]).toEqual([true, false]);
    await clock.advance(1_000);
    await disposed;
  });
});
