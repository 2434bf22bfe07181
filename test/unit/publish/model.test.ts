import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Standing } from '../../../src/ledger/snapshot.ts';
import type { Publisher } from '../../../src/publish/publisher.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { decide } from '../../../src/respond/decisions.ts';
import { hold, resume, rollback } from '../../../src/respond/refs.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { TOPIC, TestLedger, never, partition, type TestVerdict } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';

type Truth = 'clean' | 'suspect' | 'undecided';
type Mode = 'enforce' | 'observe';

/** A batch as the model knows it; `truths` is what judging it again would say, by baseline. */
interface ModelBatch {
  readonly name: string;
  readonly log: number;
  readonly index: number;
  readonly verdict: TestVerdict;
  readonly mode: Mode;
  readonly baseline: number;
  readonly truths: readonly Truth[];
  readonly rows: number;
}

interface ModelSnapshot {
  readonly parent: ModelSnapshot | null;
  readonly batches: ReadonlyMap<string, Standing>;
  readonly held: ReadonlyMap<string, Standing>;
  /** Batches covered, by log. */
  readonly heads: readonly number[];
  readonly baseline: number;
}

const LOGS = 2;
const BASELINES = 3;
/** Fewer small batches than this stay undecided together. */
const UNION_MIN = 2;

/**
 * What the publisher and the commands must do, in a few lines over plain maps: no store, no log, no digest.
 */
class Model {
  readonly batches: ModelBatch[] = [];
  readonly decisions = new Map<string, 'released' | 'condemned'>();
  readonly verdicts = new Map<string, 'clean' | 'suspect'>();
  snapshot: ModelSnapshot | null = null;
  hold: 'none' | 'held' | 'rolled back' = 'none';
  baseline = 0;

  commit(batch: ModelBatch): void {
    this.batches.push(batch);
  }

  decide(name: string, outcome: 'released' | 'condemned'): void {
    this.decisions.set(name, outcome);
  }

  publish(): void {
    if (this.hold !== 'none') return;
    const base = this.snapshot;
    const fresh = this.#beyond(base);
    const waiting = [
      ...fresh,
      ...this.batches.filter(({ name }) => ['small', 'no-baseline'].includes(base?.held.get(name) ?? '')),
    ];
    const undecidable = this.#reconsider(waiting, base);
    const placed = new Map<string, Standing>([...(base?.batches ?? []), ...(base?.held ?? [])]);
    const changed = [...fresh.map(({ name }) => name), ...this.verdicts.keys(), ...this.#freshDecisions(placed)];
    if (changed.length === 0) return;
    for (const name of changed) {
      const standing = this.#standing(this.#find(name));
      placed.set(name, undecidable.has(name) && standing === 'clean' ? 'failed' : standing);
    }
    const isIn = ([name, standing]: readonly [string, Standing]): boolean => this.#enters(this.#find(name), standing);
    this.snapshot = {
      parent: base,
      batches: new Map([...placed].filter(isIn)),
      held: new Map([...placed].filter((each) => !isIn(each))),
      heads: Array.from({ length: LOGS }, (_, log) => this.batches.filter((batch) => batch.log === log).length),
      baseline: this.baseline,
    };
    this.#close();
  }

  rollback(steps: number): boolean {
    let target = this.snapshot;
    for (let i = 0; i < steps; i++) target = target?.parent ?? null;
    if (target === null || target === this.snapshot) return false;
    this.snapshot = target;
    this.hold = 'rolled back';
    this.baseline = target.baseline;
    this.#close();
    return true;
  }

  resume(): boolean {
    if (this.hold === 'rolled back') {
      const pending = this.#beyond(this.snapshot).filter(({ name }) => !this.decisions.has(name));
      const truth = ({ truths }: ModelBatch): Truth => truths[this.baseline]!;
      const stuck = pending.some(
        (batch) => truth(batch) === 'undecided' && this.#enters(batch, batch.verdict === 'clean' ? 'clean' : 'suspect'),
      );
      if (stuck) return false;
      for (const batch of pending)
        if (truth(batch) !== 'undecided') this.verdicts.set(batch.name, truth(batch) as 'clean' | 'suspect');
    }
    this.hold = 'none';
    return true;
  }

  /** Decisions that change where a batch stands. */
  #freshDecisions(placed: ReadonlyMap<string, Standing>): string[] {
    return [...this.decisions].filter(([name, outcome]) => placed.get(name) !== outcome).map(([name]) => name);
  }

  #beyond(base: ModelSnapshot | null): ModelBatch[] {
    return this.batches.filter(({ log, index }) => index >= (base?.heads[log] ?? 0));
  }

  #find(name: string): ModelBatch {
    return this.batches.find((batch) => batch.name === name)!;
  }

  #standing({ name, verdict }: ModelBatch): Standing {
    return this.decisions.get(name) ?? this.verdicts.get(name) ?? verdict;
  }

  #enters({ mode }: ModelBatch, standing: Standing): boolean {
    return standing !== 'condemned' && (mode === 'observe' || standing === 'clean' || standing === 'released');
  }

  #reconsider(waiting: readonly ModelBatch[], base: ModelSnapshot | null): Set<string> {
    const open = waiting.filter(
      ({ name, mode }) => mode === 'enforce' && !this.verdicts.has(name) && !this.decisions.has(name),
    );
    const inForce = [this.baseline, base?.baseline];
    const stale = open.filter(({ verdict, baseline }) => verdict === 'clean' && !inForce.includes(baseline));
    const unjudged = open.filter(({ verdict }) => verdict === 'no-baseline');
    const small = open.filter(
      ({ verdict, truths }) =>
        verdict === 'small' || (verdict === 'no-baseline' && truths[this.baseline] === 'undecided'),
    );
    const unclear = new Set<string>();
    for (const batch of [...stale, ...unjudged]) {
      const truth = batch.truths[this.baseline]!;
      if (truth !== 'undecided') this.verdicts.set(batch.name, truth);
      else if (stale.includes(batch)) unclear.add(batch.name);
    }
    if (small.length >= UNION_MIN) {
      const outcome = small.every(({ truths }) => truths[this.baseline] === 'clean') ? 'clean' : 'suspect';
      for (const { name } of small) this.verdicts.set(name, outcome);
    }
    return unclear;
  }

  #close(): void {
    this.verdicts.clear();
    for (const [name, outcome] of this.decisions) if (outcome === 'released') this.decisions.delete(name);
  }
}

const truth = fc.constantFrom<Truth>('clean', 'clean', 'suspect', 'undecided');
const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      log: fc.nat(LOGS - 1),
      verdict: fc.constantFrom<TestVerdict>('clean', 'clean', 'suspect', 'small', 'failed', 'no-baseline'),
      truths: fc.tuple(truth, truth, truth),
      rows: fc.integer({ min: 1, max: 3 }),
      oldBaseline: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish' as const), restart: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('decide' as const),
      which: fc.nat(20),
      outcome: fc.constantFrom('released' as const, 'condemned' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('resume' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('rollback' as const), steps: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('approve' as const) }) },
);
type Act = typeof act extends fc.Arbitrary<infer Each> ? Each : never;

/** The real ledger beside the model, driven by the same acts. */
class Run {
  readonly #test: TestLedger;
  readonly #mode: Mode;
  readonly #model = new Model();
  readonly #batches: LoggedBatch[] = [];
  readonly #baselines: string[];
  #publisher: Publisher;

  private constructor(test: TestLedger, mode: Mode, baselines: string[]) {
    this.#test = test;
    this.#mode = mode;
    this.#baselines = baselines;
    this.#publisher = test.publisher(this.#rejudge);
  }

  static async open(mode: Mode): Promise<Run> {
    const test = await TestLedger.open({ mode, prepared: false });
    await test.pinSchema();
    return new Run(test, mode, [await test.approveBaseline('0')]);
  }

  async do(each: Act): Promise<void> {
    switch (each.kind) {
      case 'commit':
        return this.#commit(each);
      case 'publish':
        if (each.restart) this.#publisher = this.#test.publisher(this.#rejudge, this.#test.reopened());
        await this.#publisher.publish(never);
        return this.#model.publish();
      case 'decide':
        return this.#decide(each.which, each.outcome);
      case 'hold':
        if (this.#model.snapshot === null) return;
        await hold(this.#test.ledger, 'main', this.#test.person(), never);
        if (this.#model.hold === 'none') this.#model.hold = 'held';
        return;
      case 'resume': {
        const { ledger, keys } = this.#test;
        const resuming = resume(ledger, 'main', this.#test.person(), this.#rejudge, keys.publisher, never);
        if (this.#model.resume()) await resuming;
        else await expect(resuming).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
        return;
      }
      case 'rollback':
        return this.#rollback(each.steps);
      case 'approve':
        if (this.#baselines.length === BASELINES) return;
        this.#model.baseline = this.#baselines.length;
        this.#baselines.push(await this.#test.approveBaseline(String(this.#baselines.length)));
    }
  }

  /** The ref names exactly what the model says, and a verifier agrees. */
  async check(): Promise<void> {
    const { snapshot } = this.#model;
    const { state } = await this.#test.reopened().control.head();
    expect(state.holds['main'] !== undefined).toBe(this.#model.hold !== 'none');
    if (snapshot === null) return expect(state.refs).toEqual({});
    for (const sequence of ['batches', 'held'] as const) {
      const found = Object.entries(await this.#test.standings(sequence)).map(([digest, standing]) => [
        this.#nameOf(digest),
        standing,
      ]);
      expect(Object.fromEntries(found), sequence).toEqual(Object.fromEntries(snapshot[sequence]));
    }
    const inside = this.#model.batches.filter(({ name }) => snapshot.batches.has(name));
    expect((await this.#test.snapshot()).records).toBe(inside.reduce((sum, { rows }) => sum + rows, 0));
  }

  async verify(): Promise<void> {
    const report = await verifyPipeline(this.#test.reopened(), { deep: false, format: parquetFormat, signal: never });
    expect(report.problems).toEqual([]);
  }

  async #commit({ log, verdict, truths, rows, oldBaseline }: Extract<Act, { kind: 'commit' }>): Promise<void> {
    const { baseline: inForce, batches } = this.#model;
    const baseline = oldBaseline ? 0 : inForce;
    const values = Array.from({ length: rows }, (_, id) => JSON.stringify({ id }));
    this.#batches.push(
      await this.#test.commit(partition(log), { verdict, values, baseline: this.#baselines[baseline]! }),
    );
    const index = batches.filter((batch) => batch.log === log).length;
    this.#model.commit({ name: `${log}-${index}`, log, index, verdict, mode: this.#mode, baseline, truths, rows });
  }

  async #decide(which: number, outcome: 'released' | 'condemned'): Promise<void> {
    const at = which % Math.max(1, this.#batches.length);
    const [batch, model] = [this.#batches[at], this.#model.batches[at]];
    if (batch === undefined || model === undefined) return;
    const where = `test/${TOPIC}/${model.log}@${batch.entry.start}`;
    try {
      await decide(this.#test.ledger, 'main', where, outcome, this.#test.person(), never);
      this.#model.decide(model.name, outcome);
    } catch (error) {
      expect(error).toMatchObject({ code: 'REQUEST_INVALID' });
    }
  }

  async #rollback(steps: number): Promise<void> {
    const { ledger } = this.#test;
    let target = (await ledger.control.head()).state.refs['main'] ?? null;
    for (let i = 0; i < steps && target !== null; i++) target = (await ledger.snapshots.read(target)).parent;
    const done = this.#model.rollback(steps);
    expect(target !== null).toBe(done);
    if (target !== null) await rollback(ledger, 'main', target, this.#test.person(), never);
  }

  readonly #rejudge: Rejudge = async (_topic, batches, as, baseline) => {
    const number = this.#baselines.indexOf(baseline);
    const truthOf = ({ digest }: LoggedBatch): Truth =>
      this.#model.batches[this.#batches.findIndex((batch) => batch.digest === digest)]!.truths[number]!;
    const truths = batches.map(truthOf);
    if (as === 'union' && batches.length < UNION_MIN) return null;
    const union: Truth = truths.every((each) => each === 'clean') ? 'clean' : 'suspect';
    const outcomeOf = (batch: LoggedBatch): Truth => (as === 'union' ? union : truthOf(batch));
    return storeRejudgement(this.#test.ledger, { as, batches, baseline, outcomeOf });
  };

  #nameOf(digest: string): string {
    return this.#model.batches[this.#batches.findIndex((batch) => batch.digest === digest)]!.name;
  }
}

describe('after any sequence of commits, decisions, approvals, holds, rollbacks and publishes', () => {
  it.each<[Mode, number]>([
    ['enforce', 60],
    ['observe', 20],
  ])('the snapshot is what a model says, and verifies (%s mode)', async (mode, numRuns) => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 4, maxLength: 25 }), async (acts) => {
        const run = await Run.open(mode);
        for (const each of acts) {
          await run.do(each);
          await run.check();
        }
        await run.verify();
      }),
      { numRuns },
    );
  });
});
