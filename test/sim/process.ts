import type { Clock } from '../../src/ports/clock.ts';
import type { Rng } from '../../src/ports/rng.ts';
import type { FaultPlan } from './faults.ts';
import { SeededRng } from './rng.ts';
import { WORLD_BEGINS_MS, type World } from './world.ts';

/** What may become of a call on its way. Each is a probability. */
export interface CallFaults {
  /** The process dies before the call leaves it. */
  readonly crashBefore: number;
  /** The call is carried out, and the process dies before it hears of it. */
  readonly crashAfter: number;
  /** It takes a hundred times as long. */
  readonly slow: number;
}

/** Whether a fault of that kind, of so small a probability, strikes one call. */
export type Strikes = (kind: string, probability: number) => boolean;

/** Longest way of an ordinary call in one direction, ms. */
const WAY_MS_MAX = 8;

/**
 * One process on one machine: it waits, draws and calls through here alone. It dies by never hearing again of what it waits
 * for, so that it may die at any await, and it freezes by hearing of it late.
 */
export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly #world: World;
  readonly #faults: FaultPlan;
  readonly #callFaults: CallFaults;
  readonly #delays: SeededRng;
  readonly #onDeath: () => void;
  #isDead = false;
  #frozenUntilMs = 0;
  #calls = 0;

  /**
   * @param name differs from that of every process before. @param skewMs of its wall clock, asked at every look.
   * @param onDeath told once
   */
  constructor(
    world: World,
    name: string,
    faults: FaultPlan,
    callFaults: CallFaults,
    seed: number,
    skewMs: () => number,
    onDeath: () => void,
  ) {
    this.name = name;
    this.#world = world;
    this.#faults = faults;
    this.#callFaults = callFaults;
    this.#onDeath = onDeath;
    this.#delays = new SeededRng(seed, `delays of ${name}`);
    const random = new SeededRng(seed, `random bytes of ${name}`);
    this.rng = { bytes: (count) => random.bytes(count) };
    this.clock = {
      now: () => Math.floor(WORLD_BEGINS_MS + world.nowMs + skewMs()),
      monotonic: () => world.nowMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** It does nothing more; what it has sent is on its way all the same. */
  kill(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#world.trace.add(`${this.name} dies`);
    this.#onDeath();
  }

  /** A delay of its own to draw, in [0, 1). */
  fraction(): number {
    return this.#delays.fraction();
  }

  /** It stands still for `ms`, and does not know. */
  freeze(ms: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#world.nowMs + ms);
  }

  /**
   * Has something done elsewhere: it takes a while to get there, and the answer a while to come back.
   * @param act is carried out at once when the call arrives, be the process alive or not; what it throws comes back as the
   * answer. It is told which faults strike the call.
   */
  call<Answer>(what: string, act: (strikes: Strikes) => Answer): Promise<Answer> {
    const count = this.#calls++;
    const strikes: Strikes = (kind, probability) =>
      this.#faults.strikes(this.#world.nowMs, this.name, count, kind, probability);
    if (strikes('crash-before', this.#callFaults.crashBefore)) this.kill();
    if (this.#isDead) return new Promise<never>(() => undefined);
    const dies = strikes('crash-after', this.#callFaults.crashAfter);
    const factor = strikes('slow', this.#callFaults.slow) ? 100 : 1;
    const thereMs = this.#wayMs() * factor;
    const backMs = this.#wayMs() * factor;
    return new Promise((resolve, reject) => {
      this.#world.after(thereMs, () => {
        this.#world.trace.add(`${this.#world.nowMs.toFixed(3)} ${this.name} ${what}`);
        let answer: () => void;
        try {
          const value = act(strikes);
          answer = () => resolve(value);
        } catch (error) {
          answer = () => reject(error);
        }
        if (dies) this.kill();
        else this.hear(backMs, answer);
      });
    });
  }

  /** Lets the process hear of something after `ms`, or when it wakes up; never when it is dead. */
  hear(ms: number, what: () => void): void {
    this.#hearAt(this.#world.nowMs + ms, what);
  }

  #hearAt(ms: number, what: () => void): void {
    this.#world.at(ms, () => {
      if (this.#isDead) return;
      if (this.#frozenUntilMs > this.#world.nowMs) this.#hearAt(this.#frozenUntilMs, what);
      else what();
    });
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const end = (): void => {
        signal?.removeEventListener('abort', end);
        resolve();
      };
      signal?.addEventListener('abort', end, { once: true });
      this.hear(ms, end);
    });
  }

  /** Most ways are short, some long. */
  #wayMs(): number {
    const fraction = this.#delays.fraction();
    return 0.05 + WAY_MS_MAX * fraction * fraction * fraction;
  }
}
