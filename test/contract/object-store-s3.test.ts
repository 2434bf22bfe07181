import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { createTestBucket, s3Address, s3Client } from '../support/services.ts';
import { realS3Store, useS3Account } from '../support/s3-store.ts';
import { objectStoreContract } from './object-store.ts';

beforeAll(() => useS3Account(s3Address()));
afterAll(() => vi.unstubAllEnvs());

for (const versioned of [false, true]) {
  for (const prefix of ['', 'some/where']) {
    const name = `S3, ${versioned ? 'with' : 'without'} versions, ${prefix === '' ? 'the whole bucket' : 'below a prefix'}`;
    objectStoreContract(name, async () => {
      const bucket = await createTestBucket({ versioned, prefix: 'contract' });
      return {
        open: async () => realS3Store({ bucket, prefix }),
        keepsVersions: versioned,
        plant: (key, bytes) => plant(bucket, prefix === '' ? key : `${prefix}/${key}`, bytes),
      };
    });
  }
}

describe('a store in a bucket that others use too', () => {
  it('sees only what lies below its prefix, and passes over names that it would not take', async () => {
    const bucket = await createTestBucket({ prefix: 'contract' });
    await using store = realS3Store({ bucket, prefix: 'ours' });
    for (const key of ['ours/a b', 'ours/ä', 'ours/folder/', 'ours-not/x', 'x'])
      await plant(bucket, key, new Uint8Array());
    expect(await store.list('', { limit: 1 })).toEqual({ objects: [], next: null });
    await store.create('folder/x', Buffer.from('x'));
    const { objects, next } = await store.list('', { limit: 1 });
    expect(objects.map(({ key }) => key)).toEqual(['folder/x']);
    expect(next).toBeNull();
    expect(await store.get('../x', 10).catch((error: unknown) => error)).toBeInstanceOf(RangeError);
  });

  it('gives addresses that name bucket, prefix and key', async () => {
    const bucket = await createTestBucket({ prefix: 'contract' });
    await using store = realS3Store({ bucket, prefix: 'ours' });
    await store.create('a/b', Buffer.from('x'));
    expect((await store.stat('a/b'))!.uri).toBe(`s3://${bucket}/ours/a/b`);
    expect(store.location).toBe(`s3://${bucket}/ours/`);
  });
});

/** Writes past our adapter, which would refuse such keys. */
async function plant(bucket: string, key: string, bytes: Uint8Array): Promise<void> {
  const client = s3Client();
  try {
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }));
  } finally {
    client.destroy();
  }
}
