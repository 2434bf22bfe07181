import type { Clock } from '../../ports/clock.ts';
import { BROKER_ERROR } from './broker-errors.ts';
import type { Call } from './calls.ts';
import type { KafkaCluster } from './cluster.ts';
import { brokerRefusal } from './failures.ts';
import {
  heartbeatCall,
  joinGroupCall,
  leaveGroupCall,
  offsetCommitCall,
  offsetFetchCall,
  syncGroupCall,
} from './group-calls.ts';
import type { CommittedAnswer, JoinAnswer, Membership, PlainAnswer } from './group-calls.ts';
import { STICKY_PROTOCOL } from './group-metadata.ts';
import { describe } from './leader-calls.ts';
import type { PartitionId } from './leader-calls.ts';
import type { KafkaSettings } from './options.ts';

const ATTEMPTS_MAX = 5;
const RETRY_MS = 200;
const LEAVE_PATIENCE_MS = 2_000;

const FORGETS_MEMBER: ReadonlySet<number> = new Set([BROKER_ERROR.UNKNOWN_MEMBER_ID, BROKER_ERROR.FENCED_INSTANCE_ID]);
const FORGETS_COORDINATOR: ReadonlySet<number> = new Set([
  BROKER_ERROR.NOT_COORDINATOR,
  BROKER_ERROR.COORDINATOR_NOT_AVAILABLE,
  BROKER_ERROR.COORDINATOR_LOAD_IN_PROGRESS,
]);
const GROUP_HAS_MOVED_ON: ReadonlySet<number> = new Set([
  BROKER_ERROR.REBALANCE_IN_PROGRESS,
  BROKER_ERROR.ILLEGAL_GENERATION,
  BROKER_ERROR.UNKNOWN_MEMBER_ID,
  BROKER_ERROR.FENCED_INSTANCE_ID,
  BROKER_ERROR.NOT_COORDINATOR,
  BROKER_ERROR.GROUP_AUTHORIZATION_FAILED,
]);

/** True for answers after which a share of the group means nothing any more. A coordinator that only loads its state says nothing about us. */
export function hasMovedOn(errorCode: number): boolean {
  return GROUP_HAS_MOVED_ON.has(errorCode);
}

/** A member of a generation, and the broker that knows it. */
export interface Seat extends Membership {
  readonly coordinator: number;
}

/**
 * Talks to the broker that keeps our consumer group, and forgets what its answers prove wrong: our member id, or which
 * broker it is. Requests that may wait for the whole group have a connection of their own.
 */
export class GroupCoordinator {
  readonly #cluster: KafkaCluster;
  readonly #settings: KafkaSettings;
  readonly #clock: Clock;
  /** Empty until the broker names us; kept over rebalances. */
  #memberId = '';
  /** Broker that was last asked to let us join. */
  #joinedAt: number | null = null;

  constructor(cluster: KafkaCluster, settings: KafkaSettings, clock: Clock) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Waits until the group has gathered. @param metadata our subscription @throws {UnavailableError} {@link ConfigError} */
  async join(metadata: Buffer): Promise<{ readonly seat: Seat; readonly joined: JoinAnswer }> {
    const { groupId, sessionTimeoutMs, rebalanceTimeoutMs } = this.#settings;
    const coordinator = await this.#cluster.coordinator();
    this.#joinedAt = coordinator;
    const ask = (): Promise<JoinAnswer> => {
      const memberId = this.#memberId;
      const request = { groupId, sessionTimeoutMs, rebalanceTimeoutMs, memberId, protocol: STICKY_PROTOCOL, metadata };
      return this.#sendPatiently(coordinator, joinGroupCall(request));
    };
    let joined = await ask();
    if (joined.errorCode === BROKER_ERROR.MEMBER_ID_REQUIRED) {
      // Known from here on, so that we can leave even while the group still gathers.
      this.#memberId = joined.memberId;
      joined = await ask();
    }
    this.#refuse(joined.errorCode, 'join');
    this.#memberId = joined.memberId;
    return { seat: { coordinator, groupId, generation: joined.generation, memberId: joined.memberId }, joined };
  }

  /** Waits for the leader's division. @param assignments of all members, from the leader only @throws {UnavailableError} {@link ConfigError} */
  async sync(seat: Seat, assignments: ReadonlyMap<string, Buffer>): Promise<Buffer> {
    const { errorCode, assignment } = await this.#sendPatiently(seat.coordinator, syncGroupCall(seat, assignments));
    this.#refuse(errorCode, 'sync with');
    return assignment;
  }

  /** @returns the coordinator's error code, 0 when the seat is still ours @throws {UnavailableError} */
  async heartbeat(seat: Seat): Promise<number> {
    const { requestTimeoutMs, sessionTimeoutMs } = this.#settings;
    const link = this.#cluster.link(seat.coordinator, 'group');
    const { errorCode } = await link.send(heartbeatCall(seat), Math.min(requestTimeoutMs, sessionTimeoutMs / 3));
    return this.#learn(errorCode);
  }

  /** True if another broker, as far as anyone can tell, keeps the group now. */
  async hasLeft(seat: Seat): Promise<boolean> {
    this.#cluster.forgetCoordinator();
    const coordinator = await this.#cluster.coordinator().catch(() => seat.coordinator);
    return coordinator !== seat.coordinator;
  }

  /** @returns the coordinator's error code, 0 when the offset is stored @throws {UnavailableError} */
  async commit(seat: Seat, { topic, partition }: PartitionId, offset: number, metadata: string): Promise<number> {
    const call = offsetCommitCall(seat, topic, partition, offset, metadata);
    const { errorCode } = await this.#cluster.link(seat.coordinator, 'control').send(call);
    return this.#learn(errorCode);
  }

  /** What the group has stored for a partition; works without a seat. @throws {UnavailableError} {@link ConfigError} */
  async committed(id: PartitionId): Promise<CommittedAnswer> {
    const { groupId } = this.#settings;
    const answer = await this.#ask(offsetFetchCall(groupId, id.topic, id.partition));
    if (answer.errorCode === 0) return answer;
    throw brokerRefusal(`read the committed offset of ${describe(id)}`, groupId, answer.errorCode);
  }

  /** Ends whatever waits for the group: a JoinGroup may wait for minutes. */
  hangUp(): void {
    if (this.#joinedAt !== null) this.#cluster.link(this.#joinedAt, 'group').destroy();
  }

  /** Gives the seat up, by another connection than {@link hangUp} has ended; gives up itself after 2 s. @throws {UnavailableError} */
  async leave(): Promise<void> {
    if (this.#joinedAt === null || this.#memberId === '') return;
    const call = leaveGroupCall(this.#settings.groupId, this.#memberId);
    await this.#cluster.link(this.#joinedAt, 'control').send(call, LEAVE_PATIENCE_MS);
  }

  #refuse(errorCode: number, action: string): void {
    if (this.#learn(errorCode) === 0) return;
    const { groupId } = this.#settings;
    throw brokerRefusal(`${action} consumer group "${groupId}"`, groupId, errorCode);
  }

  #learn(errorCode: number): number {
    if (FORGETS_MEMBER.has(errorCode)) this.#memberId = '';
    if (FORGETS_COORDINATOR.has(errorCode)) this.#cluster.forgetCoordinator();
    return errorCode;
  }

  async #sendPatiently<T>(coordinator: number, call: Call<T>): Promise<T> {
    const { rebalanceTimeoutMs, requestTimeoutMs } = this.#settings;
    try {
      return await this.#cluster.link(coordinator, 'group').send(call, rebalanceTimeoutMs + requestTimeoutMs);
    } catch (error) {
      this.#cluster.forgetCoordinator();
      throw error;
    }
  }

  async #ask<T extends PlainAnswer>(call: Call<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const coordinator = await this.#cluster.coordinator();
      const answer = await this.#cluster.link(coordinator, 'control').send(call);
      if (!FORGETS_COORDINATOR.has(this.#learn(answer.errorCode)) || attempt === ATTEMPTS_MAX) return answer;
      await this.#clock.sleep(RETRY_MS * attempt);
    }
  }
}
