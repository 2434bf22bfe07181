import { HeadgateError, IntegrityError, UnavailableError } from '../../src/errors.ts';
import type { IngestEvents } from '../../src/ingest/events.ts';
import { Ingestor } from '../../src/ingest/ingestor.ts';
import { BatchJudge } from '../../src/ingest/judge-batch.ts';
import { Topics } from '../../src/ingest/topics.ts';
import { JUDGE_DEFAULTS, type JudgeSettings } from '../../src/detect/verdict.ts';
import type { Rule } from '../../src/detect/rules/rule.ts';
import { CoveredHeads } from '../../src/ledger/covered-heads.ts';
import type { AlertChannel } from '../../src/ports/alert-channel.ts';
import type { JobQueue } from '../../src/ports/job-queue.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import type { RecordSource } from '../../src/ports/record-source.ts';
import { NewsFinder } from '../../src/publish/news.ts';
import { Publisher } from '../../src/publish/publisher.ts';
import { makeRejudge } from '../../src/publish/rejudge.ts';
import { formatLogId } from '../../src/record/log-id.ts';
import { sha256Hex } from '../../src/record/sha256.ts';
import { haltCause, type AlertCause } from '../../src/respond/alert-cause.ts';
import { CauseFinder } from '../../src/respond/alert-causes.ts';
import { AlertDesk } from '../../src/respond/alerts.ts';
import { HaltNotes } from '../../src/respond/halt-notes.ts';
import { openLedger, type LedgerContext } from '../../src/respond/ledger-context.ts';
import { SimEncoder } from './encoder.ts';
import { KEYS, PIPELINE, REF, SKETCH_SEED, TRUST } from './genesis.ts';
import type { SimProcess } from './process.ts';
import type { Scenario } from './scenario.ts';

/** Records below which a batch is not judged by itself. */
const RECORDS_MIN = 5;
const RECONCILE_MS = 4_000;
const FULL_WALK_MS = 6_000;

/** The outside world as one worker sees it. */
export interface WorkerPorts {
  readonly process: SimProcess;
  readonly store: ObjectStore;
  readonly source: RecordSource;
  readonly queue: JobQueue;
  readonly channel: AlertChannel;
}

/** Told what a worker does, besides what it writes. */
export interface WorkerEvents {
  halted(log: string, error: HeadgateError): void;
  /** Whether an attacker has been at what is stored: only then may anything be damaged. */
  isTampered(): boolean;
}

/** How batches are judged in a simulation. */
export const JUDGE_SETTINGS: JudgeSettings = { ...JUDGE_DEFAULTS, recordsMin: RECORDS_MIN };

/** What `headgate run` is made of, on simulated ports: the real consume loop, publisher and alert desk side by side. */
export class Worker {
  readonly #ports: WorkerPorts;
  readonly #scenario: Scenario;
  readonly #events: WorkerEvents;
  readonly #ledger: LedgerContext;
  readonly #never = new AbortController().signal;

  constructor(ports: WorkerPorts, scenario: Scenario, events: WorkerEvents) {
    this.#ports = ports;
    this.#scenario = scenario;
    this.#events = events;
    this.#ledger = openLedger(ports.store, TRUST, ports.process.clock);
  }

  /** Never resolves. @throws what ends the process */
  async run(): Promise<void> {
    const { store, layout, logs, clock } = this.#ledger;
    const { queue, channel } = this.#ports;
    const desk = new AlertDesk({ ledger: this.#ledger, queue, channels: [channel], alertColumns: () => [] });
    const news = new NewsFinder({ store, layout, logs, clock, fullWalkIntervalMs: FULL_WALK_MS });
    const causes = new CauseFinder(this.#ledger, REF, news);
    const notes = await this.#untilReached(() => HaltNotes.open(this.#ledger, () => undefined));
    desk.start();
    const ingestor = this.#ingestor(desk, notes);
    await Promise.all([ingestor.run(this.#never, this.#never), this.#publishLoop(), this.#reconcileLoop(desk, causes)]);
  }

  #ingestor(desk: AlertDesk, notes: HaltNotes): Ingestor {
    const { store, layout, logs, control, snapshots, clock } = this.#ledger;
    const { process, source } = this.#ports;
    const { batch, mode } = this.#scenario;
    const notify = (cause: AlertCause): void => void desk.notify(cause).catch(() => undefined);
    const events: IngestEvents = {
      committed: ({ log, slot, digest, judged }) => {
        if (judged.outcome === 'suspect' || judged.undecided === 'failed')
          notify({ about: 'batch', log: formatLogId(log), slot, digest });
      },
      halted: (log, error, next) => {
        this.#events.halted(formatLogId(log), error);
        void notes.halted(log, error, next).then((since) => notify(haltCause(log, error, next, since)));
      },
      resumed: () => undefined,
      reading: (log) => notes.reading(log),
      unread: () => undefined,
      retrying: () => undefined,
    };
    return new Ingestor({
      source,
      topics: new Topics({
        store,
        layout,
        control,
        clock,
        signer: KEYS.ingest,
        by: process.name,
        ref: REF,
        settings: () => ({
          format: 'json',
          columns: null,
          roles: { label: null, source: null, time: null },
          ignoredColumns: [],
          rules: this.#rules(),
          csv: { nullValues: [''], delimiter: ',' },
        }),
        judges: true,
        noted: () => undefined,
      }),
      judge: new BatchJudge(JUDGE_SETTINGS, SKETCH_SEED, clock),
      writers: {
        store,
        layout,
        logs,
        signer: KEYS.ingest,
        clock,
        pipeline: PIPELINE,
        deployment: 'here',
        writer: Buffer.from(process.rng.bytes(12)).toString('hex'),
      },
      covered: new CoveredHeads(control, snapshots),
      commit: {
        store,
        layout,
        encoder: new SimEncoder(process, this.#scenario.faults.broken),
        clock,
        mode,
        configSha256: sha256Hex(Buffer.from('config')),
      },
      clock,
      rng: process.rng,
      limits: {
        ...batch,
        bytesMax: 1 << 20,
        recordBytesMax: 1 << 16,
        recordTimeMaxMs: null,
        memoryBytesMax: 1 << 24,
      },
      start: { at: 'earliest' },
      onGap: this.#scenario.onGap,
      events,
      once: false,
    });
  }

  #rules(): readonly Rule[] {
    const action = this.#scenario.ruleHalts ? 'halt' : 'quarantine';
    return [{ kind: 'range', name: 'amount', column: 'amount', min: 0, action }];
  }

  async #publishLoop(): Promise<void> {
    const { store, layout, logs, control, snapshots, clock } = this.#ledger;
    const publisher = new Publisher({
      store,
      layout,
      logs,
      control,
      snapshots,
      news: new NewsFinder({ store, layout, logs, clock, fullWalkIntervalMs: FULL_WALK_MS }),
      signer: KEYS.publisher,
      clock,
      pipeline: PIPELINE,
      ref: REF,
      by: this.#ports.process.name,
      rejudge: makeRejudge({ store, layout, clock, settings: JUDGE_SETTINGS }),
    });
    for (;;) {
      await passing(publisher.publish(this.#never));
      await clock.sleep(this.#scenario.publishIntervalMs);
    }
  }

  async #reconcileLoop(desk: AlertDesk, causes: CauseFinder): Promise<void> {
    for (;;) {
      // Damage ends only those who read and publish.
      await passing(desk.catchUp(causes, this.#never), this.#events.isTampered());
      await this.#ledger.clock.sleep(RECONCILE_MS);
    }
  }

  async #untilReached<Value>(read: () => Promise<Value>): Promise<Value> {
    for (;;) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        await this.#ledger.clock.sleep(1_000);
      }
    }
  }
}

/** Waits for work whose failure is made good by the next round. @throws what is not */
async function passing(work: Promise<unknown>, isDamagePassing = false): Promise<void> {
  try {
    await work;
  } catch (error) {
    if ((error instanceof IntegrityError && !isDamagePassing) || !(error instanceof HeadgateError)) throw error;
  }
}
