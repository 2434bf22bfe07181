import { inspect } from 'node:util';

import { Queue } from 'bullmq';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ConfigError, UnavailableError } from '../../src/errors.ts';
import type { Job } from '../../src/ports/job-queue.ts';
import { RedisGate } from '../support/redis-gate.ts';
import { elapsedMs, RedisQueues, sampleJob, until } from '../support/redis-queues.ts';
import { redisUrl } from '../support/services.ts';
import { makeCertificate } from '../support/webhook-receiver.ts';

describe('the queue in Redis', () => {
  let redis: RedisQueues;

  beforeEach(async () => {
    redis = await RedisQueues.open();
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await redis[Symbol.asyncDispose]();
  });

  describe('refuses at the start', () => {
    it('a Redis that may evict keys, naming the command that mends it', async () => {
      await redis.admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const error = await redis.refusal();
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ code: 'QUEUE_UNSAFE' });
      expect(error.message).toContain('"allkeys-lru"');
      const command = /redis-cli -h (\S+) -p (\d+) (CONFIG SET maxmemory-policy noeviction)/.exec(error.message);
      expect(command?.slice(1, 3)).toEqual(['127.0.0.1', String(redis.gate.port)]);
      const [name = '', ...words] = command?.[3]?.split(' ') ?? [];
      await redis.admin.call(name, ...words);
      await redis.openQueue();
    });

    it('a managed Redis that forbids CONFIG by what INFO says, and takes one that is safe', async () => {
      const url = await redis.addUser('+@all', '-config');
      const queue = await redis.openQueue({ url });
      await queue.add(sampleJob('a'));
      await redis.admin.config('SET', 'maxmemory-policy', 'volatile-ttl');
      const error = await redis.refusal({ url });
      expect(error).toMatchObject({ code: 'QUEUE_UNSAFE' });
      expect(error.message).toMatch(/"volatile-ttl".*where this Redis is managed/s);
    });

    it('a Redis that tells its policy in no way', async () => {
      vi.spyOn(console, 'warn').mockImplementation(() => {});
      const error = await redis.refusal({ url: await redis.addUser('+@all', '-config', '-info') });
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ code: 'QUEUE_UNSAFE' });
      expect(error.message).toContain('cannot be read');
    });

    it('credentials that Redis refuses, as a fault of the configuration, without showing them', async () => {
      const console_ = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn'), vi.spyOn(console, 'log')];
      const url = (await redis.addUser('+@all')).replace('password-canary', 'wrong-canary');
      const error = await redis.refusal({ url });
      expect(error).toBeInstanceOf(ConfigError);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
      expect(error.message).toContain('WRONGPASS');
      expect(inspect([error, redis.errors], { depth: 12, showHidden: true })).not.toContain('canary');
      expect(console_.map((spy) => spy.mock.calls)).toEqual([[], [], []]);
    });

    it('a Redis that is not there, at once', async () => {
      await redis.gate.shut();
      let error: unknown;
      expect(await elapsedMs(redis.refusal().then((reason) => (error = reason)))).toBeLessThan(2_000);
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error).toMatchObject({
        code: 'QUEUE_UNAVAILABLE',
        message: expect.stringContaining('ECONNREFUSED') as string,
      });
    });

    it('a Redis that takes connections and says nothing, within five seconds', async () => {
      redis.gate.freeze();
      let error: unknown;
      expect(await elapsedMs(redis.refusal().then((reason) => (error = reason)))).toBeLessThan(5_500);
      expect(error).toBeInstanceOf(UnavailableError);
    });

    for (const bad of ['', 'a:b', 'a b', '{a}', 'a'.repeat(101)]) {
      it(`the prefix "${bad}"`, async () => {
        const error = await redis.refusal({ prefix: bad });
        expect(error).toMatchObject({
          code: 'CONFIG_INVALID',
          message: expect.stringContaining('queue.prefix') as string,
        });
      });
    }
  });

  describe('over TLS', () => {
    it('works where it trusts the certificate, and nowhere else', async () => {
      const certificate = makeCertificate(['DNS:localhost', 'IP:127.0.0.1']);
      await using secure = await RedisGate.open(redisUrl(), certificate);
      const queue = await redis.openQueue({ url: secure.url(), tls: { caPem: certificate.certPem } });
      let runs = 0;
      queue.handle('alert', 1, async () => void (runs += 1));
      await queue.add(sampleJob('a'));
      await until(() => runs === 1);
      const error = await redis.refusal({ url: secure.url() });
      expect(error).toMatchObject({
        code: 'QUEUE_UNAVAILABLE',
        message: expect.stringContaining('self-signed certificate') as string,
      });
      await queue[Symbol.asyncDispose]();
    });
  });

  it('leaves no trace of a job that ended while it was disposed, so that it does not run again', async () => {
    const queue = await redis.openQueue();
    let runs = 0;
    let finish!: () => void;
    queue.handle('alert', 1, async () => {
      runs += 1;
      await new Promise<void>((resolve) => (finish = resolve));
    });
    await queue.add(sampleJob('a'));
    await until(() => runs === 1);
    const disposed = queue[Symbol.asyncDispose]();
    setTimeout(finish, 100);
    await disposed;
    expect(await (await redis.openQueue({ kinds: ['alert'] })).depth()).toBe(0);
  });

  it('shares jobs between processes, each run once', async () => {
    const runs = new Map<string, number>();
    const handlers = await Promise.all([redis.openQueue(), redis.openQueue(), redis.openQueue()]);
    for (const queue of handlers) {
      queue.handle('alert', 4, async ({ id }) => void runs.set(id, (runs.get(id) ?? 0) + 1));
    }
    const adder = await redis.openQueue();
    await Promise.all(Array.from({ length: 300 }, (_, index) => adder.add(sampleJob(`j-${index}`))));
    await until(async () => runs.size === 300 && (await adder.depth()) === 0);
    expect([...runs.values()].every((count) => count === 1)).toBe(true);
  });

  it('counts jobs of kinds that others add and handle, when it is told them', async () => {
    await (await redis.openQueue()).add(sampleJob('a', 'audit'));
    expect(await (await redis.openQueue()).depth()).toBe(0);
    expect(await (await redis.openQueue({ kinds: ['alert', 'audit'] })).depth()).toBe(1);
  });

  it('keeps pipelines apart by their prefix', async () => {
    const [one, two] = [
      await redis.openQueue({ prefix: `${redis.prefix}-1` }),
      await redis.openQueue({ prefix: `${redis.prefix}-2` }),
    ];
    await one.add(sampleJob('a'));
    expect([await one.depth(), await two.depth()]).toEqual([1, 0]);
    await two.add(sampleJob('a'));
    expect(await two.depth()).toBe(1);
  });

  it('needs no more of Redis than the keys below its prefix', async () => {
    const queue = await redis.openQueue({
      url: await redis.addUser('resetkeys', `~${redis.prefix}:*`, '+@all', '-@dangerous', '+info', '+config|get'),
    });
    let runs = 0;
    queue.handle('alert', 1, async (_job, { attempt }) => {
      runs += 1;
      if (attempt === 1) throw new Error('once');
    });
    await queue.add(sampleJob('a'));
    await until(async () => runs === 2 && (await queue.depth()) === 0);
    expect(redis.errors).toEqual([]);
  });

  it('puts nothing of an error but its code into Redis, and leaves nothing of a finished job', async () => {
    const queue = await redis.openQueue({ retryRules: { attemptsMax: 2, firstPauseMs: 300, pauseMsMax: 300 } });
    let tries = 0;
    queue.handle('alert', 1, () => {
      tries += 1;
      throw new UnavailableError('ALERT_UNDELIVERED', 'message-canary', { cause: new Error('cause-canary') });
    });
    await queue.add(sampleJob('a'));
    await until(() => tries === 1);
    await until(async () => (await redis.stored()).includes('ALERT_UNDELIVERED'));
    expect(await redis.stored()).not.toContain('canary');
    await until(async () => tries === 2 && (await queue.depth()) === 0);
    expect(await redis.admin.keys(`${redis.prefix}:*:j-*`)).toEqual([]);
  });

  it('drops what no add of ours put there', async () => {
    const queue = await redis.openQueue();
    const seen: Job[] = [];
    queue.handle('alert', 1, async (each) => void seen.push(each));
    const foreign = new Queue('alert', { connection: redis.admin, prefix: redis.prefix });
    await foreign.add('alert', { nested: { object: true } }, { jobId: 'j-foreign', attempts: 9 });
    await foreign.add('other', {}, { jobId: 'j-other' });
    await foreign.add('alert', {});
    await foreign.close();
    await queue.add(sampleJob('ours'));
    await until(async () => seen.length === 1 && (await queue.depth()) === 0);
    expect(seen).toEqual([sampleJob('ours')]);
  });
});
