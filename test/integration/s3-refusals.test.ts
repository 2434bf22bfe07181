import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { S3Store, S3StoreOptions } from '../../src/adapters/s3/store.ts';
import { systemRng } from '../../src/adapters/system/rng.ts';
import { UnavailableError } from '../../src/errors.ts';
import { Layout } from '../../src/ledger/layout.ts';
import { probeFully, probeStore } from '../../src/ledger/probe.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import { FakeS3, type S3Request } from '../support/fake-s3.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { LeapingClock } from '../support/leaping-clock.ts';
import { ANY_ACCOUNT, newS3Store, realS3Store, useS3Account } from '../support/s3-store.ts';
import { createTestBucket, s3Address, s3Client } from '../support/services.ts';

const CONTENT = Buffer.from('some bytes', 'utf8');

/** Every call that a store has, on keys that are not there. */
const CALLS: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  create: (store) => store.create('new', CONTENT),
  get: (store) => store.get('missing', 100),
  stat: (store) => store.stat('missing'),
  list: (store) => store.list('', { limit: 10 }),
  put: (store) => store.put('new', CONTENT),
  delete: (store) => store.delete('missing'),
};

/** A refusal must be seen as one by whoever made the call, and tell a person what to do. */
async function expectAllRefused(store: ObjectStore, reason: RegExp): Promise<void> {
  for (const [name, call] of Object.entries(CALLS)) {
    const error = await call(store).then(
      (outcome) => new Error(`${name} gave ${JSON.stringify(outcome)}`),
      (rejection: unknown) => rejection as Error,
    );
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.message).toMatch(reason);
  }
}

describe('a store on a real S3 server', () => {
  let bucket: string;
  const stores: S3Store[] = [];

  beforeEach(async () => {
    bucket = await createTestBucket({ prefix: 'refusals' });
    useS3Account(s3Address());
  });

  afterEach(async () => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
    for (const store of stores.splice(0)) await store[Symbol.asyncDispose]();
  });

  const open = (options: Partial<S3StoreOptions> = {}): S3Store => {
    const store = realS3Store({ bucket, ...options });
    stores.push(store);
    return store;
  };

  describe('says at every call what is wrong, and takes nothing for missing,', () => {
    it('when the secret is wrong', async () => {
      useS3Account({ ...s3Address(), secretAccessKey: 'wrong' });
      await expectAllRefused(open(), /SignatureDoesNotMatch.*\(mend: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/);
    });

    it('when the server does not know the account', async () => {
      useS3Account({ ...s3Address(), accessKeyId: 'nobody' });
      await expectAllRefused(open(), /\(mend: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/);
    });

    it('when there is no account', async () => {
      useS3Account(null);
      await expectAllRefused(open(), /Could not load credentials.*\(mend: set AWS_ACCESS_KEY_ID/);
    });

    it('when nobody listens', async () => {
      await using proxy = await FaultProxy.open(s3Address().endpoint);
      await proxy.set({ kind: 'refuse' });
      await expectAllRefused(open({ endpoint: proxy.url }), /ECONNREFUSED 127\.0\.0\.1.*\(mend: .*store\.endpoint/);
    });

    it('when there is no bucket, until there is one', async () => {
      const later = `${bucket}-later`;
      const store = open({ bucket: later });
      await expectAllRefused(store, /NoSuchBucket.*\(mend: create the bucket, or correct store\.url/);
      const client = s3Client();
      await client.send(new CreateBucketCommand({ Bucket: later }));
      client.destroy();
      expect(await store.stat('missing')).toBeNull();
      expect(await store.create('new', CONTENT)).toBe('created');
    });
  });

  it('says once that the clock of this machine is wrong, then goes by the server’s', async () => {
    const store = open();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    await expect(store.create('k', CONTENT)).rejects.toThrow(
      /RequestTimeTooSkewed.*\(mend: set the clock of this machine/,
    );
    expect(await store.create('k', CONTENT)).toBe('created');
    expect(await store.get('k', 100)).toEqual(CONTENT);
  });

  it.each([false, true])('passes the probe of the ledger (versions: %s)', async (versioned) => {
    const probed = await createTestBucket({ versioned, prefix: 'refusals' });
    await probeFully(open({ bucket: probed }), new Layout('shop'), systemRng);
  });
});

describe('the probe of the ledger', () => {
  const layout = new Layout('shop');
  let server: FakeS3;
  let store: S3Store;

  beforeEach(async () => {
    server = await FakeS3.open();
    useS3Account(ANY_ACCOUNT);
    store = newS3Store({ endpoint: server.endpoint, bucket: 'any' });
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const probe = (): Promise<void> => probeStore(store, layout, new LeapingClock(), systemRng);
  const isConditional = ({ method, headers }: S3Request): boolean =>
    method === 'PUT' && headers['if-none-match'] === '*';

  it('passes a server that honours If-None-Match', async () => {
    await probe();
    expect([...server.objects.keys()]).toEqual([layout.probeRecord()]);
  });

  it('refuses a server that ignores If-None-Match, at the first and at every later start', async () => {
    await probe();
    server.conditions = 'ignored';
    const refusal = {
      name: 'ConfigError',
      code: 'STORE_NOT_ATOMIC',
      message: expect.stringMatching(/2 of 2 racing/) as string,
    };
    await expect(probe()).rejects.toMatchObject(refusal);
    server.objects.clear();
    await expect(probe()).rejects.toMatchObject({
      ...refusal,
      message: expect.stringMatching(/16 of 16 racing/) as string,
    });
    expect(server.objects.size).toBe(0);
  });

  it('is told by a server that it does not know If-None-Match', async () => {
    server.conditions = 'not-implemented';
    await expect(probe()).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/NotImplemented.*\(mend: use a server that knows If-None-Match/) as string,
    });
  });

  it('passes a server that answers all but one of racing writers with 409', async () => {
    const seen = new Map<string, number>();
    server.answer = (request) => {
      const writes = (seen.get(request.key) ?? 0) + (isConditional(request) ? 1 : 0);
      seen.set(request.key, writes);
      // The seventeenth comes when the race is over.
      return isConditional(request) && writes > 1 && writes <= 16
        ? { status: 409, code: 'ConditionalRequestConflict' }
        : null;
    };
    await expect(probe()).resolves.toBeUndefined();
  });
});
