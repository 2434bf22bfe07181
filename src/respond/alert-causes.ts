import { nextSeq, type ControlHead } from '../ledger/control-log.ts';
import type { PageRef } from '../ledger/sequence.ts';
import type { BatchLine, HeadLine, Snapshot } from '../ledger/snapshot.ts';
import type { NewsFinder } from '../publish/news.ts';
import { formatLogId } from '../record/log-id.ts';
import type { AlertCause } from './alert-cause.ts';
import type { LedgerContext } from './ledger-context.ts';
import { isAlarming, isTold } from './told.ts';

/** Control entries looked back at: older ones were told long ago. */
const CONTROL_ENTRIES_MAX = 200;

type BatchCause = Extract<AlertCause, { about: 'batch' }>;
type ControlCause = Extract<AlertCause, { about: 'control' }>;

/**
 * Finds everything in the ledger that people should have been told of: batches that were found suspect or could not be
 * judged, be they held, let through in observe mode, or not covered by a snapshot yet, and the newest acts. From this all
 * alert jobs can be made again.
 * Cost: everything at first; then what is new since the last look.
 */
export class CauseFinder {
  readonly #ledger: LedgerContext;
  readonly #ref: string;
  readonly #news: NewsFinder;
  #acts: ControlCause[] = [];
  #nextSeq = 0;
  /** Digest of the snapshot that was looked at; null before the first. */
  #snapshot: string | null = null;
  /** Causes in each page of that snapshot, by the page's digest. */
  #pages: ReadonlyMap<string, readonly BatchCause[]> = new Map();
  /** How far that snapshot covers each log. */
  #covered: ReadonlyMap<string, HeadLine> = new Map();
  /** How far each log was read, by a snapshot or by ourselves. */
  #heads = new Map<string, HeadLine>();
  /** Batches that no snapshot covers. */
  #beyond: BatchCause[] = [];

  /** @param news of its own: what it has told once it does not tell again. */
  constructor(ledger: LedgerContext, ref: string, news: NewsFinder) {
    this.#ledger = ledger;
    this.#ref = ref;
    this.#news = news;
  }

  /** @throws IntegrityError, UnavailableError */
  async find(): Promise<AlertCause[]> {
    const { control, snapshots } = this.#ledger;
    const head = await control.head();
    await this.#readActs(head);
    const sha256 = head.state.refs[this.#ref] ?? null;
    if (sha256 !== null && sha256 !== this.#snapshot) {
      await this.#readSnapshot(await snapshots.read(sha256));
      this.#snapshot = sha256;
    }
    await this.#readBeyond();
    return [...this.#acts, ...[...this.#pages.values()].flat(), ...this.#beyond];
  }

  async #readActs(head: ControlHead): Promise<void> {
    const end = nextSeq(head);
    for (let seq = Math.max(this.#nextSeq, end - CONTROL_ENTRIES_MAX); seq < end; seq++) {
      const verified = await this.#ledger.control.read(seq);
      if (verified !== null && isTold(verified)) this.#acts.push({ about: 'control', seq, digest: verified.digest });
      this.#nextSeq = seq + 1;
    }
    this.#acts = this.#acts.filter(({ seq }) => seq >= end - CONTROL_ENTRIES_MAX);
  }

  async #readSnapshot({ held, batches, heads }: Snapshot): Promise<void> {
    const { snapshots } = this.#ledger;
    const pages = new Map<string, readonly BatchCause[]>();
    for (const page of [...held.pages, ...batches.pages])
      pages.set(page.sha256, this.#pages.get(page.sha256) ?? (await this.#readPage(page)));
    const covered = await snapshots.heads(heads);
    // After a rollback, what lay between the two snapshots is covered by none: it has to be found again.
    if ([...this.#covered].some(([log, { slot }]) => slot > (covered.get(log)?.slot ?? -1))) {
      this.#news.forget();
      this.#heads = new Map();
      this.#beyond = [];
    }
    this.#covered = covered;
    for (const [log, line] of covered) if (line.slot > (this.#heads.get(log)?.slot ?? -1)) this.#heads.set(log, line);
    this.#beyond = this.#beyond.filter(({ log, slot }) => slot > (covered.get(log)?.slot ?? -1));
    this.#pages = pages;
  }

  async #readPage(page: PageRef): Promise<BatchCause[]> {
    const causes: BatchCause[] = [];
    for (const line of await this.#ledger.snapshots.page(page))
      if (isAlarming(line.standing)) causes.push(causeOf(line));
    return causes;
  }

  async #readBeyond(): Promise<void> {
    const { batches, heads } = await this.#news.since(this.#heads);
    for (const { log, slot, digest, next } of heads)
      this.#heads.set(formatLogId(log), { log: formatLogId(log), slot, digest, next });
    for (const { log, entry, digest } of batches)
      if (isAlarming(entry.undecided ?? (entry.verdict === 'suspect' ? 'suspect' : 'clean')))
        this.#beyond.push(causeOf({ log: formatLogId(log), slot: entry.slot, digest }));
  }
}

function causeOf({ log, slot, digest }: Pick<BatchLine, 'log' | 'slot' | 'digest'>): BatchCause {
  return { about: 'batch', log, slot, digest };
}
