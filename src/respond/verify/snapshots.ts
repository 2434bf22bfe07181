import type { ControlEntry } from '../../ledger/control-entry.ts';
import { baselinesInForce } from '../../ledger/control-rules.ts';
import type { ControlState } from '../../ledger/control-state.ts';
import { BYTES_MAX } from '../../ledger/layout.ts';
import { compareKeys, linesOf, type PageRef, type SequenceKey } from '../../ledger/sequence.ts';
import { parseBatchLine, parseHeadLine, parseSnapshot, type BatchLine, type Snapshot } from '../../ledger/snapshot.ts';
import { parseLogId } from '../../record/log-id.ts';
import type { LedgerContext } from '../ledger-context.ts';
import type { Findings } from './findings.ts';
import type { IndexedBatch, LogIndex } from './partition-logs.ts';
import type { Past } from './past.ts';
import { pageFault, sequenceFaults, totalsOf, type BatchTotals } from './sequence-faults.ts';

type Publish = Extract<ControlEntry, { kind: 'publish' }>;
type Rollback = Extract<ControlEntry, { kind: 'rollback' }>;
type SequenceName = 'batches' | 'held' | 'heads';

interface SeenPage {
  readonly name: SequenceName;
  readonly first: SequenceKey;
  readonly last: SequenceKey;
  readonly totals: BatchTotals;
}

/**
 * Checks every snapshot that was ever published. Pages are shared between snapshots and each is read once, at the publish
 * that brought it, against what the control log had said by then; after a rollback, anew.
 */
export class SnapshotVerification {
  readonly #ledger: LedgerContext;
  readonly #findings: Findings;
  readonly #index: LogIndex;
  readonly #past: Past;
  /** Pages that need no second look. */
  readonly #pages = new Map<string, SeenPage>();
  /** Published snapshots that could be read. */
  readonly #known = new Map<string, Pick<Snapshot, 'parent' | 'baselines' | 'controlSeq'>>();
  /** Slots whose absence has been noted. */
  readonly #missing = new Set<string>();
  /** Baselines at the publish that is looked at, and at the one before it. */
  #inForce: readonly Readonly<Record<string, string>>[] = [];

  constructor(ledger: LedgerContext, findings: Findings, index: LogIndex, past: Past) {
    this.#ledger = ledger;
    this.#findings = findings;
    this.#index = index;
    this.#past = past;
  }

  /** Checks a publish and its snapshot. @param state before the publish. @throws UnavailableError */
  async published(entry: Publish, entryKey: string, state: ControlState): Promise<void> {
    const key = this.#ledger.layout.snapshot(entry.snapshot);
    const bytes = await this.#findings.object(key, entry.snapshot, BYTES_MAX.snapshot);
    if (bytes === null) return;
    await this.#findings.guard(key, async () => {
      const snapshot = parseSnapshot(bytes, key);
      const { parent, baselines, controlSeq } = snapshot;
      this.#known.set(entry.snapshot, { parent, baselines, controlSeq });
      this.#inForce = [state.baselines, this.#known.get(parent ?? '')?.baselines ?? {}];
      if (parent !== entry.parent || snapshot.pipeline !== entry.pipeline || snapshot.controlSeq !== entry.seq - 1)
        this.#findings.found(key, 'CHAIN_BROKEN', `it is not what "${entryKey}" publishes`);
      if (!sameEntries(baselines, state.baselines))
        this.#findings.found(key, 'CHAIN_BROKEN', 'its baselines are not those that were in force');
      for (const name of ['heads', 'held', 'batches'] as const) await this.#sequence(key, name, snapshot);
    });
  }

  /**
   * Checks that a rollback goes to an ancestor and brings those of its baselines back that fit (matrix R3, R4), and forgets
   * what it voids. @param state before the rollback
   */
  async rolledBack(entry: Rollback, key: string, state: ControlState): Promise<void> {
    let at: string | null = this.#known.get(entry.from)?.parent ?? null;
    while (at !== null && at !== entry.to) at = this.#known.get(at)?.parent ?? null;
    if (at === null)
      this.#findings.found(
        key,
        'CHAIN_BROKEN',
        `it goes back to ${entry.to}, which is not an ancestor of ${entry.from}`,
      );
    else if (
      !sameEntries(entry.baselines, baselinesInForce(state, this.#known.get(at) ?? { baselines: {}, controlSeq: -1 }))
    )
      this.#findings.found(
        key,
        'CHAIN_BROKEN',
        'it puts other baselines in force than those of the snapshot it goes back to',
      );
    // A page may come back by the same bytes when what allowed its lines is void.
    this.#pages.clear();
    await this.#findings.guard(this.#ledger.layout.snapshot(entry.to), async () => {
      const { batches, held } = await this.#ledger.snapshots.read(entry.to);
      const published = await this.#digests(batches);
      this.#past.rollBack(published, new Set([...published, ...(await this.#digests(held))]));
    });
  }

  /** A page that lists what is condemned by now may be in no later snapshot: it is looked at again where one has it. */
  condemned(log: string, digest: string): void {
    const start = this.#index.batches.get(digest)?.start;
    if (start === undefined) return;
    const key: SequenceKey = [log, start];
    for (const [id, { name, first, last }] of this.#pages)
      if (name === 'batches' && compareKeys(first, key) <= 0 && compareKeys(key, last) <= 0) this.#pages.delete(id);
  }

  /** Checks that the snapshot of a ref leaves nothing out that its heads cover, and holds nothing that was condemned before it. */
  async covers(sha256: string, { decisions }: ControlState): Promise<void> {
    const { snapshots, layout } = this.#ledger;
    const key = layout.snapshot(sha256);
    await this.#findings.guard(key, async () => {
      const snapshot = await snapshots.read(sha256);
      const listed = await this.#digests(snapshot.held);
      for await (const { digest, log, start } of snapshots.batches(snapshot.batches)) {
        listed.add(digest);
        const decision = decisions[digest];
        if (decision?.outcome === 'condemned' && decision.seq <= snapshot.controlSeq)
          this.#findings.found(
            key,
            'CHAIN_BROKEN',
            `it publishes the batch of "${log}" at ${start}, which is condemned`,
          );
      }
      let covered = 0;
      for (const { log, slot: newest } of (await snapshots.heads(snapshot.heads)).values()) {
        const under = this.#index.logs.get(log)?.batches.filter(({ slot }) => slot <= newest) ?? [];
        covered += under.length;
        const left = under.find(({ digest }) => !listed.has(digest));
        if (left !== undefined)
          this.#findings.found(
            key,
            'CHAIN_BROKEN',
            `it covers slot ${left.slot} of "${log}" without listing its batch`,
          );
      }
      const sound = [...this.#index.logs.values()].every((log) => log.sound) && this.#missing.size === 0;
      if (sound && covered !== listed.size)
        this.#findings.found(key, 'CHAIN_BROKEN', `it lists ${listed.size} batches, its heads cover ${covered}`);
    });
  }

  async #digests(sequence: Snapshot[SequenceName]): Promise<Set<string>> {
    const digests = new Set<string>();
    for await (const { digest } of this.#ledger.snapshots.batches(sequence)) digests.add(digest);
    return digests;
  }

  /** Checks the pages of a sequence that no earlier snapshot had, their roots, and the totals. */
  async #sequence(key: string, name: SequenceName, snapshot: Snapshot): Promise<void> {
    const pages: BatchTotals[] = [];
    for (const page of snapshot[name].pages) {
      const id = `${name} ${page.sha256}`;
      const seen = this.#pages.get(id) ?? (await this.#page(key, name, page));
      this.#pages.set(id, seen);
      pages.push(seen.totals);
    }
    const sum = (of: keyof BatchTotals): number => pages.reduce((total, page) => total + page[of], 0);
    const totals = { rows: sum('rows'), bytes: sum('bytes') };
    for (const { code, reason } of sequenceFaults(snapshot, name, Number.isNaN(totals.rows) ? null : totals))
      this.#findings.found(key, code, reason);
  }

  async #page(key: string, name: SequenceName, page: PageRef): Promise<SeenPage> {
    const pageKey = this.#ledger.layout.page(page.sha256);
    const bytes = await this.#findings.object(pageKey, page.sha256, BYTES_MAX.page);
    const { last } = page;
    if (bytes === null) return { name, first: last, last, totals: { rows: Number.NaN, bytes: Number.NaN } };
    const lines = linesOf(bytes);
    const fault = pageFault(page, lines);
    if (fault !== null) this.#findings.found(pageKey, fault.code, fault.reason);
    if (name === 'heads') {
      for (const { log, slot, digest } of lines.map(parseHeadLine)) this.#slot(key, log, slot, digest);
      return { name, first: last, last, totals: { rows: 0, bytes: 0 } };
    }
    const batches = lines.map(parseBatchLine);
    for (const line of batches) {
      const entry = this.#line(key, line);
      if (entry !== null && name === 'batches') await this.#publishedBatch(key, line, entry);
    }
    const { log, start } = batches[0]!;
    return { name, first: [log, start], last, totals: totalsOf(batches) };
  }

  /** The entry that a line is about; null when it cannot be told, or is another one, which is noted. */
  #line(key: string, line: BatchLine): IndexedBatch | null {
    const { log, start, end, slot, epoch, records, rows, digest, data } = line;
    if (!this.#slot(key, log, slot, digest)) return null;
    const entry = this.#index.batches.get(digest);
    const same =
      entry !== undefined &&
      entry.start === start &&
      entry.end === end &&
      entry.epoch === epoch &&
      entry.records === records &&
      entry.records - entry.deadLetterRecords === rows &&
      entry.data?.sha256 === data?.sha256 &&
      entry.data?.bytes === data?.bytes;
    if (same) return entry;
    this.#findings.found(
      key,
      'CHAIN_BROKEN',
      `it lists a batch of "${log}" at ${start} that the partition log does not have`,
    );
    return null;
  }

  /** Checks that a slot holds the entry that the snapshot says. A log that could not be read that far is noted already. */
  #slot(key: string, log: string, slot: number, digest: string): boolean {
    const indexed = this.#index.logs.get(log);
    const found = indexed?.digests[slot];
    if (found === digest) return true;
    if (found !== undefined)
      this.#findings.found(key, 'CHAIN_BROKEN', `it names slot ${slot} of "${log}" as ${digest}, which is ${found}`);
    else if (indexed?.sound !== false) this.#missingSlot(key, log, indexed?.digests.length ?? 0);
    return false;
  }

  #missingSlot(key: string, log: string, slot: number): void {
    const id = parseLogId(log);
    const object = id === undefined ? key : this.#ledger.layout.slot(id, slot);
    if (this.#missing.has(object)) return;
    this.#missing.add(object);
    this.#findings.found(object, 'SLOT_MISSING', `it is missing although "${key}" was made from it or from later ones`);
  }

  async #publishedBatch(key: string, line: BatchLine, entry: IndexedBatch): Promise<void> {
    const { log, start, end, epoch, digest, data } = line;
    const id = parseLogId(log);
    const inForce = this.#inForce.map((baselines) => baselines[id?.topic ?? '']);
    if (!this.#past.publish(digest, entry, inForce))
      this.#findings.found(
        key,
        'CHAIN_BROKEN',
        `it publishes the batch of "${log}" at ${start}, which was neither judged clean nor released by then`,
      );
    if (data === null || id === undefined) return;
    // A released batch was copied to where readers look.
    const published = this.#ledger.layout.data('data', { log: id, epoch, start, end }, data.sha256);
    if (published !== entry.data?.key) await this.#findings.object(published, data.sha256, Math.max(1, data.bytes));
  }
}

function sameEntries(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
