import { describe, expect, it } from 'vitest';

import {
  asUnavailable,
  brokerRefusal,
  connectionFailure,
  unavailable,
} from '../../../../src/adapters/kafkajs/failures.ts';
import { WireFault } from '../../../../src/adapters/kafkajs/wire.ts';
import { ConfigError, HaltError } from '../../../../src/errors.ts';

describe('a connection that fails', () => {
  it.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', /not signed by a CA that we trust; set tls\.ca/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /not signed by a CA that we trust; set tls\.ca/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /not signed by a CA that we trust; set tls\.ca/],
    ['CERT_HAS_EXPIRED', /has expired; renew the certificate of the broker/],
    ['CERT_NOT_YET_VALID', /not valid yet; check the clocks/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /for another name; set tls\.serverName/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /does not speak TLS there/],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /asks for a client certificate; set tls\.cert and tls\.key/],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', /refuses our client certificate/],
    ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', /refuses our client certificate/],
  ])('because of TLS is named with what to do (K29): %s', (code, message) => {
    const failure = connectionFailure('kafka:9093', Object.assign(new Error('handshake failed'), { code }));
    expect(failure).toMatchObject({
      name: 'ConfigError',
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
    expect(failure.message).toMatch(/^Cannot connect to Kafka broker "kafka:9093": /);
  });

  it.each([
    ['SASL PLAIN authentication failed: Authentication failed: Invalid username or password', 'ConfigError'],
    ['SASL SCRAM SHA256 authentication failed: Closed connection', 'UnavailableError'],
    ['SASL SCRAM SHA256 authentication failed: Connection error: read ECONNRESET', 'UnavailableError'],
  ])('during SASL is a fault of ours only if the broker says so (K30): %s', (message, name) => {
    expect(
      connectionFailure('k:1', Object.assign(new Error(message), { name: 'KafkaJSSASLAuthenticationError' })).name,
    ).toBe(name);
  });

  it('because of the network is an outage', () => {
    const refused = Object.assign(new Error('Connection error: connect ECONNREFUSED 10.0.0.1:9092'), {
      code: 'ECONNREFUSED',
    });
    expect(connectionFailure('k:1', refused)).toMatchObject({
      name: 'UnavailableError',
      code: 'SOURCE_UNAVAILABLE',
      cause: refused,
    });
  });

  it('gives the hint only where the broker closed without a word', () => {
    expect(connectionFailure('k:1', new Error('Closed connection'), 'set sasl').message).toContain('; set sasl');
    expect(connectionFailure('k:1', new Error('connect ETIMEDOUT'), 'set sasl').message).not.toContain('set sasl');
  });

  it('keeps an error that is already ours, and says what does not parse', () => {
    const ours = unavailable('Cannot reach it');
    expect(connectionFailure('k:1', ours)).toBe(ours);
    expect(connectionFailure('k:1', new WireFault('5 bytes wanted'))).toMatchObject({
      name: 'UnavailableError',
      message: expect.stringContaining('5 bytes wanted'),
    });
  });
});

describe('a refusal', () => {
  it('that only the operator can mend is a ConfigError, any other an outage', () => {
    expect(brokerRefusal('read', 't', 29)).toMatchObject({
      name: 'ConfigError',
      message: expect.stringContaining('"t"; allow Read'),
    });
    expect(brokerRefusal('read', 't', 56)).toMatchObject({
      name: 'UnavailableError',
      message: 'Cannot read: the broker answers error 56',
    });
    expect(brokerRefusal('read', 't', 16).message).toContain('NOT_COORDINATOR (16)');
  });

  it('while running is an outage that keeps its words', () => {
    const refusal = new ConfigError('CONFIG_INVALID', 'Cannot read: no');
    expect(asUnavailable(refusal)).toMatchObject({
      name: 'UnavailableError',
      message: 'Cannot read: no',
      cause: refusal,
    });
    const halted = new HaltError('GAP', 'gone');
    expect(asUnavailable(halted)).toBe(halted);
    expect(asUnavailable('text')).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });
});
