import { EventEmitter, once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../../src/adapters/kafkajs/group-metadata.ts';
import { KafkaSource } from '../../../../src/adapters/kafkajs/kafka-source.ts';
import type { KafkaSourceOptions } from '../../../../src/adapters/kafkajs/options.ts';
import type { Assignment } from '../../../../src/ports/record-source.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { FakeCoordinator } from '../../../support/fake-coordinator.ts';
import { ShiftedClock } from '../../../support/shifted-clock.ts';

let cluster: FakeCluster;
let group: FakeCoordinator;
let clock: ShiftedClock;
let sources: KafkaSource[];
let messages: string[];

beforeEach(async () => {
  cluster = await FakeCluster.start([1, 2]);
  cluster.topics = [{ name: 't', leaders: [1, 1, 1] }];
  group = new FakeCoordinator().serve(...cluster.brokers.values());
  clock = new ShiftedClock();
  sources = [];
  messages = [];
});

afterEach(async () => {
  await Promise.all(sources.map((source) => source[Symbol.asyncDispose]()));
  await cluster[Symbol.asyncDispose]();
});

describe('joining', () => {
  it('gives an assignment with a token', async () => {
    const source = await open();
    expect(source.assignment()).toBeNull();
    await source.join();
    expect(partitionsOf(source.assignment())).toEqual(['t/0', 't/1', 't/2']);
    expect(source.assignment()).toMatchObject({ token: 1, logs: [{ cluster: 'fake-cluster' }, {}, {}] });
  });

  it('waits for a coordinator that is still being set up', async () => {
    group.errors.FindCoordinator.push(15, 15);
    group.errors.JoinGroup.push(14);
    const source = await open();
    await source.join();
    expect(source.assignment()).not.toBeNull();
  });

  it.each([
    [30, /denies access to consumer group "g"; allow Read/],
    [23, /another application uses consumer group "g"/],
    [26, /group\.min\.session\.timeout\.ms/],
    [81, /is full/],
  ])('is refused with what to do (K30): error %i', async (errorCode, message) => {
    group.errors.JoinGroup.push(errorCode);
    const failure = await (await open()).join().catch((error: Error) => error);
    expect(failure).toMatchObject({ name: 'ConfigError', code: 'CONFIG_INVALID' });
    expect((failure as Error).message).toMatch(message);
  });

  it.each([25, 22, 27, 82])('starts over after error %i', async (errorCode) => {
    group.errors.JoinGroup.push(0, errorCode);
    group.errors.SyncGroup.push(errorCode);
    const source = await open();
    await source.join();
    expect(source.assignment()).not.toBeNull();
  });

  it('shares with the other members and survives what they send', async () => {
    group.others = [
      { memberId: 'peer', metadata: encodeSubscription(['t', 'u'], new Map([['t', [2]]]), 5) },
      { memberId: 'noise', metadata: Buffer.from('not a subscription') },
      { memberId: 'empty', metadata: Buffer.alloc(0) },
    ];
    const source = await open();
    await source.join();
    expect(partitionsOf(source.assignment())).toHaveLength(2);
    expect(partitionsOf(source.assignment())).not.toContain('t/2');
  });

  it('ignores topics that it did not ask for, and refuses an assignment that does not parse', async () => {
    group.assignment = encodeAssignment(
      new Map([
        ['t', [1]],
        ['secret', [0]],
      ]),
    );
    const source = await open();
    await source.join();
    expect(partitionsOf(source.assignment())).toEqual(['t/1']);
    group.assignment = Buffer.from([0, 0, 0xff, 0xff]);
    group.errors.Heartbeat.push(27);
    await expect
      .poll(() => messages)
      .toContain('Cannot read the assignment that the leader of consumer group "g" sent');
    expect(source.assignment()).toBeNull();
  });

  it('claims what it had before, with the generation', async () => {
    const source = await open();
    await source.join();
    group.errors.Heartbeat.push(27);
    await expect.poll(() => source.assignment()?.token).toBe(2);
    expect(decodeSubscription('m', group.subscriptions[1]!)).toMatchObject({
      generation: 1,
      previous: new Map([['t', [0, 1, 2]]]),
    });
  });
});

describe('a membership', () => {
  it.each([
    ['a rebalance', 27],
    ['another generation', 22],
    ['an unknown member', 25],
    ['a fenced member', 82],
    ['another coordinator', 16],
  ])('ends the assignment at once and joins again after %s', async (_, errorCode) => {
    const source = await open();
    await source.join();
    const gathered = new EventEmitter();
    group.gather = async () => void (await once(gathered, 'done'));
    group.errors.Heartbeat.push(errorCode);
    await expect.poll(() => source.assignment()).toBeNull();
    await expect(source.commit({ cluster: 'c', topic: 't', partition: '0' }, 1, 'x')).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
    });
    await expect.poll(() => group.subscriptions.length === 1 && seen('JoinGroup') >= 3).toBe(true);
    gathered.emit('done');
    await expect.poll(() => source.assignment()?.token).toBe(2);
  });

  it('goes on while the coordinator only loads its state', async () => {
    const source = await open();
    await source.join();
    group.errors.Heartbeat.push(14);
    await expect.poll(() => seen('Heartbeat')).toBeGreaterThan(2);
    expect(source.assignment()?.token).toBe(1);
  });

  it('sends heartbeats without being polled', async () => {
    await (await open()).join();
    await expect.poll(() => seen('Heartbeat'), { timeout: 3_000 }).toBeGreaterThan(3);
  });

  it('survives a lost connection', async () => {
    const source = await open();
    await source.join();
    for (const broker of cluster.brokers.values()) broker.disconnectAll();
    const before = seen('Heartbeat');
    await expect.poll(() => seen('Heartbeat')).toBeGreaterThan(before + 1);
    expect(source.assignment()?.token).toBe(1);
  });

  it('ends the assignment when no heartbeat was answered for the session time-out, and joins again later', async () => {
    const source = await open();
    await source.join();
    group.isSilent = true;
    await expect.poll(() => source.assignment(), { timeout: 3_000 }).toBeNull();
    group.isSilent = false;
    await expect.poll(() => source.assignment(), { timeout: 10_000 }).not.toBeNull();
  });

  it('has no assignment after a freeze beyond the session time-out (K25)', async () => {
    const source = await open();
    await source.join();
    clock.advance(1_001);
    expect(source.assignment()).toBeNull();
    await expect(source.commit({ cluster: 'c', topic: 't', partition: '0' }, 1, 'x')).rejects.toThrow(
      /not assigned to us now/,
    );
  });

  it('follows the group to another coordinator (K26)', async () => {
    const source = await open();
    await source.join();
    group.nodeId = 2;
    await cluster.brokers.get(1)![Symbol.asyncDispose]();
    await expect.poll(() => source.assignment()?.token, { timeout: 10_000 }).toBe(2);
    cluster.brokers.delete(1);
  });

  it('asks for a new division when the leader sees new partitions (K18)', async () => {
    const source = await open({ metadataMaxAgeMs: 100 });
    await source.join();
    cluster.topics = [{ name: 't', leaders: [1, 1, 1, 1] }];
    await expect.poll(() => partitionsOf(source.assignment())).toEqual(['t/0', 't/1', 't/2', 't/3']);
    expect(source.assignment()?.token).toBe(2);
  });

  it('keeps the partitions of a topic that has vanished, so that they halt (K19)', async () => {
    const source = await open({ metadataMaxAgeMs: 100 });
    await source.join();
    cluster.topics = [{ name: 't', leaders: [], errorCode: 3 }];
    group.errors.Heartbeat.push(27);
    await expect.poll(() => source.assignment()?.token).toBe(2);
    expect(partitionsOf(source.assignment())).toEqual(['t/0', 't/1', 't/2']);
  });
});

describe('commits', () => {
  const log = { cluster: 'fake-cluster', topic: 't', partition: '1' };

  it('keep their metadata, and are read back as the witness', async () => {
    const source = await open();
    await source.join();
    expect(await source.witness(log)).toBeNull();
    await source.commit(log, 42, '17:abcdef');
    expect(group.committed.get('t/1')).toEqual({ offset: 42, metadata: '17:abcdef' });
    expect(await source.witness(log)).toEqual({ offset: 42, metadata: '17:abcdef' });
    group.committed.set('t/1', { offset: 7, metadata: null });
    expect(await source.witness(log)).toEqual({ offset: 7, metadata: '' });
  });

  it('of a partition that is not ours are refused', async () => {
    const source = await open();
    await source.join();
    await expect(source.commit({ ...log, partition: '9' }, 1, 'x')).rejects.toThrow(/not assigned to us now/);
    expect(seen('OffsetCommit')).toBe(0);
  });

  it.each([27, 22, 25])('that the group refuses end the assignment (error %i)', async (errorCode) => {
    const source = await open();
    await source.join();
    group.errors.OffsetCommit.push(errorCode);
    await expect(source.commit(log, 1, 'x')).rejects.toMatchObject({ name: 'UnavailableError' });
    expect(source.assignment()?.token ?? 2).toBe(2);
    await expect.poll(() => source.assignment()?.token).toBe(2);
  });

  it('that are denied are an outage, not the end', async () => {
    const source = await open();
    await source.join();
    group.errors.OffsetCommit.push(30);
    await expect(source.commit(log, 1, 'x')).rejects.toMatchObject({ name: 'UnavailableError' });
  });

  it('are read from a coordinator that is still being set up', async () => {
    group.errors.OffsetFetch.push(14, 16);
    expect(await (await open()).witness(log)).toBeNull();
  });
});

describe('disposing', () => {
  it('leaves the group', async () => {
    const source = await open();
    await source.join();
    await source[Symbol.asyncDispose]();
    expect(group.left).toEqual([group.memberId]);
    expect(source.assignment()).toBeNull();
    await expect.poll(() => [...cluster.brokers.values()].map(({ connections }) => connections)).toEqual([0, 0]);
  });

  it('leaves a group that still gathers', async () => {
    const source = await open();
    await source.join();
    group.gather = () => new Promise(() => undefined);
    group.errors.Heartbeat.push(27);
    await expect.poll(() => seen('JoinGroup')).toBe(3);
    const startedMs = performance.now();
    await source[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(group.left).toEqual([group.memberId]);
  });

  it('takes less than 5 s when nobody answers', async () => {
    const source = await open();
    await source.join();
    for (const broker of cluster.brokers.values()) {
      for (const api of ['LeaveGroup', 'Heartbeat', 'FindCoordinator', 'Metadata'] as const) broker.on(api, () => null);
    }
    const startedMs = performance.now();
    await source[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('without having joined asks nobody', async () => {
    const source = await open();
    await source[Symbol.asyncDispose]();
    expect(seen('FindCoordinator') + seen('LeaveGroup')).toBe(0);
  });
});

async function open(options: Partial<KafkaSourceOptions> = {}): Promise<KafkaSource> {
  const source = await KafkaSource.open(
    {
      brokers: cluster.addresses,
      clientId: 'c',
      groupId: 'g',
      topics: ['t'],
      sessionTimeoutMs: 1_000,
      rebalanceTimeoutMs: 60_000,
      ...options,
    },
    { log: (_, message) => messages.push(message), clock },
  );
  sources.push(source);
  return source;
}

function partitionsOf(assignment: Assignment | null): string[] | null {
  return assignment === null ? null : assignment.logs.map(({ topic, partition }) => `${topic}/${partition}`);
}

function seen(api: string): number {
  return [...cluster.brokers.values()].flatMap((broker) => broker.seen).filter((each) => each === api).length;
}
