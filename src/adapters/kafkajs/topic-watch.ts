import type { ErrorCode } from '../../errors.ts';
import { BROKER_ERROR } from './broker-errors.ts';
import type { KafkaCluster } from './cluster.ts';
import type { PartitionId } from './leader-calls.ts';

/** A broker that has just started may not know a topic yet; only a topic that stays unknown for so long is gone. */
export const TOPIC_GONE_AFTER_MS = 5_000;

/** Why a partition cannot be read any more. */
export interface TopicVerdict {
  readonly code: Extract<ErrorCode, 'TOPIC_GONE' | 'LOG_TRUNCATED'>;
  readonly reason: string;
}

/** Tells a topic that is gone, or that was deleted and made again under its old name, from one that is out of sight for a moment. */
export class TopicWatch {
  /** When a partition was first missing from the metadata, on the monotonic clock. */
  readonly #missingSince = new Map<string, number>();

  /** @returns null when the partition can be read, as far as the metadata tell; 'unknown' while it is out of sight */
  judge(
    cluster: Pick<KafkaCluster, 'topology' | 'topicId'>,
    { topic, partition }: PartitionId,
  ): TopicVerdict | 'unknown' | null {
    const { topology } = cluster;
    const state = topology.topics.get(topic);
    const id = state?.id ?? null;
    if (id !== null && id !== cluster.topicId(topic)) {
      return {
        code: 'LOG_TRUNCATED',
        reason: 'the topic was deleted and made again: its offsets mean other records now',
      };
    }
    const key = `${topic}/${partition}`;
    const isTopicUnknown = state?.errorCode === BROKER_ERROR.UNKNOWN_TOPIC_OR_PARTITION;
    const isPartitionUnknown = state?.errorCode === BROKER_ERROR.NONE && !state.leaders.has(partition);
    if (!isTopicUnknown && !isPartitionUnknown) {
      this.#missingSince.delete(key);
      return null;
    }
    const since = this.#missingSince.get(key) ?? topology.readAtMs;
    this.#missingSince.set(key, since);
    if (topology.readAtMs - since < TOPIC_GONE_AFTER_MS) return 'unknown';
    const what = isTopicUnknown ? 'the topic was deleted' : 'the topic no longer has this partition';
    return { code: 'TOPIC_GONE', reason: what };
  }
}
