import type { IntegrityError } from '../errors.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { Clock } from '../ports/clock.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { lossesOf, neededObjects } from './batch-objects.ts';
import { LOOK_AGAIN_MS } from './left-out.ts';
import type { DamagedLog, NewBatch } from './news.ts';
import { standingOf } from './plan.ts';

/**
 * Knows what would keep logs from being published while the ref is on hold. All that waits is looked at, which grows for as
 * long as the hold lasts: not in every round, therefore.
 */
export class OnHold {
  readonly #clock: Clock;
  #seen: { readonly damaged: readonly DamagedLog[]; readonly atMs: number } | null = null;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  /** True between a look and {@link end}. */
  get isLooking(): boolean {
    return this.#seen !== null;
  }

  /** The hold is over: the next one is looked at anew. */
  end(): void {
    this.#seen = null;
  }

  /** What `look` finds, or what it found not long ago. */
  async damaged(look: () => Promise<readonly DamagedLog[]>): Promise<readonly DamagedLog[]> {
    const now = this.#clock.monotonic();
    if (this.#seen === null || now - this.#seen.atMs >= LOOK_AGAIN_MS)
      this.#seen = { damaged: await look(), atMs: now };
    return this.#seen.damaged;
  }
}

/** What keeps batches from being published, by presence and size: what a publish reads is not read. @throws UnavailableError */
export async function obstaclesTo(
  store: ObjectStore,
  batches: readonly NewBatch[],
  state: ControlState,
): Promise<readonly IntegrityError[]> {
  const needed = (batch: NewBatch) => neededObjects(batch, standingOf(batch, state));
  return (await lossesOf(store, batches, needed, 'publish')).map(({ error }) => error);
}
