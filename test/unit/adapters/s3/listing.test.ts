import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import type { S3Store } from '../../../../src/adapters/s3/store.ts';
import { isKey } from '../../../../src/ports/object-key.ts';
import type { ListPage } from '../../../../src/ports/object-store.ts';
import { FakeS3, listingOf } from '../../../support/fake-s3.ts';
import { ANY_ACCOUNT, newS3Store, useS3Account } from '../../../support/s3-store.ts';

const NOTHING = Buffer.alloc(0);

describe('a listing', () => {
  let server: FakeS3;
  let store: S3Store;

  beforeAll(async () => {
    useS3Account(ANY_ACCOUNT);
    server = await FakeS3.open();
    store = newS3Store({ endpoint: server.endpoint, bucket: 'bucket', prefix: 'ours' });
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    server.objects.clear();
    server.requests.length = 0;
    server.answers.length = 0;
    server.answer = () => null;
  });

  const put = (...keys: readonly string[]): void => {
    for (const key of keys) server.objects.set(`ours/${key}`, NOTHING);
  };
  const page = async (limit: number, startAfter?: string): Promise<readonly [string[], string | null]> => {
    const { objects, next } = await store.list('', { limit, ...(startAfter === undefined ? {} : { startAfter }) });
    return [objects.map(({ key }) => key), next];
  };
  const allByPages = async (limit: number): Promise<string[]> => {
    const keys: string[] = [];
    for (let next: string | undefined; ;) {
      const found: ListPage = await store.list('', { limit, ...(next === undefined ? {} : { startAfter: next }) });
      keys.push(...found.objects.map(({ key }) => key));
      if (found.next === null) return keys;
      // Callers take a page without keys for the end.
      expect(found.objects.length).toBeGreaterThan(0);
      next = found.next;
    }
  };
  /** The server gives these keys, in this order, whatever it is asked for. */
  const answerWith = (keys: readonly string[], isTruncated: boolean): void => {
    server.answer = () => ({ status: 200, body: listingOf(keys, isTruncated) });
  };

  it('passes over folders that a console has made', async () => {
    put('', 'a/', 'a/1', 'b/');
    expect(await page(10)).toEqual([['a/1'], null]);
    expect(await page(1)).toEqual([['a/1'], null]);
    expect(await page(1, 'a/1')).toEqual([[], null]);
  });

  it.each(['\u0001', 'a\u0001', 'a/\u0008x', ' ', 'é', '\uffff', '😀', '\r', 'x//', '../x'])(
    'is not ended by the key %j, which someone has put before or behind ours',
    async (strange) => {
      put('a', 'a/1', 'a/2', 'x', 'zz', strange, `a/${strange}`, `${strange}/a`);
      expect(await allByPages(1)).toEqual(['a', 'a/1', 'a/2', 'x', 'zz']);
    },
  );

  it('is not ended by a key that is too long', async () => {
    put('a', `a${'x'.repeat(900)}`, 'b');
    expect(await allByPages(1)).toEqual(['a', 'b']);
  });

  it('asks few times, however many keys someone has put before ours', async () => {
    put(
      ...Array.from({ length: 3_000 }, (_, i) => `a b/${i}`),
      ...Array.from({ length: 3_000 }, (_, i) => `a\u0001${i}`),
      'b',
    );
    expect(await page(1)).toEqual([['b'], null]);
    expect(server.requests.length).toBeLessThan(6);
    put(...Array.from({ length: 3_000 }, (_, i) => `a/${i}/`));
    server.requests.length = 0;
    expect(await page(1)).toEqual([['b'], null]);
    expect(server.requests.length).toBeLessThan(10);
  });

  it('gives our keys, all and in order, whatever else there is', async () => {
    const character = fc.constantFrom(...Array.from('ab/.%~ \u0001\t\r\u007f\ufffdé＠😀'));
    const name = fc.array(character, { minLength: 1, maxLength: 5 }).map((characters) => characters.join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(name, { maxLength: 30 }),
        fc.integer({ min: 1, max: 5 }),
        async (names, limit) => {
          server.objects.clear();
          put(...names);
          expect(await allByPages(limit)).toEqual(names.filter(isKey).sort());
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ['keys out of order', ['ours/b', 'ours/a']],
    ['a key twice', ['ours/a', 'ours/a']],
    ['keys from elsewhere in the bucket', ['theirs/a']],
    ['its own folder without end', ['ours/']],
    ['nothing but strange keys, the same ones again and again', ['ours/a b', 'ours/a c']],
  ])('refuses %s', async (_, keys) => {
    answerWith(keys, true);
    await expect(store.list('', { limit: 10 })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/lists ".*" out of order, or without being asked for it/) as string,
    });
    expect(server.requests.length).toBeLessThan(5);
  });

  it('refuses keys at or before the one that it was to start behind, on which paging would never end', async () => {
    answerWith(['ours/a', 'ours/b'], true);
    for (const startAfter of ['a', 'b', 'c'])
      await expect(store.list('', { limit: 10, startAfter })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('refuses a page that is empty although more is said to follow', async () => {
    answerWith([], true);
    await expect(store.list('', { limit: 10 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('gives no more keys than it was asked for, even if the server does', async () => {
    answerWith(['ours/a', 'ours/b', 'ours/c'], false);
    expect(await page(2)).toEqual([['a', 'b'], 'b']);
  });

  it.each(['', '<html><body>Please log in</body></html>', '{}', '<Error><Code>InternalError</Code></Error>'])(
    'does not take %j for an empty store',
    async (body) => {
      server.answer = () => ({ status: 200, body });
      await expect(store.list('', { limit: 10 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    },
  );
});
