import { unavailable } from './failures.ts';
import type { InternalSasl, InternalSaslStep } from './internals.ts';

/** RFC 6750 §2.1; anything else could end the message early. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
/** What the client must answer to the broker's objection before the broker names it. */
const END = '\u0001';

/**
 * SASL OAUTHBEARER for kafkajs. Its own version takes the broker's objection for success, so that a refused token shows
 * only as a connection that closes at the next request.
 * @param token gives the token for each connection
 * Source: RFC 7628 §3.
 */
export function oauthBearer(token: () => Promise<string>): InternalSasl {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ saslAuthenticate }) => ({ authenticate: () => authenticate(token, saslAuthenticate) }),
  };
}

async function authenticate(token: () => Promise<string>, saslAuthenticate: InternalSaslStep): Promise<void> {
  const value = await token().catch((error: unknown) => {
    throw unavailable('Cannot get a token for SASL OAUTHBEARER', error);
  });
  if (!TOKEN.test(value))
    throw unavailable('Cannot use the token for SASL OAUTHBEARER: it is no bearer token (RFC 6750)');
  const objection = await exchange(saslAuthenticate, `n,,${END}auth=Bearer ${value}${END}${END}`);
  if (objection.length === 0) return;
  await exchange(saslAuthenticate, END);
  throw unavailable(
    'Cannot authenticate with SASL OAUTHBEARER: the broker objects to the token but does not refuse it',
  );
}

/** Sends one message. @throws kafkajs's protocol error when the broker refuses us */
function exchange(saslAuthenticate: InternalSaslStep, message: string): Promise<Buffer> {
  const content = Buffer.from(message, 'utf8');
  const length = Buffer.alloc(4);
  length.writeInt32BE(content.length);
  return saslAuthenticate({
    request: { encode: () => Promise.resolve(Buffer.concat([length, content])) },
    response: { decode: (answer) => Promise.resolve(answer.subarray(4)), parse: (answer) => Promise.resolve(answer) },
  });
}
