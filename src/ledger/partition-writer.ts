import type { KeyObject } from 'node:crypto';

import { ConflictError, HaltError, IntegrityError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import type { Signer } from '../ports/signer.ts';
import { LEAF_VERSION } from '../record/leaf.ts';
import { formatLogId, type LogId } from '../record/log-id.ts';
import { parsePublicKey } from '../record/public-key.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { Layout } from './layout.ts';
import { partitionStatement, type BatchEntry, type GapEntry, type PartitionEntry } from './partition-entry.ts';
import { advance, type LogHead } from './log-head.ts';
import type { PartitionLogs } from './partition-log.ts';
import { createSlot } from './slot.ts';
import { signStatement } from './statements/bundle.ts';

/** What every writer of one process shares. */
export interface WriterContext {
  readonly store: ObjectStore;
  readonly layout: Layout;
  readonly logs: PartitionLogs;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly pipeline: string;
  readonly deployment: string;
  /** Random id of this process; a head that names it needs no new claim. */
  readonly writer: string;
}

/** The fields that the writer fills in by itself. */
type Filled =
  | 'pipeline'
  | 'deployment'
  | 'cluster'
  | 'topic'
  | 'partition'
  | 'slot'
  | 'previous'
  | 'epoch'
  | 'writer'
  | 'time';
/** Entries as their author writes them; the writer fills in the rest. */
export type BatchFields = Omit<BatchEntry, Filled>;
export type GapFields = Omit<GapEntry, Filled>;

/**
 * Appends to one partition log, in order and one entry at a time.
 *
 * Claiming raises the epoch, which is what fences an older writer: its next commit finds the slot taken. From the
 * successful create of a slot on there is no way back; everything that follows can be rebuilt from it.
 */
export class PartitionWriter {
  readonly #context: WriterContext;
  readonly #log: LogId;
  readonly #publicKey: KeyObject;
  #head: LogHead | null;

  constructor(context: WriterContext, log: LogId, head: LogHead | null) {
    this.#context = context;
    this.#log = log;
    this.#head = head;
    this.#publicKey = parsePublicKey(context.signer.publicKeyPem);
  }

  /** Newest entry known to this writer; null before genesis. */
  get head(): LogHead | null {
    return this.#head;
  }

  /** True when this process holds the claim. */
  get claimed(): boolean {
    return this.#head !== null && this.#head.writer === this.#context.writer && !this.#head.closed;
  }

  /**
   * Claims the log for this process; at genesis the claim also fixes where the log begins.
   * @param genesis first offset to read and the file label; used only while the log is empty.
   * @returns the head to continue from: entries that others wrote meanwhile are adopted, so `next` may have moved.
   * @throws HaltError FOREIGN_WRITER; IntegrityError; UncertainError when stopped
   */
  async claim(
    genesis: { readonly next: number; readonly label: string | null },
    signal: AbortSignal,
  ): Promise<LogHead> {
    while (!this.claimed) {
      this.#assertOwnDeployment(this.#head);
      const next = this.#head?.next ?? genesis.next;
      const label = this.#head === null ? genesis.label : null;
      const epoch = this.#head === null ? 0 : this.#head.epoch + 1;
      const written = await this.#write({ kind: 'open', leafVersion: LEAF_VERSION, next, label }, epoch, signal);
      if (written === 'lost') this.#head = await this.#context.logs.head(this.#log, this.#head);
    }
    return this.#head!;
  }

  /**
   * Commits a batch or a gap in the next slot.
   * @throws ConflictError FENCED, with the newest slot, when another writer has claimed the log: drop the batch and re-read;
   *   HaltError FOREIGN_WRITER; IntegrityError SLOT_INVALID when the slot holds bytes that are no valid entry
   */
  async commit(fields: BatchFields | GapFields, signal: AbortSignal): Promise<LogHead> {
    const written = await this.#write(fields, this.#head!.epoch, signal);
    if (written !== 'lost') return written;
    const newest = await this.#context.logs.head(this.#log, this.#head);
    this.#assertOwnDeployment(newest);
    const name = formatLogId(this.#log);
    throw new ConflictError(
      'FENCED',
      `Cannot commit to "${name}": epoch ${newest?.epoch ?? 0} has taken over from epoch ${this.#head!.epoch}`,
      { fields: { slot: newest?.slot ?? 0 } },
    );
  }

  /** Signs the entry once, keeps the bytes, and creates the slot. */
  async #write(
    fields: BatchFields | GapFields | { kind: 'open'; leafVersion: number; next: number; label: string | null },
    epoch: number,
    signal: AbortSignal,
  ): Promise<LogHead | 'lost'> {
    const { store, layout, logs, signer, clock, pipeline, deployment, writer } = this.#context;
    const head = this.#head;
    const slot = head === null ? 0 : head.slot + 1;
    const key = layout.slot(this.#log, slot);
    const { kind, ...rest } = fields;
    const time = new Date(clock.now()).toISOString();
    const entry = {
      kind,
      pipeline,
      deployment,
      ...this.#log,
      slot,
      previous: head?.digest ?? null,
      epoch,
      writer,
      time,
      ...rest,
    } as PartitionEntry;
    const previousKey = head === null ? layout.log(this.#log) : layout.slot(this.#log, head.slot);
    const bytes = await signStatement(
      partitionStatement(entry, previousKey, sha256Hex(Buffer.from(previousKey))),
      signer,
      this.#publicKey,
    );
    // An entry that readers would refuse must never be written: verify it as they will, before the point of no return.
    const next = advance(head, logs.verify(this.#log, slot, bytes));
    const outcome = await createSlot(store, key, bytes, clock, signal);
    if (outcome.owner === 'other') {
      this.#assertValid(slot, outcome.bytes, key);
      return 'lost';
    }
    this.#head = next;
    return next;
  }

  #assertValid(slot: number, bytes: Buffer, key: string): void {
    try {
      advance(this.#head, this.#context.logs.verify(this.#log, slot, bytes));
    } catch (cause) {
      throw new IntegrityError(
        'SLOT_INVALID',
        key,
        `Cannot append to "${formatLogId(this.#log)}": slot ${slot} is taken by bytes that are no valid entry`,
        { cause },
      );
    }
  }

  #assertOwnDeployment(head: LogHead | null): void {
    if (head === null || head.closed || head.deployment === this.#context.deployment) return;
    const name = formatLogId(this.#log);
    throw new HaltError(
      'FOREIGN_WRITER',
      `Cannot write to log "${name}": deployment "${head.deployment}" writes there, this is "${this.#context.deployment}" (mend: give each deployment its own pipeline name; if this one takes the other's place and the other is gone for good, set deployment: "${head.deployment}" in headgate.yaml)`,
      { fields: { slot: head.slot, deployment: this.#context.deployment } },
    );
  }
}
