import { systemClock } from '../../adapters/system/clock.ts';
import { systemRng } from '../../adapters/system/rng.ts';
import { openAlerts, type OpenedAlerts } from '../../compose/alerts.ts';
import { openIngest, type OpenedIngest } from '../../compose/ingest.ts';
import { openKey, openLedgerOf, type OpenedLedger } from '../../compose/ledger.ts';
import { findMisfits } from '../../compose/misfits.ts';
import { openPublisher } from '../../compose/publishing.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { HeadgateError, IntegrityError } from '../../errors.ts';
import type { CommittedBatch, IngestEvents } from '../../ingest/events.ts';
import { EMPTY_STATE } from '../../ledger/control-state.ts';
import { probeStore } from '../../ledger/probe.ts';
import type { DamagedLog } from '../../publish/news.ts';
import type { Publisher } from '../../publish/publisher.ts';
import { formatLogId } from '../../record/log-id.ts';
import { haltCause, type AlertCause } from '../../respond/alert-cause.ts';
import { HaltNotes } from '../../respond/halt-notes.ts';
import { checkHead, endCode, load, tellRetry, type CommandContext, type CommandResult } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { Unjudged } from '../hints.ts';
import { ObservedRules } from '../observed-rules.ts';
import { counted, formatCount } from '../output.ts';
import { RunLosses } from '../run-losses.ts';
import { Patience } from './patience.ts';
import { describeTally, describeUnread, type Tally, type Unread } from './tally.ts';
import { waitForAlerts } from './wait-for-alerts.ts';

/** What a process does. */
export interface Parts {
  readonly ingest: boolean;
  readonly publish: boolean;
  readonly alerts: boolean;
}

/** A partition that stopped itself. */
interface Halt {
  readonly log: string;
  readonly code: string;
  readonly message: string;
  /** First offset that is not committed. */
  readonly next: number;
}

/** Alerts whose jobs were lost are made again within this time. */
const RECONCILE_MS = 15_000;

/** `headgate run`, `ingest`, `publish`, `worker`: the long-running processes. @param parts what this one does */
export async function run(context: CommandContext, parts: Parts, once: boolean): Promise<CommandResult> {
  const loaded = await load(context);
  context.limitDrain(loaded.config.drainTimeoutMs);
  const patience = new Patience({ clock: systemClock, stop: context.stop, once });
  await using ledger = await openLedgerOf(loaded, tellRetry(context), patience);
  // Before anything is written or read: a key that may not sign would be found out when records are waiting.
  if (parts.ingest) await openKey(loaded, ledger.trust, 'ingest');
  if (parts.publish) await openKey(loaded, ledger.trust, 'publisher');
  await probeStore(ledger.store, ledger.layout, ledger.clock, systemRng);
  await checkHead(context, ledger);
  const session = new Session(context, loaded, ledger, once, patience);
  return session.run(parts);
}

/** The parts of one process side by side, each until it is done or told to stop. */
class Session {
  readonly #context: CommandContext;
  readonly #loaded: LoadedConfig;
  readonly #ledger: OpenedLedger;
  readonly #once: boolean;
  readonly #tally: Tally = { records: 0, batches: 0, clean: 0, suspect: 0, undecided: 0, deadLetters: 0 };
  /** Partitions that have halted and were not read on since, by log. */
  readonly #halts = new Map<string, Halt>();
  readonly #unread = new Map<string, Unread>();
  /** Logs that the newest publish has left where they are. */
  #damaged: readonly DamagedLog[] = [];
  readonly #unjudged = new Unjudged();
  readonly #observed = new ObservedRules();
  readonly #losses = new RunLosses();
  readonly #patience: Patience;
  /** Ends what is begun, too. */
  readonly #kill: AbortSignal;
  #alerts: OpenedAlerts | null = null;

  constructor(context: CommandContext, loaded: LoadedConfig, ledger: OpenedLedger, once: boolean, patience: Patience) {
    this.#context = context;
    this.#loaded = loaded;
    this.#ledger = ledger;
    this.#once = once;
    this.#patience = patience;
    this.#kill = AbortSignal.any([context.kill, patience.ended]);
  }

  async run(parts: Parts): Promise<CommandResult> {
    // A queue in this process is of use only where it is handled; who sends alerts finds all that is owed in the store.
    const isShared = this.#loaded.config.queue.url !== null;
    await using alerts = parts.alerts || (parts.ingest && isShared) ? await this.#openAlerts(parts.alerts) : null;
    this.#alerts = alerts;
    const publisher = parts.publish ? await openPublisher(this.#loaded, this.#ledger) : null;
    const finished = new AbortController();
    const stop = AbortSignal.any([this.#context.stop, finished.signal]);
    let failure: unknown;
    // A part that cannot go on ends the others too: half a pipeline must not look alive.
    const alongside = (part: Promise<void>): Promise<void> =>
      part.catch((error: unknown) => {
        failure ??= error;
        finished.abort();
      });
    const background: Promise<void>[] = [];
    if (publisher !== null && !this.#once) background.push(alongside(this.#publishLoop(publisher, stop)));
    if (parts.alerts && !this.#once) background.push(alongside(this.#reconcileLoop(stop)));
    if (parts.ingest) await alongside(this.#ingest(stop));
    else if (!this.#once) await this.#untilAborted(stop);
    finished.abort();
    await Promise.all(background);
    this.#patience.assertGoesOn();
    if (failure !== undefined) throw failure;
    // What the last batches changed is published before the process ends.
    if (publisher !== null && !this.#kill.aborted) await this.#publish(publisher, 'the next run does it');
    if (parts.alerts) await this.#reconcile(this.#context.stop, 'the next run tells what is owed');
    if (this.#once && parts.alerts) await waitForAlerts(this.#context, this.#ledger.clock, alerts!.queue);
    return this.#report(parts);
  }

  async #openAlerts(handle: boolean): Promise<OpenedAlerts & AsyncDisposable> {
    const { output } = this.#context;
    const opened = await openAlerts(this.#loaded, this.#ledger, output.messages, output.interactive, (message) =>
      this.#context.output.remind(`alerts: ${message}`),
    );
    if (handle) opened.desk.start();
    return { ...opened, [Symbol.asyncDispose]: () => opened.queue[Symbol.asyncDispose]() };
  }

  #untilAborted(stop: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (stop.aborted) resolve();
      else stop.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  async #ingest(stop: AbortSignal): Promise<void> {
    const notes = await HaltNotes.open(this.#ledger, (error) =>
      this.#context.output.remind(`status will not show all halts: ${error.message}`, 'halts'),
    );
    let ingest: OpenedIngest | null = null;
    let isTakenBack = false;
    const takeBack = (): void => {
      const all = isTakenBack ? null : (ingest?.allPartitions() ?? null);
      if (all === null) return;
      isTakenBack = true;
      for (const log of notes.gone(all, all.logs))
        this.#context.output.note(`${log} had halted and is not there any more: status shows it no longer`);
    };
    const events: IngestEvents = {
      committed: (batch) => this.#committed(batch),
      halted: (log, error, next) => {
        const { code, message } = error;
        this.#halts.set(formatLogId(log), { log: formatLogId(log), code, message, next });
        this.#context.output.note(`halted ${formatLogId(log)} (${code}): ${message}`);
        void notes.halted(log, error, next).then((since) => this.#notify(haltCause(log, error, next, since)));
      },
      resumed: (log) => {
        this.#halts.delete(formatLogId(log));
        this.#context.output.note(`${formatLogId(log)} goes on`);
      },
      reading: (log) => {
        if (this.#halts.size > 0) this.#halts.delete(formatLogId(log));
        notes.reading(log);
        takeBack();
      },
      unread: ({ partition }, end) => this.#unread.set(partition, { path: partition, ...end }),
      retrying: (where, error) => {
        this.#patience.retrying(error);
        this.#context.output.remind(`${where}: ${error.message} (trying again)`);
      },
    };
    const log = (level: string, message: string): void => {
      if (level === 'warn' || level === 'error') this.#context.output.remind(message);
    };
    await using opened = await openIngest(this.#loaded, this.#ledger, this.#once, events, log);
    ingest = opened;
    try {
      await opened.ingestor.run(stop, this.#kill);
      takeBack();
    } finally {
      await notes.settled();
    }
  }

  #committed(batch: CommittedBatch): void {
    const { log, slot, digest, records, deadLetters, judged } = batch;
    const tally = this.#tally;
    tally.records += records;
    tally.batches++;
    tally[judged.outcome]++;
    tally.deadLetters += deadLetters;
    if (judged.undecided !== null) this.#unjudged.add(log.topic, judged.undecided);
    this.#observed.add(log.topic, judged.brokenObserveRules);
    const news = this.#losses.add(batch);
    // A process without an end has no summary to tell it in.
    if (!this.#once) for (const line of news) this.#context.output.note(line);
    this.#context.output.progress(
      `${counted(tally.records, 'record')}, ${counted(tally.batches, 'batch')}: ${formatCount(tally.clean)} clean, ${formatCount(tally.suspect)} suspect, ${formatCount(tally.undecided)} undecided`,
    );
    if (judged.outcome === 'suspect' || judged.undecided === 'failed')
      void this.#notify({ about: 'batch', log: formatLogId(log), slot, digest });
  }

  async #notify(cause: AlertCause): Promise<void> {
    await this.#alerts?.desk
      .notify(cause)
      .catch((error: Error) => this.#context.output.remind(`alerts: ${error.message} (trying again)`));
  }

  async #publishLoop(publisher: Publisher, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#publish(publisher, 'trying again');
      await this.#ledger.clock.sleep(this.#loaded.config.publish.intervalMs, stop);
    }
  }

  /** @param later what comes of it if the store cannot be reached */
  async #publish(publisher: Publisher, later: string): Promise<void> {
    try {
      this.#tellDamaged((await publisher.publish(this.#kill)).damaged);
      await this.#ledger.marks.remember(this.#ledger.control.known);
    } catch (error) {
      this.#patience.assertGoesOn();
      // In one pass, nobody would try again.
      if (error instanceof IntegrityError || !(error instanceof HeadgateError) || this.#once) throw error;
      this.#context.output.remind(`publish: ${error.message} (${later})`);
    }
  }

  /** Each only once: a publish finds it in every round. */
  #tellDamaged(damaged: readonly DamagedLog[]): void {
    const known = new Set(this.#damaged.map(({ log, message }) => `${log} ${message}`));
    this.#damaged = damaged;
    for (const { log, code, message } of damaged)
      if (!known.has(`${log} ${message}`))
        this.#context.output.note(`nothing of ${log} is published before it is mended (${code}): ${message}`);
  }

  async #reconcileLoop(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#reconcile(stop, 'trying again');
      await this.#ledger.clock.sleep(RECONCILE_MS, stop);
    }
  }

  async #reconcile(stop: AbortSignal, later: string): Promise<void> {
    try {
      await this.#alerts?.desk.catchUp(this.#alerts.causes, stop);
    } catch (error) {
      // Damage, too: one old entry that was altered must not end those who read and publish, and check what they need.
      if (!(error instanceof HeadgateError)) throw error;
      this.#context.output.remind(`alerts: ${error.message} (${later})`);
    }
  }

  async #report(parts: Parts): Promise<CommandResult> {
    const { ref } = this.#loaded.config.publish;
    const head = await this.#ledger.control.head();
    await this.#ledger.marks.remember(head);
    const { state } = head;
    const snapshot = state.refs[ref] ?? null;
    const held = snapshot === null ? 0 : (await this.#ledger.snapshots.read(snapshot)).held.count;
    const onHold = state.holds[ref] !== undefined;
    const tally = this.#tally;
    const lines = parts.ingest ? [describeTally(tally)] : [];
    const { output } = this.#context;
    const losses = this.#losses.totals();
    const observed = this.#observed.totals();
    lines.push(...this.#losses.lines().map((line) => output.called(line)), ...this.#observed.lines());
    const unread = [...this.#unread.values()];
    lines.push(...unread.map(describeUnread));
    if (parts.publish)
      lines.push(
        `"${ref}" ${snapshot === null ? 'is not published yet' : `names ${snapshot.slice(0, 12)}`}, ${counted(held, 'batch')} held back`,
      );
    if (onHold)
      lines.push(output.called(`"${ref}" is on hold: nothing that was read since is published before headgate resume`));
    const { judge, mode } = this.#loaded.config;
    const hints = this.#unjudged.hints(state, { ref, mode, recordsMin: judge.recordsMin, publishes: parts.publish });
    lines.push(...hints.map((hint) => output.called(hint)));
    // People were told when the topics were opened.
    const { misfits } = await findMisfits(this.#loaded, this.#ledger, parts.ingest ? state : EMPTY_STATE);
    const warnings = misfits.map(({ topic, message }) => `topic "${topic}": ${message}`);
    const halted = [...this.#halts.values()];
    const damaged = this.#damaged.map(({ log, code, message }) => ({ log, code, message }));
    output.result({ ...tally, held, onHold, snapshot, halted, damaged, unread, observed, losses, warnings }, lines);
    return endCode(this.#context, damaged.length > 0 ? EXIT.tampered : halted.length > 0 ? EXIT.halted : EXIT.ok);
  }
}
