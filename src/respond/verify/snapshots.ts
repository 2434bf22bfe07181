import type { ControlEntry } from '../../ledger/control-entry.ts';
import type { ControlState } from '../../ledger/control-state.ts';
import { BYTES_MAX } from '../../ledger/layout.ts';
import { linesOf, rootOfLines, rootOfPages, type PageRef } from '../../ledger/sequence.ts';
import { parseBatchLine, parseHeadLine, parseSnapshot, type BatchLine, type Snapshot } from '../../ledger/snapshot.ts';
import { parseLogId } from '../../record/log-id.ts';
import type { LedgerContext } from '../ledger-context.ts';
import type { Findings } from './findings.ts';
import type { IndexedBatch, LogIndex } from './partition-logs.ts';
import type { Past } from './past.ts';

type Publish = Extract<ControlEntry, { kind: 'publish' }>;
type Rollback = Extract<ControlEntry, { kind: 'rollback' }>;
type SequenceName = 'batches' | 'held' | 'heads';

/** Sums over the lines of a page, so that totals need no second look at it. */
interface PageTotals {
  readonly rows: number;
  readonly bytes: number;
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
  readonly #pages = new Map<string, PageTotals>();
  /** Published snapshots that could be read. */
  readonly #known = new Map<string, Pick<Snapshot, 'parent' | 'baselines'>>();
  /** Slots whose absence has been noted. */
  readonly #missing = new Set<string>();

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
      const { parent, baselines } = snapshot;
      this.#known.set(entry.snapshot, { parent, baselines });
      if (parent !== entry.parent || snapshot.pipeline !== entry.pipeline || snapshot.controlSeq !== entry.seq - 1)
        this.#findings.found(key, 'CHAIN_BROKEN', `it is not what "${entryKey}" publishes`);
      if (!sameEntries(baselines, state.baselines))
        this.#findings.found(key, 'CHAIN_BROKEN', 'its baselines are not those that were in force');
      for (const name of ['heads', 'held', 'batches'] as const) await this.#sequence(key, name, snapshot);
    });
  }

  /** Checks that a rollback goes to an ancestor and brings its baselines back (matrix R3, R4), and forgets what it voids. */
  async rolledBack(entry: Rollback, key: string): Promise<void> {
    let at: string | null = this.#known.get(entry.from)?.parent ?? null;
    while (at !== null && at !== entry.to) at = this.#known.get(at)?.parent ?? null;
    if (at === null)
      this.#findings.found(
        key,
        'CHAIN_BROKEN',
        `it goes back to ${entry.to}, which is not an ancestor of ${entry.from}`,
      );
    else if (!sameEntries(entry.baselines, this.#known.get(at)?.baselines ?? {}))
      this.#findings.found(
        key,
        'CHAIN_BROKEN',
        'it puts other baselines in force than those of the snapshot it goes back to',
      );
    // A page may come back by the same bytes when what allowed its lines is void.
    this.#pages.clear();
    await this.#findings.guard(this.#ledger.layout.snapshot(entry.to), async () => {
      const { batches, held } = await this.#ledger.snapshots.read(entry.to);
      this.#past.rollBack(new Set([...(await this.#digests(batches)), ...(await this.#digests(held))]));
    });
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
    const { pages, root, count } = snapshot[name];
    let rows = 0;
    let bytes = 0;
    for (const page of pages) {
      const id = `${name} ${page.sha256}`;
      const totals = this.#pages.get(id) ?? (await this.#page(key, name, page));
      this.#pages.set(id, totals);
      rows += totals.rows;
      bytes += totals.bytes;
    }
    if (rootOfPages(pages) !== root)
      this.#findings.found(
        key,
        'ROOT_MISMATCH',
        `the roots of the pages of "${name}" do not give the root that it names`,
      );
    const lines = pages.reduce((sum, page) => sum + page.count, 0);
    if (lines !== count) this.#findings.found(key, 'CHAIN_BROKEN', `it says ${count} ${name}, its pages have ${lines}`);
    const unread = pages.some(({ sha256 }) => Number.isNaN(this.#pages.get(`${name} ${sha256}`)!.rows));
    if (name === 'batches' && !unread && (rows !== snapshot.records || bytes !== snapshot.bytes))
      this.#findings.found(
        key,
        'CHAIN_BROKEN',
        `it says ${snapshot.records} records in ${snapshot.bytes} bytes, its batches have ${rows} in ${bytes}`,
      );
  }

  async #page(key: string, name: SequenceName, page: PageRef): Promise<PageTotals> {
    const pageKey = this.#ledger.layout.page(page.sha256);
    const bytes = await this.#findings.object(pageKey, page.sha256, BYTES_MAX.page);
    if (bytes === null) return { rows: Number.NaN, bytes: Number.NaN };
    const lines = linesOf(bytes);
    if (lines.length !== page.count || rootOfLines(lines) !== page.root)
      this.#findings.found(pageKey, 'ROOT_MISMATCH', 'its lines do not give the root that the snapshot names');
    if (name === 'heads') {
      for (const { log, slot, digest } of lines.map(parseHeadLine)) this.#slot(key, log, slot, digest);
      return { rows: 0, bytes: 0 };
    }
    const batches = lines.map(parseBatchLine);
    for (const line of batches) {
      const entry = this.#line(key, line);
      if (entry !== null && name === 'batches') await this.#publishedBatch(key, line, entry);
    }
    return {
      rows: batches.reduce((sum, line) => sum + line.rows, 0),
      bytes: batches.reduce((sum, { data }) => sum + (data?.bytes ?? 0), 0),
    };
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
    if (!this.#past.mayBePublished(digest, entry))
      this.#findings.found(
        key,
        'CHAIN_BROKEN',
        `it publishes the batch of "${log}" at ${start}, which was neither judged clean nor released`,
      );
    const id = parseLogId(log);
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
