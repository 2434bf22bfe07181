import { afterEach, describe, expect, it } from 'vitest';

import { UnavailableError } from '../../src/errors.ts';
import type { Job, JobQueue } from '../../src/ports/job-queue.ts';
import type { JobFailure, JobRetryRules } from '../../src/ports/job-rules.ts';

/** What a test asks of the queue it opens. Each queue holds no job and shares none with another. */
export interface OpenJobQueueOptions {
  readonly retryRules: JobRetryRules;
  readonly drainTimeoutMs: number;
  readonly onFailure: (failure: JobFailure) => void;
}

const FAST: JobRetryRules = { attemptsMax: 4, firstPauseMs: 40, pauseMsMax: 160 };

/** Ids that adapters could trip over: names of their own keys, of object properties, and what looks like a number. */
const AWKWARD_IDS = [
  'meta',
  'wait',
  'active',
  'delayed',
  'id',
  'events',
  '0x10',
  '-1',
  '1_000',
  '__proto__',
  'constructor',
  'A'.repeat(200),
];

const BAD_IDS = ['', '0', '12345', 'a:b', 'a b', 'a/b', 'ä', 'a\n', 'a'.repeat(201)];

function job(id: string, kind = 'alert', data: Job['data'] = {}): Job {
  return { id, kind, data };
}

/** A promise and the means to settle it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

const doNothing = (): Promise<void> => Promise.resolve();

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(condition, { timeout: 10_000, interval: 5 }).toBe(true);
}

/** The contract of {@link JobQueue}, for one adapter. @param open opens an empty queue; the suite disposes it. */
export function jobQueueContract(name: string, open: (options: OpenJobQueueOptions) => Promise<JobQueue>): void {
  describe(`${name}: the contract of a job queue`, () => {
    const opened: JobQueue[] = [];
    const failures: JobFailure[] = [];

    async function openQueue(options: Partial<OpenJobQueueOptions> = {}): Promise<JobQueue> {
      const queue = await open({
        retryRules: FAST,
        drainTimeoutMs: 2_000,
        onFailure: (failure) => failures.push(failure),
        ...options,
      });
      opened.push(queue);
      return queue;
    }

    afterEach(async () => {
      await Promise.all(opened.splice(0).map((queue) => queue[Symbol.asyncDispose]()));
      failures.length = 0;
    });

    it('hands an added job, unchanged, to the handler of its kind', async () => {
      const queue = await openQueue();
      const seen: Job[] = [];
      queue.handle('alert', 1, async (each) => void seen.push(each));
      const added = job('a-1', 'alert', {
        digest: 'b3f0',
        offset: 9_007_199_254_740_991,
        is_last: true,
        ref: null,
        text: 'ü\u0000"',
      });
      await queue.add(added);
      await until(() => seen.length === 1);
      expect(seen).toEqual([added]);
    });

    it('keeps jobs until there is a handler', async () => {
      const queue = await openQueue();
      await queue.add(job('a'));
      await queue.add(job('b'));
      expect(await queue.depth()).toBe(2);
      const seen: string[] = [];
      queue.handle('alert', 2, async ({ id }) => void seen.push(id));
      await until(() => seen.length === 2);
      await until(async () => (await queue.depth()) === 0);
      expect(seen.sort()).toEqual(['a', 'b']);
    });

    it('is not affected by what the caller does to the job afterwards', async () => {
      const queue = await openQueue();
      const data: Record<string, string> = { digest: 'before' };
      await queue.add({ id: 'a', kind: 'alert', data });
      data['digest'] = 'after';
      const seen: Job['data'][] = [];
      queue.handle('alert', 1, async (each) => void seen.push(each.data));
      await until(() => seen.length === 1);
      expect(seen[0]).toEqual({ digest: 'before' });
    });

    it('runs a job once that is added again while it is known, and again once it is done', async () => {
      const queue = await openQueue();
      const release = gate();
      let runs = 0;
      await Promise.all([queue.add(job('a')), queue.add(job('a')), queue.add(job('a'))]);
      expect(await queue.depth()).toBe(1);
      queue.handle('alert', 2, async () => {
        runs += 1;
        await release.opened;
      });
      await until(() => runs === 1);
      await queue.add(job('a'));
      expect(await queue.depth()).toBe(1);
      release.open();
      await until(async () => (await queue.depth()) === 0);
      await queue.add(job('a'));
      await until(() => runs === 2);
    });

    it('keeps kinds apart: same id, two kinds, two jobs', async () => {
      const queue = await openQueue();
      const seen: string[] = [];
      await queue.add(job('a', 'alert'));
      await queue.add(job('a', 'audit'));
      await queue.add(job('a', 'hunt'));
      expect(await queue.depth()).toBe(3);
      queue.handle('alert', 1, async ({ kind }) => void seen.push(kind));
      queue.handle('audit', 1, async ({ kind }) => void seen.push(kind));
      await until(() => seen.length === 2);
      await until(async () => (await queue.depth()) === 1);
      expect(seen.sort()).toEqual(['alert', 'audit']);
    });

    it('takes any id of the allowed characters, also names that it uses itself', async () => {
      const queue = await openQueue();
      const seen: string[] = [];
      for (const id of AWKWARD_IDS) await queue.add(job(id));
      expect(await queue.depth()).toBe(AWKWARD_IDS.length);
      queue.handle('alert', 4, async ({ id }) => void seen.push(id));
      await until(() => seen.length >= AWKWARD_IDS.length);
      expect(seen.sort()).toEqual([...AWKWARD_IDS].sort());
    });

    it('refuses jobs that break the contract', async () => {
      const queue = await openQueue();
      for (const id of BAD_IDS) await expect(queue.add(job(id)), id).rejects.toThrow(RangeError);
      for (const kind of ['', 'Alert', 'a:b', 'a_b', '1a'])
        await expect(queue.add(job('a', kind)), kind).rejects.toThrow(RangeError);
      await expect(queue.add(job('a', 'alert', { value: Number.NaN }))).rejects.toThrow(RangeError);
      await expect(queue.add(job('a', 'alert', { value: 'x'.repeat(20_000) }))).rejects.toThrow('at most 16384');
      expect(await queue.depth()).toBe(0);
    });

    it('handles at most as many at once as it was told, and then the rest', async () => {
      const queue = await openQueue();
      let running = 0;
      let most = 0;
      let done = 0;
      for (let index = 0; index < 20; index += 1) await queue.add(job(`j-${index}`));
      queue.handle('alert', 3, async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
        done += 1;
      });
      await until(() => done === 20);
      expect(most).toBe(3);
    });

    it('tries a failed job again with growing pauses, telling which try it is', async () => {
      const queue = await openQueue();
      const tries: { readonly attempt: number; readonly at: number }[] = [];
      queue.handle('alert', 1, async (_job, { attempt }) => {
        tries.push({ attempt, at: performance.now() });
        if (attempt < 4) throw new Error('not yet');
      });
      await queue.add(job('a'));
      await until(async () => tries.length === 4 && (await queue.depth()) === 0);
      expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
      const pauses = tries.slice(1).map(({ at }, index) => at - (tries[index]?.at ?? 0));
      // Each pause is at least half of 40, 80 and 160 ms; timers may fire a little early by the other clock.
      expect(pauses.map((pause, index) => pause >= 20 * 2 ** index - 4)).toEqual([true, true, true]);
      expect(failures.map(({ attempt, retryInMs }) => ({ attempt, isRetried: retryInMs !== null }))).toEqual(
        [1, 2, 3].map((attempt) => ({ attempt, isRetried: true })),
      );
    });

    it('counts a job that waits for its next try, and does not take it twice', async () => {
      const queue = await openQueue({ retryRules: { attemptsMax: 2, firstPauseMs: 60_000, pauseMsMax: 60_000 } });
      queue.handle('alert', 1, () => Promise.reject(new Error('no')));
      await queue.add(job('a'));
      await until(() => failures.length === 1);
      await until(async () => (await queue.depth()) === 1);
      await queue.add(job('a'));
      expect(await queue.depth()).toBe(1);
      expect(failures).toHaveLength(1);
    });

    it('gives the pause that the error asks for, if it is longer', async () => {
      const queue = await openQueue();
      let tries = 0;
      queue.handle('alert', 1, async () => {
        tries += 1;
        if (tries === 1)
          throw new UnavailableError('ALERT_UNDELIVERED', 'Try later', { fields: { retryAfterMs: 400 } });
      });
      await queue.add(job('a'));
      await until(() => tries === 2);
      expect(failures[0]?.retryInMs).toBe(400);
    });

    it('forgets a job after its last try, so that it can be added anew', async () => {
      const queue = await openQueue({ retryRules: { attemptsMax: 2, firstPauseMs: 10, pauseMsMax: 10 } });
      const attempts: number[] = [];
      queue.handle('alert', 1, (_job, { attempt }) => {
        attempts.push(attempt);
        throw new Error('never');
      });
      await queue.add(job('a'));
      await until(async () => attempts.length === 2 && (await queue.depth()) === 0);
      expect(failures.at(-1)).toMatchObject({ attempt: 2, retryInMs: null, job: job('a') });
      await queue.add(job('a'));
      await until(() => attempts.length === 4);
      expect(attempts).toEqual([1, 2, 1, 2]);
    });

    it('goes on with other jobs while one fails', async () => {
      const queue = await openQueue({ retryRules: { attemptsMax: 3, firstPauseMs: 60_000, pauseMsMax: 60_000 } });
      const done: string[] = [];
      queue.handle('alert', 1, async ({ id }) => {
        if (id === 'bad') throw new Error('bad');
        done.push(id);
      });
      for (const id of ['bad', 'good-1', 'good-2']) await queue.add(job(id));
      await until(() => done.length === 2);
    });

    it('takes one handler a kind, and only whole numbers of jobs at once', async () => {
      const queue = await openQueue();
      queue.handle('alert', 1, doNothing);
      expect(() => queue.handle('alert', 1, doNothing)).toThrow(RangeError);
      expect(() => queue.handle('Bad Kind', 1, doNothing)).toThrow(RangeError);
      for (const concurrency of [0, -1, 1.5, Number.NaN]) {
        expect(() => queue.handle('audit', concurrency, doNothing)).toThrow(RangeError);
      }
    });

    it('lets running jobs finish when it is disposed, and starts no more', async () => {
      const queue = await openQueue();
      const started = gate();
      const ended: string[] = [];
      queue.handle('alert', 1, async ({ id }, { signal }) => {
        started.open();
        await new Promise((resolve) => setTimeout(resolve, 200));
        ended.push(`${id} ${signal.aborted}`);
      });
      await queue.add(job('a'));
      await queue.add(job('b'));
      await started.opened;
      await queue[Symbol.asyncDispose]();
      expect(ended).toEqual(['a false']);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(ended).toHaveLength(1);
    });

    it('tells a job to stop when the drain time is over, and waits no longer for one that does not listen', async () => {
      const queue = await openQueue({ drainTimeoutMs: 100 });
      const started = gate();
      const stopped = gate();
      queue.handle('alert', 2, ({ id }, { signal }) => {
        if (id === 'deaf') return new Promise(() => started.open());
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            stopped.open();
            reject(new Error('stopped'));
          });
        });
      });
      await queue.add(job('listens'));
      await queue.add(job('deaf'));
      await started.opened;
      const before = performance.now();
      await queue[Symbol.asyncDispose]();
      await stopped.opened;
      expect(performance.now() - before).toBeLessThan(5_000);
    });

    it('refuses everything once it is disposed, however often', async () => {
      const queue = await openQueue();
      await Promise.all([queue[Symbol.asyncDispose](), queue[Symbol.asyncDispose]()]);
      await expect(queue.add(job('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
      await expect(queue.add(job('a'))).rejects.toBeInstanceOf(UnavailableError);
      await expect(queue.depth()).rejects.toBeInstanceOf(UnavailableError);
      await queue[Symbol.asyncDispose]();
    });
  });
}
