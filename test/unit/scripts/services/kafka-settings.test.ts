import { describe, expect, it } from 'vitest';
import {
  KAFKA_USERS,
  kafkaAddress,
  localKafkaSettings,
  renderProperties,
  settingVariable,
} from '../../../../scripts/services/kafka-settings.ts';
import { certificatePaths } from '../../../../scripts/services/tls.ts';

const PORTS = { plain: 1, controller: 2, sasl: 3, mtls: 4 };
const CERTIFICATES = certificatePaths('/k');

describe('localKafkaSettings', () => {
  const settings = localKafkaSettings(PORTS, '/data', CERTIFICATES);

  it('listens on loopback only', () => {
    const hosts = settings['listeners']
      ?.split(',')
      .map((listener) => new URL(listener.replace(/^\w+/, 'http')).hostname);
    expect(hosts).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1', '127.0.0.1']);
  });

  it('gives each listener its protocol, and clients only those that are theirs', () => {
    expect(settings['listener.security.protocol.map']).toBe(
      'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL',
    );
    expect(settings['advertised.listeners']).toBe('PLAINTEXT://127.0.0.1:1,SECURE://localhost:3,MUTUAL://localhost:4');
  });

  it('demands a client certificate on the mutual listener only', () => {
    expect(settings['listener.name.mutual.ssl.client.auth']).toBe('required');
    expect(settings['ssl.client.auth']).toBeUndefined();
  });

  it('makes no topic that nobody created', () => {
    expect(settings['auto.create.topics.enable']).toBe('false');
  });

  it('enables the mechanism of every user', () => {
    const mechanisms = settings['listener.name.secure.sasl.enabled.mechanisms']?.toLowerCase().split(',');
    expect(KAFKA_USERS.map((user) => user.mechanism).sort()).toEqual(mechanisms?.sort());
  });
});

describe('kafkaAddress', () => {
  it('names the three listeners of clients', () => {
    const address = kafkaAddress(PORTS, CERTIFICATES);
    expect([address.brokers, address.saslSsl?.brokers, address.mtls?.brokers]).toEqual([
      ['127.0.0.1:1'],
      ['localhost:3'],
      ['localhost:4'],
    ]);
  });
});

describe('renderProperties', () => {
  it('writes one setting a line and escapes backslashes', () => {
    expect(renderProperties({ a: '1', b: 'x\\y' })).toBe('a=1\nb=x\\\\y\n');
  });
});

describe('settingVariable', () => {
  it.each([
    ['auto.create.topics.enable', 'KAFKA_AUTO_CREATE_TOPICS_ENABLE'],
    ['listener.name.secure.scram-sha-512.x', 'KAFKA_LISTENER_NAME_SECURE_SCRAM___SHA___512_X'],
    ['with_underscore', 'KAFKA_WITH__UNDERSCORE'],
  ])('of %s is %s', (name, variable) => expect(settingVariable(name)).toBe(variable));
});
