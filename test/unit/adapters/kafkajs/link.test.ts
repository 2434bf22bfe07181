import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { heartbeatCall } from '../../../../src/adapters/kafkajs/group-calls.ts';
import { BrokerLink } from '../../../../src/adapters/kafkajs/link.ts';
import { resolveOptions } from '../../../../src/adapters/kafkajs/options.ts';
import type { KafkaSourceOptions } from '../../../../src/adapters/kafkajs/options.ts';
import { WireWriter } from '../../../../src/adapters/kafkajs/wire.ts';
import { FakeBroker, apiVersionsAnswer, frameOf } from '../../../support/fake-broker.ts';

const heartbeat = heartbeatCall({ groupId: 'g', generation: 1, memberId: 'm' });
const beat = (errorCode: number): Buffer => new WireWriter().int32(0).int16(errorCode).finish();

let broker: FakeBroker;
let link: BrokerLink;

beforeEach(async () => {
  broker = await FakeBroker.start();
  link = linkTo();
});

afterEach(async () => {
  link.destroy();
  await broker[Symbol.asyncDispose]();
});

describe('a link', () => {
  it('connects at the first request and keeps the connection', async () => {
    broker.on('Heartbeat', () => beat(7));
    expect(await link.send(heartbeat)).toEqual({ errorCode: 7 });
    expect(await link.send(heartbeat)).toEqual({ errorCode: 7 });
    expect(broker.connections).toBe(1);
  });

  it('sends one request after the other', async () => {
    let underWay = 0;
    let most = 0;
    broker.on('Heartbeat', async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 5));
      underWay--;
      return beat(0);
    });
    await Promise.all(Array.from({ length: 10 }, () => link.send(heartbeat)));
    expect(most).toBe(1);
  });

  it('reads answers that come in pieces of any size', async () => {
    broker.on('Heartbeat', async ({ socket }) => {
      // Correlation ids count from 0; ApiVersions was the first request.
      for (const byte of frameOf(1, beat(5))) {
        socket.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return null;
    });
    expect(await link.send(heartbeat)).toEqual({ errorCode: 5 });
  });

  it('fails the request under way when it is destroyed, and every later one', async () => {
    broker.on('Heartbeat', () => null);
    const waiting = link.send(heartbeat);
    const queued = link.send(heartbeat);
    await expect.poll(() => broker.seen.length).toBe(1);
    link.destroy();
    for (const request of [waiting, queued, link.send(heartbeat)]) {
      await expect(request).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    }
    await expect.poll(() => broker.connections).toBe(0);
  });

  it('leaves no timer and no socket behind', async () => {
    broker.on('Heartbeat', () => beat(0));
    const before = liveTimers();
    await link.send(heartbeat);
    await link.send(heartbeat);
    expect(liveTimers()).toBe(before);
    const refused = linkTo({ brokers: ['127.0.0.1:1'] });
    await expect(refused.send(heartbeat)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(liveTimers()).toBe(before);
    link.destroy();
    await expect.poll(() => broker.connections).toBe(0);
  });
});

describe('a connection that is lost', () => {
  it.each([
    ['without an answer', (): null => null],
    ['in the middle of an answer', (): { raw: Buffer } => ({ raw: frameOf(1, beat(9)).subarray(0, 7) })],
  ])('%s fails the request; the next one starts clean', async (_, answer) => {
    let isFirst = true;
    broker.on('Heartbeat', ({ socket }) => {
      if (!isFirst) return beat(3);
      isFirst = false;
      setTimeout(() => socket.destroy(), 10);
      return answer();
    });
    await expect(link.send(heartbeat)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(await link.send(heartbeat)).toEqual({ errorCode: 3 });
  });

  it('while it is idle is made again', async () => {
    broker.on('Heartbeat', () => beat(0));
    await link.send(heartbeat);
    broker.disconnectAll();
    await expect.poll(() => broker.connections).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await link.send(heartbeat)).toEqual({ errorCode: 0 });
  });

  it('is not dialled again at once, over and over', async () => {
    const refused = linkTo({ brokers: ['127.0.0.1:1'] });
    const startedMs = performance.now();
    const failures = await Promise.all(
      Array.from({ length: 1_000 }, () => refused.send(heartbeat).catch((error: Error) => error)),
    );
    expect(new Set(failures).size).toBe(1);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});

describe('an answer', () => {
  it('that does not come in time fails the request, and when it comes late it meets no other request', async () => {
    let late: (() => void) | undefined;
    broker.on('Heartbeat', ({ socket }) => {
      if (late !== undefined) return beat(0);
      late = () => socket.write(frameOf(1, beat(99)));
      return null;
    });
    await expect(link.send(heartbeat, 50)).rejects.toThrow(/Cannot wait longer than 50 ms for the answer to Heartbeat/);
    late?.();
    expect(await link.send(heartbeat)).toEqual({ errorCode: 0 });
  });

  it.each([
    ['is too short', beat(0).subarray(0, 5)],
    ['is empty', Buffer.alloc(0)],
  ])('that %s fails the request and names the broker', async (_, answer) => {
    broker.on('Heartbeat', () => answer);
    await expect(link.send(heartbeat)).rejects.toThrow(`Cannot talk to Kafka broker "${broker.address}"`);
  });

  it.each([
    ['a negative length', new WireWriter().int32(-1).int32(0).finish(), /claims -1 bytes/],
    ['a length of 2 GiB', new WireWriter().int32(0x7fff_ffff).finish(), /claims 2147483647 bytes/],
    ['the words of a web server', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /is this a Kafka listener/],
    ['a TLS alert', Buffer.from([0x15, 3, 3, 0, 2, 2, 0x46]), /answers in TLS, but TLS is not configured/],
  ])('with %s ends the connection, not the process', async (_, raw, message) => {
    broker.on('ApiVersions', () => ({ raw }));
    await expect(link.send(heartbeat)).rejects.toThrow(message);
  });
});

describe('a broker', () => {
  it.each([
    [{ Fetch: [14, 17] }, /Fetch 14 to 17, wanted 13 or 11/],
    [{ Fetch: [0, 10] }, /Fetch 0 to 10, wanted 13 or 11/],
    [{ Metadata: [6, 11] }, /Metadata 6 to 11, wanted 12 or 5/],
    [{ JoinGroup: null }, /JoinGroup not at all, wanted 5/],
    [{ Fetch: [14, 17], Heartbeat: [4, 4] }, /Fetch 14 to 17, wanted 13 or 11; Heartbeat 4 to 4, wanted 3/],
  ] as const)('that has dropped a version is named with it (K31): %j', async (changes, message) => {
    broker.on('ApiVersions', () => apiVersionsAnswer(changes));
    const failure = await link.send(heartbeat).catch((error: Error) => error);
    expect(failure).toMatchObject({ name: 'ConfigError', code: 'UNSUPPORTED_BROKER' });
    expect((failure as Error).message).toMatch(message);
  });

  it('that closes the connection at the first request may want SASL', async () => {
    broker.on('Heartbeat', ({ socket }) => {
      socket.end();
      return null;
    });
    await expect(link.send(heartbeat)).rejects.toThrow(/if this is a SASL listener, set sasl/);
  });
});

function linkTo(options: Partial<KafkaSourceOptions> = {}): BrokerLink {
  const settings = resolveOptions({
    brokers: [broker.address],
    clientId: 'c',
    groupId: 'g',
    topics: ['t'],
    ...options,
  });
  return new BrokerLink(settings.brokers[0]!, settings, () => undefined);
}

function liveTimers(): number {
  return process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
}
