import type { LogId } from '../../src/record/log-id.ts';
import type { SimProcess } from './process.ts';
import type { SeededRng } from './rng.ts';
import type { SimSource } from './source.ts';
import type { World } from './world.ts';

/** How long after its death a member is missed, ms. */
const SESSION_TIMEOUT_MS = 6_000;
/** How long it takes until a member hears of a new assignment, ms, at most. */
const NEWS_MS_MAX = 1_500;

interface Member {
  readonly process: SimProcess;
  readonly source: SimSource;
}

/**
 * The coordinator of the consumer group: it says whose each partition is. Members hear of it at different times, so for a
 * while two may take one for theirs, and a frozen one goes on where it stood.
 */
export class SimGroup {
  readonly #world: World;
  readonly #logs: readonly LogId[];
  readonly #rng: SeededRng;
  #members: Member[] = [];
  #generation = 0;

  constructor(world: World, logs: readonly LogId[], rng: SeededRng) {
    this.#world = world;
    this.#logs = logs;
    this.#rng = rng;
  }

  join(process: SimProcess, source: SimSource): void {
    this.#members.push({ process, source });
    this.rebalance();
  }

  /** A member has died; the others get its partitions once it is missed. */
  died(process: SimProcess): void {
    this.#world.after(SESSION_TIMEOUT_MS, () => {
      this.#members = this.#members.filter((member) => member.process !== process);
      this.rebalance();
    });
  }

  /** Takes all partitions from all members, and gives each to one of them. */
  rebalance(): void {
    const generation = ++this.#generation;
    const shift = this.#rng.between(0, 100);
    for (const [i, { process, source }] of this.#members.entries()) {
      const logs = this.#logs.filter((_, p) => (p + shift) % this.#members.length === i);
      const tell = (what: readonly LogId[] | null, thenWhat: () => void): void =>
        process.hear(this.#rng.fraction() * NEWS_MS_MAX, () => {
          if (generation !== this.#generation) return;
          const names = what?.map(({ topic, partition }) => `${topic}/${partition}`);
          this.#world.trace.add(`${process.name} is given ${names?.join(' ') ?? 'nothing yet'}`);
          source.assign(what);
          thenWhat();
        });
      tell(null, () => tell(logs, () => undefined));
    }
  }
}
