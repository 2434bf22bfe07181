import { expect, it } from 'vitest';

import { quietLogger } from '../../../../src/adapters/kafkajs/log.ts';

it('the logger for kafkajs says everything as debug, and keeps neither payloads nor stacks', () => {
  const lines: unknown[] = [];
  const logger = quietLogger((...line) => lines.push(line)).namespace('Connection');
  const extra = {
    broker: 'k:1',
    size: 7,
    correlationId: 3,
    error: 'why',
    payload: Buffer.from('secret'),
    data: { a: 1 },
    stack: 'at …',
    password: 'secret',
  };
  logger.error('Response Fetch', extra);
  logger.warn('bare');
  expect(lines).toEqual([
    ['debug', 'Response Fetch', { broker: 'k:1', size: 7, correlationId: 3, error: 'why' }],
    ['debug', 'bare', {}],
  ]);
});
