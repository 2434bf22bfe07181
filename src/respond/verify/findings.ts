import { HeadgateError, IntegrityError } from '../../errors.ts';
import { getVerified } from '../../ledger/objects.ts';
import type { ObjectStore } from '../../ports/object-store.ts';

/** One thing that is not as it was signed. */
export interface Problem {
  /** Key of the object in the store, or the name of what is missing. */
  readonly object: string;
  readonly reason: string;
  readonly code: string;
}

/** What a verification has read so far and what it has found. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly #known = new Set<string>();
  objects = 0;
  bytes = 0;
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Notes a problem, once: an object that many others name is read for each of them. */
  found(object: string, code: string, reason: string): void {
    const line = JSON.stringify([object, code, reason]);
    if (this.#known.has(line)) return;
    this.#known.add(line);
    this.problems.push({ object, code, reason });
  }

  /** Notes an error about an object. @throws UnavailableError and all else that says nothing about what is stored */
  foundError(object: string, error: unknown): void {
    if (error instanceof IntegrityError) return this.found(error.object, error.code, error.reason);
    if (error instanceof HeadgateError) throw error;
    this.found(
      object,
      'PAYLOAD_INVALID',
      `it cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  /** Does `work`; an error about what is stored is noted, and the rest goes on. @returns true if there was none */
  async guard(object: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.foundError(object, error);
      return false;
    }
  }

  /** Reads one object and checks its digest; null if it is not as it should be, which is noted. @throws UnavailableError */
  async object(key: string, sha256: string, bytesMax: number): Promise<Buffer | null> {
    this.objects++;
    let bytes: Buffer | null = null;
    await this.guard(key, async () => {
      bytes = await getVerified(this.#store, key, sha256, bytesMax);
      this.bytes += bytes.length;
    });
    return bytes;
  }
}
