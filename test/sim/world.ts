import { createHash } from 'node:crypto';

/** Simulated time of the first event, milliseconds since 1970 UTC. */
export const WORLD_BEGINS_MS = 1_700_000_000_000;

/** Rejections that nobody waits for are found after so many events at the latest. */
const EVENTS_BETWEEN_DRAINS = 64;

/** A promise of the system that was broken: what a run is there to find. */
export class Violation extends Error {
  /** Which one: `I1` … `I10`, or `crash` for an error that no code of ours should throw. */
  readonly invariant: string;

  constructor(invariant: string, message: string, options?: ErrorOptions) {
    super(`${invariant}: ${message}`, options);
    this.invariant = invariant;
  }
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

/**
 * Simulated time, and everything that is going to happen in it: a heap of events, carried out one by one in the order of
 * their times. Between two of them, all that follows from the first without time passing is let happen.
 *
 * Nothing here asks the system for time or chance, so that a run follows from its seed alone.
 */
export class World {
  readonly trace = new Trace();
  readonly #events: Event[] = [];
  #nowMs = 0;
  #made = 0;
  #violation: Violation | null = null;

  /** Milliseconds since the begin of the run. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The first promise that was seen broken. */
  get violation(): Violation | null {
    return this.#violation;
  }

  /** How many events have been made so far. */
  get events(): number {
    return this.#made;
  }

  /** Lets something happen after `ms`. */
  after(ms: number, happen: () => void): void {
    this.at(this.#nowMs + ms, happen);
  }

  /** Lets something happen at a time, or now if that is over; what was planned first for a time happens first. */
  at(ms: number, happen: () => void): void {
    const event = { atMs: Math.max(this.#nowMs, ms), order: this.#made++, happen };
    const heap = this.#events;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  /** Notes a broken promise; the run ends with the event at hand. */
  violate(violation: Violation): void {
    this.trace.add(`VIOLATION ${violation.message}`);
    this.#violation ??= violation;
  }

  /** Carries out events until the time is over, `isDone` says so, or a promise is broken. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    await drained();
    for (let count = 1; this.#violation === null && !isDone(); count++) {
      const next = this.#events[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        break;
      }
      this.#pop();
      this.#nowMs = next.atMs;
      next.happen();
      await (count % EVENTS_BETWEEN_DRAINS === 0 ? drained() : settled());
    }
    await drained();
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

/** What happened, line by line; two runs of one seed must not differ in a byte. */
export class Trace {
  readonly #hash = createHash('sha256');
  #lines: string[] | null = null;
  #pending: string[] = [];

  /** Keeps the lines from here on, for a person to read. */
  keep(): void {
    this.#lines = [];
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  add(line: string): void {
    this.#lines?.push(line);
    if (this.#pending.push(line) >= 256) this.#flush();
  }

  /** SHA-256 of all lines, hex. */
  digest(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }

  #flush(): void {
    if (this.#pending.length > 0) this.#hash.update(`${this.#pending.join('\n')}\n`);
    this.#pending = [];
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Until all promises that can settle without an event have settled: a tick comes when no microtask is left. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** Until Node has also told of the rejections that nobody waits for: it does once no tick is left, which costs ten times as much. */
function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
