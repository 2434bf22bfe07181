import { IntegrityError } from '../errors.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import type { ControlLog } from './control-log.ts';
import type { HeadLine, Snapshots } from './snapshot.ts';

/** How far a published snapshot covers a log. */
export interface CoveredHead extends HeadLine {
  /** SHA-256 of the snapshot. */
  readonly snapshot: string;
}

/** Which snapshots were read, and how far they cover each log together. */
interface Read {
  readonly snapshots: ReadonlySet<string>;
  readonly heads: ReadonlyMap<string, CoveredHead>;
}

/**
 * How far published snapshots cover each partition log, as the control log stands.
 *
 * From one publish to the next heads only rise. So no snapshot covers more than all those together that refs name now and
 * that rollbacks left behind, which the control state both names: nothing else has to be looked at.
 * Trust: control entries are signed, and snapshots checked against the digests in them; a store can hide both together,
 * which only the marks of a machine see.
 */
export class CoveredHeads {
  readonly #control: ControlLog;
  readonly #snapshots: Snapshots;
  /** What was read last, and what is being read. */
  #known: Read = { snapshots: new Set(), heads: new Map() };
  #reading: { readonly of: string; readonly done: Promise<Read> } | null = null;

  constructor(control: ControlLog, snapshots: Snapshots) {
    this.#control = control;
    this.#snapshots = snapshots;
  }

  /**
   * How far a log is covered; null if it is not. To be asked before the log itself is read, which only grows: one that
   * does not reach so far then has lost entries.
   * Cost: one GET when nothing is new; else one an entry that is, and each new snapshot with its heads.
   * @throws IntegrityError, UnavailableError
   */
  async of(log: LogId): Promise<CoveredHead | null> {
    return (await this.all()).get(formatLogId(log)) ?? null;
  }

  /** As {@link of}, of every log that any of the snapshots covers, by its name. @throws IntegrityError, UnavailableError */
  async all(): Promise<ReadonlyMap<string, CoveredHead>> {
    const { refs, left } = (await this.#control.head()).state;
    const named = new Set(Object.values(refs));
    const published = new Set([...named, ...Object.keys(left)]);
    const of = [...published].toSorted().join(' ');
    if (this.#reading?.of !== of) {
      const reading = { of, done: this.#readOn(this.#known, published, named) };
      this.#reading = reading;
      // What could not be read is asked for again; whoever waits is told below.
      reading.done.catch(() => {
        if (this.#reading === reading) this.#reading = null;
      });
    }
    this.#known = await this.#reading.done;
    return this.#known.heads;
  }

  /**
   * Reads those of the published snapshots that are not known yet; what was covered once stays so. One that a rollback left
   * behind and that was deleted since says nothing any more, and contradicts nothing.
   */
  async #readOn(known: Read, published: ReadonlySet<string>, named: ReadonlySet<string>): Promise<Read> {
    const heads = new Map(known.heads);
    for (const snapshot of published) {
      if (known.snapshots.has(snapshot)) continue;
      try {
        const { heads: sequence } = await this.#snapshots.read(snapshot);
        for (const [log, line] of await this.#snapshots.heads(sequence))
          if (line.slot > (heads.get(log)?.slot ?? -1)) heads.set(log, { ...line, snapshot });
      } catch (error) {
        if (!(error instanceof IntegrityError && error.code === 'OBJECT_MISSING') || named.has(snapshot)) throw error;
      }
    }
    return { snapshots: published, heads };
  }
}
