import { setMaxListeners } from 'node:events';

import { UncertainError, UnavailableError } from '../errors.ts';
import type { ListPage, ObjectStat, ObjectStore, StoreCallOptions } from '../ports/object-store.ts';

/** Whoever decides how long a store is waited for. */
export interface StoreWatch {
  /** The store could not be used by a create or a read. */
  failed(error: Error): void;
  /** The store has answered a call, whatever the answer. */
  answered(): void;
  /** The store has answered a create: what was to be there is there. */
  written(): void;
  /** Ends every call, also those that are under way, of a store whose calls can be ended. */
  readonly ended: AbortSignal;
}

/** Whom {@link WatchedStore} tells. */
export interface StoreListeners {
  /** Told of creates that failed: who writes to a ledger tries again for as long as the store is away. */
  readonly onRetry: (error: Error) => void;
  /** Told of all calls, if anyone is to be. */
  readonly watch?: StoreWatch | undefined;
}

/**
 * A store whose calls someone follows, and can end. That what is only put, or deleted, failed is told to nobody: it may be
 * lost. Nor are calls that were ended, for which the store is not to blame.
 */
export class WatchedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #onRetry: (error: Error) => void;
  readonly #watch: StoreWatch | undefined;

  constructor(store: ObjectStore, { onRetry, watch }: StoreListeners) {
    this.#store = store;
    this.#onRetry = onRetry;
    this.#watch = watch;
    // Any number of calls may be on their way under it, which Node would take for a leak: each takes its listener away.
    if (watch !== undefined) setMaxListeners(0, watch.ended);
  }

  get location(): string {
    return this.#store.location;
  }

  get arbiter(): 'server' | 'machine' {
    return this.#store.arbiter;
  }

  get clockOffsetMs(): number | null {
    return this.#store.clockOffsetMs ?? null;
  }

  async create(key: string, bytes: Uint8Array, options?: StoreCallOptions): Promise<'created' | 'exists'> {
    const failed = (error: Error): void => {
      this.#onRetry(error);
      this.#watch?.failed(error);
    };
    const outcome = await this.#follow(options, (own) => this.#store.create(key, bytes, own), failed);
    this.#watch?.written();
    return outcome;
  }

  get(key: string, bytesMax: number, options?: StoreCallOptions): Promise<Buffer | null> {
    return this.#read(options, (own) => this.#store.get(key, bytesMax, own));
  }

  stat(key: string, options?: StoreCallOptions): Promise<ObjectStat | null> {
    return this.#read(options, (own) => this.#store.stat(key, own));
  }

  list(
    prefix: string,
    page: { readonly startAfter?: string; readonly limit: number },
    options?: StoreCallOptions,
  ): Promise<ListPage> {
    return this.#read(options, (own) => this.#store.list(prefix, page, own));
  }

  put(key: string, bytes: Uint8Array, options?: StoreCallOptions): Promise<void> {
    return this.#follow(options, (own) => this.#store.put(key, bytes, own));
  }

  delete(key: string, options?: StoreCallOptions): Promise<void> {
    return this.#follow(options, (own) => this.#store.delete(key, own));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }

  #read<Answer>(
    options: StoreCallOptions | undefined,
    call: (own: StoreCallOptions) => Promise<Answer>,
  ): Promise<Answer> {
    return this.#follow(options, call, (error) => this.#watch?.failed(error));
  }

  #isEnded(): boolean {
    return this.#watch?.ended.aborted === true;
  }

  async #follow<Answer>(
    options: StoreCallOptions | undefined,
    call: (own: StoreCallOptions) => Promise<Answer>,
    failed: (error: Error) => void = () => undefined,
  ): Promise<Answer> {
    // A disk does not look at signals.
    if (this.#isEnded()) throw new UnavailableError('STOPPED', 'Stopped before the next call of the store');
    try {
      const answer = await underBoth(options?.signal, this.#watch?.ended, call);
      this.#watch?.answered();
      return answer;
    } catch (error) {
      const isEnded = options?.signal?.aborted === true || this.#isEnded();
      if (!isEnded && (error instanceof UnavailableError || error instanceof UncertainError)) failed(error);
      throw error;
    }
  }
}

/** Makes a call that either signal ends, and leaves nothing behind on them; `AbortSignal.any` would, see ports/wait.ts. */
async function underBoth<Answer>(
  callers: AbortSignal | undefined,
  ended: AbortSignal | undefined,
  call: (own: StoreCallOptions) => Promise<Answer>,
): Promise<Answer> {
  const one = callers ?? ended;
  if (one === undefined) return call({});
  if (callers === undefined || ended === undefined) return call({ signal: one });
  const both = new AbortController();
  const end = (): void => both.abort();
  const signals = [callers, ended];
  if (signals.some(({ aborted }) => aborted)) end();
  setMaxListeners(0, callers);
  for (const signal of signals) signal.addEventListener('abort', end, { once: true });
  try {
    return await call({ signal: both.signal });
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', end);
  }
}
