import { decodeEvidence } from '../detect/evidence.ts';
import type { Finding } from '../detect/verdict.ts';
import { IntegrityError } from '../errors.ts';
import type { VerifiedControlEntry } from '../ledger/control-log.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { BatchEntry } from '../ledger/partition-entry.ts';
import type { Alert, AlertChannel } from '../ports/alert-channel.ts';
import type { Job, JobQueue } from '../ports/job-queue.ts';
import { parseLogId, type LogId } from '../record/log-id.ts';
import { alertId, parseCause, type AlertCause } from './alert-cause.ts';
import type { LedgerContext } from './ledger-context.ts';

/** Kind of alert jobs in the queue. */
export const ALERT_JOB = 'alert';

const FINDINGS_MAX = 5;
/** Control entries that people are told of. */
const TOLD_KINDS: readonly string[] = ['rollback', 'hold', 'resume', 'approve', 'decision'];

/** What {@link AlertDesk} is made of. */
export interface AlertDeskOptions {
  readonly ledger: LedgerContext;
  readonly queue: JobQueue;
  readonly channels: readonly AlertChannel[];
  /** Columns whose values may appear in alerts, by topic. */
  readonly alertColumns: (topic: string) => readonly string[];
}

/**
 * Sees to it that every channel hears of every cause at least once, under one id.
 *
 * The queue is only a cache of work: a receipt in the store says that a channel was told, and whoever finds a cause
 * without its receipts makes the jobs again.
 */
export class AlertDesk {
  readonly #o: AlertDeskOptions;
  /** Job ids whose receipt this process has seen, so that it is not looked up again. */
  readonly #delivered = new Set<string>();
  /** Causes told since the start, for the next reconciliation. */
  readonly #known = new Map<string, AlertCause>();

  constructor(options: AlertDeskOptions) {
    this.#o = options;
  }

  /** Queues one job a channel; those that are delivered or queued already stay as they are. @throws UnavailableError */
  async notify(cause: AlertCause): Promise<void> {
    const id = alertId(cause);
    this.#known.set(id, cause);
    const { store, layout } = this.#o.ledger;
    for (const { name } of this.#o.channels) {
      const jobId = `${id}-${name}`;
      if (this.#delivered.has(jobId)) continue;
      if ((await store.stat(layout.receipt(id, name))) !== null) this.#delivered.add(jobId);
      else await this.#o.queue.add({ id: jobId, kind: ALERT_JOB, data: { ...cause, channel: name } });
    }
  }

  /** Makes jobs again for every known cause that some channel has not confirmed. @throws UnavailableError */
  async reconcile(causes: Iterable<AlertCause>): Promise<void> {
    for (const cause of causes) this.#known.set(alertId(cause), cause);
    for (const [id, cause] of this.#known) {
      await this.notify(cause);
      if (this.#o.channels.every(({ name }) => this.#delivered.has(`${id}-${name}`))) this.#known.delete(id);
    }
  }

  /** Starts sending. */
  start(): void {
    this.#o.queue.handle(ALERT_JOB, 4, (job, { signal }) => this.#deliver(job, signal));
  }

  async #deliver({ data }: Job, signal: AbortSignal): Promise<void> {
    const { ledger, channels } = this.#o;
    const { channel: channelName, ...rest } = data;
    const cause = parseCause(rest);
    const channel = channels.find(({ name }) => name === channelName);
    // A job of another configuration, or a forged one: the reconciler makes the right ones.
    if (channel === undefined || cause === null) return;
    const alert = await this.#alert(cause);
    const receipt = ledger.layout.receipt(alert.id, channel.name);
    if ((await ledger.store.stat(receipt)) !== null) return;
    await channel.deliver(alert, signal);
    await ledger.store.create(
      receipt,
      Buffer.from(
        JSON.stringify({
          alert: alert.id,
          channel: channel.name,
          deliveredAt: new Date(ledger.clock.now()).toISOString(),
        }),
      ),
    );
    // The id of the job itself may be forged, to pass one alert off as another.
    this.#delivered.add(`${alert.id}-${channel.name}`);
  }

  async #alert(cause: AlertCause): Promise<Alert> {
    if (cause.about === 'batch') return this.#batchAlert(cause);
    if (cause.about === 'control') return controlAlert(cause, await this.#o.ledger.control.read(cause.seq));
    const { log, code, message, time, next } = cause;
    const subject = `${log}@${next}`;
    return {
      id: alertId(cause),
      type: 'dev.headgate.partition.halted',
      subject,
      time,
      severity: 'critical',
      summary: `Partition ${log} has stopped: ${message}`,
      data: { log, code, next },
    };
  }

  async #batchAlert(cause: Extract<AlertCause, { about: 'batch' }>): Promise<Alert> {
    const { ledger } = this.#o;
    const log = parseLogId(cause.log);
    const verified = log === undefined ? null : await ledger.logs.read(log, cause.slot);
    if (log === undefined || verified?.entry.kind !== 'batch' || verified.digest !== cause.digest) {
      throw new IntegrityError(
        'CHAIN_BROKEN',
        cause.log,
        `Cannot send an alert about slot ${cause.slot} of "${cause.log}": it holds another entry`,
      );
    }
    const { entry } = verified;
    const { judgement } = decodeEvidence(
      await getVerified(ledger.store, entry.evidence.key, entry.evidence.sha256, BYTES_MAX.evidence),
      entry.evidence.key,
    );
    const findings = judgement.findings.slice(0, FINDINGS_MAX).map((finding) => this.#publicFinding(finding, log));
    const held = entry.mode === 'enforce';
    return {
      id: alertId(cause),
      type: held ? 'dev.headgate.batch.quarantined' : 'dev.headgate.batch.suspected',
      subject: `${cause.log}@${entry.start}`,
      time: entry.time,
      severity: held ? 'warning' : 'info',
      summary: batchSummary(cause.log, entry, findings[0]?.['sentence'] as string | undefined),
      data: {
        pipeline: entry.pipeline,
        log: cause.log,
        start: entry.start,
        end: entry.end,
        records: entry.records,
        deadLetters: entry.deadLetterRecords,
        verdict: entry.verdict,
        undecided: entry.undecided,
        mode: entry.mode,
        score: judgement.score,
        batch: cause.digest,
        baseline: entry.baseline,
        evidence: entry.evidence.key,
        findings,
      },
    };
  }

  /** A finding without record values, unless its columns were opted in. */
  #publicFinding(
    { family, detector, columns, statistic, value, expected, sentence, detail }: Finding,
    { topic }: LogId,
  ): Record<string, unknown> {
    const allowed = this.#o.alertColumns(topic);
    const open = columns.length > 0 && columns.every((column) => allowed.includes(column));
    return { family, detector, columns, statistic, value, expected, sentence, ...(open ? { detail } : {}) };
  }
}

/** True when people are told of a control entry. */
export function isTold({ entry }: VerifiedControlEntry): boolean {
  return TOLD_KINDS.includes(entry.kind);
}

function batchSummary(log: string, entry: BatchEntry, sentence: string | undefined): string {
  const what = entry.mode === 'enforce' ? 'was quarantined' : 'would have been quarantined';
  const why = sentence ?? (entry.verdict === 'undecided' ? 'it could not be judged' : 'see its evidence');
  return `Batch ${log} [${entry.start}, ${entry.end}) of ${entry.records} records ${what}: ${why}`;
}

function controlAlert(cause: Extract<AlertCause, { about: 'control' }>, verified: VerifiedControlEntry | null): Alert {
  if (verified === null || verified.digest !== cause.digest) {
    throw new IntegrityError(
      'CHAIN_BROKEN',
      `control entry ${cause.seq}`,
      `Cannot send an alert about control entry ${cause.seq}: it is another one`,
    );
  }
  const { entry } = verified;
  const reason = 'reason' in entry ? entry.reason : '';
  const about =
    'ref' in entry ? `"${entry.ref}"` : 'batch' in entry ? entry.batch.log : 'topic' in entry ? `"${entry.topic}"` : '';
  return {
    id: alertId(cause),
    type: `dev.headgate.control.${entry.kind}`,
    subject: `control/${entry.seq}`,
    time: entry.time,
    severity: entry.kind === 'rollback' ? 'critical' : 'info',
    summary: `${entry.by} did ${entry.kind} on ${about}: ${reason}`,
    data: { ...entry },
  };
}
