import { request as requestPlain } from 'node:http';
import { request as requestTls, type RequestOptions } from 'node:https';
import { isIP, type LookupFunction, type TcpNetConnectOpts } from 'node:net';

import { bareHost, type HostAddress } from './target.ts';

/** How much of an answer's body is read before it is dropped: nothing in it is used, but a receiver should see a clean end. */
const ANSWER_BYTES_MAX = 65_536;

/** How long one of several addresses may take to accept a connection before the next is tried, in milliseconds. */
const CONNECT_ATTEMPT_MS = 2_000;

/** One POST to addresses that were checked before. */
export interface PinnedPost {
  readonly url: URL;
  /** The only addresses that may be connected to. */
  readonly addresses: readonly HostAddress[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Certificates to trust instead of the built-in ones, PEM. */
  readonly caPem: string | null;
  readonly signal: AbortSignal;
}

/** What the receiver said. */
export interface PostAnswer {
  readonly status: number;
  /** The header `Retry-After`, as it stands. */
  readonly retryAfter: string | null;
}

/**
 * Posts without ever resolving the name again: `lookup` hands out the checked addresses, while `Host`, SNI and the
 * certificate check keep the name. Redirects are answers like any other; there is no connection pool and no proxy.
 * @throws Error of Node's sockets, TLS or parser; or the abort reason's error when `signal` aborts before an answer
 * Trust: the answer is hostile; only status and `Retry-After` are looked at, headers are capped by the parser (16 KiB).
 */
export function postPinned(post: PinnedPost): Promise<PostAnswer> {
  const { url } = post;
  const host = bareHost(url);
  const options: RequestOptions & Pick<TcpNetConnectOpts, 'autoSelectFamily' | 'autoSelectFamilyAttemptTimeout'> = {
    method: 'POST',
    host,
    path: `${url.pathname}${url.search}`,
    headers: { ...post.headers, 'content-length': String(post.body.byteLength), connection: 'close' },
    agent: false,
    signal: post.signal,
    lookup: pinnedLookup(post.addresses),
    maxHeaderSize: 16_384,
    insecureHTTPParser: false,
    ...(url.port === '' ? {} : { port: url.port }),
    ...(url.protocol === 'https:' ? tlsOptions(host, post.caPem) : {}),
    autoSelectFamily: post.addresses.length > 1,
    autoSelectFamilyAttemptTimeout: CONNECT_ATTEMPT_MS,
  };
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestTls(options) : requestPlain(options);
    let answer: PostAnswer | null = null;
    let bytes = 0;
    // Once the head of an answer is here its status counts, whether the body ends, is cut, is too large or out of time.
    const settle = (error: Error): void => (answer === null ? reject(error) : resolve(answer));
    request.on('response', (response) => {
      answer = { status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] ?? null };
      response.on('error', settle);
      response.on('data', (chunk: Uint8Array) => {
        bytes += chunk.byteLength;
        if (bytes > ANSWER_BYTES_MAX) request.destroy();
      });
    });
    request.on('error', settle);
    // Also after "101 Switching Protocols", which never becomes a response.
    request.on('close', () => settle(new Error('the connection closed without an answer')));
    request.end(post.body);
  });
}

function tlsOptions(host: string, caPem: string | null): RequestOptions {
  return {
    // No SNI for addresses (RFC 6066 §3); the certificate is then checked against the address.
    servername: isIP(host) === 0 ? host : '',
    minVersion: 'TLSv1.2',
    // Said out loud, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment changes nothing.
    rejectUnauthorized: true,
    ...(caPem === null ? {} : { ca: caPem }),
  };
}

function pinnedLookup(addresses: readonly HostAddress[]): LookupFunction {
  return (_hostname, options, callback) => {
    const [first] = addresses;
    if (first === undefined) callback(new Error('no address'), '', 0);
    else if (options.all === true) callback(null, [...addresses]);
    else callback(null, first.address, first.family);
  };
}
