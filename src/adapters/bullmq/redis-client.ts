import { Redis } from 'ioredis';

import { ConfigError, UnavailableError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ClientOptions, RedisAddress } from './redis-address.ts';

/** Longest time for one command of the adding side, in milliseconds: a Redis that hangs is as good as one that is down. */
const COMMAND_TIMEOUT_MS = 3_000;

/** A working side without any answer for so long drops its connection, in milliseconds; above the 11 s of a blocking read. */
const SILENCE_MS = 20_000;

/** What {@link endClient} needs of a connection, ours or one that BullMQ has wrapped. */
export interface EndableClient {
  readonly status: string;
  connect(): Promise<unknown>;
  disconnect(): void;
}

/** The answers of a server that knows us not, or not for this: waiting does not help. */
const DENIED = /^(WRONGPASS|NOAUTH|NOPERM|ERR (invalid password|AUTH|Client sent AUTH))/;

/**
 * The connection that adds and counts: never holds a command back, so that a caller is told at once that Redis is away.
 * It keeps connecting in the background until it is disconnected.
 * @param onError told of each failed connection, without secrets.
 */
export function createAddingClient(address: RedisAddress, onError: (error: Error) => void): Redis {
  return createClient(address, onError, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    lazyConnect: true,
    commandTimeout: COMMAND_TIMEOUT_MS,
    // Also drops the connection, so that what comes next is refused at once and a dead one is noticed.
    socketTimeout: COMMAND_TIMEOUT_MS,
  });
}

/**
 * The connection of the workers: waits for Redis as long as it takes, which is what BullMQ demands.
 * It connects at once and not when it is first used: BullMQ gives a worker up for good when its first own connect fails.
 * Its errors reach the listener of each worker.
 */
export function createWorkingClient(address: RedisAddress): Redis {
  const options = { maxRetriesPerRequest: null, socketTimeout: SILENCE_MS, lazyConnect: false };
  return createClient(address, () => {}, options);
}

/**
 * Waits until an adding client is ready.
 * @param waitMs at most, in milliseconds.
 * @throws ConfigError CONFIG_INVALID if Redis refuses the credentials; UnavailableError QUEUE_UNAVAILABLE otherwise
 */
export async function connectClient(redis: Redis, address: RedisAddress, waitMs: number, clock: Clock): Promise<void> {
  let lastError: unknown = null;
  const remember = (error: unknown): void => {
    lastError = error;
  };
  redis.on('error', remember);
  const connected = new AbortController();
  const late = clock.sleep(waitMs, connected.signal).then(() => new Error(`no answer within ${waitMs} ms`));
  const outcome = await Promise.race([
    redis.connect().then(
      () => null,
      (error: unknown) => lastError ?? error,
    ),
    late,
  ]);
  connected.abort();
  redis.off('error', remember);
  if (outcome === null) return;
  const error = unavailable('connect to', address, lastError ?? outcome);
  if (DENIED.test((error.cause as Error).message))
    throw new ConfigError('CONFIG_INVALID', error.message, [], { cause: error.cause });
  throw error;
}

/**
 * Ends a connection for good and rejects every command that waits on it.
 * The client's own `disconnect` does so only for one that is connected: between two attempts it keeps its commands, and
 * whoever waits for them, for ever. Hence one more attempt, which is called off before it reaches the network.
 */
export function endClient(redis: EndableClient): void {
  if (redis.status === 'reconnecting') redis.connect().catch(() => {});
  redis.disconnect();
}

/** Redis cannot be used now, said without the parts of the client's errors that hold commands and passwords. */
export function unavailable(work: string, address: RedisAddress, cause: unknown): UnavailableError {
  const clean = cleanError(cause, address);
  return new UnavailableError('QUEUE_UNAVAILABLE', `Cannot ${work} Redis at ${address.label}: ${clean.message}`, {
    cause: clean,
  });
}

/**
 * A new error with the message alone. The client's own errors carry the command and its arguments, and of `HELLO` and `AUTH`
 * these are the password; loggers print such fields.
 */
export function cleanError(cause: unknown, address: RedisAddress): Error {
  let message = describe(cause);
  for (const secret of address.secrets) message = message.replaceAll(secret, '…');
  return new Error(message);
}

/** An AggregateError (one address a try) has no message of its own. */
function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.message !== '') return cause.message;
  if ('code' in cause && typeof cause.code === 'string') return cause.code;
  return cause.name;
}

function createClient(address: RedisAddress, onError: (error: Error) => void, options: ClientOptions): Redis {
  const redis = new Redis({
    ...address.options,
    ...options,
    connectTimeout: 5_000,
    // How long an ended connection may take to say goodbye.
    disconnectTimeout: 500,
    // Without end, so that a restart of Redis heals by itself; fast enough for alerts, slow enough for the server.
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times - 1, 10), 2_000),
    // A replica that was a master a moment ago: connect anew, to whoever is master now.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
  // Without a listener the client writes to the console, passwords included.
  redis.on('error', (error: unknown) => onError(cleanError(error, address)));
  return redis;
}
