import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MemoryStore } from '../../../src/adapters/memory/store.ts';
import { parquetFormat } from '../../../src/adapters/parquet/format.ts';
import { HeadgateError } from '../../../src/errors.ts';
import type { ControlEntry } from '../../../src/ledger/control-entry.ts';
import type { Mode } from '../../../src/ledger/partition-entry.ts';
import type { LoggedBatch } from '../../../src/ledger/partition-log.ts';
import type { Rejudge } from '../../../src/publish/reconsider.ts';
import { formatLogId, type LogId } from '../../../src/record/log-id.ts';
import { approve } from '../../../src/respond/approve-baseline.ts';
import { decide } from '../../../src/respond/decisions.ts';
import { gate } from '../../../src/respond/gate.ts';
import type { LedgerContext } from '../../../src/respond/ledger-context.ts';
import { hold, resume, rollback } from '../../../src/respond/refs.ts';
import { verifyPipeline } from '../../../src/respond/verify.ts';
import { StoreDecorator } from '../../support/faulty-store.ts';
import { randomOf } from '../../support/flights.ts';
import { LeapingClock } from '../../support/leaping-clock.ts';
import { TOPIC, TestLedger, all, never, partition, type TestVerdict } from '../../support/ledger.ts';
import { storeRejudgement } from '../../support/rejudgement.ts';
import { settle } from '../../support/manual-clock.ts';

/** Each run is a whole pipeline, verified to its last byte. */
const TIMEOUT_MS = 120_000;

/** Baselines that were learned; the first one is in force when a run begins. */
const BASELINES = 3;

type Truth = 'clean' | 'suspect' | 'undecided';

/** What may be done, by the publisher and by people. */
const act = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('resume') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback'), to: fc.constant('last-clean') }) },
  // So many publishes back, or to the time of so many control entries back.
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('rollback'), to: fc.constantFrom('snapshot', 'time'), back: fc.nat(5) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('decide'),
      which: fc.nat(20),
      outcome: fc.constantFrom('released', 'condemned'),
    }),
  },
  // Condemns what is published, then goes back to before it.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('incident'), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('approve'), baseline: fc.nat(BASELINES - 1) }) },
);
const commit = fc.record({
  kind: fc.constant('commit'),
  log: fc.nat(1),
  verdict: fc.constantFrom<TestVerdict>('clean', 'clean', 'suspect', 'small', 'failed'),
  /** What judging it again says, by each baseline. */
  truths: fc.array(fc.constantFrom<Truth>('clean', 'clean', 'suspect', 'undecided'), {
    minLength: BASELINES,
    maxLength: BASELINES,
  }),
  /** Most are published at once. */
  publish: fc.constantFrom(true, true, false),
});
type Act =
  | (typeof act extends fc.Arbitrary<infer Each> ? Each : never)
  | (typeof commit extends fc.Arbitrary<infer Each> ? Each : never);

/** Answers each call a few turns later, so that what runs at once is interleaved in another way for every seed. */
class YieldingStore extends StoreDecorator {
  readonly #random: () => number;
  yields = 0;

  constructor(seed: number) {
    super(new MemoryStore());
    this.#random = randomOf(seed);
  }

  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    await this.#pause();
    return super.create(key, bytes);
  }

  override async get(key: string, bytesMax: number): Promise<Buffer | null> {
    await this.#pause();
    return super.get(key, bytesMax);
  }

  async #pause(): Promise<void> {
    for (let turns = Math.floor(this.#random() * (this.yields + 1)); turns > 0; turns--) await settle();
  }
}

/** A pipeline on which anything is done; after every step, its history is held against the rules of the ledger. */
class Run {
  readonly #test: TestLedger;
  readonly #store: YieldingStore;
  readonly #clock: LeapingClock;
  readonly #mode: Mode;
  readonly #batches: LoggedBatch[] = [];
  /** What judging a batch again says, by its name and the number of the baseline. */
  readonly #truths = new Map<string, readonly Truth[]>();
  readonly #baselines: string[] = [];
  /** Tags of all objects that must never change, by key. */
  #locked = new Map<string, string>();
  readonly #published = new Map<string, ReadonlySet<string>>();

  private constructor(test: TestLedger, store: YieldingStore, clock: LeapingClock, mode: Mode) {
    this.#test = test;
    this.#store = store;
    this.#clock = clock;
    this.#mode = mode;
  }

  static async open(mode: Mode, seed: number): Promise<Run> {
    const [store, clock] = [new YieldingStore(seed), new LeapingClock()];
    const run = new Run(await TestLedger.open({ mode, store, clock, prepared: false }), store, clock, mode);
    await run.#test.pinSchema();
    for (let i = 0; i < BASELINES; i++) run.#baselines.unshift(await run.#test.approveBaseline(String(i)));
    return run;
  }

  /** Does all acts of a step at once, each by a process that has just started. */
  async step(acts: readonly Act[]): Promise<void> {
    this.#clock.advance(1_000);
    this.#store.yields = acts.length > 1 ? 3 : 0;
    for (const result of await Promise.allSettled(acts.map((each) => this.#do(each)))) {
      if (result.status === 'fulfilled') continue;
      const { reason } = result as { reason: unknown };
      if (!(reason instanceof HeadgateError) || !['REQUEST_INVALID', 'NOT_FOUND'].includes(reason.code)) throw reason;
    }
    this.#store.yields = 0;
    await this.#checkHistory();
    await this.#checkLocked();
    await this.#checkGate();
  }

  /** Whatever has happened, one person's decisions and a resume bring every batch to a place, and all of it verifies. */
  async finish(): Promise<void> {
    const { ledger, keys } = this.#test;
    const open = (await ledger.control.head()).state;
    for (const { log, entry, digest } of this.#batches) {
      if (open.decisions[digest] !== undefined) continue;
      const where = nameOf(log, entry.start);
      await decide(ledger, 'main', where, 'released', this.#test.person(), never).catch((error: unknown) =>
        expect(error).toMatchObject({ code: 'REQUEST_INVALID' }),
      );
    }
    await resume(ledger, 'main', this.#test.person(), this.#rejudge, keys.publisher, never);
    await this.#publish(ledger);
    await this.#checkHistory();
    if (this.#batches.length > 0) {
      const placed = { ...(await this.#test.standings('batches')), ...(await this.#test.standings('held')) };
      expect(Object.keys(placed).toSorted()).toEqual(this.#batches.map(({ digest }) => digest).toSorted());
    }
    const report = await verifyPipeline(this.#test.reopened(), { deep: true, format: parquetFormat, signal: never });
    expect(report).toMatchObject({ ok: true, problems: [], batches: this.#batches.length });
  }

  async #do(each: Act): Promise<void> {
    const ledger = this.#test.reopened(this.#store, this.#clock);
    switch (each.kind) {
      case 'commit':
        return this.#commit(each, ledger);
      case 'publish':
        return this.#publish(ledger);
      case 'hold':
        return this.#hold(ledger);
      case 'resume':
        await resume(ledger, 'main', this.#test.person(), this.#rejudge, this.#test.keys.publisher, never);
        return;
      case 'rollback':
        return this.#rollback(ledger, each);
      case 'decide': {
        const { which, outcome } = each;
        return this.#decide(ledger, this.#batches, which, outcome);
      }
      case 'incident': {
        const { refs } = (await ledger.control.head()).state;
        const published = refs['main'] === undefined ? new Set<string>() : await this.#batchesOf(refs['main']);
        const among = this.#batches.filter(({ digest }) => published.has(digest));
        await this.#decide(ledger, among, each.which, 'condemned');
        return this.#rollback(ledger, { kind: 'rollback', to: 'last-clean' });
      }
      case 'approve':
        await approve(ledger, TOPIC, this.#baselines[each.baseline], this.#test.person(), never);
    }
  }

  async #commit(
    { log, verdict, truths, publish }: Extract<Act, { log: number }>,
    ledger: LedgerContext,
  ): Promise<void> {
    const start = this.#batches.filter((batch) => batch.log.partition === String(log)).length;
    this.#truths.set(nameOf(partition(log), start), truths);
    this.#batches.push(await this.#test.commit(partition(log), { verdict, values: ['{"id":1}'] }));
    if (publish) await this.#publish(ledger);
  }

  async #publish(ledger: LedgerContext): Promise<void> {
    await this.#test.publisher(this.#rejudge, ledger).publish(never);
  }

  async #decide(
    ledger: LedgerContext,
    among: readonly LoggedBatch[],
    which: number,
    outcome: 'released' | 'condemned',
  ): Promise<void> {
    const batch = among[which % Math.max(1, among.length)];
    if (batch === undefined) return;
    await decide(ledger, 'main', nameOf(batch.log, batch.entry.start), outcome, this.#test.person(), never);
  }

  /** A second hold changes nothing. */
  async #hold(ledger: LedgerContext): Promise<void> {
    await hold(ledger, 'main', this.#test.person(), never);
    if (this.#store.yields > 0) return;
    const before = await this.#entries();
    expect(await hold(ledger, 'main', this.#test.person(), never)).toEqual({ unchanged: true });
    expect(await this.#entries()).toEqual(before);
  }

  /** The way to the target is signed as the reason, so that the history tells whether anyone asked for that very snapshot. */
  async #rollback(ledger: LedgerContext, { to, ...rest }: Extract<Act, { to: string }>): Promise<void> {
    const entries = await this.#entries();
    const back = 'back' in rest ? rest.back : 0;
    const published = entries.flatMap((entry) => (entry.kind === 'publish' ? [entry.snapshot] : []));
    const time = entries.at(-1 - (back % entries.length))!.time;
    const target = to === 'last-clean' ? to : to === 'time' ? time : published.at(-1 - (back % published.length || 0));
    if (target === undefined) return;
    if (this.#store.yields > 0) {
      await rollback(ledger, 'main', target, this.#test.person(to), never);
      return;
    }
    const [keys, { state }] = [await this.#tags(''), await this.#test.ledger.control.head()];
    const from = state.refs['main'];
    const ancestors = from === undefined ? [] : await this.#ancestors(from);
    const wanted =
      to === 'last-clean' ? await this.#newestClean(from) : to === 'time' ? namedAt(entries, time) : target;
    const report = await rollback(ledger, 'main', target, this.#test.person(to), never).catch((cause: unknown) => {
      throw ancestors.includes(wanted!) ? new Error(`Refuses to go back to ${wanted}`, { cause }) : cause;
    });
    expect(report.to).toBe(wanted);
    const added = [...(await this.#tags('')).keys()].filter((key) => !keys.has(key));
    expect(added.filter((key) => !/^shop\/(control|states|hint)\//.test(key))).toEqual([]);
    const before = await this.#entries();
    const again = rollback(ledger, 'main', report.to, this.#test.person(to), never);
    expect(await again).toMatchObject({ to: report.to, unchanged: true, batchesRemoved: 0, recordsRemoved: 0 });
    expect(await this.#entries()).toEqual(before);
  }

  readonly #rejudge: Rejudge = async (_topic, batches, as, baseline) => {
    const truthOf = ({ log, entry }: LoggedBatch): Truth =>
      this.#truths.get(nameOf(log, entry.start))![this.#baselines.indexOf(baseline)]!;
    const union: Truth = batches.every((batch) => truthOf(batch) === 'clean') ? 'clean' : 'suspect';
    if (as === 'union' && batches.length < 2) return null;
    const outcomeOf = (batch: LoggedBatch): Truth => (as === 'union' ? union : truthOf(batch));
    return storeRejudgement({ ...this.#test.ledger, store: this.#store }, { as, batches, baseline, outcomeOf });
  };

  /** Reads the control log from its beginning, as a stranger would, and holds each entry against what came before. */
  async #checkHistory(): Promise<void> {
    let named: string | null = null;
    let heldAt: number | null = null;
    let inForce: string | undefined;
    const decisions = new Map<string, 'released' | 'condemned'>();
    const everPublished = new Set<string>();
    /** Batches that a rollback has left behind and that nobody has judged clean or released since. */
    let leftBehind = new Set<string>();
    for (const entry of await this.#entries()) {
      const why = `control entry ${entry.seq}`;
      if (entry.kind === 'hold' || entry.kind === 'rollback') heldAt = entry.seq;
      if (entry.kind === 'resume') heldAt = null;
      if (entry.kind === 'publish') {
        // A hold stops ref moves; only who knows the newest snapshot builds on it.
        expect(heldAt, `${why} passes a hold`).toBeNull();
        expect(entry.parent, `${why} builds on another snapshot`).toBe(named);
        named = entry.snapshot;
        for (const digest of await this.#batchesOf(named)) {
          expect(decisions.get(digest), `${why} publishes what is condemned`).not.toBe('condemned');
          expect(leftBehind.has(digest), `${why} brings back what was rolled back`).toBe(false);
          everPublished.add(digest);
        }
      }
      if (entry.kind === 'rollback') {
        expect(entry.from, `${why} leaves another snapshot`).toBe(named);
        expect(await this.#ancestors(entry.from), `${why} goes to no ancestor`).toContain(entry.to);
        named = entry.to;
        const kept = await this.#batchesOf(named);
        leftBehind = new Set([...everPublished].filter((digest) => !kept.has(digest)));
        for (const digest of kept)
          if (entry.reason === 'last-clean') expect(decisions.get(digest), why).not.toBe('condemned');
        const { baselines } = await this.#test.ledger.snapshots.read(named);
        expect({ ...entry.baselines }, `${why} puts other baselines in force`).toEqual({ ...baselines });
        inForce = entry.baselines[TOPIC];
      }
      if (entry.kind === 'approve') inForce = entry.baseline;
      if (entry.kind === 'verdict') expect(entry.baseline, `${why} judges by what is not in force`).toBe(inForce);
      if (entry.kind === 'decision') {
        decisions.set(entry.batch.digest, entry.outcome);
        if (entry.outcome === 'released') leftBehind.delete(entry.batch.digest);
      }
      if (entry.kind === 'verdict' && (entry.outcome === 'clean' || this.#mode === 'observe'))
        for (const { digest } of entry.batches) leftBehind.delete(digest);
    }
    const { state } = await this.#test.reopened().control.head();
    expect([state.refs['main'] ?? null, state.holds['main'] ?? null]).toEqual([named, heldAt]);
  }

  /** Logs, control entries, states, snapshots and pages are written once. */
  async #checkLocked(): Promise<void> {
    const now = new Map<string, string>();
    for (const area of ['log', 'control', 'states', 'snapshots', 'pages'])
      for (const [key, tag] of await this.#tags(`shop/${area}/`)) now.set(key, tag);
    for (const [key, tag] of this.#locked) expect(now.get(key), key).toBe(tag);
    this.#locked = now;
  }

  /** What may be trained on is on no hold and holds nothing that is condemned. */
  async #checkGate(): Promise<void> {
    const { state } = await this.#test.ledger.control.head();
    const named = state.refs['main'];
    if (named === undefined) return;
    const { records } = await this.#test.ledger.snapshots.read(named);
    const condemned = [...(await this.#batchesOf(named))].filter(
      (digest) => state.decisions[digest]?.outcome === 'condemned',
    );
    const passes = state.holds['main'] === undefined && records > 0 && condemned.length === 0;
    const report = await gate(this.#test.reopened(), { ref: 'main', maxAgeMs: null, signal: never });
    expect(report.verdict, report.reasons.join('; ')).toBe(passes ? 'pass' : 'refused');
  }

  async #entries(): Promise<ControlEntry[]> {
    return (await all(this.#test.reopened().control.walk())).map(({ entry }) => entry);
  }

  async #batchesOf(snapshot: string): Promise<ReadonlySet<string>> {
    const known = this.#published.get(snapshot);
    if (known !== undefined) return known;
    const { snapshots } = this.#test.ledger;
    const lines = await all(snapshots.batches((await snapshots.read(snapshot)).batches));
    const digests = new Set(lines.map(({ digest }) => digest));
    this.#published.set(snapshot, digests);
    return digests;
  }

  /** All that a snapshot grew out of, the newest first, without itself. */
  async #ancestors(snapshot: string): Promise<string[]> {
    const { parent } = await this.#test.ledger.snapshots.read(snapshot);
    return parent === null ? [] : [parent, ...(await this.#ancestors(parent))];
  }

  async #newestClean(from: string | undefined): Promise<string | undefined> {
    if (from === undefined) return undefined;
    const { decisions } = (await this.#test.ledger.control.head()).state;
    for (const snapshot of [from, ...(await this.#ancestors(from))]) {
      const digests = [...(await this.#batchesOf(snapshot))];
      if (digests.every((digest) => decisions[digest]?.outcome !== 'condemned')) return snapshot;
    }
    return undefined;
  }

  async #tags(prefix: string): Promise<Map<string, string>> {
    const tags = new Map<string, string>();
    for (let startAfter: string | null = ''; startAfter !== null;) {
      const page = await this.#store.list(prefix, { limit: 1_000, ...(startAfter === '' ? {} : { startAfter }) });
      for (const { key, tag } of page.objects) tags.set(key, tag);
      startAfter = page.next;
    }
    return tags;
  }
}

function nameOf(log: LogId, start: number): string {
  return `${formatLogId(log)}@${start}`;
}

/** What the ref named at a time, from the entries alone. */
function namedAt(entries: readonly ControlEntry[], time: string): string | undefined {
  const moves = entries
    .filter((entry) => entry.time <= time)
    .flatMap((entry) => (entry.kind === 'publish' ? [entry.snapshot] : entry.kind === 'rollback' ? [entry.to] : []));
  return moves.at(-1);
}

const alone = fc.oneof(
  { weight: 1, arbitrary: commit.map((each): readonly Act[] => [each]) },
  { weight: 1, arbitrary: act.map((each): readonly Act[] => [each]) },
);
const together = fc.oneof(
  { weight: 2, arbitrary: alone },
  { weight: 2, arbitrary: fc.array(act, { minLength: 2, maxLength: 3 }).map((acts): readonly Act[] => acts) },
  { weight: 1, arbitrary: fc.tuple(commit, act).map((acts): readonly Act[] => acts) },
);

async function holds(mode: Mode, steps: fc.Arbitrary<readonly Act[]>, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(steps, { minLength: 4, maxLength: 30, size: 'max' }), async (seed, given) => {
      const run = await Run.open(mode, seed);
      for (const acts of given) await run.step(acts);
      await run.finish();
    }),
    { numRuns },
  );
}

describe('whatever is published, held, resumed, rolled back and decided', () => {
  it.each<[Mode, number]>([
    ['enforce', 30],
    ['observe', 12],
  ])(
    'one after the other, the history keeps to the rules and verifies (%s mode)',
    (mode, numRuns) => holds(mode, alone, numRuns),
    TIMEOUT_MS,
  );

  it.each<[Mode, number]>([
    ['enforce', 30],
    ['observe', 12],
  ])(
    'at once, by several people and publishers, the history keeps to the rules and verifies (%s mode)',
    (mode, numRuns) => holds(mode, together, numRuns),
    TIMEOUT_MS,
  );
});
