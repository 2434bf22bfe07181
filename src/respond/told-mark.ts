import Type from 'typebox';
import { Value } from 'typebox/value';

import { BYTES_MAX } from '../ledger/layout.ts';
import { Count } from '../ledger/stored-types.ts';
import type { LedgerContext } from './ledger-context.ts';

/** Control entries that may come before the mark is moved: what a process reads too much when it starts. */
const MOVE_ENTRIES = 100;
/** Names of more channels than are ever configured. */
const CHANNELS_MAX = 64;

const Mark = Type.Object(
  { channels: Type.Array(Type.String(), { maxItems: CHANNELS_MAX }), before: Count },
  { additionalProperties: false },
);

/**
 * Remembers in the store up to which control entry some channels have confirmed every act, so that a process that starts
 * need not read all of the control log for it.
 * Trust: none is needed beyond that in receipts: who can write here can keep an alert from being sent by either.
 */
export class ToldMark {
  readonly #ledger: LedgerContext;
  readonly #channels: readonly string[];
  /** Where the mark stands as far as this process knows. */
  #before = 0;

  /** @param channels those that must have confirmed. */
  constructor(ledger: LedgerContext, channels: readonly { readonly name: string }[]) {
    this.#ledger = ledger;
    this.#channels = channels.map(({ name }) => name);
  }

  /** Number of the control entry before which nothing is owed; 0 where nobody knows, also of one of the channels alone. */
  async read(): Promise<number> {
    const { store, layout } = this.#ledger;
    try {
      const mark: unknown = JSON.parse((await store.get(layout.toldHint(), BYTES_MAX.hint))?.toString('utf8') ?? '');
      if (Value.Check(Mark, mark) && this.#channels.every((name) => mark.channels.includes(name)))
        this.#before = mark.before;
    } catch {
      // A hint may be lost or wrong: then the log is read.
    }
    return this.#before;
  }

  /** Moves the mark, if that is worth a write. */
  async move(before: number): Promise<void> {
    if (before - this.#before < MOVE_ENTRIES || this.#channels.length > CHANNELS_MAX) return;
    const { store, layout } = this.#ledger;
    const bytes = Buffer.from(JSON.stringify({ channels: this.#channels, before }), 'utf8');
    try {
      await store.put(layout.toldHint(), bytes);
      this.#before = before;
    } catch {
      // As it was, until the next time.
    }
  }
}
