import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { S3Store } from '../../../../src/adapters/s3/store.ts';
import { IntegrityError, UnavailableError, UncertainError } from '../../../../src/errors.ts';
import { createSlot } from '../../../../src/ledger/slot.ts';
import type { ObjectStore } from '../../../../src/ports/object-store.ts';
import { FakeS3, type S3Answer } from '../../../support/fake-s3.ts';
import { LeapingClock } from '../../../support/leaping-clock.ts';
import { ANY_ACCOUNT, newS3Store, useS3Account } from '../../../support/s3-store.ts';

const CONTENT = Buffer.from('content', 'utf8');
const BUSY: S3Answer = { status: 503, code: 'SlowDown', message: 'Please reduce your request rate.' };
/** The SDK waits less after it than after SlowDown. */
const BROKEN: S3Answer = { status: 500, code: 'InternalError', message: 'We encountered an internal error.' };
const DENIED: S3Answer = { status: 403, code: 'AccessDenied', message: 'Access Denied' };

const READS: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  get: (store) => store.get('k', 100),
  stat: (store) => store.stat('k'),
  list: (store) => store.list('', { limit: 10 }),
  delete: (store) => store.delete('k'),
};
const CALLS: typeof READS = {
  ...READS,
  create: (store) => store.create('new', CONTENT),
  put: (store) => store.put('new', CONTENT),
};

describe('a store whose server', () => {
  let server: FakeS3;
  let store: S3Store;

  beforeEach(async () => {
    server = await FakeS3.open();
    useS3Account(ANY_ACCOUNT);
    vi.stubEnv('AWS_MAX_ATTEMPTS', '5');
    store = newS3Store({ endpoint: server.endpoint, bucket: 'bucket', requestTimeoutMs: 15_000 });
    server.objects.set('k', CONTENT);
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const rejection = (call: Promise<unknown>): Promise<Error> =>
    call.then(
      (outcome) => new Error(`It gave ${JSON.stringify(outcome)}`),
      (error: unknown) => error as Error,
    );

  describe('is busy for a moment', () => {
    it.each(Object.keys(READS))('asks again: %s', async (name) => {
      server.answers.push(BROKEN, name === 'get' ? BUSY : BROKEN);
      expect(await READS[name]!(store)).not.toBeNull();
      expect(server.requests).toHaveLength(3);
    });

    it.each(Object.keys(READS))('gives up after the third time: %s', async (name) => {
      server.answer = () => BROKEN;
      const error = await rejection(READS[name]!(store));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error.message).toMatch(/\(mend: wait, it is tried again/);
      expect(server.requests).toHaveLength(3);
    });

    it.each([BUSY, BROKEN, { status: 502, body: 'Bad Gateway' }, { status: 408, code: 'RequestTimeout' }])(
      'never repeats a create by itself, whose answer would then be wrong: $status',
      async (answer) => {
        server.answers.push(answer);
        await expect(store.create('new', CONTENT)).rejects.toThrow(UncertainError);
        expect(server.methods).toEqual(['PUT']);
      },
    );

    it('never repeats a put by itself either', async () => {
      server.answers.push(BUSY);
      await expect(store.put('new', CONTENT)).rejects.toThrow(UnavailableError);
      expect(server.methods).toEqual(['PUT']);
    });

    it.each([true, false])(
      'lets the ledger find out that a slot is its own (it was written: %s)',
      async (isWritten) => {
        server.answer = ({ method, key, body }) => {
          if (method !== 'PUT' || server.methods.filter((each) => each === 'PUT').length > 1) return null;
          if (isWritten) server.objects.set(key, body);
          return BUSY;
        };
        const outcome = await createSlot(store, 'slot', CONTENT, new LeapingClock(), new AbortController().signal);
        expect(outcome).toEqual({ owner: 'us' });
        expect(server.objects.get('slot')).toEqual(CONTENT);
      },
    );
  });

  describe('refuses', () => {
    it.each(Object.keys(CALLS))('says which permissions are needed: %s', async (name) => {
      server.answer = () => DENIED;
      const error = await rejection(CALLS[name]!(store));
      expect(error).toBeInstanceOf(UnavailableError);
      // The answer to HEAD has no body: the reason is asked for by GET.
      expect(error.message).toMatch(/AccessDenied: Access Denied \(mend: allow this account s3:GetObject/);
    });

    it.each(['NoSuchBucket', 'XAdminUserNotFound', 'Whatever'])(
      'with 404 takes nothing for missing: %s',
      async (code) => {
        server.answer = () => ({ status: 404, code });
        for (const call of Object.values(CALLS)) expect(await rejection(call(store))).toBeInstanceOf(UnavailableError);
      },
    );

    it.each([404, 403, 301, 400])('without an S3 error takes nothing for missing: %s', async (status) => {
      server.answer = () => ({ status, body: '<html><body>default backend</body></html>' });
      for (const call of Object.values(CALLS)) {
        const error = await rejection(call(store));
        expect(error).toBeInstanceOf(UnavailableError);
        expect(error.message).toContain(`HTTP ${status} without an S3 error`);
      }
    });

    it('reads an object that came between two looks at it', async () => {
      server.answers.push({ status: 404 });
      expect(await store.stat('k')).toEqual({ bytes: CONTENT.length, uri: 's3://bucket/k', versionId: null });
      expect(server.methods).toEqual(['HEAD', 'GET']);
    });

    it('keeps no connection of an object that came between two looks at it', async () => {
      server.objects.set('large', Buffer.alloc(1_000_000));
      server.answer = ({ method }) => (method === 'HEAD' ? { status: 404 } : null);
      // More than a store opens at once.
      for (let i = 0; i < 80; i++) expect((await store.stat('large'))!.bytes).toBe(1_000_000);
    });
  });

  describe('is none, but answers kindly', () => {
    beforeEach(() => {
      server.answer = () => ({ status: 200, body: '<html><body>Please log in</body></html>' });
    });

    it('believes no write', async () => {
      await expect(store.create('new', CONTENT)).rejects.toThrow(UncertainError);
      await expect(store.put('new', CONTENT)).rejects.toThrow(UnavailableError);
    });

    it('takes it for no empty store', async () => {
      await expect(store.list('', { limit: 10 })).rejects.toThrow(UnavailableError);
    });
  });

  describe('answers slowly', () => {
    const drip = async function* (parts: number, pauseMs: number): AsyncGenerator<Buffer> {
      for (let i = 0; i < parts; i++) {
        await sleep(pauseMs);
        yield Buffer.from([i]);
      }
    };

    it('waits for a body whose parts keep coming', async () => {
      await using patient = newS3Store({ endpoint: server.endpoint, bucket: 'bucket', requestTimeoutMs: 300 });
      server.answers.push({ status: 200, body: drip(8, 80) });
      expect(await patient.get('k', 100)).toEqual(Buffer.from([0, 1, 2, 3, 4, 5, 6, 7]));
    });

    it('does not wait for ever for one whose parts stay away', async () => {
      await using patient = newS3Store({ endpoint: server.endpoint, bucket: 'bucket', requestTimeoutMs: 200 });
      server.answers.push({ status: 200, body: drip(2, 1_000) });
      await expect(patient.get('k', 100)).rejects.toThrow(/no answer within 200 ms/);
    });
  });

  describe('has more than was asked for', () => {
    const LARGE = 50 * 1_048_576;
    let sent = 0;
    const flood = async function* (): AsyncGenerator<Buffer> {
      for (sent = 0; sent < LARGE; sent += 65_536) yield Buffer.alloc(65_536);
    };

    it.each([
      ['which it announces', { 'content-length': String(LARGE) }],
      ['without a word', {}],
    ])('refuses an object above the cap %s, without reading it all', async (_, headers) => {
      server.answers.push({ status: 200, headers, body: flood() });
      await expect(store.get('k', 100_000)).rejects.toThrow(IntegrityError);
      await sleep(50);
      expect(sent).toBeLessThan(LARGE / 2);
    });
  });
});
