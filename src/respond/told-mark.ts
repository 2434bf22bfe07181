import Type from 'typebox';
import { Value } from 'typebox/value';

import { BYTES_MAX } from '../ledger/layout.ts';
import { Count } from '../ledger/stored-types.ts';
import type { LedgerContext } from './ledger-context.ts';
import { NOTHING_SETTLED, type ActsProgress } from './owed-acts.ts';

/** Control entries that may be settled before the mark is moved: what a process reads too much when it starts. */
const MOVE_ENTRIES = 100;
/** Names of more channels than are ever configured. */
const CHANNELS_MAX = 64;

/** More ranges than are ever kept apart. */
const RANGES_MAX = 256;

const exactly = { additionalProperties: false };
const Mark = Type.Object(
  {
    channels: Type.Array(Type.String(), { maxItems: CHANNELS_MAX }),
    next: Count,
    unsettled: Type.Array(Type.Object({ from: Count, to: Count }, exactly), { maxItems: RANGES_MAX }),
  },
  exactly,
);

/**
 * Remembers in the store of which control entries some channels have confirmed every act, so that a process that starts
 * need not read all of the control log for it, even where the one before it had not come to the end.
 * Trust: none is needed beyond that in receipts: who can write here can keep an alert from being sent by either.
 */
export class ToldMark {
  readonly #ledger: LedgerContext;
  readonly #channels: readonly string[];
  /** How many entries the mark settles, as far as this process knows. */
  #settled = 0;

  /** @param channels those that must have confirmed. */
  constructor(ledger: LedgerContext, channels: readonly { readonly name: string }[]) {
    this.#ledger = ledger;
    this.#channels = channels.map(({ name }) => name);
  }

  /** What is settled; nothing where nobody knows, also of one of the channels alone. */
  async read(): Promise<ActsProgress> {
    const { store, layout } = this.#ledger;
    try {
      const mark: unknown = JSON.parse((await store.get(layout.toldHint(), BYTES_MAX.hint))?.toString('utf8') ?? '');
      if (Value.Check(Mark, mark) && isInOrder(mark) && this.#channels.every((name) => mark.channels.includes(name))) {
        this.#settled = settledBy(mark);
        return mark;
      }
    } catch {
      // A hint may be lost or wrong: then the log is read.
    }
    return NOTHING_SETTLED;
  }

  /** Moves the mark, if that is worth a write. */
  async move({ next, unsettled }: ActsProgress): Promise<void> {
    const settled = settledBy({ next, unsettled });
    if (settled - this.#settled < MOVE_ENTRIES || this.#channels.length > CHANNELS_MAX) return;
    const { store, layout } = this.#ledger;
    const bytes = Buffer.from(JSON.stringify({ channels: this.#channels, next, unsettled }), 'utf8');
    if (bytes.length > BYTES_MAX.hint) return;
    try {
      await store.put(layout.toldHint(), bytes);
      this.#settled = settled;
    } catch {
      // As it was, until the next time.
    }
  }
}

function settledBy({ next, unsettled }: ActsProgress): number {
  return unsettled.reduce((sum, { from, to }) => sum - (to - from), next);
}

function isInOrder({ next, unsettled }: ActsProgress): boolean {
  return unsettled.every(({ from, to }, i) => from >= (unsettled[i - 1]?.to ?? 0) && from < to && to <= next);
}
