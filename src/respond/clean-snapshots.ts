import { IntegrityError } from '../errors.ts';
import type { ControlState } from '../ledger/control-state.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { compareKeys, type PageRef, type SequenceKey } from '../ledger/sequence.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

const READS_AT_ONCE = 16;

/** Where the line of a condemned batch sorts: at `first`, or between both where its entry cannot be read. */
interface Place {
  readonly first: SequenceKey;
  readonly last: SequenceKey;
}

/** Tells snapshots that hold a condemned batch from those that hold none; each list page is read once for all of them. */
export class CleanSnapshots {
  readonly #snapshots: LedgerContext['snapshots'];
  readonly #condemned: ReadonlySet<string>;
  readonly #places: readonly Place[];
  /** Whether a page lists a condemned batch, by the page's digest. */
  readonly #pages = new Map<string, Promise<boolean>>();

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
    const clean = new Set<Each>();
    await eachLimited(candidates, READS_AT_ONCE, async (each) => {
      if (await this.isClean(each.snapshot)) clean.add(each);
    });
    return candidates.find((each) => clean.has(each)) ?? null;
  }

  /** True when a snapshot holds no condemned batch; false, too, when nobody can tell, for its lists are damaged. @throws UnavailableError */
  async isClean(sha256: string): Promise<boolean> {
    if (this.#condemned.size === 0) return true;
    try {
      const { pages } = (await this.#snapshots.read(sha256)).batches;
      for (const page of this.#pagesOfInterest(pages)) if (await this.#isMarked(page)) return false;
      return true;
    } catch (error) {
      if (error instanceof IntegrityError) return false;
      throw error;
    }
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
    const known = this.#pages.get(page.sha256);
    if (known !== undefined) return known;
    const isMarked = this.#snapshots
      .page(page)
      .then((lines) => lines.some(({ digest }) => this.#condemned.has(digest)));
    this.#pages.set(page.sha256, isMarked);
    return isMarked;
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
