import { setImmediate as yieldToOthers } from 'node:timers/promises';

import type { Clock } from '../../ports/clock.ts';
import type { ReadRequest, ReadResult } from '../../ports/record-source.ts';
import { formatLogId } from '../../record/log-id.ts';
import type { KafkaCluster } from './cluster.ts';
import type { CodecTable } from './codecs.ts';
import { asUnavailable, brokerRefusal } from './failures.ts';
import { fetchCall } from './fetch-call.ts';
import type { FetchedPartition } from './fetch-call.ts';
import { isStaleMetadata } from './leader-calls.ts';
import type { KafkaLog } from './log.ts';
import type { KafkaSettings } from './options.ts';
import { PartitionReader, halt } from './partition-reader.ts';
import type { Want } from './partition-reader.ts';
import { TopicWatch } from './topic-watch.ts';

/** After a poll that brought nothing at once, the next one waits at least so long. */
const IDLE_PAUSE_MS = 100;
/** A broker may be so much later than its long poll allows before the others' results are delivered without it. */
const STRAGGLER_PATIENCE_MS = 1_000;

/** What a poll has gathered so far. */
interface Poll {
  readonly results: ReadResult[];
  readonly failures: Error[];
  /** Bytes that may still be inflated. */
  inflatedBytesLeft: number;
  /** The metadata are old. */
  isStale: boolean;
  /** The caller has its answer, or does not want one any more: what comes now is dropped. */
  isOver: boolean;
}

/** Fetches from the leaders of partitions, read committed. Positions are the caller's; what is kept between polls only makes them fair. */
export class Fetcher {
  readonly #cluster: KafkaCluster;
  readonly #settings: KafkaSettings;
  readonly #clock: Clock;
  readonly #reader: PartitionReader;
  readonly #topics = new TopicWatch();
  /** Number of the poll that last brought records of a partition: those served longest ago come first. */
  readonly #servedAt = new Map<string, number>();
  /** Leaders with a fetch under way. */
  readonly #busy = new Set<number>();
  #polls = 0;

  constructor(parts: {
    cluster: KafkaCluster;
    settings: KafkaSettings;
    log: KafkaLog;
    clock: Clock;
    codecs: CodecTable;
  }) {
    const { cluster, settings, log, clock, codecs } = parts;
    this.#cluster = cluster;
    this.#settings = settings;
    this.#clock = clock;
    this.#reader = new PartitionReader({ cluster, log, codecs, batchInflatedBytesMax: settings.batchInflatedBytesMax });
  }

  /**
   * Reads from all requested partitions at once. A partition of which nothing can be said now (its leader moved, the
   * poll's memory is spent) has no result. `recordsMax` is not looked at: what was fetched is delivered whole.
   * @throws {UnavailableError} when nothing could be read from any of them
   */
  async poll(requests: readonly ReadRequest[], waitMs: number, signal: AbortSignal): Promise<readonly ReadResult[]> {
    if (signal.aborted) return [];
    const inflatedBytesLeft = this.#settings.batchInflatedBytesMax;
    const poll: Poll = { results: [], failures: [], inflatedBytesLeft, isStale: false, isOver: false };
    const work = this.#poll(requests, waitMs, signal, poll);
    const { promise: aborted, stop } = whenAborted(signal);
    try {
      return await Promise.race([work, aborted]);
    } finally {
      poll.isOver = true;
      stop();
      work.catch(() => undefined);
    }
  }

  async #poll(
    requests: readonly ReadRequest[],
    waitMs: number,
    signal: AbortSignal,
    poll: Poll,
  ): Promise<readonly ReadResult[]> {
    const startedMs = this.#clock.monotonic();
    this.#polls++;
    const byLeader = this.#plan(requests, poll);
    const fetchWaitMs = poll.results.length > 0 || poll.isStale ? 0 : Math.min(waitMs, this.#settings.fetchWaitMs);
    const fetches = [...byLeader].map(([leader, wants]) =>
      this.#fetch(leader, wants, fetchWaitMs, byLeader.size, poll),
    );
    await this.#all(fetches, fetchWaitMs + STRAGGLER_PATIENCE_MS);
    const refreshing = poll.isStale ? this.#cluster.refresh().catch((error: Error) => poll.failures.push(error)) : null;
    // What was read need not wait for the metadata.
    if (poll.results.length > 0) return poll.results;
    await refreshing;
    if (poll.failures.length > 0) throw asUnavailable(poll.failures[0]);
    const pauseMs =
      (requests.length === 0 ? waitMs : Math.min(waitMs, IDLE_PAUSE_MS)) - (this.#clock.monotonic() - startedMs);
    if (pauseMs > 0) await this.#clock.sleep(pauseMs, signal);
    return [];
  }

  /** Waits for all fetches, but not for a broker that does not answer while others do. */
  async #all(fetches: readonly Promise<void>[], patienceMs: number): Promise<void> {
    const done = new AbortController();
    const all = Promise.all(fetches).finally(() => done.abort());
    await Promise.race([all, this.#clock.sleep(patienceMs, done.signal)]);
    done.abort();
  }

  /** Sorts partitions by their leaders; those served longest ago first, since a broker fills its answer in this order. */
  #plan(requests: readonly ReadRequest[], poll: Poll): ReadonlyMap<number, Want[]> {
    const byLeader = new Map<number, Want[]>();
    const wants = requests.map((request) => this.#want(request));
    wants.sort((a, b) => (this.#servedAt.get(a.key) ?? 0) - (this.#servedAt.get(b.key) ?? 0));
    for (const want of wants) {
      const verdict = this.#topics.judge(this.#cluster, want);
      if (verdict !== null && verdict !== 'unknown') {
        poll.results.push(halt(want, verdict.code, verdict.reason).result);
        continue;
      }
      const leader = this.#cluster.leaderOf(want.topic, want.partition);
      if (leader === null) this.#noteMissing(want, poll);
      // A broker that still owes an answer to an earlier poll is left in peace.
      if (leader === null || this.#busy.has(leader)) continue;
      const group = byLeader.get(leader);
      if (group === undefined) byLeader.set(leader, [want]);
      else group.push(want);
    }
    return byLeader;
  }

  /** A partition without a leader: the metadata are old, or will not tell. */
  #noteMissing({ topic }: Want, poll: Poll): void {
    poll.isStale = true;
    const errorCode = this.#cluster.topology.topics.get(topic)?.errorCode ?? 0;
    if (errorCode !== 0 && !isStaleMetadata(errorCode)) {
      poll.failures.push(brokerRefusal(`read topic "${topic}"`, topic, errorCode));
    }
  }

  #want(request: ReadRequest): Want {
    const key = formatLogId(request.log);
    const asked = Math.max(1, Math.min(request.bytesMax, this.#settings.partitionBytesMax));
    const bytesMax = this.#reader.raisedBytes(key) || asked;
    return { request, key, topic: request.log.topic, partition: Number(request.log.partition), bytesMax };
  }

  async #fetch(leader: number, wants: readonly Want[], waitMs: number, brokers: number, poll: Poll): Promise<void> {
    const share = Math.ceil(this.#settings.fetchBytesMax / brokers);
    // A batch that was too large once must fit into the whole answer, too.
    const bytesMax = wants.reduce((most, { key }) => Math.max(most, this.#reader.raisedBytes(key)), share);
    const partitions = wants.map(({ topic, partition, request, bytesMax: partitionBytesMax }) => {
      const topicId = this.#cluster.topicId(topic);
      return { topic, topicId, partition, offset: request.offset, bytesMax: Math.min(partitionBytesMax, bytesMax) };
    });
    this.#busy.add(leader);
    try {
      const call = fetchCall({ waitMs, bytesMax, readCommitted: true, partitions });
      const answer = await this.#cluster.link(leader, 'fetch').send(call, waitMs + this.#settings.requestTimeoutMs);
      this.#busy.delete(leader);
      if (poll.isOver) return;
      if (answer.errorCode !== 0) throw brokerRefusal('fetch', '', answer.errorCode);
      await this.#readAll(wants, answer.partitions, poll);
    } catch (error) {
      this.#busy.delete(leader);
      poll.failures.push(error as Error);
      // The broker may be gone for good and its partitions led by another one.
      poll.isStale = true;
    }
  }

  async #readAll(wants: readonly Want[], fetched: readonly FetchedPartition[], poll: Poll): Promise<void> {
    const byPartition = new Map(fetched.map((each) => [`${each.topic}/${each.partition}`, each]));
    const isAnyFilled = fetched.some(({ batches }) => batches.length > 0);
    for (const want of wants) {
      const own = byPartition.get(`${want.topic}/${want.partition}`);
      // Nothing came although there is something: the others filled the answer, and this one is first next time.
      const isStarved = isAnyFilled && own?.batches.length === 0 && own.lastStable > want.request.offset;
      if (own === undefined || isStarved || poll.inflatedBytesLeft <= 0) continue;
      const outcome = await this.#reader.read(want, own, poll.inflatedBytesLeft);
      if (outcome.kind === 'result') {
        poll.inflatedBytesLeft -= outcome.inflatedBytes;
        poll.results.push(outcome.result);
        if (outcome.result.kind === 'records') this.#servedAt.set(want.key, this.#polls);
      } else if (outcome.kind === 'failed') {
        if (outcome.error !== null) poll.failures.push(outcome.error);
        poll.isStale = true;
      }
      // Inflating and checking one partition may take a tenth of a second; heartbeats go out in between.
      await yieldToOthers();
      if (poll.isOver) return;
    }
  }
}

/** Resolves with no results when the signal aborts. `stop` forgets the signal, which may live as long as the process. */
function whenAborted(signal: AbortSignal): { promise: Promise<readonly ReadResult[]>; stop: () => void } {
  const listening = new AbortController();
  const promise = new Promise<readonly ReadResult[]>((resolve) => {
    signal.addEventListener('abort', () => resolve([]), { once: true, signal: listening.signal });
  });
  return { promise, stop: () => listening.abort() };
}
