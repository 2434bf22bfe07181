import { IntegrityError } from '../errors.ts';
import type { ControlState } from '../ledger/control-state.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { compareKeys, EMPTY_SEQUENCE, type PageRef, type SequenceKey } from '../ledger/sequence.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

const READS_AT_ONCE = 16;

/** Where the line of a condemned batch sorts: at `first`, or between both where its entry cannot be read. */
interface Place {
  readonly first: SequenceKey;
  readonly last: SequenceKey;
}

/**
 * Tells snapshots that can be read and hold no condemned batch from all others; each list page is read once for all of them,
 * and only the lists of one that is taken for clean are read to their ends.
 */
export class CleanSnapshots {
  readonly #snapshots: LedgerContext['snapshots'];
  readonly #condemned: ReadonlySet<string>;
  readonly #places: readonly Place[];
  /** Whether a page lists a condemned batch, by the page's digest. */
  readonly #pages = new Map<string, Promise<boolean>>();
  /** Pages that were read, or could not be, by digest. */
  readonly #touched = new Map<string, Promise<unknown>>();

  private constructor(snapshots: LedgerContext['snapshots'], condemned: ReadonlySet<string>, places: readonly Place[]) {
    this.#snapshots = snapshots;
    this.#condemned = condemned;
    this.#places = places;
  }

  /**
   * Looks up where the batches lie that are condemned in a state. One whose entry is lost or altered is looked for in all pages of
   * its log: that it cannot be read must not keep anyone from going back to before it.
   * Cost: one GET a condemned batch. @throws UnavailableError
   */
  static async open({ logs, snapshots }: LedgerContext, { decisions }: ControlState): Promise<CleanSnapshots> {
    const condemned = Object.entries(decisions).filter(([, { outcome }]) => outcome === 'condemned');
    const places: Place[] = [];
    await eachLimited(condemned, READS_AT_ONCE, async ([digest, { log, slot }]) => {
      try {
        const { log: id, entry } = await logs.readBatch({ digest, log, slot });
        const key = [formatLogId(id), entry.start] as const;
        places.push({ first: key, last: key });
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        places.push({ first: [log, 0], last: [log, Number.MAX_SAFE_INTEGER] });
      }
    });
    return new CleanSnapshots(snapshots, new Set(condemned.map(([digest]) => digest)), places);
  }

  /** The first of the snapshots that is clean; null if none is. Looks at all of them at once. @throws UnavailableError */
  async firstOf<Each extends { readonly snapshot: string }>(candidates: readonly Each[]): Promise<Each | null> {
    const harmless = new Set<Each>();
    await eachLimited(candidates, READS_AT_ONCE, async (each) => {
      if (await this.#isHarmless(each.snapshot)) harmless.add(each);
    });
    for (const each of candidates) if (harmless.has(each) && (await this.#isWhole(each.snapshot))) return each;
    return null;
  }

  /**
   * True when a snapshot and its lists can be read and hold no condemned batch: whoever goes on from it needs all of them.
   * Cost: its list pages that this process has not read. @throws UnavailableError
   */
  async isClean(sha256: string): Promise<boolean> {
    return (await this.#isHarmless(sha256)) && this.#isWhole(sha256);
  }

  /** False, too, when nobody can tell. */
  #isHarmless(sha256: string): Promise<boolean> {
    return unlessDamaged(async () => {
      const { pages } = (await this.#snapshots.read(sha256)).batches;
      for (const page of this.#pagesOfInterest(pages)) if (await this.#isMarked(page)) return false;
      return true;
    });
  }

  #isWhole(sha256: string): Promise<boolean> {
    return unlessDamaged(async () => {
      const { batches, held, heads } = await this.#snapshots.read(sha256);
      const pages = [batches, held, heads].flatMap((sequence): readonly PageRef[] => sequence.pages);
      await eachLimited(pages, READS_AT_ONCE, async (page) => void (await this.#touch(page)));
      return true;
    });
  }

  /** Pages that may list a condemned batch. */
  #pagesOfInterest(pages: readonly PageRef[]): PageRef[] {
    const found = new Set<number>();
    for (const { first, last } of this.#places)
      for (let i = indexOf(pages, first); i < pages.length; i++) {
        found.add(i);
        if (compareKeys(last, pages[i]!.last) <= 0) break;
      }
    return [...found].map((i) => pages[i]!);
  }

  #isMarked(page: PageRef): Promise<boolean> {
    return once(this.#pages, page, async () =>
      (await this.#snapshots.page(page)).some(({ digest }) => this.#condemned.has(digest)),
    );
  }

  #touch(page: PageRef): Promise<unknown> {
    const known = this.#pages.get(page.sha256);
    return known ?? once(this.#touched, page, () => this.#snapshots.lines({ ...EMPTY_SEQUENCE, pages: [page] }).next());
  }
}

function once<Result>(
  known: Map<string, Promise<Result>>,
  { sha256 }: PageRef,
  read: () => Promise<Result>,
): Promise<Result> {
  const result = known.get(sha256) ?? read();
  known.set(sha256, result);
  return result;
}

/** What `look` finds; false when what it looks at is damaged. */
async function unlessDamaged(look: () => Promise<boolean>): Promise<boolean> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof IntegrityError) return false;
    throw error;
  }
}

/** Index of the page that covers a key; the number of pages if none does. */
function indexOf(pages: readonly PageRef[], key: SequenceKey): number {
  let [low, high] = [0, pages.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (compareKeys(pages[middle]!.last, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
