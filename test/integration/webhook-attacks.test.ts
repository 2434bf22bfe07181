import { Socket, type TcpSocketConnectOpts } from 'node:net';
import { inspect } from 'node:util';

import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { ConfigError } from '../../src/errors.ts';
import {
  ALERT,
  channelTo,
  failureOf,
  NEVER,
  scriptedResolver,
  SECRET,
  toLoopback,
} from '../support/webhook-fixture.ts';
import { type Certificate, makeCertificate, WebhookReceiver } from '../support/webhook-receiver.ts';

const PUBLIC = '93.184.216.34';

describe('the webhook channel, attacked', () => {
  let receiver: WebhookReceiver;
  let url: string;
  let certificate: Certificate;

  beforeAll(() => {
    certificate = makeCertificate(['DNS:hooks.test', 'IP:127.0.0.1']);
  });

  beforeEach(async () => {
    receiver = await WebhookReceiver.open({ secret: SECRET });
    url = `http://127.0.0.1:${receiver.port}/hooks/path-canary?token=query-canary`;
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    await receiver[Symbol.asyncDispose]();
  });

  describe('over TLS', () => {
    it('connects to the checked address and keeps the name for SNI, Host and certificate', async () => {
      await using secure = await WebhookReceiver.open({ secret: SECRET, certificate });
      const { resolve, asked } = scriptedResolver(['127.0.0.1']);
      const channel = channelTo(`https://hooks.test:${secure.port}/`, { resolve, caPem: certificate.certPem });
      await channel.deliver(ALERT, NEVER);
      expect(secure.deliveries[0]).toMatchObject({ fault: null, headers: { host: `hooks.test:${secure.port}` } });
      expect(asked).toEqual(['hooks.test']);
    });

    it('checks the certificate of an address against the address', async () => {
      await using secure = await WebhookReceiver.open({ secret: SECRET, certificate });
      await channelTo(`https://127.0.0.1:${secure.port}/`, { caPem: certificate.certPem }).deliver(ALERT, NEVER);
      expect(secure.deliveries).toHaveLength(1);
    });

    const cases: readonly (readonly [what: string, host: string, isTrusted: boolean, code: string])[] = [
      ['a certificate that no one trusted signed', 'hooks.test', false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      ['a certificate for another name', 'other.test', true, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ];
    for (const [what, host, isTrusted, code] of cases) {
      it(`refuses ${what}, whatever the environment says`, async () => {
        vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
        await using secure = await WebhookReceiver.open({ secret: SECRET, certificate });
        const options = { resolve: toLoopback, ...(isTrusted ? { caPem: certificate.certPem } : {}) };
        const error = await failureOf(channelTo(`https://${host}:${secure.port}/`, options).deliver(ALERT, NEVER));
        expect(error.message).toContain(code);
        expect(secure.deliveries).toEqual([]);
      });
    }
  });

  describe('cannot be led inside', () => {
    it('by a name that stands for a private address, with or without a public one', async () => {
      for (const addresses of [['127.0.0.1'], [PUBLIC, '127.0.0.1'], ['127.0.0.1', PUBLIC]]) {
        const { resolve } = scriptedResolver(addresses);
        const channel = channelTo(`https://hooks.test:${receiver.port}/`, { resolve, allowPrivate: [] });
        const error = await channel.deliver(ALERT, NEVER).catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(ConfigError);
        expect(error).toMatchObject({
          code: 'ALERT_REFUSED',
          message: expect.stringContaining('alerts.channels[0].allowPrivate') as string,
        });
      }
      expect(receiver.deliveries).toEqual([]);
    });

    it('by a resolver that answers with a public address first and a private one after', async () => {
      const { resolve, asked } = scriptedResolver([PUBLIC], ['127.0.0.1']);
      const dialled: string[] = [];
      // What the socket would dial, asked of it in place of dialling: nothing must leave this machine.
      const connect = vi.spyOn(Socket.prototype, 'connect').mockImplementation(function (
        this: Socket,
        ...args: unknown[]
      ) {
        const [options] = args.flat() as [TcpSocketConnectOpts];
        options.lookup?.('hooks.test', { all: false }, (_error, address) => dialled.push(address as string));
        setImmediate(() => this.destroy(new Error('not dialled')));
        return this;
      });
      const channel = channelTo(`https://hooks.test:${receiver.port}/`, { resolve, allowPrivate: [] });
      expect((await failureOf(channel.deliver(ALERT, NEVER))).message).toContain('not dialled');
      await expect(channel.deliver(ALERT, NEVER)).rejects.toMatchObject({ code: 'ALERT_REFUSED' });
      expect([dialled, asked, connect.mock.calls.length]).toEqual([[PUBLIC], ['hooks.test', 'hooks.test'], 1]);
    });

    it('by a resolver that moves the name between the check and the connection', async () => {
      await using allowed = await WebhookReceiver.open({ secret: SECRET, host: '127.0.0.2' });
      await using forbidden = await WebhookReceiver.open({ secret: SECRET, host: '127.0.0.3', port: allowed.port });
      const { resolve, asked } = scriptedResolver(['127.0.0.2'], ['127.0.0.3']);
      const channel = channelTo(`http://hooks.test:${allowed.port}/`, { resolve, allowPrivate: ['127.0.0.2/32'] });
      await channel.deliver(ALERT, NEVER);
      await expect(channel.deliver(ALERT, NEVER)).rejects.toMatchObject({ code: 'ALERT_REFUSED' });
      expect([allowed.deliveries.length, forbidden.deliveries.length, asked.length]).toEqual([1, 0, 2]);
    });
  });

  it('tries the next checked address when one does not take the connection', async () => {
    const { resolve } = scriptedResolver(['127.0.0.9', '127.0.0.1']);
    const channel = channelTo(`http://hooks.test:${receiver.port}/`, { resolve, allowPrivate: ['127.0.0.0/8'] });
    await channel.deliver(ALERT, NEVER);
    expect(receiver.deliveries).toHaveLength(1);
  });

  it('shows neither secrets nor the path of the URL, in errors or when dumped', async () => {
    receiver.answers = [{ kind: 'status', status: 500 }];
    const channel = channelTo(url);
    const error = await failureOf(channel.deliver(ALERT, NEVER));
    receiver.answers = [{ kind: 'cut' }];
    const cut = await failureOf(channel.deliver(ALERT, NEVER));
    const shown = inspect([channel, error, cut], { depth: 12, showHidden: true });
    expect(shown).not.toContain('canary');
    expect(shown).not.toContain(SECRET.slice('whsec_'.length));
  });

  it('refuses to be set up without a secret or with a target that is not allowed', () => {
    expect(() => channelTo(url, { secrets: [] })).toThrow('alerts.channels[0].secrets');
    expect(() => channelTo(url, { allowPrivate: [] })).toThrow(ConfigError);
    expect(() => channelTo('http://169.254.169.254/')).toThrow(ConfigError);
  });
});
