import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { S3Store, S3StoreOptions } from '../../../../src/adapters/s3/store.ts';
import { FakeS3, type S3Request } from '../../../support/fake-s3.ts';
import { ANY_ACCOUNT, newS3Store, useS3Account } from '../../../support/s3-store.ts';

const CONTENT = Buffer.from('content', 'utf8');
const KMS_KEY = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

describe('what a store sends', () => {
  let server: FakeS3;
  const stores: S3Store[] = [];

  beforeEach(async () => {
    server = await FakeS3.open();
    useS3Account(ANY_ACCOUNT);
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const store of stores.splice(0)) await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const open = (options: Partial<S3StoreOptions> = {}): S3Store => {
    const store = newS3Store({ endpoint: server.endpoint, bucket: 'bucket', ...options });
    stores.push(store);
    return store;
  };
  /** One call of each kind; the requests in this order: create, put, get, stat, list, delete. */
  const callAll = async (store: S3Store): Promise<S3Request[]> => {
    await store.create('a/b', CONTENT);
    await store.put('a/b', CONTENT);
    await store.get('a/b', 100);
    await store.stat('a/b');
    await store.list('a/', { limit: 7, startAfter: 'a/a' });
    await store.delete('a/b');
    expect(server.methods).toEqual(['PUT', 'PUT', 'GET', 'HEAD', 'GET', 'DELETE']);
    return server.requests;
  };
  const headerOf = (requests: readonly S3Request[], name: string): (string | undefined)[] =>
    requests.map(({ headers }) => headers[name]);

  it('asks for encryption with the given KMS key at every write, and at nothing else', async () => {
    const requests = await callAll(open({ kmsKeyId: KMS_KEY }));
    const nothing = [undefined, undefined, undefined, undefined];
    expect(headerOf(requests, 'x-amz-server-side-encryption')).toEqual(['aws:kms', 'aws:kms', ...nothing]);
    expect(headerOf(requests, 'x-amz-server-side-encryption-aws-kms-key-id')).toEqual([KMS_KEY, KMS_KEY, ...nothing]);
  });

  it('signs what it asks for', async () => {
    const [create] = await callAll(open({ kmsKeyId: KMS_KEY }));
    const signed = /SignedHeaders=([^,]+)/.exec(create!.headers['authorization']!)![1]!.split(';');
    expect(signed).toEqual(
      expect.arrayContaining([
        'if-none-match',
        'x-amz-content-sha256',
        'x-amz-server-side-encryption',
        'x-amz-server-side-encryption-aws-kms-key-id',
      ]),
    );
  });

  it('says nothing of encryption without a KMS key', async () => {
    for (const { headers } of await callAll(open())) {
      expect(Object.keys(headers).filter((name) => name.includes('encryption'))).toEqual([]);
    }
  });

  it('makes create conditional, and nothing else', async () => {
    const requests = await callAll(open());
    expect(headerOf(requests, 'if-none-match')).toEqual(['*', ...Array.from({ length: 5 }, () => undefined)]);
    expect(headerOf(requests, 'if-match')).toEqual(Array.from({ length: 6 }, () => undefined));
  });

  it('puts its prefix before every key, and takes it off again', async () => {
    const store = open({ prefix: 'some/where' });
    const requests = await callAll(store);
    expect(requests.map(({ key }) => key)).toEqual([
      ...Array.from({ length: 4 }, () => 'some/where/a/b'),
      '',
      'some/where/a/b',
    ]);
    expect(Object.fromEntries(requests[4]!.query)).toMatchObject({
      prefix: 'some/where/a/',
      'start-after': 'some/where/a/a',
      'max-keys': '7',
    });
    await store.create('a/c', CONTENT);
    expect((await store.list('', { limit: 10 })).objects.map(({ key }) => key)).toEqual(['a/c']);
    expect(store.location).toBe('s3://bucket/some/where/');
  });

  it('sends the bytes as they are, and no checksum that other servers than AWS may not know', async () => {
    const requests = await callAll(open());
    for (const { body } of requests.slice(0, 2)) expect(body).toEqual(CONTENT);
    for (const { headers } of requests) {
      expect(Object.keys(headers).filter((name) => name.includes('checksum'))).toEqual([]);
      expect(headers['content-encoding']).toBeUndefined();
      expect(headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  it('sends AWS the checksums that it knows', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_S3', server.endpoint);
    await open({ endpoint: null }).create('a/b', CONTENT);
    expect(server.requests[0]!.headers['x-amz-checksum-crc32']).toMatch(/^[A-Za-z0-9+/]{6}==$/);
  });

  it('signs for its region, with the session of temporary credentials', async () => {
    vi.stubEnv('AWS_SESSION_TOKEN', 'session');
    for (const { headers } of await callAll(open({ region: 'eu-north-1' }))) {
      expect(headers['authorization']).toContain('/eu-north-1/s3/aws4_request');
      expect(headers['x-amz-security-token']).toBe('session');
    }
  });

  it('names the version that the server tells of', async () => {
    server.answers.push({ status: 200, headers: { 'x-amz-version-id': 'v-1', 'content-length': '3' } });
    expect(await open({ prefix: 'p' }).stat('k')).toEqual({ bytes: 3, uri: 's3://bucket/p/k', versionId: 'v-1' });
  });
});
