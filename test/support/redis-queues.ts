import { randomUUID } from 'node:crypto';

import { Redis } from 'ioredis';
import { expect } from 'vitest';

import { BullmqJobQueue, type BullmqJobQueueOptions } from '../../src/adapters/bullmq/bullmq-job-queue.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { systemRng } from '../../src/adapters/system/rng.ts';
import type { Job } from '../../src/ports/job-queue.ts';
import { RedisGate } from './redis-gate.ts';
import { redisUrl } from './services.ts';

/** A job of the least. */
export function sampleJob(id: string, kind = 'alert'): Job {
  return { id, kind, data: { digest: 'b3f0' } };
}

/** Waits up to ten seconds until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(condition, { timeout: 10_000, interval: 10 }).toBe(true);
}

/** Milliseconds until `work` has settled either way. */
export async function elapsedMs(work: Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work.catch(() => {});
  return performance.now() - startMs;
}

/** Queues of one test, with a prefix of their own, behind a gate in front of the real Redis; leaves Redis as it was. */
export class RedisQueues implements AsyncDisposable {
  readonly prefix = `headgate-test-${randomUUID()}`;
  readonly gate: RedisGate;
  /** A connection of its own, past the gate. */
  readonly admin: Redis;
  /** What the queues reported. */
  readonly errors: Error[] = [];
  readonly #queues: BullmqJobQueue[] = [];
  readonly #users: string[] = [];
  readonly #policy: string;

  private constructor(gate: RedisGate, admin: Redis, policy: string) {
    this.gate = gate;
    this.admin = admin;
    this.#policy = policy;
  }

  /** @param database number of the database of {@link admin}. @throws {Error} if there is no Redis */
  static async open(database = 0): Promise<RedisQueues> {
    const admin = new Redis(redisUrl(), { db: database });
    const [, policy = ''] = await admin.config('GET', 'maxmemory-policy');
    return new RedisQueues(await RedisGate.open(redisUrl()), admin, policy);
  }

  /** Opens a queue through the gate that retries fast. */
  async openQueue(options: Partial<BullmqJobQueueOptions> = {}): Promise<BullmqJobQueue> {
    const queue = await BullmqJobQueue.open({
      url: this.gate.url(),
      prefix: this.prefix,
      clock: systemClock,
      rng: systemRng,
      retryRules: { attemptsMax: 5, firstPauseMs: 20, pauseMsMax: 100 },
      onError: (error) => this.errors.push(error),
      ...options,
    });
    this.#queues.push(queue);
    return queue;
  }

  /** What opening a queue is refused with. */
  refusal(options: Partial<BullmqJobQueueOptions> = {}): Promise<Error> {
    return this.openQueue(options).then(
      () => new Error('it was opened'),
      (error: unknown) => error as Error,
    );
  }

  /** Makes a user of this Redis and gives the URL that logs it in through the gate, with the password `password-canary`. */
  async addUser(...rules: string[]): Promise<string> {
    const name = `u-${randomUUID()}`;
    await this.admin.call('ACL', 'SETUSER', name, 'on', '>password-canary', '~*', '&*', ...rules);
    this.#users.push(name);
    return this.gate.url().replace('redis://', `redis://${name}:password-canary@`);
  }

  /** Everything that Redis holds under the prefix, as text. */
  async stored(): Promise<string> {
    const parts: string[] = [];
    for (const key of await this.admin.keys(`${this.prefix}*`)) {
      const type = await this.admin.type(key);
      if (type === 'hash') parts.push(JSON.stringify(await this.admin.hgetall(key)));
      if (type === 'stream') parts.push(JSON.stringify(await this.admin.xrange(key, '-', '+')));
    }
    return parts.join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue[Symbol.asyncDispose]()));
    await this.gate[Symbol.asyncDispose]();
    await this.admin.config('SET', 'maxmemory', '0');
    await this.admin.config('SET', 'maxmemory-policy', this.#policy);
    for (const user of this.#users) await this.admin.call('ACL', 'DELUSER', user);
    const keys = await this.admin.keys(`${this.prefix}*`);
    if (keys.length > 0) await this.admin.unlink(...keys);
    this.admin.disconnect();
  }
}
