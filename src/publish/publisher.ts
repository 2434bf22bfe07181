import { ConflictError, IntegrityError } from '../errors.ts';
import type { BatchRef, ControlAct } from '../ledger/control-entry.ts';
import { nextSeq, type ControlHead, type ControlLog } from '../ledger/control-log.ts';
import type { Layout } from '../ledger/layout.ts';
import type { PartitionLogs } from '../ledger/partition-log.ts';
import { emptySnapshot, type Snapshot, type Snapshots, type Standing } from '../ledger/snapshot.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import { parseLogId, type LogId } from '../record/log-id.ts';
import { copyToData, evidenceFaults, faultsIn } from './batch-objects.ts';
import { LeftOut, namesOfDamaged, unjudgedLogs } from './left-out.ts';
import type { DamagedLog, NewBatch, News, NewsFinder } from './news.ts';
import { nextSnapshot } from './next-snapshot.ts';
import { OnHold, obstaclesTo } from './on-hold.ts';
import { condemnLine, emptyPlan, placeBatch, standingOf, type Plan } from './plan.ts';
import { HeldBatches, isToBeJudged, reconsider, type Reconsideration, type Rejudge } from './reconsider.ts';

/** What one round did. */
export interface PublishReport {
  /** The new snapshot; null when nothing changed or the ref is on hold. */
  readonly snapshot: string | null;
  /** Batches that entered the dataset. */
  readonly published: number;
  /** Batches that the newest snapshot holds back. */
  readonly held: number;
  readonly onHold: boolean;
  /** Logs of which nothing is published before they are mended; all others are. */
  readonly damaged: readonly DamagedLog[];
}

/** What {@link Publisher} is made of. */
export interface PublisherOptions {
  readonly store: ObjectStore;
  readonly layout: Layout;
  readonly logs: PartitionLogs;
  readonly control: ControlLog;
  readonly snapshots: Snapshots;
  readonly news: NewsFinder;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly pipeline: string;
  readonly ref: string;
  /** Name that entries carry as their author. */
  readonly by: string;
  readonly rejudge: Rejudge;
}

/** Races that a round may lose in a row before the caller is told: two publishers alone never get there. */
const LOST_RACES_MAX = 100;

/**
 * Turns committed batches and decisions into the next snapshot of a ref.
 *
 * The snapshot is the boundary: in enforce mode nothing enters it but clean and released batches. A round reads the
 * control log, decides where every new or re-decided batch belongs, stores pages and snapshot, and appends one control
 * entry; if anyone was faster, it starts over from what they wrote. A log whose entries, evidence or data are not what was
 * signed is left where the snapshot has it, and does not keep the others back; what was judged and decided of it waits.
 */
export class Publisher {
  readonly #o: PublisherOptions;
  readonly #held: HeldBatches;
  /** Control seq of the newest snapshot that was built on or published; −1 before the first. */
  #baseSeq = -1;
  readonly #onHold: OnHold;
  readonly #leftOut: LeftOut;

  constructor(options: PublisherOptions) {
    this.#o = options;
    this.#leftOut = new LeftOut(options);
    this.#onHold = new OnHold(options);
    this.#held = new HeldBatches(options.logs, options.snapshots);
  }

  /** Publishes what is new. @throws IntegrityError, UnavailableError; ConflictError after losing many races in a row */
  async publish(signal: AbortSignal): Promise<PublishReport> {
    if (this.#leftOut.clearIfDue()) this.#o.news.forget();
    for (let lost = 0; ;) {
      try {
        return await this.#round(signal);
      } catch (error) {
        this.#o.news.forget();
        if (error instanceof IntegrityError && this.#leftOut.add(error)) continue;
        if (!(error instanceof ConflictError) || signal.aborted || lost++ >= LOST_RACES_MAX) throw error;
      }
    }
  }

  /** What is new, but for logs that are left out, and those. */
  async #news({ state }: ControlHead, base: Snapshot): Promise<News> {
    const { layout, news, snapshots, ref } = this.#o;
    const unjudged = unjudgedLogs(layout, state, ref);
    const { batches, heads, damaged } = await news.since(await snapshots.heads(base.heads));
    const isWhole = ({ log }: { readonly log: LogId }): boolean =>
      !this.#leftOut.logs.has(layout.headHint(log)) && !unjudged.has(layout.headHint(log));
    return {
      batches: batches.filter(isWhole),
      heads: heads.filter(isWhole),
      damaged: new Map([...unjudged, ...damaged, ...this.#leftOut.logs]),
    };
  }

  #isIn(logs: ReadonlyMap<string, unknown>, name: string): boolean {
    const log = parseLogId(name);
    return log !== undefined && logs.has(this.#o.layout.headHint(log));
  }

  async #round(signal: AbortSignal): Promise<PublishReport> {
    const { control, ref, pipeline, snapshots, news } = this.#o;
    const head = await control.head();
    const parent = head.state.refs[ref] ?? null;
    const base = parent === null ? emptySnapshot(pipeline) : await snapshots.read(parent);
    const unchanged = { snapshot: null, published: 0, held: base.held.count };
    const onHold = head.state.holds[ref] !== undefined;
    // The ref went back, or what was found waits no longer: what lies beyond its heads is news again, although no hint has changed.
    if (base.controlSeq < this.#baseSeq || (this.#onHold.isLooking && !onHold)) news.forget();
    this.#baseSeq = base.controlSeq;
    if (onHold)
      return { ...unchanged, onHold, damaged: await this.#onHold.damaged(() => this.#lookOnHold(head, base)) };
    this.#onHold.end();
    const found = await this.#news(head, base);
    const damaged = [...new Set(found.damaged.values())];
    const settled = await this.#settle(head, base, found, signal);
    const plan = await this.#plan(settled.head, base, found, settled.undecidable);
    // A log that only changed hands is no news for readers: its head is covered with its next batch.
    if (plan.batches.length + plan.held.length === 0) return { ...unchanged, onHold: false, damaged };
    const faults: IntegrityError[] = [];
    for (const batch of plan.toCopy) faults.push(...(await faultsIn(() => copyToData(this.#o, batch, signal))));
    this.#leftOut.assertNone(faults);
    const waiting = this.#namesOf(plan.waiting);
    const next = await nextSnapshot(snapshots, settled.head, base, { found, plan }, signal);
    const snapshot = await snapshots.write({ ...next, parent }, signal);
    await this.#append(settled.head, { kind: 'publish', by: this.#o.by, ref, parent, snapshot, ...waiting }, signal);
    this.#baseSeq = next.controlSeq;
    return { snapshot, published: plan.added.length, held: next.held.count, onHold: false, damaged };
  }

  /** Appends the verdicts that are owed, one after the other, each on the state after the one before. @throws ConflictError */
  async #settle(
    head: ControlHead,
    base: Snapshot,
    { batches, damaged }: News,
    signal: AbortSignal,
  ): Promise<{ readonly head: ControlHead; readonly undecidable: ReadonlySet<string> }> {
    const held = await this.#waitingIn(base, head, damaged);
    const waiting = [...batches, ...held];
    for (let settled = head; ;) {
      const { act, undecidable } = await this.#reconsider(settled, base, waiting, signal);
      if (act === null) return { head: settled, undecidable };
      await this.#append(settled, act, signal);
      const newest = await this.#o.control.head();
      if (nextSeq(newest) !== nextSeq(settled) + 1) throw overtaken(settled, newest);
      settled = newest;
    }
  }

  /** Held batches that are still to be judged, but of logs that are left out. @throws the first of all that are damaged */
  async #waitingIn(
    base: Snapshot,
    { state }: ControlHead,
    damaged: ReadonlyMap<string, unknown>,
  ): Promise<readonly NewBatch[]> {
    const faults: IntegrityError[] = [];
    const held = await this.#held.waitingIn(base, state, (log) => this.#isIn(damaged, log), faults);
    this.#leftOut.assertNone(faults);
    return held;
  }

  /** As {@link reconsider}; once evidence is damaged, all that may be judged is read to find what else is. */
  async #reconsider(
    { state }: ControlHead,
    base: Snapshot,
    waiting: readonly NewBatch[],
    signal: AbortSignal,
  ): Promise<Reconsideration> {
    try {
      return await reconsider(this.#o, state, base, waiting, signal);
    } catch (error) {
      // A baseline that is damaged is found again by whatever it judges.
      if (!(error instanceof IntegrityError) || this.#o.layout.headHintOf(error.object) === null) throw error;
      const judged = waiting.filter((batch) => isToBeJudged(batch, state, base));
      const others = await evidenceFaults(this.#o, judged);
      this.#leftOut.assertNone([error, ...others.map((other) => other.error)]);
      throw error;
    }
  }

  async #lookOnHold(head: ControlHead, base: Snapshot): Promise<readonly DamagedLog[]> {
    this.#o.news.forget();
    const { batches, damaged } = await this.#news(head, base);
    const held = await this.#waitingIn(base, head, damaged);
    for (const fault of await obstaclesTo(this.#o.store, [...batches, ...held], head.state)) this.#leftOut.add(fault);
    return [...new Set(new Map([...damaged, ...this.#leftOut.logs]).values())];
  }

  #namesOf(waiting: ReadonlySet<string>): { readonly waiting?: string[] } {
    if (waiting.size === 0) return {};
    const wayOut = 'what is released or was judged there can also be condemned, and released again later';
    return { waiting: namesOfDamaged(waiting, `publish "${this.#o.ref}"`, wayOut) };
  }

  /**
   * Decides where each new batch, and each covered one with a decision or verdict that is open, belongs. A publish takes up
   * every one there is, or leaves it open by name. In a log that cannot be read, what is condemned is taken out all the
   * same; all else waits, so that a batch that was found suspect does not pass for a clean one when the log is mended.
   */
  async #plan(
    { state }: ControlHead,
    base: Snapshot,
    { batches, damaged }: News,
    undecidable: ReadonlySet<string>,
  ): Promise<Plan> {
    const plan = emptyPlan();
    const faults: IntegrityError[] = [];
    for (const batch of batches) {
      const standing = standingOf(batch, state);
      placeBatch(plan, batch, undecidable.has(batch.digest) && standing === 'clean' ? 'failed' : standing, null);
    }
    const placed = new Set(batches.map(({ digest }) => digest));
    const unread = new Map<string, BatchRef>();
    const cases = [...Object.entries(state.verdicts), ...Object.entries(state.decisions)];
    for (const [digest, { seq, log, slot }] of cases) {
      const isCondemned = state.decisions[digest]?.outcome === 'condemned';
      // Who is condemned stays so; all else is in the state only until a publish has taken it up.
      if (placed.has(digest) || (isCondemned && seq <= base.controlSeq)) continue;
      placed.add(digest);
      if (this.#isIn(damaged, log)) {
        if (isCondemned) unread.set(digest, { log, slot, digest });
        else plan.waiting.add(log);
        continue;
      }
      const place = async (): Promise<void> => {
        const batch = await this.#o.logs.readBatch({ log, slot, digest });
        const current = await this.#whereIs(base, log, batch);
        const standing = standingOf(batch, state);
        if (current.standing !== standing) placeBatch(plan, batch, standing, current.sequence);
      };
      faults.push(...(await faultsIn(place)));
    }
    this.#leftOut.assertNone(faults);
    await this.#condemn(plan, base, unread);
    return plan;
  }

  /** Takes out batches by what the snapshot says of them. Cost: its batches, if it covers one of these. */
  async #condemn(plan: Plan, base: Snapshot, condemned: ReadonlyMap<string, BatchRef>): Promise<void> {
    const { snapshots } = this.#o;
    if (condemned.size === 0) return;
    const heads = await snapshots.heads(base.heads);
    if (![...condemned.values()].some(({ log, slot }) => slot <= (heads.get(log)?.slot ?? -1))) return;
    for (const sequence of ['batches', 'held'] as const)
      for await (const line of snapshots.batches(base[sequence]))
        if (condemned.has(line.digest)) condemnLine(plan, line, sequence);
  }

  /** @throws ConflictError for a batch that the logs hold beyond the heads that were looked at: they must be read again. */
  async #whereIs(
    base: Snapshot,
    log: string,
    { entry, digest }: NewBatch,
  ): Promise<{ readonly sequence: 'batches' | 'held'; readonly standing: Standing }> {
    const { snapshots, layout } = this.#o;
    for (const sequence of ['batches', 'held'] as const) {
      const line = await snapshots.find(base[sequence], [log, entry.start]);
      if (line?.digest === digest) return { sequence, standing: line.standing };
    }
    const what = `Cannot publish: batch ${digest} of "${log}" was decided on`;
    if (entry.slot > ((await snapshots.heads(base.heads)).get(log)?.slot ?? -1))
      throw new ConflictError('CONFLICT', `${what}, and its log was not read that far`);
    const key = layout.slot({ ...entry }, entry.slot);
    throw new IntegrityError('CHAIN_BROKEN', key, `${what}, and the snapshot covers its slot without listing it`);
  }

  /** Appends only if nobody has acted since `head` was read. @throws ConflictError */
  async #append(head: ControlHead, act: ControlAct, signal: AbortSignal): Promise<void> {
    const decide = (newest: ControlHead): ControlAct => {
      if (nextSeq(newest) === nextSeq(head)) return act;
      throw overtaken(head, newest);
    };
    await this.#o.control.append(this.#o.signer, decide, signal);
  }
}

function overtaken(head: ControlHead, newest: ControlHead): ConflictError {
  const seen = head.newest === null ? 'an empty control log' : `control entry ${head.newest.entry.seq}`;
  const message = `Cannot act on ${seen}: entry ${nextSeq(newest) - 1} is the newest`;
  return new ConflictError('CONFLICT', message);
}
