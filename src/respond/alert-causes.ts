import { IntegrityError } from '../errors.ts';
import { compareKeys, type PageRef, type SequenceKey } from '../ledger/sequence.ts';
import type { BatchLine, HeadLine, Snapshot } from '../ledger/snapshot.ts';
import type { NewsFinder } from '../publish/news.ts';
import { formatLogId } from '../record/log-id.ts';
import { alertId, type AlertCause } from './alert-cause.ts';
import { readHaltNotes, type KnownHaltNotes } from './halt-notes.ts';
import type { LedgerContext } from './ledger-context.ts';
import { NOTHING_SETTLED, OwedActs, type ActsProgress } from './owed-acts.ts';
import { isAlarming } from './told.ts';

/** Causes about batches that are owed at once, give or take a page: with three channels, what a queue in memory holds. */
const OWED_MAX = 3_000;

type BatchCause = Extract<AlertCause, { about: 'batch' }>;
/** A snapshot as far as its batches go. */
type Batches = Pick<Snapshot, 'held' | 'batches'>;

interface KnownPage {
  readonly page: PageRef;
  /** What is still owed of it; null = to be looked up. */
  readonly owed: readonly BatchCause[] | null;
}

/**
 * Finds everything in the store that people should have been told of: batches that were found suspect or could not be
 * judged, be they held, let through in observe mode, or not covered by a snapshot yet, what people did, and partitions that
 * have halted. From this all alert jobs can be made again.
 *
 * What is told once is not found again: of a page of a snapshot, which never changes, only what is still owed is remembered,
 * and where a page takes the place of another, only what is new in it is owed. So a look costs what is new since the last
 * one, however long the history is. Only the first goes through all of it, a part at a time, the newest first.
 */
export class CauseFinder {
  readonly #ledger: LedgerContext;
  readonly #ref: string;
  readonly #news: NewsFinder;
  /** Null before the first look. */
  #acts: OwedActs | null = null;
  /** The snapshot that was looked at; null before the first. */
  #snapshot: (Batches & { readonly sha256: string }) | null = null;
  /** The pages of that snapshot, newest first, by digest. */
  #pages: Map<string, KnownPage> = new Map();
  /** How far that snapshot covers each log. */
  #covered: ReadonlyMap<string, HeadLine> = new Map();
  /** How far each log was read, by a snapshot or by ourselves. */
  #heads = new Map<string, HeadLine>();
  /** Batches that no snapshot covers and that are still owed; the oldest are left out, a snapshot brings them. */
  #beyond: BatchCause[] = [];
  readonly #notes: KnownHaltNotes = new Map();
  /** Ids of the alerts about noted halts that were told. */
  #toldHalts: ReadonlySet<string> = new Set();

  /** @param news of its own: what it has told once it does not tell again. */
  constructor(ledger: LedgerContext, ref: string, news: NewsFinder) {
    this.#ledger = ledger;
    this.#ref = ref;
    this.#news = news;
  }

  /** True when the last look has left something out, until what it found is settled. */
  get hasMore(): boolean {
    return this.isSearching || [...this.#pages.values()].some(({ owed }) => owed === null);
  }

  /** True when the last look has not gone through all acts although there is room for what is owed of them. */
  get isSearching(): boolean {
    return this.#acts?.hasMore === true;
  }

  /** Which acts are settled; null before the first look. */
  get actsProgress(): ActsProgress | null {
    return this.#acts?.progress ?? null;
  }

  /** Has the first look leave out what is known to be settled. */
  skipActs(progress: ActsProgress): void {
    this.#acts ??= new OwedActs(this.#ledger, progress);
  }

  /**
   * What the ledger tells of batches and acts, and is not settled.
   * @param onDamage told of what cannot be read; the rest is found all the same. Without it, damage is thrown.
   * @throws IntegrityError, UnavailableError
   */
  async find(onDamage: (error: IntegrityError) => void = rethrow): Promise<AlertCause[]> {
    const { control, snapshots } = this.#ledger;
    this.skipActs(NOTHING_SETTLED);
    const found: AlertCause[] = [];
    try {
      const head = await control.head();
      for (const cause of await this.#acts!.find(head)) found.push(cause);
      const sha256 = head.state.refs[this.#ref] ?? null;
      if (sha256 !== null && sha256 !== this.#snapshot?.sha256) await this.#goTo(sha256, await snapshots.read(sha256));
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      onDamage(error);
      // Which batches no snapshot covers is not known: all of each log would have to be read.
      if (this.#snapshot === null) return found;
    }
    await this.#readBeyond();
    return [...found, ...this.#beyond, ...(await this.#owedOfPages(onDamage))];
  }

  /**
   * Partitions that have halted, as their processes have noted it, and that are not settled; one by a rule is told with its
   * batch. Looks at no log, so that it can be asked when one is damaged.
   * Trust: as of the notes, none. @throws UnavailableError
   */
  async halts(): Promise<AlertCause[]> {
    const causes: [id: string, cause: AlertCause][] = [];
    for (const { log, code, next, message, since } of await readHaltNotes(this.#ledger, this.#notes)) {
      const cause = { about: 'halt', log, code, next, message, time: since } as const;
      if (code !== 'RULE') causes.push([alertId(cause), cause]);
    }
    this.#toldHalts = new Set(causes.flatMap(([id]) => (this.#toldHalts.has(id) ? [id] : [])));
    return causes.flatMap(([id, cause]) => (this.#toldHalts.has(id) ? [] : [cause]));
  }

  /** Forgets causes that were found and that every channel has confirmed. */
  settle(told: ReadonlySet<AlertCause>): void {
    if (told.size === 0) return;
    const isOwed = (cause: AlertCause): boolean => !told.has(cause);
    this.#acts?.settle(told);
    this.#beyond = this.#beyond.filter(isOwed);
    for (const [sha256, { page, owed }] of this.#pages)
      if (owed !== null && owed.length > 0) this.#pages.set(sha256, { page, owed: owed.filter(isOwed) });
    const halts = [...told].filter(({ about }) => about === 'halt');
    if (halts.length > 0) this.#toldHalts = new Set([...this.#toldHalts, ...halts.map(alertId)]);
  }

  async #goTo(sha256: string, { held, batches, heads }: Snapshot): Promise<void> {
    const before = this.#snapshot;
    const pages = new Map<string, KnownPage>();
    for (const { name, range } of newestFirst({ held, batches })) {
      const { page } = range;
      const known = this.#pages.get(page.sha256);
      pages.set(page.sha256, known ?? { page, owed: await this.#newIn(range, before?.[name].pages ?? []) });
    }
    const covered = await this.#ledger.snapshots.heads(heads);
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
    this.#snapshot = { sha256, held, batches };
  }

  /**
   * What is owed of a page that is new: all of it but what was settled in the pages whose place it takes.
   * @returns null, to be looked up when its turn comes, where it takes the place of none that was looked at.
   */
  async #newIn(range: PageRange, before: readonly PageRef[]): Promise<BatchCause[] | null> {
    const settled = new Set<string>();
    let isNew = true;
    for (const old of rangesOf(before)) {
      const owed = overlap(range, old) ? this.#pages.get(old.page.sha256)!.owed : null;
      if (owed === null) continue;
      isNew = false;
      const digests = new Set(owed.map(({ digest }) => digest));
      for (const { digest } of await this.#readPage(old.page)) if (!digests.has(digest)) settled.add(digest);
    }
    return isNew ? null : (await this.#readPage(range.page)).filter(({ digest }) => !settled.has(digest));
  }

  /** Looks pages up while there is room; what goes beyond is put back. */
  async #owedOfPages(onDamage: (error: IntegrityError) => void): Promise<BatchCause[]> {
    const owed: BatchCause[] = [];
    for (const [sha256, { page, owed: known }] of this.#pages) {
      if (owed.length >= OWED_MAX) {
        if (known !== null && known.length > 0) this.#pages.set(sha256, { page, owed: null });
        continue;
      }
      const causes = known ?? (await this.#readPage(page).catch(unlessDamaged(onDamage)));
      if (causes === null) continue;
      this.#pages.set(sha256, { page, owed: causes });
      for (const cause of causes) owed.push(cause);
    }
    return owed;
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
    if (this.#beyond.length > OWED_MAX) this.#beyond = this.#beyond.slice(-OWED_MAX);
  }
}

function rethrow(error: IntegrityError): never {
  throw error;
}

function unlessDamaged(onDamage: (error: IntegrityError) => void): (error: unknown) => null {
  return (error) => {
    if (!(error instanceof IntegrityError)) throw error;
    onDamage(error);
    return null;
  };
}

function causeOf({ log, slot, digest }: Pick<BatchLine, 'log' | 'slot' | 'digest'>): BatchCause {
  return { about: 'batch', log, slot, digest };
}

/** A page and the keys it may hold: those after `after`, which is null for the first page, up to its last. */
interface PageRange {
  readonly page: PageRef;
  readonly after: SequenceKey | null;
}

function rangesOf(pages: readonly PageRef[]): PageRange[] {
  return pages.map((page, i) => ({ page, after: pages[i - 1]?.last ?? null }));
}

function overlap(a: PageRange, b: PageRange): boolean {
  return [
    [a, b],
    [b, a],
  ].every(([one, other]) => one!.after === null || compareKeys(one!.after, other!.page.last) < 0);
}

/** Pages with the end of a log in them first, then those before these: a page tells no times, but a log is in their order. */
function newestFirst(batches: Batches): { readonly name: keyof Batches; readonly range: PageRange }[] {
  const found: { readonly name: keyof Batches; readonly range: PageRange; readonly age: number }[] = [];
  for (const name of ['held', 'batches'] as const) {
    const { pages } = batches[name];
    let age = 0;
    for (const [i, range] of [...rangesOf(pages).entries()].toReversed()) {
      const logs = new Set(pages.slice(Math.max(0, i - 1), i + 2).map(({ last }) => last[0]));
      const isInside = i > 0 && i < pages.length - 1 && logs.size === 1;
      age = isInside ? age + 1 : 0;
      found.push({ name, range, age });
    }
  }
  return found.toSorted((a, b) => a.age - b.age);
}
