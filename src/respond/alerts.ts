import type { IntegrityError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import type { Alert, AlertChannel } from '../ports/alert-channel.ts';
import type { Job, JobQueue } from '../ports/job-queue.ts';
import { alertId, parseCause, type AlertCause } from './alert-cause.ts';
import type { CauseFinder } from './alert-causes.ts';
import { alertOf, type AlertColumns } from './alert-of.ts';
import type { LedgerContext } from './ledger-context.ts';
import { ToldMark } from './told-mark.ts';

/** Kind of alert jobs in the queue. */
export const ALERT_JOB = 'alert';

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
  readonly alertColumns: AlertColumns;
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
  /** Alerts that are on their way, by alert and channel. */
  readonly #sending = new Map<string, Promise<void>>();

  constructor(options: AlertDeskOptions) {
    this.#o = options;
    this.#mark = new ToldMark(options.ledger, options.channels);
  }

  /**
   * Queues one job a channel; those that are delivered or queued already stay as they are. A halt by a rule is told with the
   * batch that broke it, and not a second time. @throws UnavailableError
   */
  async notify(cause: AlertCause): Promise<void> {
    if (this.#o.channels.length === 0 || (cause.about === 'halt' && cause.code === 'RULE')) return;
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
   * Damage in the store keeps only that from being told which it is in; the first is thrown when all else is done.
   * @param signal ends it after the part that is at hand; the next call goes on there.
   * @throws IntegrityError, UnavailableError
   */
  async catchUp(finder: CauseFinder, signal: AbortSignal): Promise<void> {
    if (this.#o.channels.length === 0) return;
    await this.reconcile([]);
    /** Ids of what is owed and need not be looked at again in this call. */
    const queued = new Set<string>();
    // Before the logs are read: one that is damaged must not keep its own halt from being told.
    await this.#settle(finder, await finder.halts(), queued);
    if (finder.actsProgress === null) finder.skipActs(await this.#mark.read());
    let settled = 0;
    const damage: IntegrityError[] = [];
    // Each part begins with what has come meanwhile, so that it never waits for what is old; damage ends with one part.
    do {
      settled = await this.#settle(finder, await finder.find((error) => void damage.push(error)), queued);
      await this.#mark.move(finder.actsProgress!);
    } while (damage.length === 0 && finder.hasMore && (settled > 0 || finder.isSearching) && !signal.aborted);
    if (damage.length > 0) throw damage[0]!;
  }

  /** Starts sending. */
  start(): void {
    this.#o.queue.handle(ALERT_JOB, 4, (job, { signal }) => this.#deliver(job, signal));
  }

  /**
   * @param queued left out; what is queued is added.
   * @returns how many of the causes every channel has confirmed
   */
  async #settle(finder: CauseFinder, causes: readonly AlertCause[], queued: Set<string>): Promise<number> {
    const told = new Set<AlertCause>();
    const open = causes.filter((cause) => !queued.has(alertId(cause)));
    try {
      await this.#addMissing(open, (cause) => told.add(cause));
    } finally {
      finder.settle(told);
    }
    for (const cause of open) if (!told.has(cause)) queued.add(alertId(cause));
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
    const alert = await alertOf(ledger, cause, this.#o.alertColumns);
    // Nobody is to be told: the job is forged, or the batch has been released since.
    if (alert === null) return void this.#known.delete(alertId(cause));
    const id = `${alert.id}-${channel.name}`;
    // Several causes may have one alert: it is sent once, and each of them gets its receipt.
    const sending = this.#sending.get(id) ?? this.#send(channel, alert, signal).finally(() => this.#sending.delete(id));
    this.#sending.set(id, sending);
    await sending;
    // The id of the job itself may be forged, to pass one alert off as another.
    const own = alertId(cause);
    if (own !== alert.id) await this.#writeReceipt(own, channel.name);
    this.#noteDelivered(`${own}-${channel.name}`);
  }

  async #send(channel: AlertChannel, alert: Alert, signal: AbortSignal): Promise<void> {
    const { store, layout } = this.#o.ledger;
    if ((await store.stat(layout.receipt(alert.id, channel.name))) !== null) return;
    await channel.deliver({ ...alert, summary: asOneLine(alert.summary) }, signal);
    await this.#writeReceipt(alert.id, channel.name);
  }

  async #writeReceipt(alert: string, channel: string): Promise<void> {
    const { store, layout, clock } = this.#o.ledger;
    const deliveredAt = new Date(clock.now()).toISOString();
    await store.create(layout.receipt(alert, channel), Buffer.from(JSON.stringify({ alert, channel, deliveredAt })));
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
