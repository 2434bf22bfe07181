import { UnavailableError, UncertainError } from '../../src/errors.ts';
import type { ListPage, ObjectStat, ObjectStore, StoreCallOptions } from '../../src/ports/object-store.ts';

/** Passes every call on; tests override what they want to go wrong. */
export class StoreDecorator implements ObjectStore {
  readonly inner: ObjectStore;

  constructor(inner: ObjectStore) {
    this.inner = inner;
  }

  get location(): string {
    return this.inner.location;
  }

  get arbiter(): ObjectStore['arbiter'] {
    return this.inner.arbiter;
  }

  create(key: string, bytes: Uint8Array, options?: StoreCallOptions): Promise<'created' | 'exists'> {
    return this.inner.create(key, bytes, options);
  }

  get(key: string, bytesMax: number, options?: StoreCallOptions): Promise<Buffer | null> {
    return this.inner.get(key, bytesMax, options);
  }

  stat(key: string, options?: StoreCallOptions): Promise<ObjectStat | null> {
    return this.inner.stat(key, options);
  }

  list(
    prefix: string,
    page: { readonly startAfter?: string; readonly limit: number },
    options?: StoreCallOptions,
  ): Promise<ListPage> {
    return this.inner.list(prefix, page, options);
  }

  put(key: string, bytes: Uint8Array, options?: StoreCallOptions): Promise<void> {
    return this.inner.put(key, bytes, options);
  }

  delete(key: string, options?: StoreCallOptions): Promise<void> {
    return this.inner.delete(key, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.inner[Symbol.asyncDispose]();
  }
}

/**
 * What may happen to one create: the server is away and nothing is written; it is written and the answer is lost; it is
 * written after the answer was given up; it is written and, by a retry on the way, our own write answers "exists"; the
 * server answers with an error and nothing is written, which nobody can know.
 */
export const CREATE_FAULTS = ['refused', 'answer-lost', 'late', 'own-exists', 'lost'] as const;
export type CreateFault = (typeof CREATE_FAULTS)[number];

/** A store whose creates and reads fail as planned; late writes arrive with the next call but one. */
export class FaultyStore extends StoreDecorator {
  /** What happens to the next creates, in order; `null` = nothing. */
  readonly creates: (CreateFault | null)[] = [];
  /** How many of the next reads the server does not answer. */
  failingReads = 0;
  /** Calls of `create` that reached this store. */
  attempts = 0;
  #late: { readonly key: string; readonly bytes: Uint8Array; inCalls: number } | null = null;

  override async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    this.attempts++;
    await this.#arrive();
    const uncertain = new UncertainError('STORE_UNCERTAIN', `Cannot tell whether "${key}" was created: planned fault`);
    switch (this.creates.shift() ?? null) {
      case null:
        return this.inner.create(key, bytes);
      case 'refused':
        throw new UnavailableError('STORE_UNAVAILABLE', `Cannot create "${key}" in the store: planned fault`);
      case 'answer-lost':
        await this.inner.create(key, bytes);
        throw uncertain;
      case 'late':
        this.#late = { key, bytes: Uint8Array.from(bytes), inCalls: 2 };
        throw uncertain;
      case 'own-exists':
        await this.inner.create(key, bytes);
        return 'exists';
      case 'lost':
        throw uncertain;
    }
  }

  override async get(key: string, bytesMax: number): Promise<Buffer | null> {
    await this.#arrive();
    if (this.failingReads > 0) {
      this.failingReads--;
      throw new UnavailableError('STORE_UNAVAILABLE', `Cannot read "${key}" in the store: planned fault`);
    }
    return this.inner.get(key, bytesMax);
  }

  async #arrive(): Promise<void> {
    if (this.#late === null || --this.#late.inCalls > 0) return;
    const { key, bytes } = this.#late;
    this.#late = null;
    await this.inner.create(key, bytes);
  }
}
