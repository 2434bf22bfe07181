import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { readRedisUrl } from '../../../../src/adapters/bullmq/redis-address.ts';
import { cleanError, unavailable } from '../../../../src/adapters/bullmq/redis-client.ts';
import { ConfigError } from '../../../../src/errors.ts';

describe('the URL of Redis', () => {
  it('gives host, port, database and credentials, percent-decoded', () => {
    expect(readRedisUrl('redis://us%40er:p%2Fss%3A@redis.inside:6380/2')).toMatchObject({
      label: 'redis://redis.inside:6380/2',
      options: { host: 'redis.inside', port: 6380, db: 2, username: 'us@er', password: 'p/ss:' },
    });
  });

  it('has port 6379 and database 0 where it names none', () => {
    for (const url of ['redis://localhost', 'redis://localhost/', 'redis://localhost/0']) {
      expect(readRedisUrl(url)).toMatchObject({ label: 'redis://localhost:6379', options: { port: 6379, db: 0 } });
    }
  });

  it('takes IPv6 in brackets and a password without a user', () => {
    const address = readRedisUrl('redis://:secret@[::1]:7000');
    expect(address.label).toBe('redis://[::1]:7000');
    expect(address.options).toEqual({ host: '::1', port: 7000, db: 0, password: 'secret' });
  });

  it('means TLS with a checked certificate by rediss', () => {
    const { options } = readRedisUrl('rediss://redis.inside', { caPem: 'CA' });
    expect(options.tls).toEqual({
      servername: 'redis.inside',
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ca: 'CA',
    });
    expect(readRedisUrl('rediss://10.0.0.1').options.tls).not.toHaveProperty('servername');
    expect(readRedisUrl('redis://redis.inside', { caPem: 'CA' }).options).not.toHaveProperty('tls');
  });

  const bad = [
    '',
    'localhost:6379',
    'http://localhost',
    'redis://',
    'redis:///0',
    'redis://host/not-a-number',
    'redis://host/0/1',
    'redis://host?password=canary',
    'redis://user:canary@host/db',
    'redis://user:canary%zz@host',
    'redis://user:canary@host:99999',
    'redis+cluster://user:canary@host',
  ];
  for (const url of bad) {
    it(`is not "${url}", and the message does not repeat it`, () => {
      expect(() => readRedisUrl(url)).toThrow(ConfigError);
      expect(() => readRedisUrl(url)).toThrow('queue.url');
      expect(() => readRedisUrl(url)).not.toThrow(/canary/);
    });
  }
});

describe('an error of Redis', () => {
  const address = readRedisUrl('redis://user:p%40ss-canary@host:1');

  it('loses what the client hangs on it: the command and its arguments are the password when it logs in', () => {
    const cause = Object.assign(new Error('WRONGPASS p@ss-canary p%40ss-canary'), {
      command: { name: 'hello', args: ['3', 'AUTH', 'p@ss-canary'] },
    });
    const error = unavailable('add a job to', address, cause);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('canary');
    expect(error.message).toBe('Cannot add a job to Redis at redis://host:1: WRONGPASS … …');
  });

  it('has a message even if the client gave none', () => {
    const cause = Object.assign(new AggregateError([new Error('a')], ''), { code: 'ECONNREFUSED' });
    expect(cleanError(cause, address).message).toBe('ECONNREFUSED');
    expect(cleanError(new AggregateError([], ''), address).message).toBe('AggregateError');
    expect(cleanError('text', address).message).toBe('text');
  });
});
