import { ConfigError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Assignment } from '../../ports/record-source.ts';
import type { LogId } from '../../record/log-id.ts';
import { assignSticky } from './assigner.ts';
import type { PartitionSet } from './assigner.ts';
import { brokerErrorName } from './broker-errors.ts';
import type { KafkaCluster, Topology } from './cluster.ts';
import { asUnavailable, brokerRefusal, unavailable } from './failures.ts';
import type { CommittedAnswer, JoinAnswer } from './group-calls.ts';
import { GroupCoordinator, hasMovedOn } from './group-coordinator.ts';
import type { Seat } from './group-coordinator.ts';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './group-metadata.ts';
import { describe } from './leader-calls.ts';
import type { PartitionId } from './leader-calls.ts';
import type { KafkaLog } from './log.ts';
import type { KafkaSettings } from './options.ts';

/** The first join may wait for a group coordinator that is still being set up. */
const JOIN_PATIENCE_MS = 30_000;
const HEARTBEAT_MAX_MS = 3_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

/** What one generation of the group gave us. */
interface Share {
  readonly seat: Seat;
  readonly assignment: Assignment;
  /** When the last heartbeat that was answered was sent, on the monotonic clock. */
  aliveAtMs: number;
}

/** What the membership works with. */
export interface GroupParts {
  readonly cluster: KafkaCluster;
  readonly settings: KafkaSettings;
  readonly log: KafkaLog;
  readonly clock: Clock;
}

/**
 * Our membership of a consumer group: joins, keeps a heartbeat, joins again when the group divides its partitions anew.
 *
 * The assignment ends at the first sign that the group no longer counts on it, and by itself once no heartbeat was
 * answered for the session time-out, also when the process was frozen and nobody could tell it. Partitions are given up
 * all at once at every rebalance, so the assigner keeps them where they were.
 */
export class GroupMembership {
  readonly #parts: GroupParts;
  readonly #coordinator: GroupCoordinator;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #share: Share | null = null;
  #token = 0;
  /** What we had last and in which generation: our claim at the next division. */
  #claim: { readonly partitions: PartitionSet; readonly generation: number } = {
    partitions: new Map(),
    generation: -1,
  };
  /** Partitions that we divided as the group's leader; null while we do not lead. */
  #divided: PartitionSet | null = null;
  /** Partitions of each topic when it was last there. */
  readonly #lastSeen = new Map<string, readonly number[]>();
  /** Cuts the pause between two heartbeats short. */
  #pause = new AbortController();
  #isRejoinAsked = false;

  constructor(parts: GroupParts) {
    this.#parts = parts;
    this.#coordinator = new GroupCoordinator(parts.cluster, parts.settings, parts.clock);
  }

  /** Joins; from then on the membership looks after itself. @throws {ConfigError} {@link UnavailableError} when it cannot join within 30 s */
  async join(): Promise<void> {
    const { clock } = this.#parts;
    const startedMs = clock.monotonic();
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#joinOnce();
        break;
      } catch (error) {
        const isLate = clock.monotonic() - startedMs >= JOIN_PATIENCE_MS;
        if (error instanceof ConfigError || isLate || this.#stopping.signal.aborted) throw error;
        await this.#backOff(attempt);
      }
    }
    this.#running = this.#run();
  }

  /** What is ours now; null while nothing is. */
  assignment(): Assignment | null {
    return this.#current()?.assignment ?? null;
  }

  /** As the leader, asks for a new division when there are partitions that nobody has (matrix K18). */
  noticeTopology(topology: Topology): void {
    if (this.#divided === null || this.#share === null) return;
    for (const [topic, { leaders }] of topology.topics) {
      if (leaders.size <= (this.#divided.get(topic) ?? []).length) continue;
      this.#parts.log('info', 'A topic has new partitions', { topic, partitions: leaders.size });
      this.#isRejoinAsked = true;
      this.#pause.abort();
      return;
    }
  }

  /** Stores an offset under our generation; the broker refuses it once the group has moved on. @throws {UnavailableError} */
  async commit(id: PartitionId, offset: number, metadata: string): Promise<void> {
    const share = this.#current();
    const isOurs = share?.assignment.logs.some(
      ({ topic, partition }) => topic === id.topic && partition === String(id.partition),
    );
    if (share === null || isOurs !== true) {
      throw unavailable(`Cannot commit an offset of ${describe(id)}: it is not assigned to us now`);
    }
    const errorCode = await this.#coordinator.commit(share.seat, id, offset, metadata);
    if (errorCode === 0) return;
    this.#takeSetback(errorCode, share);
    throw asUnavailable(brokerRefusal(`commit an offset of ${describe(id)}`, share.seat.groupId, errorCode));
  }

  /** What the group has stored for a partition. @throws {UnavailableError} {@link ConfigError} */
  committed(id: PartitionId): Promise<CommittedAnswer> {
    return this.#coordinator.committed(id);
  }

  /** Leaves the group, so that the others need not wait for the session time-out. */
  async leave(): Promise<void> {
    this.#share = null;
    this.#stopping.abort();
    this.#pause.abort();
    try {
      this.#coordinator.hangUp();
      await this.#running;
      await this.#coordinator.leave();
    } catch (error) {
      this.#parts.log('debug', `The group was not told that we leave: ${(error as Error).message}`, {});
    }
  }

  #current(): Share | null {
    const share = this.#share;
    const { clock, settings } = this.#parts;
    return share !== null && clock.monotonic() - share.aliveAtMs < settings.sessionTimeoutMs ? share : null;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (this.#share === null) await this.#joinOnce();
        failures = 0;
        await this.#beatUntilLost();
      } catch (error) {
        if (signal.aborted) return;
        const level = error instanceof ConfigError ? 'error' : 'warn';
        this.#parts.log(level, (error as Error).message, {});
        await this.#backOff(failures++);
      }
    }
  }

  async #joinOnce(): Promise<void> {
    const { settings, clock } = this.#parts;
    const subscription = encodeSubscription(settings.topics, this.#claim.partitions, this.#claim.generation);
    const { seat, joined } = await this.#coordinator.join(subscription);
    this.#divided = null;
    const assignments = joined.leaderId === joined.memberId ? await this.#divide(joined) : new Map<string, Buffer>();
    const aliveAtMs = clock.monotonic();
    const assignment = await this.#coordinator.sync(seat, assignments);
    if (!this.#stopping.signal.aborted) this.#accept(seat, this.#parse(assignment), aliveAtMs);
  }

  #parse(assignment: Buffer): PartitionSet {
    try {
      return decodeAssignment(assignment);
    } catch (error) {
      const { groupId } = this.#parts.settings;
      throw unavailable(`Cannot read the assignment that the leader of consumer group "${groupId}" sent`, error);
    }
  }

  #accept(seat: Seat, partitions: PartitionSet, aliveAtMs: number): void {
    const { settings, cluster, log } = this.#parts;
    const logs: LogId[] = [];
    for (const [topic, numbers] of partitions) {
      if (!settings.topics.includes(topic)) continue;
      for (const number of numbers) logs.push({ cluster: cluster.id, topic, partition: String(number) });
    }
    this.#claim = { partitions, generation: seat.generation };
    this.#isRejoinAsked = false;
    this.#share = { seat, assignment: { token: ++this.#token, logs }, aliveAtMs };
    const { groupId: group, generation, memberId: member } = seat;
    log('info', 'Joined the group', {
      group,
      generation,
      member,
      partitions: logs.length,
      leads: this.#divided !== null,
    });
  }

  /** Divides the partitions of all members' topics. */
  async #divide({ members }: JoinAnswer): Promise<ReadonlyMap<string, Buffer>> {
    const { cluster } = this.#parts;
    const parsed = members.map(({ memberId, metadata }) => decodeSubscription(memberId, metadata));
    cluster.watchTopics([...new Set(parsed.flatMap(({ topics }) => topics))]);
    const { topics } = await cluster.refresh();
    const partitions = new Map<string, readonly number[]>();
    for (const [topic, { leaders }] of topics) {
      // A topic that has vanished still has its owners: theirs is to halt, not to be told nothing.
      if (leaders.size > 0) this.#lastSeen.set(topic, [...leaders.keys()]);
      partitions.set(topic, this.#lastSeen.get(topic) ?? []);
    }
    this.#divided = partitions;
    const shares = assignSticky(parsed, partitions);
    return new Map([...shares].map(([memberId, share]) => [memberId, encodeAssignment(share)]));
  }

  /** Returns once the share is lost or a new division was asked for. */
  async #beatUntilLost(): Promise<void> {
    const { settings, clock } = this.#parts;
    const intervalMs = Math.min(settings.sessionTimeoutMs / 3, HEARTBEAT_MAX_MS);
    const share = this.#share;
    if (share === null) return;
    for (;;) {
      this.#pause = new AbortController();
      if (!this.#isRejoinAsked) await clock.sleep(intervalMs, this.#pause.signal);
      if (this.#isRejoinAsked) this.#lose('a new division was asked for');
      if (this.#share !== share || this.#stopping.signal.aborted) return;
      await this.#beat(share);
      // A commit may have lost it in the meantime, too.
      if (this.#share !== share) return;
    }
  }

  async #beat(share: Share): Promise<void> {
    const { settings, clock } = this.#parts;
    const sentAtMs = clock.monotonic();
    try {
      const errorCode = await this.#coordinator.heartbeat(share.seat);
      if (errorCode === 0) share.aliveAtMs = sentAtMs;
      else this.#takeSetback(errorCode, share);
    } catch (error) {
      // Not answered: the share lasts until the session time-out, unless another broker keeps the group now.
      if (this.#stopping.signal.aborted) return;
      if (await this.#coordinator.hasLeft(share.seat)) this.#lose('the coordinator has moved');
      else if (clock.monotonic() - share.aliveAtMs >= settings.sessionTimeoutMs) this.#lose((error as Error).message);
    }
  }

  /** The coordinator says that things have changed: nothing is ours until we have joined again. */
  #takeSetback(errorCode: number, share: Share): void {
    if (!hasMovedOn(errorCode) || this.#share !== share) return;
    this.#lose(brokerErrorName(errorCode));
    this.#pause.abort();
  }

  #lose(reason: string): void {
    if (this.#share === null) return;
    this.#share = null;
    this.#parts.log('info', 'Gave up the assignment', { group: this.#parts.settings.groupId, reason });
  }

  async #backOff(failures: number): Promise<void> {
    const ms = Math.min(RETRY_MIN_MS * 2 ** failures, RETRY_MAX_MS) * (0.5 + Math.random() / 2);
    await this.#parts.clock.sleep(ms, this.#stopping.signal);
  }
}
