import { HaltError } from '../../errors.ts';
import type { ErrorCode, ErrorFields } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { ReadRequest, ReadResult } from '../../ports/record-source.ts';
import { formatLogId } from '../../record/log-id.ts';
import { BatchDecoder } from './batch-decoder.ts';
import type { RefusedBatch } from './batch-decoder.ts';
import { BROKER_ERROR } from './broker-errors.ts';
import type { KafkaCluster } from './cluster.ts';
import type { CodecTable } from './codecs.ts';
import { asUnavailable, brokerRefusal } from './failures.ts';
import { fetchCall } from './fetch-call.ts';
import type { FetchedPartition } from './fetch-call.ts';
import { describe, isStaleMetadata, readBounds } from './leader-calls.ts';
import type { KafkaLog } from './log.ts';
import type { KafkaSettings } from './options.ts';
import { BATCH_BYTES_MAX } from './record-batch.ts';
import { TopicWatch } from './topic-watch.ts';

/** After a poll that brought nothing at once, the next one waits at least so long. */
const IDLE_PAUSE_MS = 100;
/** A broker may be so much later than its long poll allows before the others' results are delivered without it. */
const STRAGGLER_PATIENCE_MS = 1_000;

/** One partition of a poll: what the caller wants, and what we ask the broker for. */
interface Want {
  readonly request: ReadRequest;
  readonly key: string;
  readonly topic: string;
  readonly partition: number;
  /** Bytes asked for; raised while a batch is larger. */
  bytesMax: number;
}

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

/**
 * Fetches from the leaders of partitions, read committed. Positions are the caller's; what is kept here between polls
 * only makes the next fetch fairer or larger, or tells a second failure from a first.
 */
export class Fetcher {
  readonly #cluster: KafkaCluster;
  readonly #settings: KafkaSettings;
  readonly #log: KafkaLog;
  readonly #clock: Clock;
  readonly #decoder: BatchDecoder;
  readonly #topics = new TopicWatch();
  /** Number of the poll that last brought records of a partition: those served longest ago come first. */
  readonly #servedAt = new Map<string, number>();
  /** Offset at which a partition's batch failed once; a second time halts it. */
  readonly #strikes = new Map<string, number>();
  readonly #raisedBytes = new Map<string, number>();
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
    this.#cluster = parts.cluster;
    this.#settings = parts.settings;
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#decoder = new BatchDecoder({
      codecs: parts.codecs,
      batchInflatedBytesMax: parts.settings.batchInflatedBytesMax,
    });
  }

  /**
   * Reads from all requested partitions at once. A partition of which nothing can be said now (its leader moved, the
   * poll's memory is spent) has no result.
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
      Math.min(waitMs, requests.length === 0 ? waitMs : IDLE_PAUSE_MS) - (this.#clock.monotonic() - startedMs);
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
        poll.results.push(halt(want, verdict.code, verdict.reason));
        continue;
      }
      const leader = this.#cluster.leaderOf(want.topic, want.partition);
      if (leader === null) poll.isStale = true;
      // A broker that still owes an answer to an earlier poll is left in peace.
      if (leader === null || this.#busy.has(leader)) continue;
      const group = byLeader.get(leader);
      if (group === undefined) byLeader.set(leader, [want]);
      else group.push(want);
    }
    return byLeader;
  }

  #want(request: ReadRequest): Want {
    const key = formatLogId(request.log);
    const asked = Math.max(1, Math.min(request.bytesMax, this.#settings.partitionBytesMax));
    const bytesMax = this.#raisedBytes.get(key) ?? asked;
    return { request, key, topic: request.log.topic, partition: Number(request.log.partition), bytesMax };
  }

  async #fetch(leader: number, wants: readonly Want[], waitMs: number, brokers: number, poll: Poll): Promise<void> {
    const share = Math.ceil(this.#settings.fetchBytesMax / brokers);
    // A batch that was too large once must fit into the whole answer, too.
    const bytesMax = wants.reduce((most, { key }) => Math.max(most, this.#raisedBytes.get(key) ?? 0), share);
    const partitions = wants.map(({ topic, partition, request, bytesMax: partitionBytesMax }) => {
      const topicId = this.#cluster.topicId(topic);
      return { topic, topicId, partition, offset: request.offset, bytesMax: Math.min(partitionBytesMax, bytesMax) };
    });
    this.#busy.add(leader);
    try {
      const call = fetchCall({ waitMs, bytesMax, readCommitted: true, partitions });
      const link = this.#cluster.link(leader, 'fetch');
      const answer = await link
        .send(call, waitMs + this.#settings.requestTimeoutMs)
        .finally(() => this.#busy.delete(leader));
      if (poll.isOver) return;
      if (answer.errorCode !== 0) throw brokerRefusal('fetch', '', answer.errorCode);
      const isAnyFilled = answer.partitions.some(({ batches }) => batches.length > 0);
      for (const want of wants) {
        const fetched = answer.partitions.find(
          ({ topic, partition }) => topic === want.topic && partition === want.partition,
        );
        if (fetched === undefined) continue;
        // Nothing came although there is something: the others filled the answer, and this one is first next time.
        if (isAnyFilled && fetched.batches.length === 0 && fetched.lastStable > want.request.offset) continue;
        await this.#digest(want, fetched, poll);
      }
    } catch (error) {
      poll.failures.push(error as Error);
      // The broker may be gone for good and its partitions led by another one.
      poll.isStale = true;
      this.#busy.delete(leader);
    }
  }

  async #digest(want: Want, fetched: FetchedPartition, poll: Poll): Promise<void> {
    const { errorCode } = fetched;
    if (errorCode === BROKER_ERROR.NONE) return this.#decode(want, fetched, poll);
    if (errorCode === BROKER_ERROR.OFFSET_OUT_OF_RANGE) return this.#judgeRange(want, poll);
    if (errorCode === BROKER_ERROR.CORRUPT_MESSAGE) {
      return this.#strike(want, 'CRC', 'the broker says that its own copy is corrupt', {}, poll);
    }
    if (errorCode === BROKER_ERROR.UNSUPPORTED_COMPRESSION_TYPE) {
      poll.results.push(halt(want, 'CODEC', 'the broker cannot send a batch with this compression to us'));
    } else if (isStaleMetadata(errorCode)) {
      poll.isStale = true;
    } else {
      poll.failures.push(brokerRefusal(`read ${describe(want)}`, want.topic, errorCode));
      poll.isStale = true;
    }
  }

  async #decode(want: Want, fetched: FetchedPartition, poll: Poll): Promise<void> {
    const { request, key } = want;
    if (poll.inflatedBytesLeft <= 0) return;
    const { chunk, refused, cutOffBytes, inflatedBytes } = this.#decoder.decode({
      bytes: fetched.batches,
      wanted: request.offset,
      aborted: fetched.aborted,
      inflatedBytesMax: poll.inflatedBytesLeft,
    });
    poll.inflatedBytesLeft -= inflatedBytes;
    if (refused !== null) return this.#refuse(want, refused, poll);
    if (cutOffBytes !== null) return this.#raise(want, cutOffBytes, poll);
    this.#strikes.delete(key);
    this.#raisedBytes.delete(key);
    if (chunk === null) {
      poll.results.push({ kind: 'drained', log: request.log, ended: false });
      return;
    }
    const isHead = chunk.spans[0]?.skip === 'compacted' && chunk.spans[0].leaderEpoch === null;
    // The log's start passed our offset while the broker read: what is missing was deleted, not compacted.
    if (isHead && fetched.logStart > request.offset) return this.#judgeRange(want, poll);
    this.#servedAt.set(key, this.#polls);
    poll.results.push({ kind: 'records', log: request.log, chunk });
  }

  #refuse(want: Want, { code, reason, from, to }: RefusedBatch, poll: Poll): void {
    // A bit may have flipped on the way; the other faults are in the log.
    if (code === 'CRC') this.#strike(want, code, reason, { from, to }, poll);
    else poll.results.push(halt(want, code, reason, { from, to }));
  }

  /** Halts at the second failure at one offset; the first is only logged, and the batch is fetched again. */
  #strike(want: Want, code: ErrorCode, reason: string, fields: ErrorFields, poll: Poll): void {
    const { key, request, topic, partition } = want;
    if (this.#strikes.get(key) === request.offset) {
      poll.results.push(halt(want, code, `${reason}, twice in a row`, fields));
      return;
    }
    this.#strikes.set(key, request.offset);
    this.#log('warn', `Fetching again: ${reason}`, { topic, partition, offset: request.offset, code });
  }

  /** The first batch is cut off: ask for all of it next time. */
  #raise(want: Want, cutOffBytes: number, poll: Poll): void {
    if (cutOffBytes <= want.bytesMax && want.bytesMax >= BATCH_BYTES_MAX) {
      this.#strike(want, 'MALFORMED', `a batch of ${cutOffBytes} bytes never arrives whole`, {}, poll);
      return;
    }
    this.#raisedBytes.set(want.key, Math.min(Math.max(cutOffBytes, want.bytesMax * 2), BATCH_BYTES_MAX));
  }

  /** The broker does not hold our offset: what does it hold? */
  async #judgeRange(want: Want, poll: Poll): Promise<void> {
    const { offset } = want.request;
    const { earliest, latest } = await readBounds(this.#cluster, want);
    const fields = { earliest, latest };
    if (offset < earliest) {
      const reason = `the earliest record left is at ${earliest}; resume with --accept-gap to go on there`;
      poll.results.push(halt(want, 'GAP', reason, fields));
    } else if (offset > latest) {
      const reason = `the log ends at ${latest}: it was truncated, or the topic was made again`;
      poll.results.push(halt(want, 'LOG_TRUNCATED', reason, fields));
    }
    // In range again: a leader that had just changed did not know its own end yet.
  }
}

function halt(want: Want, code: ErrorCode, reason: string, fields: ErrorFields = {}): ReadResult {
  const { topic, partition, request } = want;
  const message = `Cannot read ${describe(want)} at offset ${request.offset}: ${reason}`;
  const error = new HaltError(code, message, { fields: { topic, partition, offset: request.offset, ...fields } });
  return { kind: 'halt', log: request.log, error };
}

/** Resolves with no results when the signal aborts. `stop` forgets the signal, which may live as long as the process. */
function whenAborted(signal: AbortSignal): { promise: Promise<readonly ReadResult[]>; stop: () => void } {
  const listening = new AbortController();
  const promise = new Promise<readonly ReadResult[]>((resolve) => {
    signal.addEventListener('abort', () => resolve([]), { once: true, signal: listening.signal });
  });
  return { promise, stop: () => listening.abort() };
}
