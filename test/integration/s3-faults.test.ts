import { randomBytes } from 'node:crypto';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { S3Store, S3StoreOptions } from '../../src/adapters/s3/store.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { UnavailableError, UncertainError } from '../../src/errors.ts';
import { createSlot } from '../../src/ledger/slot.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import { FaultProxy, type Fault } from '../support/fault-proxy.ts';
import { newS3Store, realS3Store, useS3Account } from '../support/s3-store.ts';
import { createTestBucket, s3Address } from '../support/services.ts';

/** How long the stores of this file wait for an answer. */
const PATIENCE_MS = 600;
/** How much later than that a call may end on a busy machine. */
const MARGIN_MS = 900;
const BYTES_MAX = 1_048_576;
const CONTENT = Buffer.from('some bytes', 'utf8');

const never = new AbortController().signal;

/** Every call that a store has, on keys that are not there. */
const CALLS: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  create: (store) => store.create('new', CONTENT),
  get: (store) => store.get('missing', BYTES_MAX),
  stat: (store) => store.stat('missing'),
  list: (store) => store.list('', { limit: 10 }),
  put: (store) => store.put('new', CONTENT),
  delete: (store) => store.delete('missing'),
};

describe('a store on a real S3 server', () => {
  let bucket: string;
  let proxy: FaultProxy;
  const stores: S3Store[] = [];

  beforeEach(async () => {
    bucket = await createTestBucket({ prefix: 'faults' });
    proxy = await FaultProxy.open(s3Address().endpoint);
    useS3Account(s3Address());
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const store of stores.splice(0)) await store[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  });

  /** A store without anything between it and the server. */
  const open = (options: Partial<S3StoreOptions> = {}): S3Store => {
    const store = realS3Store({ bucket, ...options });
    stores.push(store);
    return store;
  };
  /** A store that reaches the server through a proxy. */
  const openThrough = (through = proxy, options: Partial<S3StoreOptions> = {}): S3Store => {
    const { region } = s3Address();
    const store = newS3Store({ endpoint: through.url, bucket, region, requestTimeoutMs: PATIENCE_MS, ...options });
    stores.push(store);
    return store;
  };

  describe('whose server is silent', () => {
    const elapsed = async (call: Promise<unknown>): Promise<{ error: Error; ms: number }> => {
      const startMs = performance.now();
      const error = await call.then(
        (outcome) => new Error(`It gave ${JSON.stringify(outcome)}`),
        (rejection: unknown) => rejection as Error,
      );
      return { error, ms: performance.now() - startMs };
    };

    it.each(Object.keys(CALLS))('gives up on %s in time and says what to do', async (name) => {
      const store = openThrough();
      await proxy.set({ kind: 'silent' });
      const { error, ms } = await elapsed(CALLS[name]!(store));
      expect(error).toBeInstanceOf(name === 'create' ? UncertainError : UnavailableError);
      expect(error.message).toMatch(
        new RegExp(`no answer within ${PATIENCE_MS} ms \\(mend: .*store\\.requestTimeoutMs`),
      );
      expect(ms).toBeGreaterThan(PATIENCE_MS - 50);
      expect(ms).toBeLessThan(PATIENCE_MS + MARGIN_MS);
      await proxy.set({ kind: 'pass' });
      expect(await store.get('missing', 1)).toBeNull();
    });

    it('gives a large object a second more for each megabyte, and no longer', async () => {
      const store = openThrough();
      await proxy.set({ kind: 'silent' });
      const { error, ms } = await elapsed(store.create('large', Buffer.alloc(1_500_000)));
      expect(error.message).toContain(`no answer within ${PATIENCE_MS + 1_500} ms`);
      expect(ms).toBeLessThan(PATIENCE_MS + 1_500 + MARGIN_MS);
    });

    it('gives up on a body that stops coming', async () => {
      await open().create('large', randomBytes(500_000));
      const store = openThrough();
      await proxy.set({ kind: 'stall', afterBytes: 200_000 });
      const { error, ms } = await elapsed(store.get('large', BYTES_MAX));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error.message).toContain('no answer within');
      expect(ms).toBeLessThan(2 * PATIENCE_MS + MARGIN_MS);
    });

    it('gives up when it is credentials that do not come', async () => {
      useS3Account(null);
      vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${proxy.url}/credentials`);
      await proxy.set({ kind: 'silent' });
      const { error, ms } = await elapsed(open({ requestTimeoutMs: PATIENCE_MS }).create('k', CONTENT));
      expect(error.message).toContain('no answer within');
      expect(ms).toBeLessThan(PATIENCE_MS + MARGIN_MS);
      expect(proxy.accepted).toBeGreaterThan(0);
    });

    it('ends a call at once when it is stopped', async () => {
      const store = openThrough();
      await proxy.set({ kind: 'silent' });
      for (const call of [
        store.get('k', 1, { signal: AbortSignal.timeout(50) }),
        store.list('', { limit: 1 }, { signal: AbortSignal.timeout(50) }),
      ]) {
        const { error, ms } = await elapsed(call);
        expect(error).toBeInstanceOf(UnavailableError);
        expect(error.message).toContain('the call was stopped');
        expect(ms).toBeLessThan(PATIENCE_MS - 100);
      }
    });

    it('only waits where the server is slow', async () => {
      const store = openThrough();
      await proxy.set({ kind: 'latency', ms: PATIENCE_MS / 3 });
      expect(await store.create('slow', CONTENT)).toBe('created');
      expect(await store.get('slow', BYTES_MAX)).toEqual(CONTENT);
    });
  });

  describe('whose connections break', () => {
    it('never gives a part of an object for the whole, wherever the answer is cut', async () => {
      const content = randomBytes(100_000);
      await open().create('whole', content);
      const store = openThrough();
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(fc.nat({ max: 1_000 }), fc.integer({ min: 1_000, max: content.length })),
          async (afterBytes) => {
            await proxy.set({ kind: 'cut', afterBytes });
            await expect(store.get('whole', BYTES_MAX)).rejects.toThrow(UnavailableError);
            await proxy.set({ kind: 'pass' });
            expect((await store.get('whole', BYTES_MAX))!.equals(content)).toBe(true);
          },
        ),
        { numRuns: 25, examples: [[0], [1], [99_999], [100_000]] },
      );
    });

    it.each<Fault>([{ kind: 'reset' }, { kind: 'refuse' }, { kind: 'cut', afterBytes: 0 }])(
      'says so, and goes on by itself when they hold again: $kind',
      async (fault) => {
        const store = openThrough();
        await store.create('k', CONTENT);
        await proxy.set(fault);
        for (const [name, call] of Object.entries(CALLS)) {
          const error: unknown = await call(store).catch((rejection: unknown) => rejection);
          // On a connection that was open the answer may have been lost.
          expect(error).toBeInstanceOf(name === 'create' ? UncertainError : UnavailableError);
        }
        await proxy.set({ kind: 'pass' });
        expect(await store.get('k', BYTES_MAX)).toEqual(CONTENT);
      },
    );

    it('keeps no connection of a call that has ended', async () => {
      await open().create('large', randomBytes(BYTES_MAX));
      const store = openThrough();
      for (let i = 0; i < 30; i++) {
        if (i % 3 === 1) await proxy.set({ kind: 'stall', afterBytes: 1_000 });
        const signal = AbortSignal.timeout(30);
        await store.get('large', i % 3 === 0 ? 1_000 : BYTES_MAX, i % 3 === 0 ? {} : { signal }).catch(() => undefined);
        await proxy.set({ kind: 'pass' });
      }
      expect(await store.get('missing', 1)).toBeNull();
      await vi.waitFor(() => expect(proxy.open).toBeLessThan(4));
    });
  });

  describe('with a create whose answer is lost', () => {
    const ours = Buffer.from('ours', 'utf8');
    const theirs = Buffer.from('theirs', 'utf8');
    const slot = (store: ObjectStore, bytes = ours): ReturnType<typeof createSlot> =>
      createSlot(store, 'slot', bytes, systemClock, never);

    it('does not guess: it was created, and the next attempt says that it exists', async () => {
      const store = openThrough();
      await proxy.set({ kind: 'cut', afterBytes: 0 });
      await expect(store.create('slot', ours)).rejects.toThrow(UncertainError);
      await proxy.set({ kind: 'pass' });
      expect(await store.get('slot', BYTES_MAX)).toEqual(ours);
      expect(await store.create('slot', ours)).toBe('exists');
    });

    it('does not guess: it was not created, and the next attempt creates it', async () => {
      const store = openThrough();
      await proxy.set({ kind: 'silent' });
      await expect(store.create('slot', ours)).rejects.toThrow(UncertainError);
      await proxy.set({ kind: 'pass' });
      expect(await store.get('slot', BYTES_MAX)).toBeNull();
      expect(await store.create('slot', ours)).toBe('created');
    });

    it.each<Fault>([
      { kind: 'cut', afterBytes: 0 },
      { kind: 'cut', afterBytes: 20 },
      { kind: 'stall', afterBytes: 0 },
      { kind: 'silent' },
      { kind: 'reset' },
      { kind: 'refuse' },
    ])('lets the ledger find out that the slot is its own: $kind $afterBytes', async (fault) => {
      const store = openThrough();
      await proxy.set(fault);
      const outcome = slot(store);
      setTimeout(() => void proxy.set({ kind: 'pass' }), 200);
      expect(await outcome).toEqual({ owner: 'us' });
      expect(await open().get('slot', BYTES_MAX)).toEqual(ours);
    });

    it('lets the ledger find out that the slot is another’s', async () => {
      await open().create('slot', theirs);
      const store = openThrough();
      await proxy.set({ kind: 'cut', afterBytes: 0 });
      const outcome = slot(store);
      setTimeout(() => void proxy.set({ kind: 'pass' }), 200);
      expect(await outcome).toEqual({ owner: 'other', bytes: theirs });
    });

    it(
      'gives each slot exactly one owner, whatever happens on the way of two rivals',
      { timeout: 120_000 },
      async () => {
        await using second = await FaultProxy.open(s3Address().endpoint);
        const rivals = [
          openThrough(proxy, { requestTimeoutMs: 150 }),
          openThrough(second, { requestTimeoutMs: 150 }),
        ] as const;
        const fault: fc.Arbitrary<Fault> = fc.oneof(
          fc.constant<Fault>({ kind: 'pass' }),
          fc.record({ kind: fc.constantFrom('cut' as const, 'stall' as const), afterBytes: fc.nat({ max: 400 }) }),
          fc.constantFrom<Fault>(
            { kind: 'silent' },
            { kind: 'reset' },
            { kind: 'refuse' },
            { kind: 'latency', ms: 40 },
          ),
        );
        const schedule = fc.array(fc.tuple(fault, fc.integer({ min: 1, max: 60 })), { maxLength: 6 });
        let round = 0;
        await fc.assert(
          fc.asyncProperty(schedule, schedule, async (first, other) => {
            const key = `race/${round++}`;
            const play = async (on: FaultProxy, steps: typeof first): Promise<void> => {
              for (const [each, ms] of steps) {
                await on.set(each);
                await systemClock.sleep(ms);
              }
              await on.set({ kind: 'pass' });
            };
            const [a, b] = await Promise.all([
              createSlot(rivals[0], key, ours, systemClock, never),
              createSlot(rivals[1], key, theirs, systemClock, never),
              play(proxy, first),
              play(second, other),
            ]);
            const kept = await open().get(key, BYTES_MAX);
            expect([a.owner, b.owner].toSorted()).toEqual(['other', 'us']);
            expect(kept).toEqual(a.owner === 'us' ? ours : theirs);
            for (const outcome of [a, b]) if (outcome.owner === 'other') expect(outcome.bytes).toEqual(kept);
          }),
          { numRuns: 25 },
        );
      },
    );
  });
});
