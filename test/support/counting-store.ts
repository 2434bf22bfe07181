import type { ObjectStat } from '../../src/ports/object-store.ts';
import { StoreDecorator } from './faulty-store.ts';

/** Counts what is asked of it, by the folder of the pipeline that is asked, and how much at once. */
export class CountingStore extends StoreDecorator {
  /** Keys that were read, in order. */
  keys: string[] = [];
  readonly #gets = new Asked();
  readonly #stats = new Asked();

  /** Objects that were read. @param folder such as `log` or `evidence`; all, if not given */
  reads(folder?: string): number {
    return this.#gets.count(folder);
  }

  /** Objects that were only looked at. */
  looks(folder?: string): number {
    return this.#stats.count(folder);
  }

  get readsAtOnce(): number {
    return this.#gets.atOnce;
  }

  get looksAtOnce(): number {
    return this.#stats.atOnce;
  }

  reset(): void {
    this.keys = [];
    this.#gets.reset();
    this.#stats.reset();
  }

  override get(key: string, bytesMax: number): Promise<Buffer | null> {
    this.keys.push(key);
    return this.#gets.through(key, () => super.get(key, bytesMax));
  }

  override stat(key: string): Promise<ObjectStat | null> {
    return this.#stats.through(key, () => super.stat(key));
  }
}

/** What was asked in one way. */
class Asked {
  readonly #byFolder = new Map<string, number>();
  #all = 0;
  #running = 0;
  atOnce = 0;

  count(folder?: string): number {
    return folder === undefined ? this.#all : (this.#byFolder.get(folder) ?? 0);
  }

  reset(): void {
    this.#byFolder.clear();
    [this.#all, this.atOnce] = [0, 0];
  }

  async through<Result>(key: string, ask: () => Promise<Result>): Promise<Result> {
    const folder = key.split('/')[1] ?? '';
    this.#byFolder.set(folder, this.count(folder) + 1);
    this.#all++;
    this.atOnce = Math.max(this.atOnce, ++this.#running);
    // As a server does, it answers later: what is asked meanwhile is asked at once.
    await new Promise(setImmediate);
    try {
      return await ask();
    } finally {
      this.#running--;
    }
  }
}
