import type { LogHead } from '../ledger/log-head.ts';
import { merkleRoot } from '../ledger/merkle/tree.ts';
import { putContent } from '../ledger/objects.ts';
import type { Mode, StoredObject } from '../ledger/partition-entry.ts';
import type { BatchFields, PartitionWriter } from '../ledger/partition-writer.ts';
import type { BatchName, Layout } from '../ledger/layout.ts';
import type { BatchEncoder, EncodedFile } from '../ports/batch-encoder.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { RecordSource } from '../ports/record-source.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { BuiltBatch } from './batch-builder.ts';
import type { JudgedBatch } from './judge-batch.ts';
import type { TopicContext } from './topic.ts';

/** What committing needs beside the batch. */
export interface CommitContext {
  readonly store: ObjectStore;
  readonly layout: Layout;
  readonly encoder: BatchEncoder;
  readonly clock: Clock;
  readonly mode: Mode;
  /** Digest of the configuration, signed in every entry. */
  readonly configSha256: string;
}

/**
 * Makes a judged batch durable: encodes and decodes back, and stores what its entry names.
 *
 * All of it is content-addressed and can be left behind by a crash without harm; the slot that the caller creates next is
 * the point of no return. The caller holds the claim.
 * @returns the fields of the batch's entry.
 * @throws IntegrityError; UnavailableError when stopped
 */
export async function prepareBatch(
  context: CommitContext,
  writer: PartitionWriter,
  built: BuiltBatch,
  judged: JudgedBatch,
  topic: TopicContext,
  signal: AbortSignal,
): Promise<BatchFields> {
  const { store, layout, clock } = context;
  const { log, start, end } = built.content;
  const name: BatchName = { log, epoch: writer.head!.epoch, start, end };
  const encoding = context.encoder.encode(built.content, built.leaves);
  // Meanwhile: the encoder has a thread of its own, and checks what it decodes back against the same leaves.
  const root = merkleRoot(built.leaves);
  const encoded = await encoding;
  const area = judged.outcome === 'clean' || context.mode === 'observe' ? 'data' : 'quarantine';
  const data = encoded.data && named(layout.data(area, name, encoded.data.sha256), encoded.data);
  const deadLetters =
    encoded.deadLetters && named(layout.deadLetters(name, encoded.deadLetters.sha256), encoded.deadLetters);
  const evidenceSha256 = sha256Hex(judged.evidence);
  const evidence = named(layout.evidence(name, evidenceSha256), { bytes: judged.evidence, sha256: evidenceSha256 });
  await Promise.all([
    encoded.data && putContent(store, data!.key, encoded.data.bytes, clock, signal),
    encoded.deadLetters && putContent(store, deadLetters!.key, encoded.deadLetters.bytes, clock, signal),
    putContent(store, evidence.key, judged.evidence, clock, signal),
  ]);
  return fieldsOf(context, built, judged, topic, { root: root.toString('hex'), data, deadLetters, evidence });
}

/**
 * Tells those who are not in the log how far it is; what is lost on the way can be made again from the slot.
 * @param head after the committed batch. @param onError told of each that could not be told; nothing is thrown
 */
export async function announceCommit(
  { store, layout }: CommitContext,
  source: Pick<RecordSource, 'commit'>,
  { log, slot, digest, next }: LogHead,
  onError: (error: Error) => void,
): Promise<void> {
  // Tells publishers where to look; losing it costs them a full walk.
  const hint = Buffer.from(JSON.stringify({ slot, digest, end: next }), 'utf8');
  await Promise.all([
    store.put(layout.headHint(log), hint).catch(onError),
    source.commit(log, next, `${slot}:${digest}`).catch(onError),
  ]);
}

interface NamedObjects {
  readonly root: string;
  readonly data: StoredObject | null;
  readonly deadLetters: StoredObject | null;
  readonly evidence: StoredObject;
}

function fieldsOf(
  context: CommitContext,
  built: BuiltBatch,
  judged: JudgedBatch,
  topic: TopicContext,
  objects: NamedObjects,
): BatchFields {
  const { start, end, leafVersion, dead } = built.content;
  return {
    kind: 'batch',
    start,
    end,
    records: built.records,
    leaderEpoch: built.leaderEpoch,
    topicId: built.topicId,
    leafVersion,
    ...objects,
    deadLetterRecords: dead.raw.count,
    skipped: { ...built.skipped },
    controlSeq: topic.controlSeq,
    baseline: topic.baseline?.sha256 ?? null,
    schema: topic.schemaSha256,
    config: context.configSha256,
    mode: context.mode,
    verdict: judged.outcome,
    undecided: judged.undecided,
    halt: judged.brokenHaltRules.length === 0 ? null : 'RULE',
    position: built.position,
  };
}

function named(key: string, { bytes, sha256 }: EncodedFile): StoredObject {
  return { key, sha256, bytes: bytes.length };
}
