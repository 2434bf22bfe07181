import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { MemoryJobQueue } from '../../src/adapters/memory-queue/memory-job-queue.ts';
import { systemClock } from '../../src/adapters/system/clock.ts';
import { systemRng } from '../../src/adapters/system/rng.ts';
import type { ResolveHost } from '../../src/adapters/webhook/target.ts';
import type { UnavailableError } from '../../src/errors.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { ALERT, channelTo, failureOf, NEVER, SECRET } from '../support/webhook-fixture.ts';
import { type ReceiverAnswer, WebhookReceiver } from '../support/webhook-receiver.ts';

const NEXT_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

const unknownName: ResolveHost = () =>
  Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));

async function timed(delivery: Promise<void>): Promise<{ readonly error: UnavailableError; readonly ms: number }> {
  const startMs = performance.now();
  const error = await failureOf(delivery);
  return { error, ms: performance.now() - startMs };
}

describe('the webhook channel', () => {
  let receiver: WebhookReceiver;
  let url: string;

  beforeEach(async () => {
    receiver = await WebhookReceiver.open({ secret: SECRET });
    url = `http://127.0.0.1:${receiver.port}/hooks?token=1`;
  });

  afterEach(async () => {
    await receiver[Symbol.asyncDispose]();
  });

  describe('sends', () => {
    it('a signed CloudEvent', async () => {
      await channelTo(url).deliver(ALERT, NEVER);
      const [delivery] = receiver.deliveries;
      expect(delivery).toMatchObject({
        method: 'POST',
        path: '/hooks?token=1',
        fault: null,
        headers: {
          'content-type': 'application/cloudevents+json; charset=UTF-8',
          'user-agent': 'headgate',
          'webhook-id': 'sha256-b3f0',
          host: `127.0.0.1:${receiver.port}`,
        },
      });
      expect(JSON.parse(delivery?.body.toString('utf8') ?? '')).toMatchObject({
        specversion: '1.0',
        id: ALERT.id,
        source: '/headgate/orders',
        data: { severity: 'critical', summary: ALERT.summary, facts: ALERT.data },
      });
    });

    it('the same id and body on every try, signed at the time of the try', async () => {
      let nowMs = Date.now() - 120_000;
      const clock: Clock = { ...systemClock, now: () => nowMs };
      const channel = channelTo(url, { clock });
      receiver.answers = [
        { kind: 'status', status: 503 },
        { kind: 'status', status: 204 },
      ];
      await failureOf(channel.deliver(ALERT, NEVER));
      nowMs += 60_000;
      await channel.deliver(ALERT, NEVER);
      const [first, second] = receiver.deliveries;
      expect(receiver.ids).toEqual([ALERT.id, ALERT.id]);
      expect(second?.body).toEqual(first?.body);
      expect(Number(second?.headers['webhook-timestamp']) - Number(first?.headers['webhook-timestamp'])).toBe(60);
      expect(receiver.deliveries.map(({ fault }) => fault)).toEqual([null, null]);
    });

    it('signatures of all secrets while one is rotated', async () => {
      await channelTo(url, { secrets: [NEXT_SECRET, SECRET] }).deliver(ALERT, NEVER);
      await channelTo(url, { secrets: [NEXT_SECRET] }).deliver(ALERT, NEVER);
      expect(receiver.deliveries.map(({ fault }) => fault)).toEqual([null, 'no signature matches']);
    });

    it('until it is taken, with one id, when a queue runs it', async () => {
      receiver.answers = [{ kind: 'cut' }, { kind: 'status', status: 503 }, { kind: 'status', status: 204 }];
      const retryRules = { attemptsMax: 5, firstPauseMs: 10, pauseMsMax: 20 };
      await using queue = await MemoryJobQueue.open({ clock: systemClock, rng: systemRng, retryRules });
      const channel = channelTo(url);
      queue.handle('alert', 1, (_job, { signal }) => channel.deliver(ALERT, signal));
      await queue.add({ id: ALERT.id, kind: 'alert', data: {} });
      await expect.poll(() => queue.depth(), { timeout: 5_000 }).toBe(0);
      expect(receiver.ids).toEqual([ALERT.id, ALERT.id, ALERT.id]);
    });

    it('no alert whose id could change what is signed', async () => {
      for (const id of ['', 'a.b', 'a b', 'a\r\nx-evil: 1', 'ä', 'a'.repeat(257)]) {
        await expect(channelTo(url).deliver({ ...ALERT, id }, NEVER), id).rejects.toThrow(RangeError);
      }
      expect(receiver.deliveries).toEqual([]);
    });
  });

  describe('takes the answer', () => {
    const delivered = [200, 201, 202, 204, 299];
    const permanent = [300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 413, 422];
    const passing = [408, 425, 429, 500, 501, 502, 503, 504, 599];

    for (const status of delivered) {
      it(`${status} as delivered`, async () => {
        receiver.answers = [{ kind: 'status', status }];
        await channelTo(url).deliver(ALERT, NEVER);
      });
    }

    for (const status of [...permanent, ...passing]) {
      it(`${status} as undelivered, ${permanent.includes(status) ? 'and unlikely ever to be taken' : 'for now'}`, async () => {
        receiver.answers = [{ kind: 'status', status }];
        const error = await failureOf(channelTo(url).deliver(ALERT, NEVER));
        expect(error).toMatchObject({
          code: 'ALERT_UNDELIVERED',
          fields: { channel: 'ops', status, permanent: permanent.includes(status) },
        });
        expect(error.message).toContain(`answered ${status}`);
        expect(error.fields).not.toHaveProperty('retryAfterMs');
      });
    }

    const at = Date.UTC(2026, 0, 1);
    const pauses: readonly (readonly [header: string, retryAfterMs: number | undefined])[] = [
      ['120', 120_000],
      ['0', 0],
      ['3600', 3_600_000],
      ['86400', 3_600_000],
      ['9999999999', 3_600_000],
      [new Date(at + 90_000).toUTCString(), 90_000],
      [new Date(at - 90_000).toUTCString(), 0],
      ['soon', undefined],
      ['', undefined],
    ];
    for (const [header, retryAfterMs] of pauses) {
      it(`"Retry-After: ${header}" as ${retryAfterMs ?? 'no'} milliseconds`, async () => {
        receiver.answers = [{ kind: 'status', status: 503, headers: { 'retry-after': header } }];
        const clock: Clock = { ...systemClock, now: () => at };
        const { fields } = await failureOf(channelTo(url, { clock }).deliver(ALERT, NEVER));
        expect(fields['retryAfterMs']).toBe(retryAfterMs);
      });
    }

    it('without following a redirect, neither to another server nor to metadata', async () => {
      await using other = await WebhookReceiver.open({ secret: SECRET });
      for (const location of [
        `http://127.0.0.1:${other.port}/`,
        'http://169.254.169.254/latest/meta-data/',
        '//127.0.0.1/',
        'file:///etc/passwd',
      ]) {
        receiver.answers = [{ kind: 'status', status: 302, headers: { location } }];
        const error = await failureOf(channelTo(url).deliver(ALERT, NEVER));
        expect(error.message).toContain('redirects are not followed');
      }
      expect([receiver.deliveries.length, other.deliveries.length]).toEqual([4, 0]);
    });

    it('by its status, without reading a body of any length', async () => {
      receiver.answers = [{ kind: 'flood', status: 200, bytes: 256 * 1_048_576 }];
      await channelTo(url).deliver(ALERT, NEVER);
      // What the operating system buffers on both sides, not 256 MiB.
      expect(receiver.bytesSent).toBeLessThan(32 * 1_048_576);
    });

    it('by its status when the body never ends', async () => {
      receiver.answers = [{ kind: 'drip', status: 200, everyMs: 20 }];
      await channelTo(url, { deadlineMs: 300 }).deliver(ALERT, NEVER);
      receiver.answers = [{ kind: 'drip', status: 500, everyMs: 20 }];
      const error = await failureOf(channelTo(url, { deadlineMs: 300 }).deliver(ALERT, NEVER));
      expect(error.fields).toMatchObject({ status: 500 });
    });

    const broken: readonly (readonly [what: string, answer: ReceiverAnswer])[] = [
      ['a cut connection', { kind: 'cut' }],
      ['no HTTP', { kind: 'raw', bytes: 'SSH-2.0-OpenSSH_9.2\r\n' }],
      ['nothing at all', { kind: 'raw', bytes: '' }],
      [
        'a switch of protocols',
        { kind: 'raw', bytes: 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n' },
      ],
      ['headers without end', { kind: 'raw', bytes: `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(40_000)}\r\n\r\n` }],
      ['two lengths', { kind: 'raw', bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab' }],
      ['nothing but preliminaries', { kind: 'raw', bytes: 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100) }],
    ];
    for (const [what, answer] of broken) {
      it(`as undelivered when it is ${what}`, async () => {
        receiver.answers = [answer];
        const error = await failureOf(channelTo(url).deliver(ALERT, NEVER));
        expect(error).toMatchObject({ code: 'ALERT_UNDELIVERED', fields: { status: null, permanent: false } });
      });
    }
  });

  describe('keeps its deadline', () => {
    it('when the receiver never answers', async () => {
      receiver.answers = [{ kind: 'hang' }];
      const { error, ms } = await timed(channelTo(url, { deadlineMs: 300 }).deliver(ALERT, NEVER));
      expect(error.message).toContain('no answer within 300 ms');
      expect(ms).toBeLessThan(1_500);
    });

    it('when the name is never resolved', async () => {
      const channel = channelTo('https://hooks.test/', { resolve: () => new Promise(() => {}), deadlineMs: 300 });
      const { error, ms } = await timed(channel.deliver(ALERT, NEVER));
      expect(error.message).toContain('no answer within 300 ms');
      expect(ms).toBeLessThan(1_500);
    });

    it('and stops at once when it is told to', async () => {
      receiver.answers = [{ kind: 'hang' }];
      const stop = new AbortController();
      const delivery = timed(channelTo(url, { deadlineMs: 60_000 }).deliver(ALERT, stop.signal));
      await expect.poll(() => receiver.deliveries.length).toBe(1);
      stop.abort();
      const { error } = await delivery;
      expect(error.message).toContain('stopped before an answer');
      expect((await failureOf(channelTo(url).deliver(ALERT, stop.signal))).code).toBe('ALERT_UNDELIVERED');
    });
  });

  it('says by code why nothing was reached', async () => {
    await receiver[Symbol.asyncDispose]();
    expect((await failureOf(channelTo(url).deliver(ALERT, NEVER))).message).toContain('ECONNREFUSED');
    expect(
      (await failureOf(channelTo('https://hooks.test/', { resolve: unknownName }).deliver(ALERT, NEVER))).message,
    ).toContain('ENOTFOUND');
  });
});
