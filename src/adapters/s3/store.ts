import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';

import { IntegrityError, UncertainError, UnavailableError } from '../../errors.ts';
import { assertKey, assertPrefix } from '../../ports/object-key.ts';
import type { ListPage, ObjectStat, ObjectStore, StoreCallOptions } from '../../ports/object-store.ts';

/** Where the objects lie and how the server is reached. Credentials come from the SDK's own chain. */
export interface S3StoreOptions {
  readonly bucket: string;
  /** Key prefix without slashes at the ends; empty = the whole bucket. */
  readonly prefix: string;
  /** Absolute URL of an S3-compatible server; null = AWS. */
  readonly endpoint: string | null;
  readonly region: string;
  /** `http://host/bucket/key` instead of `http://bucket.host/key`. */
  readonly forcePathStyle: boolean;
  /** KMS key id or ARN for server-side encryption; null = the bucket's default. */
  readonly kmsKeyId: string | null;
  /** Longest silence of the server, all attempts of a call together; sending gets a second more a megabyte. The SDK's own default is none. */
  readonly requestTimeoutMs: number;
}

const CONNECT_TIMEOUT_MS = 3_000;
const SOCKETS_MAX = 64;
const READ_ATTEMPTS_MAX = 3;
/** One megabyte a second: a slower connection cannot send a large file within any timeout that finds a dead server. */
const UPLOAD_BYTES_A_MS_MIN = 1_000;

/** Objects in an S3 bucket, created with `If-None-Match: *`. Whether the server means it is probed, see ledger/probe.ts. */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly #options: S3StoreOptions;
  readonly #keyPrefix: string;
  /** One attempt only: an automatic retry would turn our own success into "exists". */
  readonly #writer: S3Client;
  readonly #reader: S3Client;
  /** True once an answer showed that the bucket is there. */
  #bucketSeen = false;

  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.#keyPrefix = options.prefix === '' ? '' : `${options.prefix}/`;
    this.location = `s3://${options.bucket}/${this.#keyPrefix}`;
    this.#writer = new S3Client(clientConfig(options, 1));
    this.#reader = new S3Client(clientConfig(options, READ_ATTEMPTS_MAX));
  }

  async create(key: string, bytes: Uint8Array, options: StoreCallOptions = {}): Promise<'created' | 'exists'> {
    assertKey(key);
    try {
      await this.#write(key, bytes, { IfNoneMatch: '*' }, options);
      return 'created';
    } catch (cause) {
      const status = statusOf(cause);
      if (status === 412) return 'exists';
      if (isCertainlyUnwritten(cause)) throw unavailable('create', key, cause);
      throw new UncertainError('STORE_UNCERTAIN', `Cannot tell whether "${key}" was created: ${reasonOf(cause)}`, {
        cause,
      });
    }
  }

  async get(key: string, bytesMax: number, options: StoreCallOptions = {}): Promise<Buffer | null> {
    assertKey(key);
    try {
      return await this.#within(options, 0, async (abortSignal, heard) => {
        const command = new GetObjectCommand({ Bucket: this.#options.bucket, Key: this.#keyPrefix + key });
        const { Body: body, ContentLength: length } = await this.#reader.send(command, { abortSignal });
        this.#bucketSeen = true;
        // Each part of a large object may take its time, silence may not.
        return readBody((body ?? []) as AsyncIterable<Uint8Array>, length, bytesMax, key, heard);
      });
    } catch (cause) {
      if (cause instanceof IntegrityError) throw cause;
      if (isMissingKey(cause)) return null;
      throw unavailable('read', key, cause);
    }
  }

  async stat(key: string, options: StoreCallOptions = {}): Promise<ObjectStat | null> {
    assertKey(key);
    try {
      return await this.#within(options, 0, async (abortSignal) => {
        const command = new HeadObjectCommand({ Bucket: this.#options.bucket, Key: this.#keyPrefix + key });
        const found = await this.#reader.send(command, { abortSignal }).catch((cause: unknown) => {
          if (statusOf(cause) !== 404) throw cause;
          return null;
        });
        if (found === null) await this.#assertBucket(abortSignal);
        this.#bucketSeen = true;
        if (found === null) return null;
        const { ContentLength: bytes = 0, VersionId: versionId = null } = found;
        return { bytes, uri: `${this.location}${key}`, versionId };
      });
    } catch (cause) {
      throw unavailable('read', key, cause);
    }
  }

  async list(
    prefix: string,
    { startAfter, limit }: { startAfter?: string; limit: number },
    options: StoreCallOptions = {},
  ): Promise<ListPage> {
    assertPrefix(prefix);
    try {
      return await this.#within(options, 0, async (abortSignal) => {
        const command = new ListObjectsV2Command({
          Bucket: this.#options.bucket,
          Prefix: this.#keyPrefix + prefix,
          MaxKeys: limit,
          ...(startAfter === undefined ? {} : { StartAfter: this.#keyPrefix + startAfter }),
        });
        const found = await this.#reader.send(command, { abortSignal });
        const objects = (found.Contents ?? []).map(({ Key: key, ETag: tag }) => ({
          key: key!.slice(this.#keyPrefix.length),
          tag: tag ?? '',
        }));
        return { objects, next: found.IsTruncated === true ? objects.at(-1)!.key : null };
      });
    } catch (cause) {
      throw unavailable('list', prefix, cause);
    }
  }

  async put(key: string, bytes: Uint8Array, options: StoreCallOptions = {}): Promise<void> {
    assertKey(key);
    try {
      await this.#write(key, bytes, {}, options);
    } catch (cause) {
      throw unavailable('write', key, cause);
    }
  }

  async delete(key: string, options: StoreCallOptions = {}): Promise<void> {
    assertKey(key);
    try {
      await this.#within(options, 0, async (abortSignal) => {
        const command = new DeleteObjectCommand({ Bucket: this.#options.bucket, Key: this.#keyPrefix + key });
        await this.#reader.send(command, { abortSignal });
      });
    } catch (cause) {
      throw unavailable('delete', key, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#writer.destroy();
    this.#reader.destroy();
  }

  async #write(
    key: string,
    bytes: Uint8Array,
    condition: { IfNoneMatch?: string },
    options: StoreCallOptions,
  ): Promise<void> {
    const { bucket, kmsKeyId } = this.#options;
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: this.#keyPrefix + key,
      Body: bytes,
      ContentLength: bytes.length,
      ...condition,
      ...(kmsKeyId === null ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKeyId }),
    });
    await this.#within(options, bytes.length / UPLOAD_BYTES_A_MS_MIN, async (abortSignal) => {
      await this.#writer.send(command, { abortSignal });
    });
    this.#bucketSeen = true;
  }

  /** An answer 404 to HEAD says nothing of which is missing; a bucket that is not there must not look like a free key. */
  async #assertBucket(abortSignal: AbortSignal): Promise<void> {
    if (this.#bucketSeen) return;
    await this.#reader.send(new HeadBucketCommand({ Bucket: this.#options.bucket }), { abortSignal });
  }

  /**
   * Does `work`, which may try several times, within the request timeout: the SDK has none for a body that stops coming.
   * @param extraMs more time, for what takes long to send.
   * @param work calls `heard` whenever the server has sent something, which starts the time anew.
   */
  async #within<Result>(
    { signal }: StoreCallOptions,
    extraMs: number,
    work: (abortSignal: AbortSignal, heard: () => void) => Promise<Result>,
  ): Promise<Result> {
    const limitMs = this.#options.requestTimeoutMs + Math.ceil(extraMs);
    const abort = new AbortController();
    const stop = (): void => abort.abort(new Error('the call was stopped'));
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${limitMs} ms`)), limitMs);
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await work(abort.signal, () => void timer.refresh());
    } catch (cause) {
      if (!abort.signal.aborted || cause instanceof IntegrityError) throw cause;
      throw new Error((abort.signal.reason as Error).message, { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }
}

/** The whole body, or an error if it is cut short. An unread body would keep its socket: leaving the loop destroys it. */
async function readBody(
  body: AsyncIterable<Uint8Array>,
  length: number | undefined,
  bytesMax: number,
  key: string,
  heard: () => void,
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of body) {
    heard();
    total += part.length;
    const found = Math.max(total, length ?? 0);
    if (found > bytesMax)
      throw new IntegrityError(
        'SIZE_EXCEEDED',
        key,
        `Cannot read "${key}": it has ${found} bytes, at most ${bytesMax} are allowed`,
      );
    parts.push(part);
  }
  if (length !== undefined && total !== length) throw new Error(`the answer ended after ${total} of ${length} bytes`);
  return Buffer.concat(parts, total);
}

function clientConfig(options: S3StoreOptions, maxAttempts: number): S3ClientConfig {
  const agent = { keepAlive: true, maxSockets: SOCKETS_MAX };
  return {
    region: options.region,
    forcePathStyle: options.forcePathStyle,
    maxAttempts,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
    // Other servers than AWS often refuse the checksums that the SDK adds by itself since 3.729.
    ...(options.endpoint === null
      ? {}
      : {
          endpoint: options.endpoint,
          requestChecksumCalculation: 'WHEN_REQUIRED',
          responseChecksumValidation: 'WHEN_REQUIRED',
        }),
  };
}

function statusOf(error: unknown): number | undefined {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata;
  return metadata?.httpStatusCode;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** A missing bucket is also a 404, and must not look like a free key. */
function isMissingKey(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket';
}

/** Codes of a request that never reached the server. */
const UNREACHED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

/** True when the server said no, or was never reached; a 5xx or a cut connection may hide a write that happened. */
function isCertainlyUnwritten(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status >= 400 && status < 500 && status !== 408;
  const code = (error as { code?: unknown } | null)?.code;
  return UNREACHED.some((each) => each === code) || nameOf(error) === 'CredentialsProviderError';
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function unavailable(verb: string, what: string, cause: unknown): UnavailableError {
  return new UnavailableError('STORE_UNAVAILABLE', `Cannot ${verb} "${what}" in the store: ${reasonOf(cause)}`, {
    cause,
  });
}
