import { describe, expect, it } from 'vitest';

import type { InternalSaslStep } from '../../../../src/adapters/kafkajs/internals.ts';
import { oauthBearer } from '../../../../src/adapters/kafkajs/oauth-bearer.ts';

describe('SASL OAUTHBEARER', () => {
  it('sends the token as RFC 7628 says', async () => {
    const { sent, authenticate } = mechanism(() => Promise.resolve('abc.def-ghi_~+/='), ['']);
    await authenticate();
    expect(sent).toEqual(['n,,\u0001auth=Bearer abc.def-ghi_~+/=\u0001\u0001']);
  });

  it('asks for a token each time', async () => {
    let count = 0;
    const { sent, authenticate } = mechanism(() => Promise.resolve(`token${++count}`), ['', '']);
    await authenticate();
    await authenticate();
    expect(sent[1]).toContain('token2');
  });

  it('takes an objection for a refusal: it lets the broker say so', async () => {
    const refused = Object.assign(new Error('{"status":"invalid_token"}'), { type: 'SASL_AUTHENTICATION_FAILED' });
    const { sent, authenticate } = mechanism(() => Promise.resolve('bad'), ['{"status":"invalid_token"}', refused]);
    await expect(authenticate()).rejects.toBe(refused);
    expect(sent[1]).toBe('\u0001');
    const indulgent = mechanism(() => Promise.resolve('bad'), ['{"status":"invalid_token"}', '']);
    await expect(indulgent.authenticate()).rejects.toThrow(/objects to the token/);
  });

  it.each(['', 'a b', 'a\u0001auth=Bearer other', 'a\nb', 'ä'])('refuses to send %j', async (token) => {
    const { sent, authenticate } = mechanism(() => Promise.resolve(token), ['']);
    await expect(authenticate()).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(sent).toEqual([]);
  });

  it('is an outage while the token cannot be had', async () => {
    const { authenticate } = mechanism(() => Promise.reject(new Error('identity provider down')), []);
    await expect(authenticate()).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });
});

/** The mechanism against a broker that gives these answers; an error is thrown as kafkajs would. */
function mechanism(
  token: () => Promise<string>,
  answers: (string | Error)[],
): { sent: string[]; authenticate: () => Promise<void> } {
  const sent: string[] = [];
  const saslAuthenticate: InternalSaslStep = async ({ request, response }) => {
    const message = await request.encode();
    expect(message.readInt32BE(0)).toBe(message.length - 4);
    sent.push(message.subarray(4).toString('utf8'));
    const answer = answers.shift()!;
    if (answer instanceof Error) throw answer;
    return response.parse(await response.decode(Buffer.concat([Buffer.alloc(4), Buffer.from(answer)])));
  };
  return { sent, authenticate: oauthBearer(token).authenticationProvider!({ saslAuthenticate }).authenticate };
}
