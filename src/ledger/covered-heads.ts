import { formatLogId, type LogId } from '../record/log-id.ts';
import { nextSeq, type ControlHead, type ControlLog } from './control-log.ts';
import { newestFirst } from './newest-first.ts';
import type { HeadLine, Snapshots } from './snapshot.ts';

/** How far a published snapshot covers a log. */
export interface CoveredHead extends HeadLine {
  /** SHA-256 of the snapshot. */
  readonly snapshot: string;
}

type Heads = ReadonlyMap<string, CoveredHead>;

/**
 * How far published snapshots cover each partition log, as the control log stands.
 *
 * Looked at are the snapshots that refs name, and the one that was published last: after a rollback it covers more.
 * Trust: control entries are signed, and snapshots checked against the digests in them; a store can hide both together,
 * which only the marks of a machine see.
 */
export class CoveredHeads {
  readonly #control: ControlLog;
  readonly #snapshots: Snapshots;
  /** The snapshot that was published last, as of the entry before `seq`. */
  #published: { readonly seq: number; readonly snapshot: string | null } = { seq: 0, snapshot: null };
  /** What was read last, and of which snapshots. */
  #read: { readonly of: string; readonly heads: Promise<Heads> } | null = null;

  constructor(control: ControlLog, snapshots: Snapshots) {
    this.#control = control;
    this.#snapshots = snapshots;
  }

  /**
   * How far a log is covered; null if it is not. To be asked before the log itself is read, which only grows: one that
   * does not reach so far then has lost entries.
   * Cost: one GET when nothing is new; else one an entry since the last publish, and the new snapshot with its heads.
   * @throws IntegrityError, UnavailableError
   */
  async of(log: LogId): Promise<CoveredHead | null> {
    const head = await this.#control.head();
    const published = await this.#publishedLast(head);
    const digests = new Set([...Object.values(head.state.refs), ...(published === null ? [] : [published])]);
    const names = [...digests].toSorted().join(' ');
    if (this.#read?.of !== names) {
      const read = { of: names, heads: this.#headsOf(digests) };
      this.#read = read;
      // What could not be read is asked for again; whoever waits is told below.
      read.heads.catch(() => {
        if (this.#read === read) this.#read = null;
      });
    }
    return (await this.#read.heads).get(formatLogId(log)) ?? null;
  }

  async #publishedLast(head: ControlHead): Promise<string | null> {
    const before = this.#published;
    let { snapshot } = before;
    for await (const { entry } of newestFirst(this.#control, head)) {
      if (entry.seq < before.seq) break;
      if (entry.kind !== 'publish') continue;
      ({ snapshot } = entry);
      break;
    }
    if (nextSeq(head) > this.#published.seq) this.#published = { seq: nextSeq(head), snapshot };
    return snapshot;
  }

  /** @returns for each log the snapshot that covers most of it */
  async #headsOf(digests: Iterable<string>): Promise<Heads> {
    const covered = new Map<string, CoveredHead>();
    for (const snapshot of digests) {
      const { heads } = await this.#snapshots.read(snapshot);
      for (const [log, line] of await this.#snapshots.heads(heads))
        if (line.slot > (covered.get(log)?.slot ?? -1)) covered.set(log, { ...line, snapshot });
    }
    return covered;
  }
}
