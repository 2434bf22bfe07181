import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import { readSecret, signWebhook } from '../../../../src/adapters/webhook/signature.ts';
import { ConfigError } from '../../../../src/errors.ts';
import { webhookFault } from '../../../support/webhook-receiver.ts';

// The worked example that the reference libraries of Standard Webhooks test against.
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const SECONDS = 1_614_265_330;
const BODY = Buffer.from('{"test": 2432232314}');
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

function base64(bytes: number): string {
  return `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;
}

describe('a webhook signature', () => {
  it('is the one of the Standard Webhooks example', () => {
    expect(signWebhook(ID, SECONDS, BODY, [readSecret(SECRET, 'x')])).toBe(SIGNATURE);
  });

  it('comes once for each secret, so that a receiver with either takes it', () => {
    const secrets = [SECRET, base64(32), 'a raw secret of 24 bytes'];
    const keys = secrets.map((secret) => readSecret(secret, 'x'));
    const signatures = signWebhook(ID, SECONDS, BODY, keys);
    expect(signatures.split(' ')).toHaveLength(3);
    const headers = { 'webhook-id': ID, 'webhook-timestamp': String(SECONDS), 'webhook-signature': signatures };
    for (const secret of secrets) expect(webhookFault(headers, BODY, secret, SECONDS)).toBeNull();
    expect(webhookFault(headers, BODY, base64(33), SECONDS)).toBe('no signature matches');
  });

  it('does not hold for another id, time or body', () => {
    const headers = { 'webhook-id': ID, 'webhook-timestamp': String(SECONDS), 'webhook-signature': SIGNATURE };
    expect(webhookFault(headers, BODY, SECRET, SECONDS)).toBeNull();
    expect(webhookFault({ ...headers, 'webhook-id': `${ID}x` }, BODY, SECRET, SECONDS)).not.toBeNull();
    expect(
      webhookFault({ ...headers, 'webhook-timestamp': String(SECONDS + 1) }, BODY, SECRET, SECONDS),
    ).not.toBeNull();
    expect(webhookFault(headers, Buffer.from('{"test":2432232314}'), SECRET, SECONDS)).not.toBeNull();
    expect(webhookFault(headers, BODY, SECRET, SECONDS + 301)).toBe('the timestamp is too far off');
  });
});

describe('a webhook secret', () => {
  it('is 24 to 64 bytes of base64, or a raw text of at least 24 bytes', () => {
    for (const secret of [base64(24), base64(64), 'x'.repeat(24), 'x'.repeat(200)]) {
      expect(readSecret(secret, 'x').type).toBe('secret');
    }
  });

  const bad = [
    base64(23),
    base64(65),
    'whsec_',
    'whsec_not base64!',
    `whsec_${'A'.repeat(33)}`,
    `${SECRET.slice(0, -1)}-`,
    '',
    'x'.repeat(23),
  ];
  for (const secret of bad) {
    it(`is not "${secret.slice(0, 40)}"`, () => {
      expect(() => readSecret(secret, 'alerts.secrets[1]')).toThrow(ConfigError);
      expect(() => readSecret(secret, 'alerts.secrets[1]')).toThrow('alerts.secrets[1]');
    });
  }

  it('shows up neither in messages nor when dumped', () => {
    expect(inspect(readSecret('canary-canary-canary-canary', 'x'), { depth: 9, showHidden: true })).not.toContain(
      'canary',
    );
    expect(() => readSecret('canary', 'x')).not.toThrow(/canary/);
  });
});
