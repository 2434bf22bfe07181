import { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import type { MemoryCommits } from '../../src/adapters/memory/source.ts';
import { HeadgateError, UnavailableError } from '../../src/errors.ts';
import type { Alert } from '../../src/ports/alert-channel.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import { FaultPlan } from './faults.ts';
import { putGenesis, TOPIC } from './genesis.ts';
import { SimGroup } from './group.ts';
import { LedgerWatch, type WatchedBatch } from './ledger-watch.ts';
import { brokenOrderOf, garbageOf, orderOf } from './orders.ts';
import { perform, type Act } from './person.ts';
import { SimProcess, type CallFaults } from './process.ts';
import { SharedQueue, SimQueue } from './queue.ts';
import { SeededRng } from './rng.ts';
import type { PlannedEvent, PlannedWrite, Scenario } from './scenario.ts';
import { SimSource } from './source.ts';
import { SharedStore, SimStore } from './store.ts';
import { Worker } from './worker.ts';
import { Violation, World, WORLD_BEGINS_MS } from './world.ts';

/** After the faults have ended, everything must be settled within so long, ms. */
const SETTLED_WITHIN_MS = 300_000;
/** While it is calm, a person looks this often whether something waits for them. */
const TENDING_MS = 5_000;
const CHANNEL = 'hook';
const CALM: CallFaults = { crashBefore: 0, crashAfter: 0, slow: 0 };

/** What a run has shown. */
export interface Outcome {
  readonly seed: number;
  /** Null when all promises were kept. */
  readonly violation: Violation | null;
  /** Faults and acts that happened, by name. */
  readonly happened: readonly string[];
  /** SHA-256 of the trace. */
  readonly trace: string;
  readonly events: number;
  readonly simulatedMs: number;
  readonly batches: number;
  readonly records: number;
  readonly snapshots: number;
  readonly halts: number;
}

/** One run: a stream, some workers and a person on simulated time, store, brokers and queue. */
export class Simulation {
  readonly world = new World();
  readonly #scenario: Scenario;
  readonly #faults: FaultPlan;
  readonly #store = new SharedStore();
  readonly #broker = new MemoryBroker();
  readonly #commits: MemoryCommits = new Map();
  readonly #queue = new SharedQueue(this.world);
  readonly #rng: SeededRng;
  readonly #logs: LogId[];
  readonly #group: SimGroup;
  readonly #skews: number[];
  readonly #workers: (SimProcess | null)[];
  readonly #delivered: Alert[] = [];
  #watch!: LedgerWatch;
  #incarnations = 0;
  #halts = 0;
  #produced = 0;
  /** Simulated second in which it was looked at last whether all is settled. */
  #lookedAt = -1;

  /** @param only names of the faults and acts that may happen; null = all that are planned. */
  constructor(scenario: Scenario, only: ReadonlySet<string> | null = null) {
    this.#scenario = scenario;
    this.#faults = new FaultPlan(scenario.seed, only);
    this.#faults.endAt(scenario.calmFromMs);
    this.#rng = new SeededRng(scenario.seed, 'simulation');
    this.#logs = Array.from({ length: scenario.partitions }, (_, p) => this.#broker.create(TOPIC, p));
    this.#group = new SimGroup(this.world, this.#logs, new SeededRng(scenario.seed, 'group'));
    this.#skews = Array.from({ length: scenario.workers }, () => 0);
    this.#workers = this.#skews.map(() => null);
  }

  async run(): Promise<Outcome> {
    const onRejection = (error: unknown): void =>
      this.world.violate(new Violation('crash', `nobody waits for ${describe(error)}`, { cause: error }));
    process.on('unhandledRejection', onRejection);
    try {
      return await this.#run();
    } finally {
      process.off('unhandledRejection', onRejection);
    }
  }

  async #run(): Promise<Outcome> {
    const { calmFromMs, writes, events, workers } = this.#scenario;
    await putGenesis(this.#store);
    this.#watch = new LedgerWatch(this.#store, this.#broker);
    this.#store.watch((key, bytes) => this.#guard(() => this.#watch.created(key, bytes)));
    for (const write of writes) this.#plan(write);
    for (const event of events)
      this.world.after(event.atMs, () => {
        if (this.#faults.allows(event.name)) this.#happen(event);
      });
    for (let i = 0; i < workers; i++) this.#start(i);
    await this.world.run(calmFromMs);
    this.#tend();
    await this.world.run(calmFromMs + SETTLED_WITHIN_MS, () => this.#isSettled());
    if (this.world.violation === null) this.#guard(() => this.#assertSettled());
    return {
      seed: this.#scenario.seed,
      violation: this.world.violation,
      happened: this.#faults.happened,
      trace: this.world.trace.digest(),
      events: this.world.events,
      simulatedMs: Math.round(this.world.nowMs),
      batches: this.#watch.batches.size,
      records: this.#produced,
      snapshots: this.#watch.control.filter(({ kind }) => kind === 'publish').length,
      halts: this.#halts,
    };
  }

  /** Starts a worker anew, on its machine. */
  #start(index: number): void {
    const { seed, faults } = this.#scenario;
    const name = `w${index}.${this.#incarnations++}`;
    const restartMs = 500 + this.#rng.fraction() * 4_500;
    const process = new SimProcess(
      this.world,
      name,
      this.#faults,
      faults,
      seed,
      () => this.#skews[index]!,
      () => {
        this.#group.died(process);
        this.world.after(restartMs, () => this.#start(index));
      },
    );
    this.#workers[index] = process;
    const store = new SimStore(this.#store, process, this.world, faults);
    const source = new SimSource(this.#broker, process, faults, this.#commits);
    const queue = new SimQueue(this.#queue, process, faults.refused);
    const channel = { name: CHANNEL, deliver: (alert: Alert) => this.#deliver(process, alert) };
    const worker = new Worker({ process, store, source, queue, channel }, this.#scenario, {
      halted: (log, error) => this.#halted(process, log, error),
    });
    this.world.trace.add(`${name} starts`);
    process.hear(1, () => {
      this.#group.join(process, source);
      void worker.run().catch((error: unknown) => this.#ended(process, error));
    });
  }

  /** A worker that ends by itself is started again; it may only end for a reason that it can name. */
  #ended(process: SimProcess, error: unknown): void {
    this.world.trace.add(`${process.name} ends: ${String(error)}`);
    this.world.violate(new Violation('crash', `${process.name} ended with ${describe(error)}`, { cause: error }));
  }

  #halted(process: SimProcess, log: string, error: HeadgateError): void {
    this.#halts++;
    this.world.trace.add(`${process.name} halts ${log}: ${error.code}`);
    if (error.code !== 'RULE')
      this.world.violate(
        new Violation(
          'I9',
          `${process.name} halted ${log} with ${describe(error)}, and nobody had done anything to it`,
        ),
      );
  }

  #deliver(process: SimProcess, alert: Alert): Promise<void> {
    return process.call(`deliver ${alert.id}`, (strikes) => {
      const fails = strikes('undelivered', this.#scenario.faults.undelivered);
      if (fails && strikes('unheard', 0.5)) throw undelivered(alert);
      this.#delivered.push(alert);
      if (fails) throw undelivered(alert);
    });
  }

  /** Writes at once, or one record after the other. */
  #plan({ atMs, partition, records, ms, nature }: PlannedWrite): void {
    const log = this.#logs[partition]!;
    if (ms === 0) return this.world.after(atMs, () => this.#produce(log, records, nature));
    for (let i = 0; i < records; i++) this.world.after(atMs + (ms * i) / records, () => this.#produce(log, 1, nature));
  }

  #produce(log: LogId, records: number, nature: PlannedWrite['nature']): void {
    if (nature === 'skipped') return this.#broker.skip(log, records, 'aborted');
    const value = (): string => {
      const id = this.#produced++;
      if (nature === 'garbage') return garbageOf(this.#rng);
      return nature === 'broken' && this.#rng.chance(0.2) ? brokenOrderOf(this.#rng, id) : orderOf(this.#rng, id);
    };
    const timestamp = BigInt(Math.floor(WORLD_BEGINS_MS + this.world.nowMs));
    this.#broker.append(
      log,
      Array.from({ length: records }, () => ({ value: Buffer.from(value()), timestamp })),
    );
  }

  #happen({ name, what }: PlannedEvent): void {
    this.world.trace.add(`${this.world.nowMs} ${name}`);
    if (what.kind === 'crash') this.#workers[what.worker]!.kill();
    else if (what.kind === 'freeze') this.#workers[what.worker]!.freeze(what.ms);
    else if (what.kind === 'clock-jump') this.#skews[what.worker]! += what.ms;
    else if (what.kind === 'rebalance') this.#group.rebalance();
    else if (what.kind === 'queue-wiped') this.#queue.wipe();
    else this.#act(what.kind);
  }

  /** Has a person do something; what that takes first, they do as well. */
  #act(act: Act, on: WatchedBatch | null = null): void {
    const name = `p${this.#incarnations++}`;
    const { seed, faults, calmFromMs } = this.#scenario;
    const dangers = this.world.nowMs >= calmFromMs ? CALM : faults;
    const process = new SimProcess(
      this.world,
      name,
      this.#faults,
      dangers,
      seed,
      () => 0,
      () => undefined,
    );
    const store = new SimStore(this.#store, process, this.world, faults);
    this.world.trace.add(`${name} does ${act}`);
    void this.#perform(act, on, process, store).catch((error: unknown) =>
      this.world.violate(new Violation('crash', `${act} ended with ${describe(error)}`, { cause: error })),
    );
  }

  async #perform(act: Act, on: WatchedBatch | null, process: SimProcess, store: SimStore): Promise<void> {
    for (const batch of await perform(act, on, process, store, this.#watch, this.#rng)) this.#act('condemn', batch);
  }

  /** While it is calm, a person lets go on what waits for them. */
  #tend(): void {
    if (this.#watch.isOnHold || this.#waitsForResume()) this.#act('resume');
    this.world.after(TENDING_MS, () => this.#tend());
  }

  /** Whether a rule has halted a log after the newest resume that its writer knew. */
  #waitsForResume(): boolean {
    const resumed = this.#watch.control.findLastIndex(({ kind }) => kind === 'resume');
    return [...this.#watch.batches.values()].some(
      ({ digest, entry, log }) =>
        entry.halt !== null && this.#watch.logs.get(formatLogId(log))?.digest === digest && entry.controlSeq >= resumed,
    );
  }

  /** Looks once a simulated second. */
  #isSettled(): boolean {
    const second = Math.floor(this.world.nowMs / 1_000);
    if (second === this.#lookedAt) return false;
    this.#lookedAt = second;
    return this.#unsettled() === null;
  }

  /** What is still to be done; null when all is. */
  #unsettled(): string | null {
    for (const log of this.#logs) {
      const name = formatLogId(log);
      const { latest } = this.#broker.bounds(log);
      const next = this.#watch.logs.get(name)?.next ?? 0;
      // Offsets without a record make no batch by themselves.
      if (next < latest && this.#broker.recordsIn(log, next, latest) > 0)
        return `${name} is committed up to ${next} of ${latest}`;
    }
    if (this.#watch.isOnHold) return 'the ref is on hold';
    return this.#unpublished() ?? this.#untold();
  }

  /** Whether a batch is not where its newest verdict or decision puts it. */
  #unpublished(): string | null {
    const snapshot = this.#watch.newestSnapshot;
    const digestsOf = (sequence: 'batches' | 'held'): ReadonlySet<string> =>
      new Set(snapshot === null ? [] : this.#watch.linesOf(snapshot, sequence).map(({ digest }) => digest));
    const [batches, held] = [digestsOf('batches'), digestsOf('held')];
    for (const batch of this.#watch.batches.values()) {
      const wanted = isWanted(batch) ? batches : held;
      if (!wanted.has(batch.digest))
        return `batch ${formatLogId(batch.log)}@${batch.entry.start} is not ${wanted === held ? 'held' : 'in the dataset'}`;
    }
    return null;
  }

  /** Whether a suspect batch is left that nobody was told of. */
  #untold(): string | null {
    const told = new Set(this.#delivered.map(({ id }) => id));
    for (const { digest, log, entry, verdict, isKnown } of this.#watch.batches.values())
      if (entry.verdict === 'suspect' && verdict !== 'clean' && !isKnown && !told.has(`batch-${digest.slice(0, 32)}`))
        return `nobody was told of batch ${formatLogId(log)}@${entry.start}`;
    return null;
  }

  /** @throws Violation where something is not as it should be once nothing goes wrong any more */
  #assertSettled(): void {
    const unsettled = this.#unsettled();
    if (unsettled !== null) throw new Violation(unsettled.startsWith('nobody') ? 'I8' : 'I9', unsettled);
    for (const [key, digest] of this.#watch.digests) this.#watch.assertUnchanged(key, digest);
  }

  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.world.violate(error);
    }
  }
}

/** Whether a batch belongs to the dataset. */
function isWanted({ entry, decision, verdict }: WatchedBatch): boolean {
  if (decision !== null) return decision === 'released';
  return entry.mode === 'observe' || (verdict ?? entry.verdict) === 'clean';
}

function undelivered({ id }: Alert): UnavailableError {
  return new UnavailableError('ALERT_UNDELIVERED', `Cannot deliver alert "${id}": simulated fault`);
}

function describe(error: unknown): string {
  if (error instanceof HeadgateError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
