import { IntegrityError } from '../../errors.ts';
import { assertKey, assertPrefix } from '../../ports/object-key.ts';
import type { ListPage, ObjectStat, ObjectStore } from '../../ports/object-store.ts';
import { sha256Hex } from '../../record/sha256.ts';

/** A store in memory: for the simulator and for tests; it passes the same contract suite as the real ones. */
export class MemoryStore implements ObjectStore {
  readonly location = 'memory:';
  readonly arbiter = 'machine';
  readonly #objects = new Map<string, Uint8Array>();

  async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    assertKey(key);
    if (this.#objects.has(key)) return 'exists';
    this.#objects.set(key, Uint8Array.from(bytes));
    return 'created';
  }

  async get(key: string, bytesMax: number): Promise<Buffer | null> {
    assertKey(key);
    const bytes = this.#objects.get(key);
    if (bytes === undefined) return null;
    if (bytes.length > bytesMax)
      throw new IntegrityError(
        'SIZE_EXCEEDED',
        key,
        `Cannot read "${key}": it has ${bytes.length} bytes, at most ${bytesMax} are allowed`,
      );
    return Buffer.from(bytes);
  }

  async stat(key: string): Promise<ObjectStat | null> {
    assertKey(key);
    const bytes = this.#objects.get(key);
    return bytes === undefined ? null : { bytes: bytes.length, uri: `memory:${key}`, versionId: null };
  }

  async list(prefix: string, { startAfter = '', limit }: { startAfter?: string; limit: number }): Promise<ListPage> {
    assertPrefix(prefix);
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix) && key > startAfter).sort();
    const page = keys.slice(0, limit);
    const objects = page.map((key) => ({ key, tag: sha256Hex(this.#objects.get(key)!) }));
    return { objects, next: keys.length > limit ? page.at(-1)! : null };
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    assertKey(key);
    this.#objects.set(key, Uint8Array.from(bytes));
  }

  async delete(key: string): Promise<void> {
    assertKey(key);
    this.#objects.delete(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
