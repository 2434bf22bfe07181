import { IntegrityError, NotFoundError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import { parsePublicKey } from '../record/public-key.ts';
import {
  ROLES_OF_KIND,
  controlStatement,
  parseControlEntry,
  type ControlAct,
  type ControlEntry,
} from './control-entry.ts';
import { EMPTY_STATE, applyAct, encodeState, parseState, stateDigest, type ControlState } from './control-state.ts';
import { BYTES_MAX, type Layout } from './layout.ts';
import { getVerified, putContent } from './objects.ts';
import { createSlot } from './slot.ts';
import { signStatement, verifyBundle } from './statements/bundle.ts';
import type { TrustRoot } from './trust.ts';

/** A verified control entry. */
export interface VerifiedControlEntry {
  readonly entry: ControlEntry;
  readonly digest: string;
  readonly keyId: string;
  readonly key: string;
}

/** The newest entry and the state it results in; before the first entry `newest` is null. */
export interface ControlHead {
  readonly newest: VerifiedControlEntry | null;
  readonly state: ControlState;
}

/** Seq of the next entry. */
export function nextSeq(head: ControlHead): number {
  return head.newest === null ? 0 : head.newest.entry.seq + 1;
}

/**
 * The single order of all decisions of a pipeline.
 *
 * Whoever acts builds on the newest entry n and creates n + 1; the loser of a race re-reads and rebuilds, so a hold and a
 * publish can never pass each other unseen. Each entry names the state that results, which is stored under its digest:
 * reading the newest entry is enough to know everything in force.
 * Trust: the store may hide the newest entries (see the marks in respond/marks.ts) but cannot invent one.
 */
export class ControlLog {
  readonly #store: ObjectStore;
  readonly #layout: Layout;
  readonly #trust: TrustRoot;
  readonly #clock: Clock;
  /** Newest entry this process has verified: where the next look begins. */
  #known: ControlHead = { newest: null, state: EMPTY_STATE };

  constructor(store: ObjectStore, layout: Layout, trust: TrustRoot, clock: Clock) {
    this.#store = store;
    this.#layout = layout;
    this.#trust = trust;
    this.#clock = clock;
  }

  /** The verified entry at `seq`; null if there is none. @throws IntegrityError, UnavailableError */
  async read(seq: number): Promise<VerifiedControlEntry | null> {
    const key = this.#layout.controlEntry(seq);
    const bytes = await this.#store.get(key, BYTES_MAX.slot);
    return bytes === null ? null : this.#verify(seq, bytes);
  }

  /** The newest entry and state in force. Cost: one GET when nothing is new, O(log n) from cold. @throws IntegrityError, UnavailableError */
  async head(): Promise<ControlHead> {
    const known = nextSeq(this.#known);
    const end = await this.#firstFree(known);
    if (end === known) return this.#known;
    const newest = await this.read(end - 1);
    if (newest === null)
      throw new NotFoundError('NOT_FOUND', `Cannot read control entry ${end - 1}: it has just disappeared`);
    this.#known = { newest, state: await this.stateOf(newest) };
    return this.#known;
  }

  /** The state that `verified` results in. */
  async stateOf({ entry }: VerifiedControlEntry): Promise<ControlState> {
    const key = this.#layout.state(entry.state);
    return parseState(await getVerified(this.#store, key, entry.state, BYTES_MAX.state), key);
  }

  /**
   * Appends what `decide` makes of the newest state, again and again until it is first.
   * @param decide pure; returns null to do nothing; throws to refuse.
   * @returns the new entry, or null if `decide` returned null.
   * @throws IntegrityError SLOT_INVALID when the next slot holds bytes that are no valid entry
   */
  async append(
    signer: Signer,
    decide: (head: ControlHead) => ControlAct | null | Promise<ControlAct | null>,
    signal: AbortSignal,
  ): Promise<VerifiedControlEntry | null> {
    for (;;) {
      const head = await this.head();
      const act = await decide(head);
      if (act === null) return null;
      const seq = nextSeq(head);
      const state = applyAct(head.state, act, seq);
      await putContent(this.#store, this.#layout.state(stateDigest(state)), encodeState(state), this.#clock, signal);
      const bytes = await this.#sign(act, head, state, signer);
      const outcome = await createSlot(this.#store, this.#layout.controlEntry(seq), bytes, this.#clock, signal);
      if (outcome.owner === 'us') {
        const newest = this.#verify(seq, bytes);
        this.#known = { newest, state };
        await this.#store.put(this.#layout.controlHint(), Buffer.from(String(seq))).catch(() => undefined);
        return newest;
      }
      this.#assertValid(seq, outcome.bytes);
    }
  }

  /** All entries from `seq` on, in order, each checked to name the one before. */
  async *walk(seq = 0): AsyncGenerator<VerifiedControlEntry> {
    let previous = seq === 0 ? null : ((await this.read(seq - 1))?.digest ?? null);
    for (let at = seq; ; at++) {
      const verified = await this.read(at);
      if (verified === null) return;
      if (verified.entry.previous !== previous) {
        throw new IntegrityError(
          'CHAIN_BROKEN',
          verified.key,
          `Cannot accept "${verified.key}": previous digest is ${verified.entry.previous}, wanted ${previous}`,
        );
      }
      yield verified;
      previous = verified.digest;
    }
  }

  async #sign(act: ControlAct, head: ControlHead, state: ControlState, signer: Signer): Promise<Buffer> {
    const { kind, by, ...rest } = act;
    const common = {
      pipeline: this.#trust.document.pipeline,
      seq: nextSeq(head),
      previous: head.newest?.digest ?? null,
    };
    const entry = {
      kind,
      ...common,
      state: stateDigest(state),
      time: new Date(this.#clock.now()).toISOString(),
      by,
      ...rest,
    } as ControlEntry;
    const bytes = await signStatement(controlStatement(entry), signer, parsePublicKey(signer.publicKeyPem));
    this.#verify(entry.seq, bytes);
    return bytes;
  }

  #verify(seq: number, bytes: Uint8Array): VerifiedControlEntry {
    const key = this.#layout.controlEntry(seq);
    const { statement, keyId, digest } = verifyBundle(bytes, key, (id) => this.#trust.key(id));
    const entry = parseControlEntry(statement, key);
    this.#trust.assertRole(keyId, ROLES_OF_KIND[entry.kind], key);
    if (entry.pipeline !== this.#trust.document.pipeline || entry.seq !== seq) {
      throw new IntegrityError(
        'CHAIN_BROKEN',
        key,
        `Cannot accept "${key}": the entry in it is number ${entry.seq} of pipeline "${entry.pipeline}"`,
      );
    }
    return { entry, digest, keyId, key };
  }

  #assertValid(seq: number, bytes: Buffer): void {
    try {
      this.#verify(seq, bytes);
    } catch (cause) {
      const key = this.#layout.controlEntry(seq);
      throw new IntegrityError(
        'SLOT_INVALID',
        key,
        `Cannot append to the control log: slot ${seq} is taken by bytes that are no valid entry`,
        { cause },
      );
    }
  }

  /** First free seq at or after `from`: doubling steps, then halving. Entries are contiguous, or verify would have failed. */
  async #firstFree(from: number): Promise<number> {
    if (!(await this.#exists(from))) return from;
    let low = from === 0 ? await this.#hinted() : from;
    let step = 1;
    while (await this.#exists(low + step)) {
      low += step;
      step *= 2;
    }
    let high = low + step;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (await this.#exists(middle)) low = middle;
      else high = middle;
    }
    return high;
  }

  /** Where the store says the end may be; only a starting point for the search, so a lie costs time, not truth. */
  async #hinted(): Promise<number> {
    const hint = await this.#store.get(this.#layout.controlHint(), BYTES_MAX.hint).catch(() => null);
    const seq = Number(hint?.toString('utf8') ?? '0');
    return Number.isSafeInteger(seq) && seq > 0 && (await this.#exists(seq)) ? seq : 0;
  }

  async #exists(seq: number): Promise<boolean> {
    return (await this.#store.stat(this.#layout.controlEntry(seq))) !== null;
  }
}
