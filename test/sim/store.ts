import { IntegrityError, UnavailableError, UncertainError } from '../../src/errors.ts';
import { assertKey, assertPrefix } from '../../src/ports/object-key.ts';
import type { ListPage, ObjectStat, ObjectStore } from '../../src/ports/object-store.ts';
import { sha256Hex } from '../../src/record/sha256.ts';
import type { SimProcess, Strikes } from './process.ts';
import type { World } from './world.ts';

/** What may become of a call to the store. Each is a probability. */
export interface StoreFaults {
  /** It is refused, and nothing is done. */
  readonly refused: number;
  /** A write is done, and its answer is lost. */
  readonly answerLost: number;
  /** A write is done long after its answer was given up. */
  readonly late: number;
  /** A write is not done, and nobody can know. */
  readonly lost: number;
  /** A create is done twice by a retry on the way: the second time answers for both. */
  readonly twice: number;
}

/** How long a late write stays on its way, ms, at most. */
const LATE_MS_MAX = 8_000;

/** Told of every object, when it is there for the first time. */
export type CreateWatcher = (key: string, bytes: Uint8Array) => void;

/** The objects that all processes share. A call is carried out at once, so that none is ever inside another. */
export class SharedStore {
  readonly #objects = new Map<string, Uint8Array>();
  /** In order. */
  readonly #keys: string[] = [];
  readonly #watchers: CreateWatcher[] = [];

  watch(watcher: CreateWatcher): void {
    this.#watchers.push(watcher);
  }

  get keys(): readonly string[] {
    return this.#keys;
  }

  get(key: string): Uint8Array | undefined {
    return this.#objects.get(key);
  }

  create(key: string, bytes: Uint8Array): 'created' | 'exists' {
    if (this.#objects.has(key)) return 'exists';
    const copy = Uint8Array.from(bytes);
    this.put(key, copy);
    for (const watcher of this.#watchers) watcher(key, copy);
    return 'created';
  }

  /** Overwrites, and nobody is told. */
  put(key: string, bytes: Uint8Array): void {
    if (!this.#objects.has(key)) this.#keys.splice(this.#placeOf(key), 0, key);
    this.#objects.set(key, Uint8Array.from(bytes));
  }

  delete(key: string): void {
    if (this.#objects.delete(key)) this.#keys.splice(this.#placeOf(key), 1);
  }

  list(prefix: string, startAfter: string, limit: number): ListPage {
    let at = this.#placeOf(prefix > startAfter ? prefix : startAfter);
    if (this.#keys[at] === startAfter) at++;
    const found: string[] = [];
    for (; found.length <= limit && this.#keys[at]?.startsWith(prefix) === true; at++) found.push(this.#keys[at]!);
    const page = found.slice(0, limit);
    const objects = page.map((key) => ({ key, tag: sha256Hex(this.#objects.get(key)!) }));
    return { objects, next: found.length > limit ? page.at(-1)! : null };
  }

  /** Place of the first key that is not less. */
  #placeOf(key: string): number {
    let [low, high] = [0, this.#keys.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The store as one process sees it: far away, and not always well. */
export class SimStore implements ObjectStore {
  readonly location = 'simulated:';
  readonly arbiter = 'machine';
  readonly #shared: SharedStore;
  readonly #process: SimProcess;
  readonly #world: World;
  readonly #faults: StoreFaults;

  constructor(shared: SharedStore, process: SimProcess, world: World, faults: StoreFaults) {
    this.#shared = shared;
    this.#process = process;
    this.#world = world;
    this.#faults = faults;
  }

  create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    assertKey(key);
    return this.#write(`create ${key} ${bytes.length}`, key, (strikes) => {
      const outcome = this.#shared.create(key, bytes);
      return strikes('twice', this.#faults.twice) ? 'exists' : outcome;
    });
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    assertKey(key);
    await this.#write(`put ${key}`, key, () => this.#shared.put(key, bytes));
  }

  async delete(key: string): Promise<void> {
    assertKey(key);
    await this.#write(`delete ${key}`, key, () => this.#shared.delete(key));
  }

  get(key: string, bytesMax: number): Promise<Buffer | null> {
    assertKey(key);
    return this.#read(`get ${key}`, key, () => {
      const bytes = this.#shared.get(key);
      if (bytes === undefined) return null;
      if (bytes.length > bytesMax)
        throw new IntegrityError('SIZE_EXCEEDED', key, `Cannot read "${key}": it has ${bytes.length} bytes`);
      return Buffer.from(bytes);
    });
  }

  stat(key: string): Promise<ObjectStat | null> {
    assertKey(key);
    return this.#read(`stat ${key}`, key, () => {
      const bytes = this.#shared.get(key);
      return bytes === undefined ? null : { bytes: bytes.length, uri: `simulated:${key}`, versionId: null };
    });
  }

  list(prefix: string, { startAfter = '', limit }: { startAfter?: string; limit: number }): Promise<ListPage> {
    assertPrefix(prefix);
    return this.#read(`list ${prefix} ${startAfter}`, prefix, () => this.#shared.list(prefix, startAfter, limit));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #read<Answer>(what: string, key: string, act: () => Answer): Promise<Answer> {
    return this.#process.call(what, (strikes) => {
      if (strikes('refused', this.#faults.refused)) throw refused(key);
      return act();
    });
  }

  #write<Answer>(what: string, key: string, act: (strikes: Strikes) => Answer): Promise<Answer> {
    return this.#process.call(what, (strikes) => {
      if (strikes('refused', this.#faults.refused)) throw refused(key);
      if (strikes('lost', this.#faults.lost)) throw uncertain(key);
      if (strikes('late', this.#faults.late)) {
        this.#world.after(LATE_MS_MAX * this.#process.fraction(), () => act(() => false));
        throw uncertain(key);
      }
      const answer = act(strikes);
      if (strikes('answer-lost', this.#faults.answerLost)) throw uncertain(key);
      return answer;
    });
  }
}

function refused(key: string): UnavailableError {
  return new UnavailableError('STORE_UNAVAILABLE', `Cannot reach "${key}" in the store: simulated fault`);
}

function uncertain(key: string): UncertainError {
  return new UncertainError('STORE_UNCERTAIN', `Cannot tell what became of "${key}": simulated fault`);
}
