import { ConflictError } from '../errors.ts';
import type { ControlAct } from '../ledger/control-entry.ts';
import { nextSeq, type ControlHead, type ControlLog } from '../ledger/control-log.ts';
import { BYTES_MAX, type Layout } from '../ledger/layout.ts';
import { getVerified, putContent } from '../ledger/objects.ts';
import type { PartitionLogs } from '../ledger/partition-log.ts';
import { EMPTY_SEQUENCE, type SequenceChange } from '../ledger/sequence.ts';
import { formatHeadLine, type BatchLine, type Snapshot, type Snapshots } from '../ledger/snapshot.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import { formatLogId } from '../record/log-id.ts';
import type { NewBatch, News, NewsFinder } from './news.ts';
import { emptyPlan, placeBatch, standingOf, type Plan } from './plan.ts';
import { owedVerdict, readBatch, type Rejudge } from './reconsider.ts';

/** What one round did. */
export interface PublishReport {
  /** The new snapshot; null when nothing changed or the ref is on hold. */
  readonly snapshot: string | null;
  /** Batches that entered the dataset. */
  readonly published: number;
  /** Batches that the newest snapshot holds back. */
  readonly held: number;
  readonly onHold: boolean;
}

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

/** The snapshot before the first one. */
export function emptySnapshot(pipeline: string): Snapshot {
  const empty = EMPTY_SEQUENCE as Snapshot['batches'];
  return {
    version: 1,
    pipeline,
    parent: null,
    controlSeq: -1,
    baselines: {},
    records: 0,
    bytes: 0,
    batches: empty,
    held: empty,
    heads: empty,
  };
}

/**
 * Turns committed batches and decisions into the next snapshot of a ref.
 *
 * The snapshot is the boundary: in enforce mode nothing enters it but clean and released batches. A round reads the
 * control log, decides where every new or re-decided batch belongs, stores pages and snapshot, and appends one control
 * entry; if anyone was faster, it starts over from what they wrote.
 */
export class Publisher {
  readonly #o: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#o = options;
  }

  /** Publishes what is new. @throws IntegrityError, UnavailableError */
  async publish(signal: AbortSignal): Promise<PublishReport> {
    for (;;) {
      try {
        return await this.#round(signal);
      } catch (error) {
        this.#o.news.forget();
        if (!(error instanceof ConflictError) || signal.aborted) throw error;
      }
    }
  }

  async #round(signal: AbortSignal): Promise<PublishReport> {
    const { control, ref, pipeline, snapshots, news } = this.#o;
    const head = await control.head();
    const parent = head.state.refs[ref] ?? null;
    const base = parent === null ? emptySnapshot(pipeline) : await snapshots.read(parent);
    if (head.state.holds[ref] !== undefined)
      return { snapshot: null, published: 0, held: base.held.count, onHold: true };
    const found = await news.since(await snapshots.heads(base.heads));
    const owed = await owedVerdict(this.#o, head.state, base, found.batches, signal);
    if (owed !== null) {
      await this.#append(head, owed, signal);
      throw new ConflictError('CONFLICT', 'Cannot publish on the state before the verdict: it has just been added');
    }
    const plan = await this.#plan(head, base, found);
    // A log that only changed hands is no news for readers: its head is covered with its next batch.
    if (plan.batches.length + plan.held.length === 0)
      return { snapshot: null, published: 0, held: base.held.count, onHold: false };
    for (const batch of plan.toCopy) await this.#copyToData(batch, signal);
    const next = await this.#nextSnapshot(head, base, found, plan, signal);
    const snapshot = await snapshots.write({ ...next, parent }, signal);
    await this.#append(head, { kind: 'publish', by: this.#o.by, ref, parent, snapshot }, signal);
    return { snapshot, published: plan.added.length, held: next.held.count, onHold: false };
  }

  /** Decides where each new batch, and each covered one with a newer decision or verdict, belongs. */
  async #plan({ state }: ControlHead, base: Snapshot, { batches }: News): Promise<Plan> {
    const plan = emptyPlan();
    for (const batch of batches) placeBatch(plan, batch, standingOf(batch, state), null);
    const fresh = new Set(batches.map(({ digest }) => digest));
    for (const [digest, { seq, log, slot }] of [
      ...Object.entries(state.verdicts),
      ...Object.entries(state.decisions),
    ]) {
      if (seq <= base.controlSeq || fresh.has(digest)) continue;
      fresh.add(digest);
      const batch = await readBatch(this.#o.logs, { log, slot, digest });
      const current = batch === null ? null : await this.#whereIs(base, log, batch);
      if (batch !== null && current !== null) placeBatch(plan, batch, standingOf(batch, state), current);
    }
    return plan;
  }

  /** Null for a batch that the base does not cover: its decision waits until the log is read up to it. */
  async #whereIs(base: Snapshot, log: string, { entry, digest }: NewBatch): Promise<'batches' | 'held' | null> {
    for (const sequence of ['batches', 'held'] as const) {
      const line = await this.#o.snapshots.find(base[sequence], [log, entry.start]);
      if (line?.digest === digest) return sequence;
    }
    return null;
  }

  async #copyToData({ log, entry }: NewBatch, signal: AbortSignal): Promise<void> {
    const { store, layout, clock } = this.#o;
    if (entry.data === null) return;
    const target = layout.data('data', { log, ...entry }, entry.data.sha256);
    if (entry.data.key === target) return;
    await putContent(
      store,
      target,
      await getVerified(store, entry.data.key, entry.data.sha256, BYTES_MAX.data),
      clock,
      signal,
    );
  }

  async #nextSnapshot(
    head: ControlHead,
    base: Snapshot,
    found: News,
    plan: Plan,
    signal: AbortSignal,
  ): Promise<Snapshot> {
    const { snapshots } = this.#o;
    const headChanges = found.heads.map(({ log, slot, digest, next }): SequenceChange => {
      const name = formatLogId(log);
      return { key: [name, 0], line: formatHeadLine({ log: name, slot, digest, next }) };
    });
    const gain = (field: (line: BatchLine) => number): number => total(plan.added, field) - total(plan.removed, field);
    return {
      ...base,
      controlSeq: nextSeq(head) - 1,
      baselines: head.state.baselines,
      records: base.records + gain(({ rows }) => rows),
      bytes: base.bytes + gain(({ data }) => data?.bytes ?? 0),
      batches: (await snapshots.update(base.batches, plan.batches, signal)) as Snapshot['batches'],
      held: (await snapshots.update(base.held, plan.held, signal)) as Snapshot['held'],
      heads: (await snapshots.update(base.heads, headChanges, signal)) as Snapshot['heads'],
    };
  }

  /** Appends only if nobody has acted since `head` was read. @throws ConflictError */
  async #append(head: ControlHead, act: ControlAct, signal: AbortSignal): Promise<void> {
    const decide = (newest: ControlHead): ControlAct => {
      if (nextSeq(newest) === nextSeq(head)) return act;
      throw new ConflictError(
        'CONFLICT',
        `Cannot act on control entry ${nextSeq(head) - 1}: ${nextSeq(newest) - 1} is the newest`,
      );
    };
    await this.#o.control.append(this.#o.signer, decide, signal);
  }
}

function total(lines: readonly BatchLine[], field: (line: BatchLine) => number): number {
  return lines.reduce((sum, line) => sum + field(line), 0);
}
