import { ConflictError, IntegrityError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import { parsePublicKey } from '../record/public-key.ts';
import { sha256Hex } from '../record/sha256.ts';
import {
  ROLES_OF_KIND,
  assertControlEntry,
  controlStatement,
  parseControlEntry,
  type ControlAct,
  type ControlEntry,
} from './control-entry.ts';
import { actFault, rolesOf } from './control-rules.ts';
import { EMPTY_STATE, applyAct, encodeState, parseState, stateDigest, type ControlState } from './control-state.ts';
import { BYTES_MAX, type Layout } from './layout.ts';
import { firstBehind } from './listing.ts';
import { getVerified, putContent } from './objects.ts';
import { firstFree } from './first-free.ts';
import { createSlot, createSlotOrSettle, type Settling, type SlotOutcome } from './slot.ts';
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

/** For a process that tells a person what became of each act, also when it is stopped. */
export interface ActSettling extends Settling {
  /** An entry of this process is in the log. */
  readonly appended: (entry: VerifiedControlEntry) => void;
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
 * a cold reader needs only the newest entry to know everything in force; from then on it checks each step.
 * Trust: the store may hide the newest entries (see the marks in respond/marks.ts) but cannot invent one. A cold reader
 * trusts the signer of the newest entry for the whole state; that every state follows from the one before is what
 * `verify` replays.
 */
export class ControlLog {
  readonly #store: ObjectStore;
  readonly #layout: Layout;
  readonly #trust: TrustRoot;
  readonly #clock: Clock;
  readonly #settling: ActSettling | null;
  /** Newest entry this process has verified: where the next look begins. */
  #known: ControlHead = { newest: null, state: EMPTY_STATE };

  /** @param settling how the outcome of an append that is stopped is found out; null if it need not be known */
  constructor(store: ObjectStore, layout: Layout, trust: TrustRoot, clock: Clock, settling: ActSettling | null = null) {
    this.#store = store;
    this.#layout = layout;
    this.#trust = trust;
    this.#clock = clock;
    this.#settling = settling;
  }

  /** The newest head that this process has verified or written. Cost: none; {@link head} looks at the store. */
  get known(): ControlHead {
    return this.#known;
  }

  /** The verified entry at `seq`; null if there is none. @throws IntegrityError, UnavailableError */
  async read(seq: number): Promise<VerifiedControlEntry | null> {
    const key = this.#layout.controlEntry(seq);
    const bytes = await this.#store.get(key, BYTES_MAX.slot);
    return bytes === null ? null : this.#verify(seq, bytes);
  }

  /**
   * The newest entry and state in force. Cost: one GET when nothing is new, one more an entry that is; O(log n) from cold.
   * @throws IntegrityError when an entry is missing, does not verify, or does not follow; UnavailableError
   */
  async head(): Promise<ControlHead> {
    // Two calls at once must not overtake each other: what is known only ever moves forward.
    const found = this.#known.newest === null ? await this.#coldHead() : await this.#follow(this.#known);
    if (nextSeq(found) > nextSeq(this.#known)) this.#known = found;
    return found;
  }

  /**
   * Appends what `decide` makes of the newest state, again and again until it is first.
   * @param decide pure; returns null to do nothing; throws to refuse.
   * @returns the new entry, or null if `decide` returned null.
   * @throws ConfigError TRUST_INVALID when the signer has not the role that the act wants; ConflictError when the act does
   *   not fit the newest state; RequestError when it cannot be written as an entry;
   *   IntegrityError SLOT_INVALID when the next slot holds bytes that are no valid entry, SLOT_MISSING when entries lie
   *   behind it; UncertainError when stopped, UnavailableError STOPPED where it is known that nothing was written
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
      this.#trust.assertMaySign(signer.keyId, rolesOf(head.state, act), `a ${act.kind}`);
      const seq = nextSeq(head);
      const fault = actFault(head.state, act);
      if (fault !== null)
        throw new ConflictError('CONFLICT', `Cannot append a ${act.kind} as control entry ${seq}: ${fault}`);
      const state = applyAct(head.state, act, seq);
      const bytes = await this.#sign(act, head, state, signer);
      await this.#assertNoHole(seq);
      await this.#storeState(state, signal);
      const outcome = await this.#createSlot(seq, bytes, signal);
      if (outcome.owner === 'us') {
        const newest = this.#verify(seq, bytes);
        this.#settling?.appended(newest);
        // Others of this process may have gone on from it before its store had answered.
        if (seq >= nextSeq(this.#known)) this.#known = { newest, state };
        await this.#store.put(this.#layout.controlHint(), Buffer.from(String(seq))).catch(() => undefined);
        return newest;
      }
      this.#assertFollows(head, seq, outcome.bytes);
    }
  }

  /** All entries from `seq` on, in order, each checked to name the one before. @throws IntegrityError, UnavailableError */
  async *walk(seq = 0): AsyncGenerator<VerifiedControlEntry> {
    let previous = seq === 0 ? null : ((await this.read(seq - 1))?.digest ?? null);
    for (let at = seq; ; at++) {
      const verified = await this.read(at);
      if (verified === null) return;
      this.#assertPrevious(verified, previous);
      yield verified;
      previous = verified.digest;
    }
  }

  async #sign(act: ControlAct, head: ControlHead, state: ControlState, signer: Signer): Promise<Buffer> {
    const { kind, by, ...rest } = act;
    const seq = nextSeq(head);
    const entry = {
      kind,
      pipeline: this.#trust.document.pipeline,
      seq,
      previous: head.newest?.digest ?? null,
      state: stateDigest(state),
      time: new Date(this.#clock.now()).toISOString(),
      by,
      ...rest,
    } as ControlEntry;
    assertControlEntry(entry);
    const bytes = await signStatement(controlStatement(entry), signer, parsePublicKey(signer.publicKeyPem));
    this.#verify(seq, bytes);
    return bytes;
  }

  async #storeState(state: ControlState, signal: AbortSignal): Promise<void> {
    const bytes = encodeState(state);
    const key = this.#layout.state(sha256Hex(bytes));
    await putContent(this.#store, key, bytes, this.#clock, signal);
  }

  #createSlot(seq: number, bytes: Buffer, signal: AbortSignal): Promise<SlotOutcome> {
    const key = this.#layout.controlEntry(seq);
    return this.#settling === null
      ? createSlot(this.#store, key, bytes, this.#clock, signal)
      : createSlotOrSettle(this.#settling, key, bytes, this.#clock, signal);
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

  #assertPrevious({ entry, key }: VerifiedControlEntry, previous: string | null): void {
    if (entry.previous === previous) return;
    throw new IntegrityError(
      'CHAIN_BROKEN',
      key,
      `Cannot accept "${key}": previous digest is ${entry.previous}, wanted ${previous}`,
    );
  }

  /** The head after an entry that follows on `head`. @throws IntegrityError CHAIN_BROKEN when it does not */
  #next(head: ControlHead, verified: VerifiedControlEntry): ControlHead {
    this.#assertPrevious(verified, head.newest?.digest ?? null);
    this.#trust.assertRole(verified.keyId, rolesOf(head.state, verified.entry), verified.key);
    return { newest: verified, state: replay(head.state, verified) };
  }

  /** Bytes of someone else where ours should go must be an entry that follows too. */
  #assertFollows(head: ControlHead, seq: number, bytes: Buffer): void {
    try {
      this.#next(head, this.#verify(seq, bytes));
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

  /** From what this process knows already, each entry checked to follow on the one before. */
  async #follow(known: ControlHead): Promise<ControlHead> {
    for (let head = known; ;) {
      const verified = await this.read(nextSeq(head));
      if (verified === null) return head;
      head = this.#next(head, verified);
    }
  }

  async #coldHead(): Promise<ControlHead> {
    const end = await this.#firstFree();
    await this.#assertNoHole(end);
    if (end === 0) return { newest: null, state: EMPTY_STATE };
    const newest = await this.read(end - 1);
    if (newest === null)
      throw new IntegrityError(
        'SLOT_MISSING',
        this.#layout.controlEntry(end - 1),
        `Cannot read control entry ${end - 1}: it has just disappeared`,
      );
    const key = this.#layout.state(newest.entry.state);
    const state = parseState(await getVerified(this.#store, key, newest.entry.state, BYTES_MAX.state), key);
    return { newest, state };
  }

  /** First free seq, from where the hint says. Whether entries lie behind it is checked after. */
  async #firstFree(): Promise<number> {
    const hint = await this.#store.get(this.#layout.controlHint(), BYTES_MAX.hint).catch(() => null);
    return firstFree((seq) => this.#exists(seq), hint === null ? null : Number(hint.toString('utf8')));
  }

  async #exists(seq: number): Promise<boolean> {
    return (await this.#store.stat(this.#layout.controlEntry(seq))) !== null;
  }

  /** A free slot is the end only if nothing lies behind it: building on a hole would fork the log. */
  async #assertNoHole(seq: number): Promise<void> {
    const key = this.#layout.controlEntry(seq);
    const later = await firstBehind(this.#store, this.#layout.control(), key, (each) =>
      this.#layout.isControlEntry(each),
    );
    if (later === null || (await this.#exists(seq))) return;
    throw new IntegrityError(
      'SLOT_MISSING',
      key,
      `Cannot read the control log: entry ${seq} is missing but "${later}" exists`,
    );
  }
}

/**
 * The state after an entry that follows on `state`.
 * @throws IntegrityError CHAIN_BROKEN when the act is not allowed there, or results in another state than the entry names
 */
export function replay(state: ControlState, { entry, key }: VerifiedControlEntry): ControlState {
  const fault = actFault(state, entry);
  if (fault !== null) throw new IntegrityError('CHAIN_BROKEN', key, `Cannot accept "${key}": ${fault}`);
  const next = applyAct(state, entry, entry.seq);
  if (stateDigest(next) !== entry.state)
    throw new IntegrityError(
      'CHAIN_BROKEN',
      key,
      `Cannot accept "${key}": the state it names does not follow from the entries before it`,
    );
  return next;
}
