import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { UnavailableError } from '../../src/errors.ts';
import { elapsedMs, RedisQueues, sampleJob, until } from '../support/redis-queues.ts';
import { restartRedis } from '../support/services.ts';

/** Tests that empty a database use one of their own. */
const DATABASE = 9;

/** Timers that would keep this process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

/** Empties the database, and forgets the scripts that BullMQ has loaded. */
async function empty({ admin }: RedisQueues): Promise<void> {
  await admin.flushdb();
  await admin.script('FLUSH');
}

describe('the queue in Redis', () => {
  let redis: RedisQueues;

  beforeEach(async () => {
    redis = await RedisQueues.open();
  });

  afterEach(async () => {
    await redis[Symbol.asyncDispose]();
  });

  describe('while Redis is away', () => {
    it('refuses to add and to count at once, holds nothing back, and goes on by itself afterwards', async () => {
      const queue = await redis.openQueue();
      const seen: string[] = [];
      queue.handle('alert', 2, async ({ id }) => void seen.push(id));
      await queue.add(sampleJob('before'));
      await until(() => seen.length === 1);
      await redis.gate.shut();
      await until(() => redis.errors.length > 0);
      for (const work of [
        () => queue.add(sampleJob('during')),
        () => queue.depth(),
        () => queue.add(sampleJob('during', 'audit')),
      ]) {
        const startMs = performance.now();
        await expect(work()).rejects.toBeInstanceOf(UnavailableError);
        expect(performance.now() - startMs).toBeLessThan(250);
      }
      await redis.gate.reopen();
      await until(() =>
        queue.add(sampleJob('after')).then(
          () => true,
          () => false,
        ),
      );
      await until(() => seen.includes('after'));
      expect(seen).toEqual(['before', 'after']);
      expect(await queue.depth()).toBe(0);
    });

    it('does not lose the answer of a command that was under way', async () => {
      const queue = await redis.openQueue();
      await queue.add(sampleJob('a'));
      const adding = Array.from({ length: 50 }, (_, index) =>
        queue.add(sampleJob(`b-${index}`)).then(
          () => true,
          (error: unknown) => error,
        ),
      );
      await redis.gate.shut();
      for (const outcome of await Promise.all(adding)) {
        if (outcome !== true) expect(outcome).toBeInstanceOf(UnavailableError);
      }
    });

    it('gives up on one that hangs within seconds', async () => {
      const queue = await redis.openQueue();
      await queue.add(sampleJob('a'));
      redis.gate.freeze();
      expect(await elapsedMs(queue.add(sampleJob('b')))).toBeLessThan(4_000);
      await until(() => redis.errors.length > 0);
      // The connection was dropped, so that the next one need not wait.
      const startMs = performance.now();
      await expect(queue.add(sampleJob('c'))).rejects.toBeInstanceOf(UnavailableError);
      expect(performance.now() - startMs).toBeLessThan(250);
    });

    it('works after its very first command was lost', async () => {
      const queue = await redis.openQueue();
      redis.gate.freeze();
      await expect(queue.add(sampleJob('a'))).rejects.toBeInstanceOf(UnavailableError);
      await redis.gate.shut();
      await redis.gate.reopen();
      await until(() =>
        queue.add(sampleJob('a')).then(
          () => true,
          () => false,
        ),
      );
      expect(await queue.depth()).toBe(1);
    });

    it('lets a handler be set up, which begins when Redis is back', async () => {
      const queue = await redis.openQueue();
      await queue.add(sampleJob('a'));
      await redis.gate.shut();
      let runs = 0;
      queue.handle('alert', 1, async () => void (runs += 1));
      await new Promise((resolve) => setTimeout(resolve, 500));
      await redis.gate.reopen();
      await until(() => runs === 1);
    });

    it('records the end of a job that ended meanwhile, once Redis is back', async () => {
      const queue = await redis.openQueue();
      let runs = 0;
      let finish!: () => void;
      queue.handle('alert', 1, async () => {
        runs += 1;
        await new Promise<void>((resolve) => (finish = resolve));
      });
      await queue.add(sampleJob('a'));
      await until(() => runs === 1);
      await redis.gate.shut();
      finish();
      await new Promise((resolve) => setTimeout(resolve, 300));
      await redis.gate.reopen();
      await until(() =>
        queue.depth().then(
          (depth) => depth === 0,
          () => false,
        ),
      );
      expect(runs).toBe(1);
    });

    it('is disposed within five seconds, leaving no timer behind', async () => {
      const before = timers();
      const queue = await redis.openQueue();
      let finish!: () => void;
      let runs = 0;
      queue.handle('alert', 1, async () => {
        runs += 1;
        await new Promise<void>((resolve) => (finish = resolve));
      });
      queue.handle('audit', 1, async () => {});
      queue.handle('hunt', 3, async () => {});
      await queue.add(sampleJob('a'));
      await until(() => runs === 1);
      await redis.gate.shut();
      await until(() => redis.errors.length > 0);
      finish();
      expect(await elapsedMs(queue[Symbol.asyncDispose]())).toBeLessThan(5_000);
      // Not polled: a poll has timers of its own.
      for (let waits = 0; timers() > before && waits < 60; waits += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect(timers()).toBeLessThanOrEqual(before);
    });

    it('is disposed within five seconds when Redis hangs and a handler does not stop', async () => {
      const queue = await redis.openQueue();
      let runs = 0;
      queue.handle('alert', 1, () => {
        runs += 1;
        return new Promise(() => {});
      });
      await queue.add(sampleJob('a'));
      await until(() => runs === 1);
      redis.gate.freeze();
      expect(await elapsedMs(queue[Symbol.asyncDispose]())).toBeLessThan(5_000);
    });
  });

  describe('after Redis was emptied', () => {
    beforeEach(async () => {
      await redis[Symbol.asyncDispose]();
      redis = await RedisQueues.open(DATABASE);
    });

    it('takes and runs new jobs, and the lost ones when they are added again', async () => {
      const queue = await redis.openQueue({
        url: redis.gate.url(DATABASE),
        retryRules: { attemptsMax: 3, firstPauseMs: 60_000, pauseMsMax: 60_000 },
      });
      const seen: string[] = [];
      queue.handle('alert', 1, async ({ id }) => {
        seen.push(id);
        if (id === 'lost' && seen.length === 1) throw new Error('try later');
      });
      await queue.add(sampleJob('lost'));
      await until(async () => seen.length === 1 && (await queue.depth()) === 1);
      await empty(redis);
      expect(await queue.depth()).toBe(0);
      await queue.add(sampleJob('lost'));
      await queue.add(sampleJob('new'));
      await until(() => seen.length === 3);
      expect(seen).toEqual(['lost', 'lost', 'new']);
      await until(async () => (await queue.depth()) === 0);
    });

    it('forgets a job that was running, and goes on', async () => {
      const queue = await redis.openQueue({ url: redis.gate.url(DATABASE) });
      const finishes: (() => void)[] = [];
      queue.handle('alert', 1, () => new Promise<void>((resolve) => finishes.push(resolve)));
      await queue.add(sampleJob('a'));
      await until(() => finishes.length === 1);
      await empty(redis);
      finishes[0]?.();
      await queue.add(sampleJob('b'));
      await until(() => finishes.length === 2);
      finishes[1]?.();
      await until(async () => (await queue.depth()) === 0);
      expect(await elapsedMs(queue[Symbol.asyncDispose]())).toBeLessThan(1_000);
    });
  });

  it('says that it is unavailable while Redis has no memory left, and works again afterwards', async () => {
    const queue = await redis.openQueue();
    await queue.add(sampleJob('before'));
    await redis.admin.config('SET', 'maxmemory', '1mb');
    const error: unknown = await queue.add(sampleJob('during')).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(String(error)).toContain('OOM');
    await redis.admin.config('SET', 'maxmemory', '0');
    await queue.add(sampleJob('after'));
    expect(await queue.depth()).toBe(2);
  });

  it('gives a job whose worker died to another worker', async () => {
    const dying = await redis.openQueue({ lockMs: 1_000, drainTimeoutMs: 0 });
    let runs = 0;
    dying.handle('alert', 1, () => {
      runs += 1;
      return new Promise(() => {});
    });
    await dying.add(sampleJob('a'));
    await until(() => runs === 1);
    // It stops without a word to Redis about the job that still runs: as a kill would.
    await dying[Symbol.asyncDispose]();
    const other = await redis.openQueue({ lockMs: 1_000 });
    const attempts: number[] = [];
    other.handle('alert', 1, async (_job, { attempt }) => void attempts.push(attempt));
    await until(() => attempts.length === 1);
    expect(attempts).toEqual([1]);
    await until(async () => (await other.depth()) === 0);
  });

  it('survives a crash and restart of Redis', async () => {
    const queue = await redis.openQueue();
    const seen = new Set<string>();
    queue.handle('alert', 2, async ({ id }) => void seen.add(id));
    await queue.add(sampleJob('before'));
    await until(() => seen.has('before'));
    await restartRedis('SIGKILL');
    await until(() =>
      queue.add(sampleJob('after')).then(
        () => true,
        () => false,
      ),
    );
    await until(() => seen.has('after'));
    await until(async () => (await queue.depth()) === 0);
  });
});
