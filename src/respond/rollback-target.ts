import { NotFoundError, RequestError } from '../errors.ts';
import type { ControlEntry } from '../ledger/control-entry.ts';
import { nextSeq, type ControlHead } from '../ledger/control-log.ts';
import { newestFirst } from '../ledger/newest-first.ts';
import { CleanSnapshots } from './clean-snapshots.ts';
import type { LedgerContext } from './ledger-context.ts';
import { entriesInLine, findPublished, type PublishedSnapshot } from './published.ts';

/** Ancestors that are looked at together, at most. */
const TOGETHER_MAX = 16;

/** Where a rollback goes. */
interface Target {
  readonly snapshot: string;
  /** Number of the control entry that published it. */
  readonly seq: number;
}

/**
 * Finds the snapshot that a rollback goes to, once.
 *
 * The search may take minutes in a long history, and a publisher goes on meanwhile: each entry of its own makes the rollback
 * lose the race for the next slot. What was found holds all the same when the ref has only moved on from where the search
 * began, so that a lost race costs one look at the new entries; for the last clean one, at the newest snapshot, too.
 */
export class RollbackTarget {
  readonly #ledger: LedgerContext;
  readonly #ref: string;
  readonly #text: string;
  #found: (Target & { readonly head: ControlHead }) | null = null;
  /** As of the newest decision that was seen; null before the last clean snapshot is looked for. */
  #clean: CleanSnapshots | null = null;
  /** Newest decision on each batch that was passed, by entry digest. */
  readonly #decisions = new Map<string, { readonly seq: number; readonly outcome: 'released' | 'condemned' }>();

  /** @param text `last-clean`, a ref, a snapshot id or a unique prefix of one (≥ 6 digits), or an ISO 8601 time. */
  constructor(ledger: LedgerContext, ref: string, text: string) {
    this.#ledger = ledger;
    this.#ref = ref;
    this.#text = text;
  }

  /**
   * The snapshot to go to, seen from a head of the control log whose state names the ref.
   * @throws NotFoundError when no snapshot matches; RequestError when it is not an ancestor of the one that the ref names;
   *   IntegrityError, UnavailableError
   * Cost: the first time, one GET an entry since the target was published, and as many for its ancestors when the last clean one is
   *   asked for; after that, one an entry that is new.
   */
  async at(head: ControlHead): Promise<string> {
    const target = (await this.#stillFound(head)) ?? (await this.#find(head));
    this.#found = { ...target, head };
    return target.snapshot;
  }

  /** Number of batches whose release a rollback makes void: decided after the target was published, or not carried out yet. */
  releasesVoided({ state }: ControlHead): number {
    const open = Object.entries(state.decisions).filter(([, { outcome }]) => outcome === 'released');
    const voided = new Set(open.map(([digest]) => digest));
    for (const [digest, { seq, outcome }] of this.#decisions)
      if (outcome === 'released' && seq > this.#found!.seq) voided.add(digest);
    return voided.size;
  }

  /** What was found before, if it still holds; null if the search has to begin again. */
  async #stillFound(head: ControlHead): Promise<Target | null> {
    const found = this.#found;
    if (found === null) return null;
    let [isMoved, isDecided] = [false, false];
    for await (const { entry } of newestFirst(this.#ledger.control, head)) {
      if (entry.seq < nextSeq(found.head)) break;
      this.#pass(entry);
      if (entry.kind === 'rollback' && entry.ref === this.#ref) return null;
      isMoved ||= entry.kind === 'publish' && entry.ref === this.#ref;
      isDecided ||= entry.kind === 'decision';
    }
    if (this.#text !== 'last-clean' || !(isMoved || isDecided)) return found;
    if (isDecided) this.#clean = await CleanSnapshots.open(this.#ledger, head.state);
    // A publish may have taken out what was condemned.
    const stay = await this.#ifClean(head);
    if (stay !== null || !isDecided) return stay ?? found;
    return (await this.#clean!.isClean(found.snapshot)) ? found : null;
  }

  async #find(head: ControlHead): Promise<Target> {
    this.#decisions.clear();
    if (this.#text === 'last-clean') return this.#lastClean(head);
    const { refs } = head.state;
    const timeMs = /^\d{4}-\d\d-\d\d/.test(this.#text) ? Date.parse(this.#text) : Number.NaN;
    const found = Number.isNaN(timeMs)
      ? await findPublished(this.#ledger, head, refs[this.#text] ?? this.#text, (entry) => this.#pass(entry))
      : await this.#namedAt(head, timeMs);
    if (found === null) throw notFound(head, this.#text);
    if (found.ref === this.#ref && found.isInLine) return found;
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot roll "${this.#ref}" back to "${found.snapshot}": it is not an ancestor of ${refs[this.#ref]}`,
    );
  }

  /** The newest of a ref's snapshot and its ancestors that can be read and hold no condemned batch. */
  async #lastClean(head: ControlHead): Promise<Target> {
    const clean = (this.#clean = await CleanSnapshots.open(this.#ledger, head.state));
    const from = head.state.refs[this.#ref]!;
    const stay = await this.#ifClean(head);
    if (stay !== null) return stay;
    let [waiting, together]: [Target[], number] = [[], 1];
    for await (const { entry, isInLine } of entriesInLine(this.#ledger.control, head)) {
      this.#pass(entry);
      if (!isInLine || entry.kind !== 'publish' || entry.ref !== this.#ref || entry.snapshot === from) continue;
      waiting.push(entry);
      if (waiting.length < together) continue;
      const found = await clean.firstOf(waiting);
      if (found !== null) return found;
      [waiting, together] = [[], Math.min(together * 2, TOGETHER_MAX)];
    }
    const found = await clean.firstOf(waiting);
    if (found !== null) return found;
    throw new NotFoundError(
      'NOT_FOUND',
      'Cannot find a clean snapshot: every ancestor holds a condemned batch, or is damaged (headgate hold stops the ref where it is)',
    );
  }

  /** The snapshot that the ref names if it is clean. It stays where it is: since when it is there need not be known. */
  async #ifClean(head: ControlHead): Promise<Target | null> {
    const snapshot = head.state.refs[this.#ref]!;
    return (await this.#clean!.isClean(snapshot)) ? { snapshot, seq: nextSeq(head) } : null;
  }

  /**
   * The snapshot that the ref named at a time, by the clocks of those who moved it: where the newest move leads whose time is
   * not later. One wrong clock cannot end the search, and who does not move the ref has no say.
   */
  async #namedAt(head: ControlHead, timeMs: number): Promise<PublishedSnapshot> {
    let named: string | null = null;
    for await (const { entry, isInLine } of entriesInLine(this.#ledger.control, head)) {
      this.#pass(entry);
      if (entry.kind !== 'publish' && entry.kind !== 'rollback') continue;
      if (entry.ref === this.#ref && Date.parse(entry.time) <= timeMs)
        named ??= entry.kind === 'publish' ? entry.snapshot : entry.to;
      if (entry.kind === 'publish' && entry.snapshot === named) return { ...entry, isInLine };
    }
    throw new NotFoundError(
      'NOT_FOUND',
      `Cannot find what "${this.#ref}" named at ${this.#text}: it was first published later`,
    );
  }

  #pass(entry: ControlEntry): void {
    if (entry.kind !== 'decision') return;
    const { digest } = entry.batch;
    if (entry.seq > (this.#decisions.get(digest)?.seq ?? -1)) this.#decisions.set(digest, entry);
  }
}

/** The error for a name that is neither a ref nor a published snapshot. */
export function notFound({ state }: ControlHead, name: string): NotFoundError {
  return new NotFoundError(
    'NOT_FOUND',
    `Cannot find "${name}": it is neither a ref nor a snapshot (${publishedRefs(Object.keys(state.refs))})`,
  );
}

/** Says in a message which refs there are. */
export function publishedRefs(refs: readonly string[]): string {
  return refs.length === 0 ? 'nothing has been published yet' : `published refs are ${refs.join(', ')}`;
}
