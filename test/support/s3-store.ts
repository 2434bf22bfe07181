import { vi } from 'vitest';

import { S3Store, type S3StoreOptions } from '../../src/adapters/s3/store.ts';
import type { S3Address } from '../../scripts/services/service.ts';
import { s3Address } from './services.ts';

/** An account, as the AWS SDK finds it in the environment. */
export type S3Account = Pick<S3Address, 'accessKeyId' | 'secretAccessKey'>;

/** For servers of our own, which look at no signature. */
export const ANY_ACCOUNT: S3Account = { accessKeyId: 'test', secretAccessKey: 'test-secret' };

const NO_FILE = '/nonexistent';

/**
 * Makes stores that are opened from now on use `account`, or none, whatever this machine has in its environment and home.
 * A store looks for its account at its first call. Undone by `vi.unstubAllEnvs()`.
 */
export function useS3Account(account: S3Account | null): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', account?.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', account?.secretAccessKey);
  for (const name of ['AWS_SESSION_TOKEN', 'AWS_PROFILE', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3', 'AWS_CA_BUNDLE'])
    vi.stubEnv(name, undefined);
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, NO_FILE);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED', 'true');
}

/** A store on an S3 server of ours: path style, no prefix, short patience. */
export function newS3Store(options: Partial<S3StoreOptions> & Pick<S3StoreOptions, 'endpoint' | 'bucket'>): S3Store {
  return new S3Store({
    prefix: '',
    region: 'us-east-1',
    forcePathStyle: true,
    kmsKeyId: null,
    requestTimeoutMs: 2_000,
    ...options,
  });
}

/** A store on the real server, on a bucket that is there. @throws {Error} if the server was not started */
export function realS3Store(options: Partial<S3StoreOptions> & Pick<S3StoreOptions, 'bucket'>): S3Store {
  const { endpoint, region } = s3Address();
  return newS3Store({ endpoint, region, requestTimeoutMs: 15_000, ...options });
}
