import type { BatchLine, Snapshot } from '../../ledger/snapshot.ts';
import type { LedgerContext } from '../../respond/ledger-context.ts';
import { readable, type Damage } from '../damage.ts';

/** List pages of the dataset that are read: with 64, some 60,000 batches. */
const PAGES_READ_MAX = 64;

/** Records that did not decode, by log. */
export class LogDeadLetters {
  readonly #counts = new Map<string, number>();

  add(log: string, count: number): void {
    if (count > 0) this.#counts.set(log, this.of(log) + count);
  }

  of(log: string): number {
    return this.#counts.get(log) ?? 0;
  }
}

/** What the list pages of a snapshot say of its batches. */
export interface ListedBatches {
  /** How many held batches stand where; null where a page cannot be read. */
  readonly standings: Record<string, number> | null;
  /** Held batches that the next publish looks at. */
  readonly waiting: readonly BatchLine[];
  /** Records of the dataset's batches, and of the held ones, that did not decode; null where not all pages were read. */
  readonly deadLetters: number | null;
  readonly heldDeadLetters: number | null;
}

/**
 * Reads the list pages of held batches, and those of the dataset as far as they are few.
 * @param dead is added to. @param damage takes up what cannot be read.
 */
export async function readListed(
  { snapshots }: LedgerContext,
  snapshot: Snapshot | null,
  dead: LogDeadLetters,
  damage: Damage[],
): Promise<ListedBatches> {
  const standings: Record<string, number> = {};
  const waiting: BatchLine[] = [];
  const read = async (pages: Snapshot['held']['pages'], each: (line: BatchLine) => void): Promise<number | null> => {
    let deadLetters = 0;
    let isWhole = true;
    for (const page of pages) {
      const lines = await readable(damage, () => snapshots.page(page));
      isWhole &&= lines !== null;
      for (const line of lines ?? []) {
        deadLetters += line.records - line.rows;
        dead.add(line.log, line.records - line.rows);
        each(line);
      }
    }
    return isWhole ? deadLetters : null;
  };
  const heldDeadLetters = await read(snapshot?.held.pages ?? [], (line) => {
    standings[line.standing] = (standings[line.standing] ?? 0) + 1;
    if (line.standing === 'small' || line.standing === 'no-baseline') waiting.push(line);
  });
  const pages = snapshot?.batches.pages ?? [];
  const deadLetters = await read(pages.slice(-PAGES_READ_MAX), () => undefined);
  return {
    standings: heldDeadLetters === null ? null : standings,
    waiting,
    deadLetters: pages.length > PAGES_READ_MAX ? null : deadLetters,
    heldDeadLetters,
  };
}
