import { getEventListeners } from 'node:events';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { S3Store } from '../../../../src/adapters/s3/store.ts';
import { UnavailableError } from '../../../../src/errors.ts';
import { FakeS3 } from '../../../support/fake-s3.ts';
import { ANY_ACCOUNT, newS3Store, useS3Account } from '../../../support/s3-store.ts';
import { warningsOf } from '../../../support/warnings.ts';

const CALLS = 64;

describe('many calls under one signal', () => {
  let server: FakeS3;
  let store: S3Store;

  beforeEach(async () => {
    server = await FakeS3.open();
    useS3Account(ANY_ACCOUNT);
    store = newS3Store({ endpoint: server.endpoint, bucket: 'bucket', requestTimeoutMs: 15_000 });
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it('warn of no leak, and leave nothing behind on the signal', async () => {
    const { signal } = new AbortController();
    const all = Array.from({ length: CALLS }, (_, i) => `k${i}`);
    const warnings = await warningsOf(async () => {
      const created = await Promise.all(all.map((key) => store.create(key, Buffer.from(key), { signal })));
      expect(created).toEqual(all.map(() => 'created'));
      const read = await Promise.all(all.map((key) => store.get(key, 100, { signal })));
      expect(read.map(String)).toEqual(all);
      // Also where they fail.
      server.answer = () => ({ status: 403, code: 'AccessDenied' });
      for (const { reason } of (await Promise.allSettled(
        all.map((key) => store.stat(key, { signal })),
      )) as PromiseRejectedResult[])
        expect(reason).toBeInstanceOf(UnavailableError);
    });
    expect(warnings).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('are all stopped by it', async () => {
    server.answer = () => ({ status: 200, body: silence() });
    const stop = new AbortController();
    const calls = Array.from({ length: CALLS }, (_, i) => store.get(`k${i}`, 100, { signal: stop.signal }));
    await expect.poll(() => server.requests.length).toBe(CALLS);
    stop.abort();
    for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
  });
});

/** An answer that does not come. */
async function* silence(): AsyncGenerator<Buffer> {
  await new Promise((resolve) => setTimeout(resolve, 10_000).unref());
  yield Buffer.alloc(0);
}
