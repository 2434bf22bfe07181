import { isFarAhead, timeFault } from '../../ledger/entry-time.ts';
import { BYTES_MAX } from '../../ledger/layout.ts';
import { pagesOf } from '../../ledger/listing.ts';
import type { BatchEntry, StoredObject } from '../../ledger/partition-entry.ts';
import type { FileFormat } from '../../ports/file-format.ts';
import { formatLogId, type LogId } from '../../record/log-id.ts';
import { eachWithin } from '../each-within.ts';
import type { LedgerContext } from '../ledger-context.ts';
import type { Findings } from './findings.ts';
import { recomputeRecords, type BatchObject } from './records.ts';

/** What the partition logs turned out to hold, for checking everything that refers to them. */
export interface LogIndex {
  /** All batches by the digest of their entry. */
  readonly batches: Map<string, IndexedBatch>;
  /** Each log by its name. */
  readonly logs: Map<string, IndexedLog>;
  /** Batches that went on after a rule had halted their log: a `resume` must lie between. */
  readonly afterHalts: { readonly key: string; readonly haltedAt: number; readonly controlSeq: number }[];
  /** The batch whose writer had read the newest control entry of all. */
  newestControl: { readonly key: string; readonly seq: number } | null;
  /** Entries that are dated far ahead, and the newest control entry that their log had named by then. */
  readonly ahead: { readonly key: string; readonly time: string; readonly controlSeq: number }[];
}

/** What the rest of a verification asks of a batch: there may be millions. */
export interface IndexedBatch extends Pick<
  BatchEntry,
  'start' | 'end' | 'epoch' | 'records' | 'deadLetterRecords' | 'mode' | 'verdict' | 'schema' | 'baseline'
> {
  readonly data: StoredObject | null;
}

/** One log as far as it could be read. */
export interface IndexedLog {
  readonly log: LogId;
  /** Digest of the entry in each slot. */
  readonly digests: string[];
  /** Batches in slot order. */
  readonly batches: { readonly slot: number; readonly digest: string }[];
  /** False when reading stopped at a slot that is not as it was signed; that is noted already. */
  sound: boolean;
}

/** What the checks of one partition log share. */
export interface LogVerification {
  readonly ledger: LedgerContext;
  readonly findings: Findings;
  /** Decode every file and recompute every leaf; null = digests only. */
  readonly deep: FileFormat | null;
  readonly signal: AbortSignal;
  readonly onBatch: (entry: BatchEntry) => void;
}

const BATCHES_AT_ONCE = 8;

/** Checks every partition log and every object that its entries name. @throws UnavailableError */
export async function verifyPartitionLogs(run: LogVerification): Promise<LogIndex> {
  const { ledger, findings } = run;
  const index: LogIndex = { batches: new Map(), logs: new Map(), afterHalts: [], newestControl: null, ahead: [] };
  for await (const key of ledger.logs.firstKeys()) {
    if (run.signal.aborted) break;
    if (!ledger.layout.isSlot(key)) continue;
    await findings.guard(key, async () => {
      const log = await ledger.logs.logAt(key);
      if (log !== null && !index.logs.has(formatLogId(log))) await verifyLog(run, index, log);
    });
  }
  await noteStrays(run, ledger.layout.logs(), (key) => ledger.layout.isSlot(key));
  return index;
}

/** Names what lies in a folder of entries and can be none. What cannot be read as a log was named with that. */
export async function noteStrays(
  { ledger, findings, signal }: Pick<LogVerification, 'ledger' | 'findings' | 'signal'>,
  folder: string,
  isEntry: (key: string) => boolean,
): Promise<void> {
  for await (const objects of pagesOf(ledger.store, folder)) {
    if (signal.aborted) return;
    for (const { key } of objects) if (!isEntry(key)) findings.found(key, 'SLOT_INVALID', 'no entry has such a name');
  }
}

async function verifyLog(run: LogVerification, index: LogIndex, log: LogId): Promise<void> {
  const indexed: IndexedLog = { log, digests: [], batches: [], sound: true };
  index.logs.set(formatLogId(log), indexed);
  indexed.sound = await run.findings.guard(run.ledger.layout.log(log), () =>
    eachWithin(entriesOf(run, index, indexed), BATCHES_AT_ONCE, bytesOf, (entry) => verifyBatch(run, log, entry)),
  );
}

/** Bytes of a batch's files, which are read whole. */
function bytesOf({ data, deadLetters, evidence }: BatchEntry): number {
  return (data?.bytes ?? 0) + (deadLetters?.bytes ?? 0) + evidence.bytes;
}

/** The batches of a log, in order; on the way every entry is checked against the one before and put into the index. */
async function* entriesOf(run: LogVerification, index: LogIndex, indexed: IndexedLog): AsyncGenerator<BatchEntry> {
  const { ledger, findings, signal } = run;
  let haltedAt: number | null = null;
  let controlSeq = -1;
  const shared = new Map<string, string>();
  for await (const { verified, head } of ledger.logs.walk(indexed.log, null)) {
    if (signal.aborted) return;
    const { entry, digest, key } = verified;
    indexed.digests.push(digest);
    if (entry.kind === 'batch') controlSeq = entry.controlSeq;
    const nowMs = ledger.clock.now();
    const fault = timeFault(entry.time, nowMs);
    if (isFarAhead(entry.time, nowMs)) index.ahead.push({ key, time: entry.time, controlSeq });
    else if (fault !== null) findings.found(key, 'CHAIN_BROKEN', fault);
    if (entry.kind !== 'batch') continue;
    index.batches.set(digest, indexedBatch(entry, shared));
    indexed.batches.push({ slot: entry.slot, digest });
    if (haltedAt !== null) index.afterHalts.push({ key, haltedAt, controlSeq: entry.controlSeq });
    haltedAt = head.haltedAt;
    if (entry.controlSeq > (index.newestControl?.seq ?? -1)) index.newestControl = { key, seq: entry.controlSeq };
    yield entry;
  }
}

/** @param shared texts that many batches have, so that each is kept once. */
function indexedBatch(entry: BatchEntry, shared: Map<string, string>): IndexedBatch {
  const { start, end, epoch, records, deadLetterRecords, mode, verdict, schema, baseline, data } = entry;
  const once = (text: string): string => shared.get(text) ?? (shared.set(text, text), text);
  return {
    start,
    end,
    epoch,
    records,
    deadLetterRecords,
    mode,
    verdict,
    schema: once(schema),
    baseline: baseline === null ? null : once(baseline),
    data,
  };
}

async function verifyBatch(run: LogVerification, log: LogId, entry: BatchEntry): Promise<void> {
  const { findings, deep, signal } = run;
  if (signal.aborted) return;
  const [data, deadLetters] = await Promise.all([read(findings, entry.data), read(findings, entry.deadLetters)]);
  await findings.object(entry.evidence.key, entry.evidence.sha256, BYTES_MAX.evidence);
  const whole = (data === null) === (entry.data === null) && (deadLetters === null) === (entry.deadLetters === null);
  if (deep !== null && whole) recomputeRecords(findings, deep, log, entry, { data, deadLetters });
  run.onBatch(entry);
}

async function read(findings: Findings, object: StoredObject | null): Promise<BatchObject | null> {
  const bytes = object === null ? null : await findings.object(object.key, object.sha256, Math.max(1, object.bytes));
  return object === null || bytes === null ? null : { object, bytes };
}
