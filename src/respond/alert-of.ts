import type { Finding } from '../detect/judgement.ts';
import { IntegrityError } from '../errors.ts';
import type { BatchEntry } from '../ledger/partition-entry.ts';
import type { LoggedBatch } from '../ledger/partition-log.ts';
import type { Alert } from '../ports/alert-channel.ts';
import { parseLogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';
import { alertId, type AlertCause } from './alert-cause.ts';
import { judgementInForce, type JudgementInForce } from './judgement-in-force.ts';
import type { LedgerContext } from './ledger-context.ts';
import { reasonsOf, whySuspect } from './reasons.ts';
import { isTold, isToldBatch } from './told.ts';

const FINDINGS_MAX = 5;
/** Batches of a union that an alert names. */
const BATCHES_TOLD_MAX = 20;

/** Columns whose values may appear in alerts, by topic. */
export type AlertColumns = (topic: string) => readonly string[];

/**
 * What people are told of a cause, as the ledger has it; null when it knows nothing of it that people are told.
 * @throws IntegrityError, UnavailableError
 */
export async function alertOf(ledger: LedgerContext, cause: AlertCause, columns: AlertColumns): Promise<Alert | null> {
  if (cause.about === 'batch') return batchAlert(ledger, cause, columns);
  if (cause.about === 'control') return controlAlert(ledger, cause);
  const { log, code, message, time, next } = cause;
  return {
    id: alertId(cause),
    type: 'dev.headgate.partition.halted',
    subject: `${log}@${next}`,
    time,
    severity: 'critical',
    summary: `Partition ${log} has stopped: ${message}`,
    data: { log, code, next },
  };
}

async function batchAlert(
  ledger: LedgerContext,
  cause: Extract<AlertCause, { about: 'batch' }>,
  columns: AlertColumns,
): Promise<Alert | null> {
  const log = parseLogId(cause.log);
  const verified = log === undefined ? null : await ledger.logs.read(log, cause.slot);
  if (log === undefined || verified?.entry.kind !== 'batch' || verified.digest !== cause.digest) {
    throw new IntegrityError(
      'CHAIN_BROKEN',
      cause.log,
      `Cannot send an alert about slot ${cause.slot} of "${cause.log}": it holds another entry`,
    );
  }
  const { entry, digest } = verified;
  if (!(await isToldBatch(ledger, { log, entry, digest }))) return null;
  const found = await readJudgement(ledger, { log, entry, digest });
  const [judged, damage] = found instanceof IntegrityError ? [null, found] : [found, null];
  // It was suspect when it was read and is clean by now.
  if (judged !== null && judged.seq !== null && judged.judgement.outcome === 'clean') return null;
  if (judged !== null && judged.union.length > 0 && entry.halt === null)
    return unionAlert({ log, entry, digest }, judged, columns);
  const held = entry.mode === 'enforce';
  return {
    id: alertId(cause),
    type:
      entry.halt !== null
        ? 'dev.headgate.partition.halted'
        : held
          ? 'dev.headgate.batch.quarantined'
          : 'dev.headgate.batch.suspected',
    subject: `${cause.log}@${entry.start}`,
    time: entry.time,
    severity: entry.halt !== null ? 'critical' : held ? 'warning' : 'info',
    summary: batchSummary(cause.log, entry, damage === null ? why(judged) : whyUntold(damage)),
    data: {
      pipeline: entry.pipeline,
      log: cause.log,
      start: entry.start,
      end: entry.end,
      records: entry.records,
      deadLetters: entry.deadLetterRecords,
      mode: entry.mode,
      batch: cause.digest,
      ...(damage === null ? {} : { damagedObject: damage.object }),
      ...judgementFacts(entry, judged, (finding) => publicFinding(finding, columns(log.topic))),
      ...(entry.halt === null ? {} : { code: entry.halt, next: entry.end }),
    },
  };
}

/** One alert for all small batches that were judged as one: its id, like all that it tells, is the same whichever of them is asked for. */
function unionAlert({ log, entry }: LoggedBatch, judged: JudgementInForce, columns: AlertColumns): Alert {
  const { judgement, union, evidence, seq } = judged;
  const { topic } = log;
  const digests = union.map(({ digest }) => digest).join(' ');
  return {
    id: `union-${sha256Hex(Buffer.from(`${seq} ${evidence} ${digests}`, 'utf8')).slice(0, 32)}`,
    type: 'dev.headgate.batch.quarantined',
    subject: `control/${seq}`,
    time: judged.time,
    severity: 'warning',
    summary: `${union.length} small batches of "${topic}", judged together, were quarantined: ${whySuspect(judgement, 1)}`,
    data: {
      pipeline: entry.pipeline,
      topic,
      batches: union.slice(0, BATCHES_TOLD_MAX),
      mode: entry.mode,
      ...judgementFacts(entry, judged, (finding) => publicFinding(finding, columns(topic))),
    },
  };
}

/** The damage, where what it rests on is damaged: the entry of the batch is signed, and is told all the same. */
async function readJudgement(ledger: LedgerContext, batch: LoggedBatch): Promise<JudgementInForce | IntegrityError> {
  try {
    return await judgementInForce(ledger, batch);
  } catch (error) {
    if (error instanceof IntegrityError) return error;
    throw error;
  }
}

function judgementFacts(
  { verdict, undecided, baseline, evidence }: BatchEntry,
  judged: JudgementInForce | null,
  show: (finding: Finding) => Record<string, unknown>,
): Record<string, unknown> {
  const { judgement } = judged ?? {};
  return {
    verdict: judgement?.outcome ?? verdict,
    undecided: judgement === undefined ? undecided : judgement.reason,
    score: judgement?.score ?? null,
    baseline: judged === null ? baseline : judged.baseline,
    evidence: judged?.evidence ?? evidence.key,
    judgedBySeq: judged?.seq ?? null,
    judgedTogether: judged?.together ?? 1,
    findings: judgement === undefined ? [] : reasonsOf(judgement).slice(0, FINDINGS_MAX).map(show),
  };
}

/** A finding without record values, unless its columns were opted in. */
function publicFinding(
  { family, detector, columns, statistic, value, expected, sentence, detail }: Finding,
  allowed: readonly string[],
): Record<string, unknown> {
  const open = columns.length > 0 && columns.every((column) => allowed.includes(column));
  return { family, detector, columns, statistic, value, expected, sentence, ...(open ? { detail } : {}) };
}

function batchSummary(log: string, entry: BatchEntry, reason: string): string {
  const what = entry.mode === 'enforce' ? 'was quarantined' : 'would have been quarantined';
  const stop = entry.halt === null ? '' : '; its partition stopped behind it, until someone resumes (headgate resume)';
  return `Batch ${log} [${entry.start}, ${entry.end}) of ${entry.records} ${entry.records === 1 ? 'record' : 'records'} ${what}: ${reason}${stop}`;
}

function whyUntold({ object }: IntegrityError): string {
  return `why cannot be told: "${object}" is damaged (headgate verify)`;
}

function why({ judgement, together }: JudgementInForce): string {
  if (judgement.outcome === 'suspect') return whySuspect(judgement, together);
  if (judgement.reason === 'failed') return reasonsOf(judgement)[0]?.sentence ?? 'it could not be judged';
  return 'its own verdict no longer stands';
}

async function controlAlert(
  ledger: LedgerContext,
  cause: Extract<AlertCause, { about: 'control' }>,
): Promise<Alert | null> {
  const verified = await ledger.control.read(cause.seq);
  if (verified === null || verified.digest !== cause.digest) {
    throw new IntegrityError(
      'CHAIN_BROKEN',
      `control entry ${cause.seq}`,
      `Cannot send an alert about control entry ${cause.seq}: it is another one`,
    );
  }
  if (!(await isTold(ledger, verified))) return null;
  const { entry } = verified;
  const reason = 'reason' in entry ? entry.reason : '';
  const about =
    'ref' in entry ? `"${entry.ref}"` : 'batch' in entry ? entry.batch.log : 'topic' in entry ? `"${entry.topic}"` : '';
  const act =
    entry.kind === 'schema'
      ? `replaced the schema of ${about}, which has no baseline until one is learned anew`
      : `did ${entry.kind} on ${about}`;
  return {
    id: alertId(cause),
    type: `dev.headgate.control.${entry.kind}`,
    subject: `control/${entry.seq}`,
    time: entry.time,
    severity: entry.kind === 'rollback' ? 'critical' : entry.kind === 'schema' ? 'warning' : 'info',
    summary: `${entry.by} ${act}: ${reason}`,
    data: { ...entry },
  };
}
