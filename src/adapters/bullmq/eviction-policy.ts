import type { Redis } from 'ioredis';

import { ConfigError } from '../../errors.ts';
import { cleanError, unavailable } from './redis-client.ts';
import type { RedisAddress } from './redis-address.ts';

const SAFE_POLICY = 'noeviction';

/** The eviction policy and how it was found: managed services often forbid CONFIG but show the policy in INFO. */
type PolicyReading =
  | { readonly policy: string; readonly source: 'CONFIG' | 'INFO' }
  | { readonly policy: null; readonly why: string };

/**
 * Refuses a Redis that may throw jobs away, or single keys of a job, when its memory is full. With `noeviction` it refuses
 * writes instead, which callers see as UnavailableError.
 * @throws ConfigError QUEUE_UNSAFE naming the policy and the command that mends it, or saying that it cannot be read; UnavailableError
 */
export async function assertNoEviction(redis: Redis, address: RedisAddress): Promise<void> {
  const reading = await readPolicy(redis, address);
  if (reading.policy === SAFE_POLICY) return;
  const start = `Cannot hold jobs in Redis at ${address.label}`;
  if (reading.policy === null) {
    throw new ConfigError(
      'QUEUE_UNSAFE',
      `${start}: its maxmemory-policy cannot be read (${reading.why}), must be known to be "${SAFE_POLICY}"; ` +
        'allow this user CONFIG GET or INFO',
    );
  }
  const way =
    reading.source === 'CONFIG'
      ? `run: redis-cli -h ${address.host} -p ${address.port} CONFIG SET maxmemory-policy ${SAFE_POLICY} (and set it in redis.conf, or it is lost at the next restart)`
      : `set the parameter maxmemory-policy to ${SAFE_POLICY} where this Redis is managed`;
  throw new ConfigError(
    'QUEUE_UNSAFE',
    `${start}: its maxmemory-policy is "${reading.policy}", must be "${SAFE_POLICY}"; ${way}`,
  );
}

async function readPolicy(redis: Redis, address: RedisAddress): Promise<PolicyReading> {
  try {
    const reply: unknown = await redis.config('GET', 'maxmemory-policy');
    if (Array.isArray(reply) && typeof reply[1] === 'string') return { policy: reply[1], source: 'CONFIG' };
  } catch (cause) {
    // Forbidden, renamed or unknown: INFO tells as well.
    if (!isAnswer(cause)) throw unavailable('ask', address, cause);
  }
  try {
    const policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1];
    return policy === undefined ? { policy: null, why: 'INFO does not tell' } : { policy, source: 'INFO' };
  } catch (cause) {
    if (!isAnswer(cause)) throw unavailable('ask', address, cause);
    return { policy: null, why: cleanError(cause, address).message };
  }
}

/** Whether Redis itself said no, rather than nothing at all. */
function isAnswer(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'ReplyError';
}
