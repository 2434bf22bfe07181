import { PassThrough, Writable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { ConsoleAlertChannel } from '../../../../src/adapters/console-alert/console-alert-channel.ts';
import type { Alert } from '../../../../src/ports/alert-channel.ts';

const HOSTILE = '\u001b[2J\u001b]0;owned\u0007\r\nFAKE LINE \u202etxt.exe\u200b';

const ALERT: Alert = {
  id: 'b3f0',
  type: 'dev.headgate.batch.quarantined',
  subject: 'kafka/orders/3@100-199',
  time: '2026-09-01T12:00:00.000Z',
  severity: 'critical',
  summary: 'Batch held',
  data: { offsets: [100, 199] },
};

const HOSTILE_ALERT: Alert = {
  id: HOSTILE,
  type: HOSTILE,
  subject: HOSTILE,
  time: HOSTILE,
  severity: 'warning',
  summary: HOSTILE,
  data: { [HOSTILE]: HOSTILE },
};

const NEVER = new AbortController().signal;

async function printed(format: 'json' | 'human', ...alerts: Alert[]): Promise<string> {
  const stream = new PassThrough();
  const channel = new ConsoleAlertChannel({ name: 'console', stream, format });
  for (const alert of alerts) await channel.deliver(alert, NEVER);
  return (stream.read() as Buffer).toString('utf8');
}

describe('the console channel', () => {
  it('prints one line for people', async () => {
    expect(await printed('human', ALERT)).toBe(
      '2026-09-01T12:00:00.000Z CRITICAL kafka/orders/3@100-199: Batch held (dev.headgate.batch.quarantined, b3f0)\n',
    );
  });

  it('prints one JSON line for programs', async () => {
    const lines = (await printed('json', ALERT, ALERT)).split('\n');
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[1] ?? '')).toEqual(ALERT);
  });

  for (const format of ['json', 'human'] as const) {
    it(`lets no field act on the terminal, hide text or begin a line (${format})`, async () => {
      const text = await printed(format, HOSTILE_ALERT);
      expect(text.match(/\n/g)).toHaveLength(1);
      expect(text.slice(0, -1)).toMatch(/^[\u0020-\u007e]+$/);
      expect(text).toContain(format === 'json' ? '\\u202e' : '\\u{202e}');
    });
  }

  it('gives back hostile fields unchanged when its JSON is parsed', async () => {
    expect(JSON.parse(await printed('json', HOSTILE_ALERT))).toEqual(HOSTILE_ALERT);
  });

  it('reports a stream that cannot be written to, without ending the process', async () => {
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    const channel = new ConsoleAlertChannel({ name: 'console', stream: broken, format: 'human' });
    await expect(channel.deliver(ALERT, NEVER)).rejects.toMatchObject({
      code: 'ALERT_UNDELIVERED',
      fields: { channel: 'console', permanent: false },
    });
    await expect(channel.deliver(ALERT, NEVER)).rejects.toMatchObject({ code: 'ALERT_UNDELIVERED' });
  });

  it('stops waiting for a reader that never reads when it is told to', async () => {
    const stuck = new Writable({ write: () => {} });
    const channel = new ConsoleAlertChannel({ name: 'console', stream: stuck, format: 'human' });
    const stop = new AbortController();
    const delivery = channel.deliver(ALERT, stop.signal);
    stop.abort();
    await expect(delivery).rejects.toMatchObject({ code: 'ALERT_UNDELIVERED' });
    await expect(channel.deliver(ALERT, stop.signal)).rejects.toMatchObject({ code: 'ALERT_UNDELIVERED' });
  });
});
