import { describe, expect, it } from 'vitest';

import { cloudEventBody } from '../../../../src/adapters/webhook/cloud-event.ts';
import type { Alert } from '../../../../src/ports/alert-channel.ts';

const ALERT: Alert = {
  id: 'b3f0',
  type: 'dev.headgate.batch.quarantined',
  subject: 'kafka/orders/3@100-199',
  time: '2026-09-01T12:00:00.000Z',
  severity: 'critical',
  summary: 'Batch held: "amount" drifted',
  data: { offsets: [100, 199], statistic: 0.42, specversion: 'not ours', big: 9_007_199_254_740_993n },
};

describe('the CloudEvent of an alert', () => {
  it('has the context attributes of CloudEvents 1.0 and the alert as data', () => {
    expect(JSON.parse(Buffer.from(cloudEventBody(ALERT, '/headgate/orders')).toString('utf8'))).toEqual({
      specversion: '1.0',
      id: 'b3f0',
      source: '/headgate/orders',
      type: 'dev.headgate.batch.quarantined',
      subject: 'kafka/orders/3@100-199',
      time: '2026-09-01T12:00:00.000Z',
      datacontenttype: 'application/json',
      data: {
        severity: 'critical',
        summary: 'Batch held: "amount" drifted',
        facts: { offsets: [100, 199], statistic: 0.42, specversion: 'not ours', big: '9007199254740993' },
      },
    });
  });

  it('is the same bytes each time', () => {
    expect(cloudEventBody(ALERT, 's')).toEqual(cloudEventBody({ ...ALERT }, 's'));
  });
});
