import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';

import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  type GetObjectCommandOutput,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';

import { IntegrityError } from '../../errors.ts';
import { assertKey, assertPrefix } from '../../ports/object-key.ts';
import type { ListPage, ObjectStat, ObjectStore, StoreCallOptions } from '../../ports/object-store.ts';
import {
  isCertainlyUnwritten,
  isMissingKey,
  NO_ANSWER,
  NOT_SENT,
  statusOf,
  uncertain,
  unavailable,
} from './failures.ts';
import { readPage } from './listing.ts';

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
  readonly arbiter = 'server';
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

  /** The SDK notes it from the Date of each answer, to a second or two; 0 before the first. */
  get clockOffsetMs(): number {
    return this.#reader.config.systemClockOffset;
  }

  async create(key: string, bytes: Uint8Array, options: StoreCallOptions = {}): Promise<'created' | 'exists'> {
    assertKey(key);
    try {
      await this.#write(key, bytes, { IfNoneMatch: '*' }, options);
      return 'created';
    } catch (cause) {
      if (statusOf(cause) === 412) return 'exists';
      throw isCertainlyUnwritten(cause) ? unavailable('create', key, cause) : uncertain(key, cause);
    }
  }

  async get(key: string, bytesMax: number, options: StoreCallOptions = {}): Promise<Buffer | null> {
    assertKey(key);
    try {
      return await this.#within(options, 0, async (abortSignal, heard) => {
        const { Body: body, ContentLength: length } = await this.#read(key, abortSignal);
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
          const status = statusOf(cause);
          if (status === undefined || status >= 500) throw cause;
          return this.#statByReading(key, abortSignal);
        });
        const { ContentLength: bytes = 0, VersionId: versionId = null } = found;
        return { bytes, uri: `${this.location}${key}`, versionId };
      });
    } catch (cause) {
      if (isMissingKey(cause)) return null;
      throw unavailable('read', key, cause);
    }
  }

  /** Passes over keys that this store would not take, see {@link readPage}. */
  async list(
    prefix: string,
    { startAfter, limit }: { startAfter?: string; limit: number },
    options: StoreCallOptions = {},
  ): Promise<ListPage> {
    assertPrefix(prefix);
    try {
      return await this.#within(options, 0, (abortSignal) =>
        readPage({
          client: this.#reader,
          bucket: this.#options.bucket,
          keyPrefix: this.#keyPrefix,
          prefix,
          startAfter,
          limit,
          abortSignal,
        }),
      );
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
      const { ETag: tag } = await this.#writer.send(command, { abortSignal });
      // Else the friendly answer of some proxy would be a commit.
      if (tag === undefined) throw new Error('what answered did not confirm the write as S3 does, with an ETag');
    });
  }

  #read(key: string, abortSignal: AbortSignal): Promise<GetObjectCommandOutput> {
    const command = new GetObjectCommand({ Bucket: this.#options.bucket, Key: this.#keyPrefix + key });
    return this.#reader.send(command, { abortSignal });
  }

  /**
   * What HEAD should have said. A refusal of HEAD has no body and so no reason: 404 may be a missing key, a missing bucket
   * or an unknown account, of which only the first is an answer.
   */
  async #statByReading(key: string, abortSignal: AbortSignal): Promise<GetObjectCommandOutput> {
    const found = await this.#read(key, abortSignal);
    // Unread, it would keep its socket.
    (found.Body as Readable | undefined)?.destroy();
    return found;
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
    if (signal?.aborted === true) throw fault('the call was stopped before it was sent', NOT_SENT);
    const limitMs = this.#options.requestTimeoutMs + Math.floor(extraMs);
    const abort = new AbortController();
    const stop = (): void => abort.abort(new Error('the call was stopped'));
    const timer = setTimeout(() => abort.abort(fault(`no answer within ${limitMs} ms`, NO_ANSWER)), limitMs);
    // Any number of calls may be on their way under one signal, which Node would take for a leak: each takes its listener away.
    if (signal !== undefined) setMaxListeners(0, signal);
    signal?.addEventListener('abort', stop, { once: true });
    // The SDK does not look at the signal while it waits for credentials.
    const aborted = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error), { once: true });
    });
    try {
      return await Promise.race([work(abort.signal, () => void timer.refresh()), aborted]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }
}

function fault(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
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
