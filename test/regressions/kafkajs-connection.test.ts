import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { apiVersionsCall } from '../../src/adapters/kafkajs/calls.ts';
import { BrokerLink } from '../../src/adapters/kafkajs/link.ts';
import { resolveOptions } from '../../src/adapters/kafkajs/options.ts';
import { FakeBroker, apiVersionsAnswer, frameOf } from '../support/fake-broker.ts';

/*
 * What kafkajs 2.2.4's own connection does, and that our link over it does not. If the first half of a case ever fails,
 * kafkajs was mended: then link.ts need no longer replace that part.
 */

const require = createRequire(import.meta.url);
const StockConnection = require('kafkajs/src/network/connection') as new (options: object) => Stock;
const createSocketFactory = require('kafkajs/src/network/socketFactory') as () => unknown;
const { requests } = require('kafkajs/src/protocol/requests') as {
  requests: { ApiVersions: { protocol(options: { version: number }): () => object } };
};

interface Stock {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  send(protocol: object): Promise<{ apiVersions: unknown[] }>;
  processData(data: Buffer): void;
  readonly requestQueue: { throttleCheckTimeoutId: unknown };
}

let broker: FakeBroker;
let stock: Stock;
let link: BrokerLink;

beforeEach(async () => {
  broker = await FakeBroker.start();
  const settings = resolveOptions({ brokers: [broker.address], clientId: 'c', groupId: 'g', topics: ['t'] });
  link = new BrokerLink(settings.brokers[0]!, settings, () => undefined);
  stock = new StockConnection({
    host: '127.0.0.1',
    port: broker.port,
    logger: quiet(),
    socketFactory: createSocketFactory(),
    requestTimeout: 1_000,
    connectionTimeout: 1_000,
  });
});

afterEach(async () => {
  link.destroy();
  broker.disconnectAll();
  await stock.disconnect();
  await broker[Symbol.asyncDispose]();
});

describe('a kafkajs 2.2.4 connection', () => {
  it('arms a timer of 1 ms again and again while it idles; ours has none', async () => {
    await stock.connect();
    await stock.send(apiVersions());
    const timers = new Set<unknown>();
    for (let i = 0; i < 20; i++) {
      timers.add(stock.requestQueue.throttleCheckTimeoutId);
      await pause(5);
    }
    expect(timers.size).toBeGreaterThan(5);
    await stock.disconnect();

    const before = liveTimers();
    await link.send(apiVersionsCall);
    expect(liveTimers()).toBe(before);
  });

  it('puts the rest of a dead socket’s bytes before those of the next; ours starts clean', async () => {
    let requestCount = 0;
    broker.on('ApiVersions', ({ socket }) => {
      if (++requestCount !== 1) return apiVersionsAnswer();
      socket.write(frameOf(0, apiVersionsAnswer()).subarray(0, 20));
      setTimeout(() => socket.destroy(), 20);
      return null;
    });
    await stock.connect();
    await expect(stock.send(apiVersions())).rejects.toThrow(/Closed connection/);
    await pause(20);
    await stock.connect();
    expect(
      await Promise.race([stock.send(apiVersions()).catch(() => 'failed'), pause(300).then(() => 'stuck')]),
    ).toMatch(/failed|stuck/);

    requestCount = 0;
    await expect(link.send(apiVersionsCall)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    await pause(150);
    expect((await link.send(apiVersionsCall)).versions.length).toBeGreaterThan(5);
  });

  it('throws out of its socket handler at a frame of negative length, which ends the process; ours fails the request', async () => {
    expect(() => stock.processData(Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]))).toThrow();
    broker.on('ApiVersions', () => ({ raw: Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]) }));
    await expect(link.send(apiVersionsCall)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
  });

  it('opens a socket for each of two requests at once and forgets one; ours opens one', async () => {
    await Promise.all([stock.connect(), stock.connect()]);
    await pause(20);
    expect(broker.connections).toBe(2);
    await stock.disconnect();
    await pause(50);
    expect(broker.connections).toBe(1);
    broker.disconnectAll();
    await expect.poll(() => broker.connections).toBe(0);

    await Promise.all([link.send(apiVersionsCall), link.send(apiVersionsCall), link.send(apiVersionsCall)]);
    expect(broker.connections).toBe(1);
  });

  it('waits to disconnect until every request is answered; ours does not', async () => {
    broker.on('ApiVersions', () => null);
    await stock.connect();
    const waiting = stock.send(apiVersions()).catch(() => 'failed');
    await pause(20);
    expect(
      await Promise.race([stock.disconnect().then(() => 'disconnected'), pause(300).then(() => 'still waiting')]),
    ).toBe('still waiting');
    broker.disconnectAll();
    await waiting;

    const asked = link.send(apiVersionsCall);
    await pause(20);
    const startedMs = performance.now();
    link.destroy();
    await expect(asked).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(performance.now() - startedMs).toBeLessThan(100);
  });
});

function apiVersions(): object {
  return requests.ApiVersions.protocol({ version: 2 })();
}

function liveTimers(): number {
  return process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function quiet(): object {
  const logger: Record<string, unknown> = { namespace: () => logger };
  for (const level of ['debug', 'info', 'warn', 'error']) logger[level] = () => undefined;
  return logger;
}
