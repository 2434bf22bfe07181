import { ConflictError, HaltError, IntegrityError } from '../errors.ts';
import type { CoveredHead, CoveredHeads } from '../ledger/covered-heads.ts';
import { PartitionWriter, type WriterContext } from '../ledger/partition-writer.ts';
import type { LogHead, VerifiedEntry } from '../ledger/log-head.ts';
import type { RecordSource } from '../ports/record-source.ts';
import type { RecordChunk } from '../record/chunk.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import type { Beginnings } from './beginnings.ts';

/** What to do when records were deleted before they were read. */
export type GapPolicy = 'halt' | 'continue';

/** What opening a partition needs. */
export interface OpenContext {
  readonly source: RecordSource;
  readonly writers: WriterContext;
  readonly covered: CoveredHeads;
  readonly onGap: GapPolicy;
  readonly beginnings: Beginnings;
}

/**
 * Finds where a partition stands. Reads only, but for the genesis claim.
 *
 * The partition log alone decides the position; what the newest snapshots and the source remember of it are only witnesses
 * against a log whose end was taken away: what is signed there would contradict what was published, or lost.
 * @throws IntegrityError SLOT_MISSING or CHAIN_BROKEN where a snapshot covers another or no entry, STORE_ROLLED_BACK where
 *   the source knows another, and what a broken log shows; HaltError FOREIGN_WRITER; UnavailableError
 */
export async function openPartition(context: OpenContext, log: LogId, signal: AbortSignal): Promise<PartitionWriter> {
  const { source, writers, beginnings } = context;
  const head = await findHead(context, log);
  const writer = new PartitionWriter(writers, log, head);
  if (head === null) await writer.claim({ next: await beginnings.offsetOf(log), label: source.label(log) }, signal);
  return writer;
}

/**
 * Makes sure that going on from the log's end is safe: the source still holds what comes next, and what was committed last
 * was not rewritten there. Reads only, but for a gap that the policy allows.
 * @throws HaltError GAP, LOG_TRUNCATED, LEADER_EPOCH, SOURCE_CHANGED; ConflictError; UnavailableError
 */
export async function settlePosition(
  { source, onGap }: OpenContext,
  writer: PartitionWriter,
  log: LogId,
  signal: AbortSignal,
): Promise<void> {
  const { next, topicId } = writer.head!;
  const { earliest, latest } = await source.bounds(log);
  const name = formatLogId(log);
  const foundId = source.topicId(log);
  if (topicId !== null && foundId !== null && topicId !== foundId)
    throw new HaltError(
      'LOG_TRUNCATED',
      `Cannot go on with "${name}": the topic was deleted and made again, its offsets mean other records now (its id is ${foundId}, that of the committed records is ${topicId})`,
    );
  if (latest < next)
    throw new HaltError(
      'LOG_TRUNCATED',
      `Cannot go on with "${name}": it ends at offset ${latest}, ${next} is committed (was the topic re-created?)`,
    );
  if (earliest > next) {
    if (onGap === 'halt') {
      const lost =
        earliest === next + 1
          ? `offset ${next} was deleted before it was read`
          : `offsets ${next} to ${earliest - 1} were deleted before they were read`;
      throw new HaltError(
        'GAP',
        `Cannot go on with "${name}": ${lost} (way out: set onGap: continue, which signs a gap)`,
      );
    }
    const claimed = await writer.claim({ next, label: null }, signal);
    if (claimed.next !== next)
      throw new ConflictError(
        'FENCED',
        `Cannot sign the gap of "${name}": another writer has committed up to ${claimed.next}`,
        { fields: { slot: claimed.slot } },
      );
    await writer.commit({ kind: 'gap', start: next, end: earliest, reason: 'retention' }, signal);
  } else if (earliest < next) {
    await assertNotRewritten(source, log, writer.head!);
  }
  await source.restore(log, writer.head!.next, writer.head!.position);
}

/** A re-created or unclean topic shows other leader epochs at offsets that are already committed (matrix K15). */
async function assertNotRewritten(source: RecordSource, log: LogId, { next, leaderEpoch }: LogHead): Promise<void> {
  if (leaderEpoch === null) return;
  const found = await source.leaderEpochAt(log, next - 1);
  if (found === null) return;
  if (found.covered ? found.leaderEpoch === leaderEpoch : found.leaderEpoch >= leaderEpoch) return;
  throw new HaltError(
    'LEADER_EPOCH',
    `Cannot go on with "${formatLogId(log)}": offset ${next - 1} has leader epoch ${found.leaderEpoch}, it was committed with ${leaderEpoch}`,
  );
}

/** An entry of which someone outside the log knows. */
interface Witnessed {
  readonly slot: number;
  readonly digest: string;
}

/** The newest entry, looked for from the newest one that a snapshot or the source knows, each of which must be there. */
async function findHead({ source, writers, covered }: OpenContext, log: LogId): Promise<LogHead | null> {
  const { logs, layout } = writers;
  // Before the log is read: others may commit and publish meanwhile.
  const published = await covered.of(log);
  const reached = published === null ? null : await logs.read(log, published.slot);
  if (published !== null) assertReaches(layout, log, published, reached);
  const witness = await source.witness(log);
  const [, slot, digest] = /^(\d{1,16}):([0-9a-f]{64})$/.exec(witness?.metadata ?? '') ?? [];
  const committed = slot === undefined || digest === undefined ? null : { slot: Number(slot), digest };
  let newest = reached;
  if (committed !== null) {
    const remembered = committed.slot === published?.slot ? reached : await logs.read(log, committed.slot);
    assertNotRolledBack(log, committed, remembered);
    if (committed.slot > (published?.slot ?? -1)) newest = remembered;
  }
  return logs.head(log, newest === null ? null : await logs.headAfter(log, newest));
}

/** What was published of a log commits its end: an entry in a slot that a snapshot covers would be a second one. */
function assertReaches(
  layout: WriterContext['layout'],
  log: LogId,
  { slot, digest, snapshot }: CoveredHead,
  found: VerifiedEntry | null,
): void {
  if (found?.digest === digest) return;
  const wayOut = `put the slots of "${layout.log(log)}" back as they were, from a copy of the store or from earlier versions of the objects; headgate verify tells which; where they are lost, begin anew under another pipeline name`;
  throw new IntegrityError(
    found === null ? 'SLOT_MISSING' : 'CHAIN_BROKEN',
    layout.slot(log, slot),
    `Cannot go on with "${formatLogId(log)}": slot ${slot} ${found === null ? 'is missing' : `holds entry ${found.digest}`}, snapshot ${snapshot} was made from entry ${digest} there (way out: ${wayOut})`,
  );
}

/**
 * The source's memory of the last commit is outside the store: a log that does not reach it, or shows another entry there,
 * was rolled back.
 */
function assertNotRolledBack(log: LogId, { slot, digest }: Witnessed, found: VerifiedEntry | null): void {
  if (found?.digest === digest) return;
  const name = formatLogId(log);
  throw new IntegrityError(
    'STORE_ROLLED_BACK',
    name,
    `Cannot go on with "${name}": entry ${slot} was committed as ${digest}, the store shows ${found?.digest ?? 'none'} (was the store restored from an older copy? if it is new on purpose, give the consumer group a new name)`,
  );
}

/** The part of a chunk at or after `next`; what lies before was delivered again. Null when nothing is left. */
export function dropDelivered(
  chunk: RecordChunk,
  next: number,
): { readonly chunk: RecordChunk; readonly from: number; readonly dropped: number } | null {
  if (chunk.nextOffset <= next) return null;
  let from = 0;
  while (from < chunk.count && chunk.offsets[from]! < next) from++;
  return { chunk, from, dropped: from };
}
