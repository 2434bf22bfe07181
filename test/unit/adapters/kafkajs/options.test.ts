import { describe, expect, it } from 'vitest';

import { KAFKA_SOURCE_DEFAULTS, formatAddress, resolveOptions } from '../../../../src/adapters/kafkajs/options.ts';
import type { KafkaSourceOptions } from '../../../../src/adapters/kafkajs/options.ts';
import type { ConfigError } from '../../../../src/errors.ts';

const options: KafkaSourceOptions = { brokers: ['kafka:9092'], clientId: 'c', groupId: 'g', topics: ['t'] };

describe('resolveOptions', () => {
  it('fills in the defaults', () => {
    expect(resolveOptions(options)).toEqual({
      ...KAFKA_SOURCE_DEFAULTS,
      brokers: [{ host: 'kafka', port: 9_092 }],
      clientId: 'c',
      groupId: 'g',
      topics: ['t'],
      tls: null,
      sasl: null,
    });
  });

  it('takes addresses of every kind, and writes them back', () => {
    const texts = ['kafka-1.example:9092', '10.0.0.1:9093', '[2001:db8::1]:9094'];
    expect(resolveOptions({ ...options, brokers: texts }).brokers.map(formatAddress)).toEqual(texts);
  });

  it('takes each topic once, in order', () => {
    expect(resolveOptions({ ...options, topics: ['b', 'a', 'b', '__proto__'] }).topics).toEqual([
      '__proto__',
      'a',
      'b',
    ]);
  });

  it.each([
    'kafka',
    'kafka:',
    ':9092',
    'kafka:0',
    'kafka:65536',
    '2001:db8::1:9092',
    '[kafka]:9092',
    'http://kafka:9092',
    'a b:1',
  ])('refuses the address %j', (text) => {
    expect(faultsOf({ brokers: [text] })).toEqual(['brokers[0]']);
  });

  it.each(['', '.', '..', 'a/b', 'ä', 'x'.repeat(250)])('refuses the topic name %j (K32)', (topic) => {
    expect(faultsOf({ topics: [topic] })).toEqual(['topics[0]']);
  });

  it('names every fault at once', () => {
    expect(
      faultsOf({
        brokers: [],
        topics: [],
        groupId: '',
        clientId: '',
        tls: { cert: 'only' },
        fetchWaitMs: 0.5,
        sessionTimeoutMs: 1,
      }),
    ).toEqual(['brokers', 'topics', 'clientId', 'groupId', 'tls', 'sessionTimeoutMs', 'fetchWaitMs']);
  });
});

function faultsOf(changes: Partial<KafkaSourceOptions>): string[] {
  try {
    resolveOptions({ ...options, ...changes });
    return [];
  } catch (error) {
    return (error as ConfigError).faults.map(({ path }) => path);
  }
}
