import type { BatchLine } from '../../src/ledger/snapshot.ts';
import { parseLogId } from '../../src/record/log-id.ts';
import { PIPELINE } from './genesis.ts';
import type { NamedObjects } from './named.ts';

/** What a snapshot has in it, and what it holds back. */
export type SequenceName = 'batches' | 'held';

interface StoredSequence {
  readonly pages: readonly { readonly sha256: string }[];
}

type StoredSnapshot = Readonly<Record<SequenceName | 'heads', StoredSequence>> & {
  readonly parent: string | null;
  readonly baselines: Readonly<Record<string, string>>;
};

/** Snapshots by digest, each with all that it names. Nothing of the code that wrote them is asked. */
export class SeenSnapshots {
  readonly #named: NamedObjects;
  readonly #pages = new Map<string, readonly BatchLine[]>();

  constructor(named: NamedObjects) {
    this.#named = named;
  }

  /** The batches that a snapshot names, or holds back. @throws Violation I5 where a page or the data of one is not there */
  linesOf(snapshot: string, sequence: SequenceName): BatchLine[] {
    return this.#read(snapshot)[sequence].pages.flatMap(({ sha256 }) => this.#page(sha256, sequence));
  }

  /** Digests of {@link linesOf}; none before the first snapshot. */
  digestsOf(snapshot: string | null, sequence: SequenceName): ReadonlySet<string> {
    return new Set(snapshot === null ? [] : this.linesOf(snapshot, sequence).map(({ digest }) => digest));
  }

  parentOf(snapshot: string): string | null {
    return this.#read(snapshot).parent;
  }

  isAncestor(older: string, newer: string): boolean {
    let at = this.parentOf(newer);
    while (at !== null && at !== older) at = this.parentOf(at);
    return at !== null;
  }

  /** Baseline of a topic that was in force when a snapshot was made; null if there was none. */
  baselineOf(snapshot: string, topic: string): string | null {
    return this.#read(snapshot).baselines[topic] ?? null;
  }

  /** Looks at all that a snapshot names. @throws Violation I5 */
  assertWhole(snapshot: string): void {
    for (const { sha256 } of this.#read(snapshot).heads.pages) this.#named.read(pageKey(sha256), sha256, 'a snapshot');
    this.linesOf(snapshot, 'held');
    for (const { log, epoch, start, end, data } of this.linesOf(snapshot, 'batches')) {
      const id = parseLogId(log)!;
      if (data === null) continue;
      const key = `${PIPELINE}/data/${id.cluster}/${id.topic}/${id.partition}/${epoch}/${start}-${end}-${data.sha256}.parquet`;
      this.#named.read(key, data.sha256, `snapshot ${snapshot}`);
    }
  }

  #read(snapshot: string): StoredSnapshot {
    return this.#named.json(`${PIPELINE}/snapshots/${snapshot}`, snapshot, 'a control entry') as StoredSnapshot;
  }

  #page(sha256: string, sequence: SequenceName): readonly BatchLine[] {
    const id = `${sequence} ${sha256}`;
    const known = this.#pages.get(id);
    if (known !== undefined) return known;
    const lines = Buffer.from(this.#named.read(pageKey(sha256), sha256, 'a snapshot'))
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map(lineOf);
    this.#pages.set(id, lines);
    return lines;
  }
}

function pageKey(sha256: string): string {
  return `${PIPELINE}/pages/${sha256}`;
}

function lineOf(text: string): BatchLine {
  const [log, start, end, slot, epoch, digest, records, rows, data, dataBytes, standing] = JSON.parse(text);
  const file = data === null ? null : { sha256: data, bytes: dataBytes };
  return { log, start, end, slot, epoch, digest, records, rows, data: file, standing };
}
