import { isIP } from 'node:net';

import type { RedisOptions } from 'ioredis';

import { ConfigError } from '../../errors.ts';

/** Options of the client library; the shape of replies is always its default. */
export type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

/** Certificates for a Redis behind TLS, PEM. */
export interface RedisTls {
  /** Trusted instead of the built-in ones. */
  readonly caPem?: string;
  /** Our own, with its key, where the server asks for one. */
  readonly certPem?: string;
  readonly keyPem?: string;
}

/** Where a Redis is and how to log in. */
export interface RedisAddress {
  /** `redis://host:port/db`, for messages: never holds credentials. */
  readonly label: string;
  readonly host: string;
  readonly port: number;
  /** What the client library needs of the above, and the credentials. */
  readonly options: ClientOptions;
  /** The password, as written and as meant: must not show up anywhere. */
  readonly secrets: readonly string[];
}

/**
 * Reads `redis://[[user]:password@]host[:port][/db]`, or `rediss://…` for TLS.
 * @param tls used only by `rediss:`; names are always checked against the certificate.
 * @throws ConfigError CONFIG_INVALID without repeating the URL, which may hold a password
 */
export function readRedisUrl(text: string, tls: RedisTls = {}): RedisAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '') {
    throw invalid('expected redis://host:port or rediss://host:port, got something else');
  }
  if (url.search !== '' || url.hash !== '') throw invalid('expected no parameters after the database number');
  const database = /^\/?([0-9]{0,5})$/.exec(url.pathname)?.[1];
  if (database === undefined) throw invalid('expected a database number as the path');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? 6379 : Number(url.port);
  const username = decode(url.username);
  const password = decode(url.password);
  const db = Number(database);
  return {
    label: `${url.protocol}//${url.hostname}:${port}${db === 0 ? '' : `/${db}`}`,
    host,
    port,
    options: {
      host,
      port,
      db,
      ...(username === '' ? {} : { username }),
      ...(password === '' ? {} : { password }),
      ...(url.protocol === 'rediss:' ? { tls: tlsOptions(host, tls) } : {}),
    },
    secrets: [password, url.password].filter((secret) => secret !== ''),
  };
}

function tlsOptions(host: string, tls: RedisTls): NonNullable<ClientOptions['tls']> {
  return {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...(tls.caPem === undefined ? {} : { ca: tls.caPem }),
    ...(tls.certPem === undefined ? {} : { cert: tls.certPem }),
    ...(tls.keyPem === undefined ? {} : { key: tls.keyPem }),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid('expected the user and the password percent-encoded');
  }
}

function invalid(message: string): ConfigError {
  return new ConfigError('CONFIG_INVALID', 'Cannot use the URL of Redis', [{ path: 'queue.url', message }]);
}
