import { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import type { MemoryCommits } from '../../src/adapters/memory/source.ts';
import { HeadgateError, IntegrityError } from '../../src/errors.ts';
import type { Clock } from '../../src/ports/clock.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import { alterHint, tamper } from './attacker.ts';
import { FaultPlan } from './faults.ts';
import { putGenesis, TOPICS } from './genesis.ts';
import { SimGroup } from './group.ts';
import { Hook } from './hook.ts';
import { LedgerWatch } from './ledger-watch.ts';
import type { WatchedBatch } from './watched.ts';
import { perform, type Act } from './person.ts';
import { SimProcess, type CallFaults } from './process.ts';
import { Producers } from './producers.ts';
import { SharedQueue, SimQueue } from './queue.ts';
import { SeededRng } from './rng.ts';
import type { PlannedEvent, Scenario } from './scenario.ts';
import { assertAlertsTrue, assertVerified, isBeyondReach, unsettled, waitsForResume, type Run } from './settled.ts';
import { SimSource } from './source.ts';
import { SharedStore, SimStore } from './store.ts';
import { Worker } from './worker.ts';
import { Violation, World, WORLD_BEGINS_MS } from './world.ts';

/** After the faults have ended, everything must be settled within so long, ms. */
const SETTLED_WITHIN_MS = 300_000;
/** Where something was damaged, nobody promises that; what goes on does so for so long, ms. */
const DAMAGED_FOR_MS = 10_000;
/** Of so many runs, the verifier decodes every file of one. */
const DEEP_EVERY = 5;
/** While it is calm, a person looks this often whether something waits for them. */
const TENDING_MS = 5_000;
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
  readonly #hook: Hook;
  readonly #producers: Producers;
  #watch!: LedgerWatch;
  #incarnations = 0;
  #halts = 0;
  /** Simulated second in which it was looked at last whether all is settled. */
  #lookedAt = -1;

  /** @param only names of the faults and acts that may happen; null = all that are planned. */
  constructor(scenario: Scenario, only: ReadonlySet<string> | null = null) {
    this.#scenario = scenario;
    this.#faults = new FaultPlan(scenario.seed, only);
    this.#faults.endAt(scenario.calmFromMs);
    this.#rng = new SeededRng(scenario.seed, 'simulation');
    this.#hook = new Hook(scenario.faults.undelivered);
    const { topics } = scenario;
    this.#logs = Array.from({ length: scenario.partitions }, (_, i) =>
      this.#broker.create(TOPICS[i % topics]!, Math.floor(i / topics)),
    );
    this.#producers = new Producers(this.world, this.#broker, this.#logs, this.#rng);
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
    const { calmFromMs, writes, events, workers, onGap } = this.#scenario;
    await putGenesis(this.#store);
    this.#watch = new LedgerWatch(this.#store, this.#producers.produced, onGap);
    this.#store.watch((key, bytes) => this.#guard(() => this.#watch.created(key, bytes)));
    for (const write of writes) this.#producers.plan(write);
    for (const event of events)
      this.world.after(event.atMs, () => {
        if (this.#faults.allows(event.name)) this.#happen(event);
      });
    for (let i = 0; i < workers; i++) this.#start(i);
    await this.world.run(calmFromMs);
    this.#tend();
    const untilMs = calmFromMs + (this.#isTampered ? DAMAGED_FOR_MS : SETTLED_WITHIN_MS);
    await this.world.run(untilMs, () => !this.#isTampered && this.#isSettled());
    if (this.world.violation === null) await this.#assertKept();
    return {
      seed: this.#scenario.seed,
      violation: this.world.violation,
      happened: this.#faults.happened,
      trace: this.world.trace.digest(),
      events: this.world.events,
      simulatedMs: Math.round(this.world.nowMs),
      batches: this.#watch.batches.size,
      records: this.#producers.records,
      snapshots: this.#watch.acts.filter(({ entry }) => entry.kind === 'publish').length,
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
    const channel = this.#hook.channelOf(process);
    const worker = new Worker({ process, store, source, queue, channel }, this.#scenario, {
      halted: (log, error) => this.#halted(process, log, error),
      isTampered: () => this.#isTampered,
    });
    this.world.trace.add(`${name} starts`);
    process.hear(1, () => {
      this.#group.join(process, source);
      void worker.run().catch((error: unknown) => this.#ended(process, error));
    });
  }

  /** A worker may only end where what it reads was damaged; it is started again then. */
  #ended(process: SimProcess, error: unknown): void {
    this.world.trace.add(`${process.name} ends: ${String(error)}`);
    if (this.#isTampered && error instanceof IntegrityError) return process.kill();
    this.world.violate(new Violation('crash', `${process.name} ended with ${describe(error)}`, { cause: error }));
  }

  #halted(process: SimProcess, name: string, error: HeadgateError): void {
    this.#halts++;
    this.world.trace.add(`${process.name} halts ${name}: ${error.code}`);
    const log = this.#logs.find((each) => formatLogId(each) === name)!;
    const isDue =
      error.code === 'RULE' ||
      (error.code === 'GAP' && isBeyondReach(this.#seen, log)) ||
      (this.#isTampered && error.code !== 'INTERNAL');
    if (!isDue)
      this.world.violate(
        new Violation(
          'I9',
          `${process.name} halted ${name} with ${describe(error)}, and nobody had done anything to it`,
        ),
      );
  }

  #happen({ name, what }: PlannedEvent): void {
    this.world.trace.add(`${this.world.nowMs} ${name}`);
    if (what.kind === 'crash') this.#workers[what.worker]!.kill();
    else if (what.kind === 'freeze') this.#workers[what.worker]!.freeze(what.ms);
    else if (what.kind === 'clock-jump') this.#skews[what.worker]! += what.ms;
    else if (what.kind === 'rebalance') this.#group.rebalance();
    else if (what.kind === 'queue-wiped') this.#queue.wipe();
    else if (what.kind === 'retention') this.#producers.retain(what.partition, what.records, what.share);
    else if (what.kind === 'hint-altered') this.world.trace.add(String(alterHint(this.#store, what.place, what.how)));
    else if (what.kind === 'tampering')
      this.world.trace.add(String(tamper(this.#store, this.#watch.named, what.place, what.how)));
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
    if (this.#watch.isOnHold || waitsForResume(this.#watch)) this.#act('resume');
    this.world.after(TENDING_MS, () => this.#tend());
  }

  /** Looks once a simulated second. */
  #isSettled(): boolean {
    const second = Math.floor(this.world.nowMs / 1_000);
    if (second === this.#lookedAt) return false;
    this.#lookedAt = second;
    return unsettled(this.#seen) === null;
  }

  /** Looks at everything once more when all is over. */
  async #assertKept(): Promise<void> {
    this.#guard(() => {
      const left = this.#isTampered ? null : unsettled(this.#seen);
      if (left !== null) throw new Violation(left.startsWith('nobody') ? 'I8' : 'I9', left);
      assertAlertsTrue(this.#seen);
      this.#watch.named.assertUnchanged();
    });
    const clock: Clock = {
      // A day later: clocks may have gone ahead while entries were written.
      now: () => WORLD_BEGINS_MS + 86_400_000,
      monotonic: () => this.world.nowMs,
      sleep: async () => undefined,
    };
    const deep = this.#isTampered || this.#scenario.seed % DEEP_EVERY === 0;
    const failure = await assertVerified(this.#store, this.#watch, clock, deep).then(
      () => null,
      (error: unknown) => error,
    );
    if (failure !== null)
      this.#guard(() => {
        throw failure;
      });
  }

  /** Whether an attacker has altered what is signed. */
  get #isTampered(): boolean {
    return this.#watch.named.tampered.length > 0;
  }

  get #seen(): Run {
    return {
      scenario: this.#scenario,
      watch: this.#watch,
      produced: this.#producers.produced,
      logs: this.#logs,
      delivered: this.#hook.delivered,
    };
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

function describe(error: unknown): string {
  if (error instanceof HeadgateError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
