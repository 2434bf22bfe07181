import type { ListPage, ObjectStat, ObjectStore } from '../../src/ports/object-store.ts';
import type { SharedStore } from './store.ts';

/** The shared store as someone sees it who reads it when all is over: at once, and always well. */
export class PlainStore implements ObjectStore {
  readonly location = 'simulated:';
  readonly arbiter = 'machine';
  readonly #shared: SharedStore;

  constructor(shared: SharedStore) {
    this.#shared = shared;
  }

  async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    return this.#shared.create(key, bytes);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    this.#shared.put(key, bytes);
  }

  async delete(key: string): Promise<void> {
    this.#shared.delete(key);
  }

  async get(key: string): Promise<Buffer | null> {
    const bytes = this.#shared.get(key);
    return bytes === undefined ? null : Buffer.from(bytes);
  }

  async stat(key: string): Promise<ObjectStat | null> {
    const bytes = this.#shared.get(key);
    return bytes === undefined ? null : { bytes: bytes.length, uri: `simulated:${key}`, versionId: null };
  }

  async list(prefix: string, { startAfter = '', limit }: { startAfter?: string; limit: number }): Promise<ListPage> {
    return this.#shared.list(prefix, startAfter, limit);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
