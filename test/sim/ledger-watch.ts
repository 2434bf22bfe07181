import { createHash } from 'node:crypto';

import type { MemoryBroker } from '../../src/adapters/memory/broker.ts';
import type { ControlEntry } from '../../src/ledger/control-entry.ts';
import type { BatchEntry, PartitionEntry } from '../../src/ledger/partition-entry.ts';
import type { BatchLine } from '../../src/ledger/snapshot.ts';
import { formatLogId, type LogId } from '../../src/record/log-id.ts';
import { PIPELINE } from './genesis.ts';
import type { SharedStore } from './store.ts';
import { Violation } from './world.ts';

/** What is known of one partition log. */
export interface WatchedLog {
  readonly log: LogId;
  slots: number;
  digest: string | null;
  /** First offset that is not accounted for; null before the genesis entry. */
  next: number | null;
  epoch: number;
  writer: string;
}

/** A committed batch, and what was decided on it in the order of the control log. */
export interface WatchedBatch {
  readonly log: LogId;
  readonly digest: string;
  readonly entry: BatchEntry;
  decision: 'released' | 'condemned' | null;
  /** Whether a person has ever decided on it: then nobody needs to be told. */
  isKnown: boolean;
  verdict: 'clean' | 'suspect' | null;
}

const LOG_KEY = new RegExp(`^${PIPELINE}/log/([^/]+)/([^/]+)/([^/]+)/(\\d{20})$`);
const CONTROL_KEY = new RegExp(`^${PIPELINE}/control/(\\d{20})$`);

/**
 * Looks at every object when it is created, and holds it against the promises that the ledger makes. It reads the stored
 * bytes by itself: nothing of the code that wrote them is asked.
 */
export class LedgerWatch {
  readonly logs = new Map<string, WatchedLog>();
  readonly batches = new Map<string, WatchedBatch>();
  /** Control entries in order. */
  readonly control: ControlEntry[] = [];
  /** SHA-256 of every slot and control entry as it was created, by key. */
  readonly digests = new Map<string, string>();
  readonly #store: SharedStore;
  readonly #broker: MemoryBroker;
  readonly #pages = new Map<string, readonly BatchLine[]>();

  constructor(store: SharedStore, broker: MemoryBroker) {
    this.#store = store;
    this.#broker = broker;
    for (const key of store.keys) this.created(key, store.get(key)!);
  }

  /** @throws Violation */
  created(key: string, bytes: Uint8Array): void {
    const slot = LOG_KEY.exec(key);
    if (slot !== null) this.#entry(key, bytes, Number(slot[4]));
    const seq = CONTROL_KEY.exec(key);
    if (seq !== null) this.#controlEntry(key, bytes, Number(seq[1]));
  }

  #entry(key: string, bytes: Uint8Array, slot: number): void {
    const entry = predicateOf(bytes) as PartitionEntry;
    const digest = sha256(bytes);
    this.digests.set(key, digest);
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
    if (entry.kind === 'open') {
      if (entry.epoch <= known.epoch)
        throw new Violation('I4', `slot ${slot} of ${name} claims epoch ${entry.epoch} after ${known.epoch}`);
      known.next ??= entry.next;
      known.epoch = entry.epoch;
      known.writer = entry.writer;
    } else if (entry.epoch !== known.epoch || entry.writer !== known.writer)
      throw new Violation(
        'I4',
        `slot ${slot} of ${name} is of epoch ${entry.epoch} by ${entry.writer}, the log belongs to epoch ${known.epoch} by ${known.writer}`,
      );
    if (entry.kind === 'batch' || entry.kind === 'gap') {
      if (entry.start !== known.next || entry.end <= entry.start)
        throw new Violation(
          'I1',
          `slot ${slot} of ${name} is [${entry.start}, ${entry.end}), wanted from ${known.next}`,
        );
      known.next = entry.end;
    }
    if (entry.kind === 'batch')
      this.#batch(name, { log, digest, entry, decision: null, isKnown: false, verdict: null });
    known.slots++;
    known.digest = digest;
  }

  #batch(name: string, batch: WatchedBatch): void {
    const { entry, digest } = batch;
    this.batches.set(digest, batch);
    const skipped = entry.skipped.aborted + entry.skipped.control + entry.skipped.compacted;
    if (entry.records + skipped !== entry.end - entry.start)
      throw new Violation(
        'I2',
        `batch ${name} [${entry.start}, ${entry.end}) accounts for ${entry.records} + ${skipped}`,
      );
    for (const object of [entry.data, entry.deadLetters, entry.evidence]) {
      if (object === null) continue;
      const bytes = this.#store.get(object.key);
      if (bytes === undefined)
        throw new Violation('I5', `batch ${name}@${entry.start} names ${object.key}, it is not there`);
      if (sha256(bytes) !== object.sha256) throw new Violation('I5', `${object.key} does not hash to its digest`);
    }
    if (entry.end > this.#broker.bounds(batch.log).latest)
      throw new Violation('I6', `batch ${name} [${entry.start}, ${entry.end}) goes beyond what was produced`);
    const produced = this.#broker.recordsIn(batch.log, entry.start, entry.end);
    if (entry.records !== produced)
      throw new Violation(
        'I6',
        `batch ${name} [${entry.start}, ${entry.end}) has ${entry.records} records, ${produced} were produced there`,
      );
  }

  #controlEntry(key: string, bytes: Uint8Array, seq: number): void {
    const entry = predicateOf(bytes) as ControlEntry;
    this.digests.set(key, sha256(bytes));
    if (seq !== this.control.length)
      throw new Violation('I1', `control entry ${seq} was created after ${this.control.length}`);
    if (entry.kind === 'decision')
      this.#decided(entry.batch.digest, (batch) => {
        batch.decision = entry.outcome;
        batch.isKnown = true;
      });
    if (entry.kind === 'verdict')
      for (const { digest } of entry.batches) this.#decided(digest, (batch) => (batch.verdict = entry.outcome));
    if (entry.kind === 'publish') {
      if (this.isOnHold) throw new Violation('I7', `control entry ${seq} moves the ref, which is on hold`);
      this.#published(entry.snapshot, entry.parent);
    }
    if (entry.kind === 'rollback') this.#rolledBack(entry.to);
    this.control.push(entry);
  }

  /** What the target has not taken up is void, but for what was condemned. */
  #rolledBack(to: string): void {
    const digestsOf = (sequence: 'batches' | 'held'): ReadonlySet<string> =>
      new Set(this.linesOf(to, sequence).map(({ digest }) => digest));
    const [batches, held] = [digestsOf('batches'), digestsOf('held')];
    for (const batch of this.batches.values()) {
      if (batches.has(batch.digest)) continue;
      if (batch.decision === 'released') batch.decision = null;
      if (batch.verdict === 'clean' || !held.has(batch.digest)) batch.verdict = null;
    }
  }

  #decided(digest: string, note: (batch: WatchedBatch) => void): void {
    const batch = this.batches.get(digest);
    if (batch === undefined) throw new Violation('I7', `batch ${digest} was decided on, and no log has it`);
    note(batch);
  }

  /** @throws Violation I7 where a batch entered the dataset that may not */
  #published(snapshot: string, parent: string | null): void {
    const before = new Set(parent === null ? [] : this.linesOf(parent, 'batches').map(({ digest }) => digest));
    for (const { digest, standing } of this.linesOf(snapshot, 'batches')) {
      const batch = this.batches.get(digest);
      if (batch === undefined) throw new Violation('I7', `snapshot ${snapshot} names batch ${digest}, no log has it`);
      const { entry, decision, verdict } = batch;
      const isAllowed =
        before.has(digest) ||
        entry.mode === 'observe' ||
        decision === 'released' ||
        (verdict ?? entry.verdict) === 'clean';
      if (!isAllowed || decision === 'condemned')
        throw new Violation(
          'I7',
          `snapshot ${snapshot} has batch ${digest} as ${standing}: its verdict is ${entry.verdict}, judged again ${verdict}, decided ${decision}`,
        );
    }
  }

  /** What the ref names; null before the first publish. */
  get newestSnapshot(): string | null {
    let newest: string | null = null;
    for (const entry of this.control) {
      if (entry.kind === 'publish') newest = entry.snapshot;
      if (entry.kind === 'rollback') newest = entry.to;
    }
    return newest;
  }

  get isOnHold(): boolean {
    const newest = this.control.findLast(({ kind }) => kind === 'hold' || kind === 'rollback' || kind === 'resume');
    return newest !== undefined && newest.kind !== 'resume';
  }

  /** @throws Violation I3 where committed bytes have changed */
  assertUnchanged(key: string, digest: string): void {
    const bytes = this.#store.get(key);
    if (bytes === undefined || sha256(bytes) !== digest) throw new Violation('I3', `${key} is not as it was committed`);
  }

  /** The batches that a snapshot names, or holds back. */
  linesOf(snapshot: string, sequence: 'batches' | 'held'): BatchLine[] {
    const { pages } = this.#json(`${PIPELINE}/snapshots/${snapshot}`)[sequence] as { pages: { sha256: string }[] };
    return pages.flatMap(({ sha256: page }) => {
      let lines = this.#pages.get(page);
      if (lines === undefined) this.#pages.set(page, (lines = this.#page(page)));
      return lines;
    });
  }

  #page(sha: string): BatchLine[] {
    const bytes = this.#store.get(`${PIPELINE}/pages/${sha}`);
    if (bytes === undefined) throw new Violation('I5', `page ${sha} is named by a snapshot and is not there`);
    return Buffer.from(bytes)
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [log, start, end, slot, epoch, digest, records, rows, data, dataBytes, standing] = JSON.parse(line);
        return {
          log,
          start,
          end,
          slot,
          epoch,
          digest,
          records,
          rows,
          data: data === null ? null : { sha256: data, bytes: dataBytes },
          standing,
        };
      });
  }

  #json(key: string): Record<string, unknown> {
    const bytes = this.#store.get(key);
    if (bytes === undefined) throw new Violation('I5', `${key} is named by a control entry and is not there`);
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  }
}

/** What a stored statement says, without a look at its signature. */
function predicateOf(bundle: Uint8Array): unknown {
  const { dsseEnvelope } = JSON.parse(Buffer.from(bundle).toString('utf8')) as { dsseEnvelope: { payload: string } };
  return JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString('utf8')).predicate;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
