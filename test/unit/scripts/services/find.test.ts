import { describe, expect, it } from 'vitest';
import { describeAddress, SERVICES } from '../../../../scripts/services/lifecycle.ts';
import { isServicesState } from '../../../../scripts/services/state.ts';

describe('the services that the environment names', () => {
  it.each(Object.values(SERVICES))('are none for $name in an empty environment', (service) => {
    expect(service.find({})).toBeNull();
  });

  it('are Kafka by its brokers, of which only the open listener is known', () => {
    expect(SERVICES.kafka.find({ HEADGATE_KAFKA_BROKERS: 'a:9092, b:9092,' })).toEqual({
      brokers: ['a:9092', 'b:9092'],
      saslSsl: null,
      mtls: null,
    });
  });

  it('are the S3 server by its endpoint and account', () => {
    const environment = { HEADGATE_S3_ENDPOINT: 'http://s3', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
    expect(SERVICES.s3.find(environment)).toEqual({
      endpoint: 'http://s3',
      region: 'us-east-1',
      accessKeyId: 'id',
      secretAccessKey: 'secret',
    });
  });

  it('are no S3 server without an account, and not one by an account alone', () => {
    expect(() => SERVICES.s3.find({ HEADGATE_S3_ENDPOINT: 'http://s3' })).toThrow(
      /AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set/,
    );
    expect(SERVICES.s3.find({ AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' })).toBeNull();
  });

  it('are Redis by its URL, and the programs by their paths', () => {
    expect(SERVICES.redis.find({ HEADGATE_REDIS_URL: 'redis://r' })).toEqual({ url: 'redis://r' });
    expect(SERVICES.cosign.find({ HEADGATE_COSIGN: '/c' })).toEqual({ path: '/c' });
    expect(SERVICES.python.find({ HEADGATE_PYTHON: '/p' })).toEqual({ path: '/p' });
  });
});

describe('describeAddress', () => {
  it('shows no secret', () => {
    const s3 = { endpoint: 'http://s3', region: 'r', accessKeyId: 'id', secretAccessKey: 'hidden' };
    expect(describeAddress(s3)).toBe('http://s3');
    expect(describeAddress({ url: 'redis://user:hidden@host:1' })).toBe('redis://…@host:1');
  });
});

describe('isServicesState', () => {
  it.each([null, 1, [], {}, { version: 2, addresses: {} }, { version: 1 }])('refuses %j', (value) => {
    expect(isServicesState(value)).toBe(false);
  });
});
