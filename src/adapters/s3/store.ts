import {
  DeleteObjectCommand,
  GetObjectCommand,
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
  /** Whole-request limit. The SDK's own default is none, which hangs for ever on a silent server. */
  readonly requestTimeoutMs: number;
}

const CONNECT_TIMEOUT_MS = 3_000;
const SOCKETS_MAX = 64;
const READ_ATTEMPTS_MAX = 3;

/** Objects in an S3 bucket, created with `If-None-Match: *`. Whether the server means it is probed, see ledger/probe.ts. */
export class S3Store implements ObjectStore {
  readonly location: string;
  readonly #options: S3StoreOptions;
  readonly #keyPrefix: string;
  /** One attempt only: an automatic retry would turn our own success into "exists". */
  readonly #writer: S3Client;
  readonly #reader: S3Client;

  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.#keyPrefix = options.prefix === '' ? '' : `${options.prefix}/`;
    this.location = `s3://${options.bucket}/${this.#keyPrefix}`;
    this.#writer = new S3Client(clientConfig(options, 1));
    this.#reader = new S3Client(clientConfig(options, READ_ATTEMPTS_MAX));
  }

  async create(key: string, bytes: Uint8Array, options: StoreCallOptions = {}): Promise<'created' | 'exists'> {
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
      const { Body: body, ContentLength: length = 0 } = await this.#reader.send(
        new GetObjectCommand({ Bucket: this.#options.bucket, Key: this.#keyPrefix + key }),
        abort(options),
      );
      if (body === undefined) return Buffer.alloc(0);
      const parts: Uint8Array[] = [];
      let total = 0;
      // An unread body would keep its socket: leaving the loop by a throw destroys the stream.
      for await (const part of body as AsyncIterable<Uint8Array>) {
        total += part.length;
        if (Math.max(total, length) > bytesMax) {
          throw new IntegrityError(
            'SIZE_EXCEEDED',
            key,
            `Cannot read "${key}": it has ${Math.max(total, length)} bytes, at most ${bytesMax} are allowed`,
          );
        }
        parts.push(part);
      }
      if (total !== length) throw new Error(`the answer ended after ${total} of ${length} bytes`);
      return Buffer.concat(parts, total);
    } catch (cause) {
      if (cause instanceof IntegrityError) throw cause;
      if (isMissingKey(cause)) return null;
      throw unavailable('read', key, cause);
    }
  }

  async stat(key: string, options: StoreCallOptions = {}): Promise<ObjectStat | null> {
    assertKey(key);
    try {
      const found = await this.#reader.send(
        new HeadObjectCommand({ Bucket: this.#options.bucket, Key: this.#keyPrefix + key }),
        abort(options),
      );
      return { bytes: found.ContentLength ?? 0, uri: `${this.location}${key}`, versionId: found.VersionId ?? null };
    } catch (cause) {
      if (statusOf(cause) === 404) return null;
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
      const found = await this.#reader.send(
        new ListObjectsV2Command({
          Bucket: this.#options.bucket,
          Prefix: this.#keyPrefix + prefix,
          MaxKeys: limit,
          ...(startAfter === undefined ? {} : { StartAfter: this.#keyPrefix + startAfter }),
        }),
        abort(options),
      );
      const objects = (found.Contents ?? []).map(({ Key: key, ETag: tag }) => ({
        key: key!.slice(this.#keyPrefix.length),
        tag: tag ?? '',
      }));
      return { objects, next: found.IsTruncated === true ? objects.at(-1)!.key : null };
    } catch (cause) {
      throw unavailable('list', prefix, cause);
    }
  }

  async put(key: string, bytes: Uint8Array, options: StoreCallOptions = {}): Promise<void> {
    try {
      await this.#write(key, bytes, {}, options);
    } catch (cause) {
      throw unavailable('write', key, cause);
    }
  }

  async delete(key: string, options: StoreCallOptions = {}): Promise<void> {
    assertKey(key);
    try {
      await this.#reader.send(
        new DeleteObjectCommand({ Bucket: this.#options.bucket, Key: this.#keyPrefix + key }),
        abort(options),
      );
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
    assertKey(key);
    const { bucket, kmsKeyId } = this.#options;
    await this.#writer.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: this.#keyPrefix + key,
        Body: bytes,
        ContentLength: bytes.length,
        ...condition,
        ...(kmsKeyId === null ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKeyId }),
      }),
      abort(options),
    );
  }
}

function clientConfig(options: S3StoreOptions, maxAttempts: number): S3ClientConfig {
  const agent = { keepAlive: true, maxSockets: SOCKETS_MAX };
  return {
    region: options.region,
    forcePathStyle: options.forcePathStyle,
    maxAttempts,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs,
      throwOnRequestTimeout: true,
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

function abort({ signal }: StoreCallOptions): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
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

/** True when the server said no, or was never reached; a 5xx or a cut connection may hide a write that happened. */
function isCertainlyUnwritten(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status >= 400 && status < 500 && status !== 408;
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ECONNREFUSED' || code === 'ENOTFOUND' || nameOf(error) === 'CredentialsProviderError';
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function unavailable(verb: string, what: string, cause: unknown): UnavailableError {
  return new UnavailableError('STORE_UNAVAILABLE', `Cannot ${verb} "${what}" in the store: ${reasonOf(cause)}`, {
    cause,
  });
}
