import type { Finding } from '../detect/judgement.ts';
import { IntegrityError } from '../errors.ts';
import type { VerifiedControlEntry } from '../ledger/control-log.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import type { BatchEntry } from '../ledger/partition-entry.ts';
import type { Alert, AlertChannel } from '../ports/alert-channel.ts';
import type { Job, JobQueue } from '../ports/job-queue.ts';
import { parseLogId, type LogId } from '../record/log-id.ts';
import { alertId, parseCause, type AlertCause } from './alert-cause.ts';
import type { CauseFinder } from './alert-causes.ts';
import type { LedgerContext } from './ledger-context.ts';
import { judgementInForce, type JudgementInForce } from './judgement-in-force.ts';
import { reasonsOf, whySuspect } from './reasons.ts';
import { ToldMark } from './told-mark.ts';
import { isTold, isToldBatch } from './told.ts';

/** Kind of alert jobs in the queue. */
export const ALERT_JOB = 'alert';

const FINDINGS_MAX = 5;
/** Causes told and not yet delivered that a process remembers; receipts it remembers to have seen. */
const REMEMBERED_MAX = 10_000;
/** Causes whose receipts are looked up at once. */
const LOOKUPS_AT_ONCE = 16;

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
  /** Causes told and not yet delivered, for the next reconciliation; the oldest are forgotten first. */
  readonly #known = new Map<string, AlertCause>();
  readonly #mark: ToldMark;

  constructor(options: AlertDeskOptions) {
    this.#o = options;
    this.#mark = new ToldMark(options.ledger, options.channels);
  }

  /**
   * Queues one job a channel; those that are delivered or queued already stay as they are. A halt by a rule is told with the
   * batch that broke it, and not a second time. @throws UnavailableError
   */
  async notify(cause: AlertCause): Promise<void> {
    if (cause.about === 'halt' && cause.code === 'RULE') return;
    this.#known.set(alertId(cause), cause);
    forgetOldest(this.#known);
    await this.#addJobs(cause);
  }

  /**
   * Makes jobs again for every cause that some channel has not confirmed.
   * @param causes all that the ledger knows of; what this process was told of besides is remembered.
   * @throws UnavailableError
   */
  async reconcile(causes: Iterable<AlertCause>): Promise<void> {
    const open = new Map(this.#known);
    for (const cause of causes) open.set(alertId(cause), cause);
    await this.#addMissing(open.values(), () => undefined);
  }

  /**
   * Makes jobs again for all that is owed: what this process was told of, and what the store tells.
   * @param signal ends it after the part that is at hand; the next call goes on there.
   * @throws IntegrityError, UnavailableError
   */
  async catchUp(finder: CauseFinder, signal: AbortSignal): Promise<void> {
    await this.reconcile([]);
    // Before the logs are read: one that is damaged must not keep its own halt from being told.
    await this.#settle(finder, await finder.halts());
    if (finder.actsSettledTo === null) finder.skipActs(await this.#mark.read());
    let settled = 0;
    // Each part begins with what has come meanwhile, so that it never waits for what is old.
    do settled = await this.#settle(finder, await finder.find());
    while (finder.hasMore && (settled > 0 || finder.isSearching) && !signal.aborted);
    await this.#mark.move(finder.actsSettledTo ?? 0);
  }

  /** Starts sending. */
  start(): void {
    this.#o.queue.handle(ALERT_JOB, 4, (job, { signal }) => this.#deliver(job, signal));
  }

  /** @returns how many of the causes every channel has confirmed */
  async #settle(finder: CauseFinder, causes: readonly AlertCause[]): Promise<number> {
    const told = new Set<AlertCause>();
    try {
      await this.#addMissing(causes, (cause) => told.add(cause));
    } finally {
      finder.settle(told);
    }
    return told.size;
  }

  /** @param onTold told of each cause that every channel has confirmed */
  async #addMissing(causes: Iterable<AlertCause>, onTold: (cause: AlertCause) => void): Promise<void> {
    await eachLimited(causes, LOOKUPS_AT_ONCE, async (cause) => {
      if (!(await this.#addJobs(cause))) return;
      this.#known.delete(alertId(cause));
      onTold(cause);
    });
  }

  /** @returns true if every channel has confirmed it */
  async #addJobs(cause: AlertCause): Promise<boolean> {
    let isConfirmed = true;
    const id = alertId(cause);
    const { store, layout } = this.#o.ledger;
    for (const { name } of this.#o.channels) {
      const jobId = `${id}-${name}`;
      if (this.#delivered.has(jobId)) continue;
      if ((await store.stat(layout.receipt(id, name))) !== null) {
        this.#noteDelivered(jobId);
        continue;
      }
      await this.#o.queue.add({ id: jobId, kind: ALERT_JOB, data: { ...cause, channel: name } });
      isConfirmed = false;
    }
    return isConfirmed;
  }

  #noteDelivered(jobId: string): void {
    this.#delivered.add(jobId);
    forgetOldest(this.#delivered);
  }

  async #deliver({ data }: Job, signal: AbortSignal): Promise<void> {
    const { ledger, channels } = this.#o;
    const { channel: channelName, ...rest } = data;
    const cause = parseCause(rest);
    const channel = channels.find(({ name }) => name === channelName);
    // A job of another configuration, or a forged one: the reconciler makes the right ones.
    if (channel === undefined || cause === null) return;
    const alert = await this.#alert(cause);
    // Nobody is to be told: the job is forged, or the batch has been released since.
    if (alert === null) return void this.#known.delete(alertId(cause));
    const receipt = ledger.layout.receipt(alert.id, channel.name);
    if ((await ledger.store.stat(receipt)) !== null) return;
    await channel.deliver({ ...alert, summary: asOneLine(alert.summary) }, signal);
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
    this.#noteDelivered(`${alert.id}-${channel.name}`);
  }

  /** Null when the ledger knows nothing of it that people are told. @throws IntegrityError, UnavailableError */
  async #alert(cause: AlertCause): Promise<Alert | null> {
    if (cause.about === 'batch') return this.#batchAlert(cause);
    if (cause.about === 'control') return controlAlert(cause, await this.#o.ledger.control.read(cause.seq));
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

  async #batchAlert(cause: Extract<AlertCause, { about: 'batch' }>): Promise<Alert | null> {
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
    const { entry, digest } = verified;
    if (!(await isToldBatch(ledger, { log, entry, digest }))) return null;
    const inForce = await judgementInForce(ledger, { log, entry, digest });
    const { judgement, baseline, evidence, seq, together } = inForce;
    // It was suspect when it was read and is clean by now.
    if (seq !== null && judgement.outcome === 'clean') return null;
    const findings = reasonsOf(judgement)
      .slice(0, FINDINGS_MAX)
      .map((finding) => this.#publicFinding(finding, log));
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
      summary: batchSummary(cause.log, entry, inForce),
      data: {
        pipeline: entry.pipeline,
        log: cause.log,
        start: entry.start,
        end: entry.end,
        records: entry.records,
        deadLetters: entry.deadLetterRecords,
        verdict: judgement.outcome,
        undecided: judgement.reason,
        mode: entry.mode,
        score: judgement.score,
        batch: cause.digest,
        baseline,
        evidence,
        judgedBySeq: seq,
        judgedTogether: together,
        findings,
        ...(entry.halt === null ? {} : { code: entry.halt, next: entry.end }),
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

/** A line break, or a character that hides or reorders text, must not pass for our own words. Trust: messages and reasons are anyone's. */
function asOneLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
}

function forgetOldest(remembered: Pick<Map<string, unknown>, 'keys' | 'size' | 'delete'>): void {
  for (const oldest of remembered.keys()) {
    if (remembered.size <= REMEMBERED_MAX) return;
    remembered.delete(oldest);
  }
}

function batchSummary(log: string, entry: BatchEntry, { judgement, together }: JudgementInForce): string {
  const what = entry.mode === 'enforce' ? 'was quarantined' : 'would have been quarantined';
  const why =
    judgement.outcome === 'suspect'
      ? whySuspect(judgement, together)
      : judgement.reason === 'failed'
        ? (reasonsOf(judgement)[0]?.sentence ?? 'it could not be judged')
        : 'its own verdict no longer stands';
  const stop = entry.halt === null ? '' : '; its partition stopped behind it, until someone resumes (headgate resume)';
  return `Batch ${log} [${entry.start}, ${entry.end}) of ${entry.records} ${entry.records === 1 ? 'record' : 'records'} ${what}: ${why}${stop}`;
}

function controlAlert(
  cause: Extract<AlertCause, { about: 'control' }>,
  verified: VerifiedControlEntry | null,
): Alert | null {
  if (verified === null || verified.digest !== cause.digest) {
    throw new IntegrityError(
      'CHAIN_BROKEN',
      `control entry ${cause.seq}`,
      `Cannot send an alert about control entry ${cause.seq}: it is another one`,
    );
  }
  if (!isTold(verified)) return null;
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
