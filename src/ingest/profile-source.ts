import type { Profile } from '../detect/profile.ts';
import type { RecordSource } from '../ports/record-source.ts';
import type { RecordChunk } from '../record/chunk.ts';
import { BATCH_KEY_BYTES } from '../record/leaf.ts';
import type { LogId } from '../record/log-id.ts';
import { BatchBuilder, type BatchLimits } from './batch-builder.ts';
import { observeBatch, profileBatch } from './judge-batch.ts';
import type { OpenBatch } from './partition-session.ts';
import type { TopicContext } from './topic.ts';

/** A batch of a history. */
export interface HistoryBatch {
  readonly log: LogId;
  /** Offset of its first record. */
  readonly start: number;
  readonly records: number;
  /** True for a last batch that is too short to be profiled. */
  readonly isLeftOut: boolean;
}

/** Profiles cover what was read; nothing of them is committed, so their leaves need no secret. */
const NO_KEY = Buffer.alloc(BATCH_KEY_BYTES);
const WAIT_MS = 100;

/**
 * Reads a one-pass source to its end and profiles it in batches cut like any others: the history that a baseline is learned
 * from. A last batch of less than half the usual size is left out, it would look unlike the rest.
 * @param contextOf schema, roles and rules of a topic, asked with the first records.
 * @param seed as in BatchJudge, or row hashes could not be compared.
 * @param told of each batch before its profile is yielded, and of each that is left out.
 */
export async function* profileSource(
  source: RecordSource,
  limits: BatchLimits,
  seed: number,
  contextOf: (topic: string, sample: RecordChunk) => Promise<TopicContext>,
  signal: AbortSignal,
  told: (batch: HistoryBatch) => void = () => undefined,
): AsyncGenerator<Profile> {
  await source.join();
  for (const log of source.assignment()?.logs ?? []) {
    await source.restore(log, 0, null);
    yield* profileLog(source, log, limits, seed, contextOf, signal, told);
  }
}

async function* profileLog(
  source: RecordSource,
  log: LogId,
  limits: BatchLimits,
  seed: number,
  contextOf: (topic: string, sample: RecordChunk) => Promise<TopicContext>,
  signal: AbortSignal,
  told: (batch: HistoryBatch) => void,
): AsyncGenerator<Profile> {
  let open: Omit<OpenBatch, 'openedAtMs'> | null = null;
  let start = 0;
  const finish = ({ builder, observer, topic }: Omit<OpenBatch, 'openedAtMs'>): Profile => {
    told({ log, start, records: builder.records, isLeftOut: false });
    return profileBatch({ built: builder.finish(), observer, topic }, seed, null, null);
  };
  let first = true;
  for (let next = 0; !signal.aborted;) {
    const recordsMax = limits.recordsMax - (open?.builder.records ?? 0);
    const [result] = await source.poll([{ log, offset: next, recordsMax, bytesMax: limits.bytesMax }], WAIT_MS, signal);
    if (result === undefined) continue;
    if (result.kind === 'halt') throw result.error;
    if (result.kind === 'drained') {
      if (result.ended) break;
      continue;
    }
    const { chunk } = result;
    for (let from = 0; from < chunk.count;) {
      if (open === null) {
        const topic = await contextOf(log.topic, chunk);
        const observer = observeBatch(seed);
        start = next;
        open = {
          builder: new BatchBuilder({
            log,
            topicId: null,
            start: next,
            limits,
            decoder: topic.newDecoder(chunk.csvHeader),
            observer,
            batchKey: NO_KEY,
            nowMs: null,
          }),
          observer,
          topic,
        };
      }
      from = open.builder.add(chunk, from);
      next = open.builder.end;
      if (!open.builder.full) continue;
      yield finish(open);
      open = null;
      first = false;
    }
  }
  if (open === null || open.builder.records === 0) return;
  if (first || open.builder.records >= limits.recordsMax / 2) yield finish(open);
  else told({ log, start, records: open.builder.records, isLeftOut: true });
}
