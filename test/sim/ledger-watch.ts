import type { ControlEntry } from '../../src/ledger/control-entry.ts';
import type { BatchEntry, GapEntry, OpenEntry, PartitionEntry } from '../../src/ledger/partition-entry.ts';
import { formatLogId } from '../../src/record/log-id.ts';
import type { Schema } from '../../src/record/schema.ts';
import { assertContent } from './content.ts';
import { LAST_CLEAN_REASON, PIPELINE } from './genesis.ts';
import { NamedObjects, predicateOf } from './named.ts';
import type { Produced } from './produced.ts';
import { SeenSnapshots } from './snapshots.ts';
import type { SharedStore } from './store.ts';
import type { WatchedAct, WatchedBatch, WatchedLog } from './watched.ts';
import { Violation } from './world.ts';

const LOG_KEY = new RegExp(`^${PIPELINE}/log/([^/]+)/([^/]+)/([^/]+)/(\\d{20})$`);
const CONTROL_KEY = new RegExp(`^${PIPELINE}/control/(\\d{20})$`);
const PERSON = /^p\d+$/;
const TOLD_KINDS: ReadonlySet<string> = new Set(['rollback', 'hold', 'resume', 'approve', 'decision']);

/**
 * Looks at every object when it is created, and holds it against the promises that the ledger makes. It reads the stored
 * bytes by itself: nothing of the code that wrote them is asked.
 */
export class LedgerWatch {
  readonly logs = new Map<string, WatchedLog>();
  readonly batches = new Map<string, WatchedBatch>();
  /** Control entries in order. */
  readonly acts: WatchedAct[] = [];
  readonly named: NamedObjects;
  readonly snapshots: SeenSnapshots;
  readonly #produced: Produced;
  readonly #onGap: 'halt' | 'continue';
  /** Pinned, by topic. */
  readonly #schemas = new Map<string, string>();
  /** Topic and digest of every baseline that was put in force. */
  readonly #approved = new Set<string>();
  /** Logs, and `control`, in which an attacker has made room for other entries: what follows there promises nothing. */
  readonly #forsaken = new Set<string>();

  constructor(store: SharedStore, produced: Produced, onGap: 'halt' | 'continue') {
    this.named = new NamedObjects(store);
    this.snapshots = new SeenSnapshots(this.named);
    this.#produced = produced;
    this.#onGap = onGap;
    for (const key of store.keys) this.created(key, store.get(key)!);
  }

  /** @throws Violation */
  created(key: string, bytes: Uint8Array): void {
    const [, cluster, topic, partition, slot] = LOG_KEY.exec(key) ?? [];
    const [, seq] = CONTROL_KEY.exec(key) ?? [];
    if (slot === undefined && seq === undefined) return;
    const place = slot === undefined ? 'control' : `${cluster}/${topic}/${partition}`;
    if (this.named.tampered.includes(key)) this.#forsaken.add(place);
    if (this.#forsaken.has(place)) return;
    if (slot !== undefined) this.#entry(key, bytes, Number(slot));
    else this.#controlEntry(key, bytes, Number(seq));
  }

  #entry(key: string, bytes: Uint8Array, slot: number): void {
    const entry = predicateOf(bytes) as PartitionEntry;
    const digest = this.named.add(key, bytes);
    const log = { cluster: entry.cluster, topic: entry.topic, partition: entry.partition };
    const name = formatLogId(log);
    const known = this.logs.get(name) ?? { log, slots: 0, digest: null, next: null, epoch: -1, writer: '' };
    this.logs.set(name, known);
    if (slot !== known.slots || entry.slot !== slot)
      throw new Violation('I1', `slot ${slot} of ${name} was created when it had ${known.slots}`);
    if (entry.previous !== known.digest)
      throw new Violation(
        'I1',
        `slot ${slot} of ${name} names ${entry.previous} as the one before, it is ${known.digest}`,
      );
    if (entry.kind === 'open') this.#claimed(name, known, entry);
    else if (entry.epoch !== known.epoch || entry.writer !== known.writer)
      throw new Violation(
        'I4',
        `slot ${slot} of ${name} is of epoch ${entry.epoch} by ${entry.writer}, the log belongs to epoch ${known.epoch} by ${known.writer}`,
      );
    if (entry.kind === 'batch' || entry.kind === 'gap') this.#advanced(name, known, entry);
    if (entry.kind === 'batch')
      this.#batch(name, { log, digest, entry, decision: null, isKnown: false, verdict: null });
    known.slots++;
    known.digest = digest;
  }

  #claimed(name: string, known: WatchedLog, { epoch, writer, next, slot }: OpenEntry): void {
    if (epoch <= known.epoch)
      throw new Violation('I4', `slot ${slot} of ${name} claims epoch ${epoch} after ${known.epoch}`);
    if (known.next !== null && next !== known.next)
      throw new Violation('I1', `slot ${slot} of ${name} claims to go on at ${next}, the log ends at ${known.next}`);
    if (known.next === null && !this.#produced.hasBegunAt(known.log, next))
      throw new Violation('I6', `${name} begins at ${next}, where its partition never began`);
    known.next = next;
    known.epoch = epoch;
    known.writer = writer;
  }

  #advanced(name: string, known: WatchedLog, { kind, slot, start, end }: BatchEntry | GapEntry): void {
    if (start !== known.next || end <= start)
      throw new Violation('I1', `slot ${slot} of ${name} is [${start}, ${end}), wanted from ${known.next}`);
    if (kind === 'gap' && (this.#onGap === 'halt' || !this.#produced.hasBegunAt(known.log, end)))
      throw new Violation(
        'I6',
        `${name} has a gap [${start}, ${end}), its partition begins at ${this.#produced.earliest(known.log)}`,
      );
    known.next = end;
  }

  #batch(name: string, batch: WatchedBatch): void {
    const { entry, digest, log } = batch;
    this.batches.set(digest, batch);
    const by = `batch ${name}@${entry.start}`;
    const skipped = entry.skipped.aborted + entry.skipped.control + entry.skipped.compacted;
    if (entry.records + skipped !== entry.end - entry.start)
      throw new Violation('I2', `${by} up to ${entry.end} accounts for ${entry.records} + ${skipped}`);
    if (entry.end > this.#produced.latest(log))
      throw new Violation('I6', `${by} up to ${entry.end} goes beyond what was produced`);
    const produced = this.#produced.records(log, entry.start, entry.end);
    if (entry.records !== produced.length)
      throw new Violation('I6', `${by} has ${entry.records} records, ${produced.length} were produced there`);
    const read = (object: BatchEntry['data']): Uint8Array | null =>
      object === null ? null : this.named.read(object.key, object.sha256, by);
    read(entry.evidence);
    if (entry.baseline !== null && !this.#approved.has(`${log.topic} ${entry.baseline}`))
      throw new Violation('I7', `${by} was judged by baseline ${entry.baseline}, which nobody has approved`);
    // Where nothing was decoded by it, it need not be stored.
    const schema = entry.data === null ? null : (this.named.json(schemaKey(entry.schema), entry.schema, by) as Schema);
    assertContent(log, entry, { data: read(entry.data), deadLetters: read(entry.deadLetters) }, produced, schema);
  }

  #controlEntry(key: string, bytes: Uint8Array, seq: number): void {
    const entry = predicateOf(bytes) as ControlEntry;
    const digest = this.named.add(key, bytes);
    if (seq !== this.acts.length)
      throw new Violation('I1', `control entry ${seq} was created after ${this.acts.length}`);
    const before = this.acts.at(-1)?.digest ?? null;
    if (entry.previous !== before)
      throw new Violation('I1', `control entry ${seq} names ${entry.previous} as the one before it, ${before}`);
    const by = `control entry ${seq}`;
    this.named.read(`${PIPELINE}/states/${entry.state}`, entry.state, by);
    const isTold = TOLD_KINDS.has(entry.kind) || (entry.kind === 'schema' && this.#schemas.has(entry.topic));
    this.#assertOnce(entry);
    if (entry.kind === 'decision')
      this.#decided(entry.batch.digest, (batch) => {
        batch.decision = entry.outcome;
        batch.isKnown = true;
      });
    if (entry.kind === 'verdict') {
      this.named.read(`${PIPELINE}/evidence/judgements/${entry.evidence}.json`, entry.evidence, by);
      for (const { digest: judged } of entry.batches) this.#decided(judged, (batch) => (batch.verdict = entry.outcome));
    }
    if (entry.kind === 'learn') this.named.read(baselineKey(entry.baseline), entry.baseline, by);
    if (entry.kind === 'schema') {
      this.named.read(schemaKey(entry.schema), entry.schema, by);
      this.#schemas.set(entry.topic, entry.schema);
    }
    if (entry.kind === 'approve') this.#approved.add(`${entry.topic} ${entry.baseline}`);
    if (entry.kind === 'approve' || (entry.kind === 'schema' && isTold)) this.#cleanNoMore(entry.topic);
    if (entry.kind === 'publish') this.#published(entry.seq, entry.snapshot, entry.parent);
    // Where the ref is clean already, it only stays there.
    if (entry.kind === 'hold' && entry.reason === LAST_CLEAN_REASON) this.#assertClean(this.newestSnapshot!);
    if (entry.kind === 'rollback') this.#rolledBack(entry.from, entry.to, entry.reason === LAST_CLEAN_REASON);
    this.acts.push({ entry, digest, isTold });
  }

  /** Whoever does one thing, does it once: a person is one command here. */
  #assertOnce({ seq, by, kind }: ControlEntry): void {
    const isTwice = this.acts.some(({ entry }) => entry.by === by && entry.kind === kind);
    if (PERSON.test(by) && kind !== 'verdict' && isTwice)
      throw new Violation('I2', `control entry ${seq} is the second ${kind} by ${by}, who did one`);
  }

  #decided(digest: string, note: (batch: WatchedBatch) => void): void {
    const batch = this.batches.get(digest);
    if (batch === undefined) throw new Violation('I7', `batch ${digest} was decided on, and no log has it`);
    note(batch);
  }

  /** Another baseline is in force, or none: that a batch was called clean by the last one counts only where it was published. */
  #cleanNoMore(topic: string): void {
    const batches = this.snapshots.digestsOf(this.newestSnapshot, 'batches');
    for (const batch of this.batches.values())
      if (batch.log.topic === topic && batch.verdict === 'clean' && !batches.has(batch.digest)) batch.verdict = null;
  }

  /** What the target has not taken up is void, but for what was condemned. */
  #rolledBack(from: string, to: string, toLastClean: boolean): void {
    if (from !== this.newestSnapshot || !this.snapshots.isAncestor(to, from))
      throw new Violation('I7', `the ref goes back from ${from} to ${to}, which is no ancestor of what it names`);
    this.snapshots.assertWhole(to);
    if (toLastClean) this.#assertClean(to);
    const [batches, held] = [this.snapshots.digestsOf(to, 'batches'), this.snapshots.digestsOf(to, 'held')];
    for (const batch of this.batches.values()) {
      if (batches.has(batch.digest)) continue;
      if (batch.decision === 'released') batch.decision = null;
      if (batch.verdict === 'clean' || !held.has(batch.digest)) batch.verdict = null;
    }
  }

  #assertClean(snapshot: string): void {
    for (const digest of this.snapshots.digestsOf(snapshot, 'batches'))
      if (this.batches.get(digest)?.decision === 'condemned')
        throw new Violation(
          'I7',
          `${snapshot} is the last clean snapshot, and has batch ${digest}, which is condemned`,
        );
  }

  /** @throws Violation I7 where a batch entered the dataset that may not, or the ref moved when it must not */
  #published(seq: number, snapshot: string, parent: string | null): void {
    if (this.isOnHold) throw new Violation('I7', `control entry ${seq} moves the ref, which is on hold`);
    if (parent !== this.newestSnapshot || this.snapshots.parentOf(snapshot) !== parent)
      throw new Violation('I7', `snapshot ${snapshot} is made from ${parent}, the ref names ${this.newestSnapshot}`);
    this.snapshots.assertWhole(snapshot);
    const before = this.snapshots.digestsOf(parent, 'batches');
    for (const { digest, standing, records, data, start, end } of this.snapshots.linesOf(snapshot, 'batches')) {
      const batch = this.batches.get(digest);
      if (batch === undefined) throw new Violation('I7', `snapshot ${snapshot} names batch ${digest}, no log has it`);
      const { entry, decision, verdict } = batch;
      const isSame =
        entry.records === records &&
        entry.start === start &&
        entry.end === end &&
        entry.data?.sha256 === data?.sha256 &&
        entry.data?.bytes === data?.bytes;
      if (!isSame) throw new Violation('I6', `snapshot ${snapshot} says of batch ${digest} what its entry does not`);
      const isAllowed =
        before.has(digest) ||
        entry.mode === 'observe' ||
        decision === 'released' ||
        (verdict ?? entry.verdict) === 'clean';
      if (!before.has(digest) && decision === null && verdict === null) this.#assertFresh(batch, snapshot, parent);
      if (!isAllowed || decision === 'condemned')
        throw new Violation(
          'I7',
          `snapshot ${snapshot} has batch ${digest} as ${standing}: its verdict is ${entry.verdict}, judged again ${verdict}, decided ${decision}`,
        );
    }
  }

  /** A batch enters by its own verdict only if that was made by a baseline which is in force, or was at the last publish. */
  #assertFresh({ digest, log, entry }: WatchedBatch, snapshot: string, parent: string | null): void {
    const now = this.snapshots.baselineOf(snapshot, log.topic);
    const before = parent === null ? null : this.snapshots.baselineOf(parent, log.topic);
    if (entry.mode === 'observe' || now === null || [now, before].includes(entry.baseline)) return;
    throw new Violation(
      'I7',
      `snapshot ${snapshot} has batch ${digest}, judged by a baseline that is no longer in force`,
    );
  }

  /** What the ref names; null before the first publish. */
  get newestSnapshot(): string | null {
    let newest: string | null = null;
    for (const { entry } of this.acts) {
      if (entry.kind === 'publish') newest = entry.snapshot;
      if (entry.kind === 'rollback') newest = entry.to;
    }
    return newest;
  }

  get isOnHold(): boolean {
    const newest = this.acts.findLast(({ entry: { kind } }) => HOLDING.has(kind));
    return newest !== undefined && newest.entry.kind !== 'resume';
  }
}

const HOLDING: ReadonlySet<string> = new Set(['hold', 'rollback', 'resume']);

function schemaKey(sha256: string): string {
  return `${PIPELINE}/schemas/${sha256}.json`;
}

function baselineKey(sha256: string): string {
  return `${PIPELINE}/baselines/${sha256}.json`;
}
