import { createHash } from 'node:crypto';

import type { SharedStore } from './store.ts';
import { Violation } from './world.ts';

/**
 * The objects that something signed names, by digest, as they were when they were named: they must be there from then on, and
 * must not change. What an attacker has altered is read as it was before, so that all else is still held to what it promises.
 */
export class NamedObjects {
  readonly #store: SharedStore;
  /** SHA-256 by key. */
  readonly #digests = new Map<string, string>();
  readonly #originals = new Map<string, Uint8Array>();

  constructor(store: SharedStore) {
    this.#store = store;
  }

  /** Keys that an attacker has altered or deleted. */
  get tampered(): readonly string[] {
    return [...this.#originals.keys()];
  }

  /** All keys, in the order in which they were first named. */
  get keys(): readonly string[] {
    return [...this.#digests.keys()];
  }

  /** Has an attacker put other bytes under a key, or none. */
  tamper(key: string, bytes: Uint8Array | null): void {
    this.#originals.set(key, this.#store.get(key)!);
    if (bytes === null) this.#store.delete(key);
    else this.#store.put(key, bytes);
  }

  /** Whether what an attacker has altered is still not as it was signed. */
  isDamaged(key: string): boolean {
    const bytes = this.#store.get(key);
    return bytes === undefined || sha256(bytes) !== this.#digests.get(key);
  }

  /** Notes an entry that was just created, which is named by its place. @returns its digest */
  add(key: string, bytes: Uint8Array): string {
    const digest = sha256(bytes);
    this.#digests.set(key, digest);
    return digest;
  }

  /** Reads an object that something names. @throws Violation I5 where it is not there or does not hash to its digest */
  read(key: string, digest: string, namedBy: string): Uint8Array {
    const bytes = this.#originals.get(key) ?? this.#store.get(key);
    if (bytes === undefined) throw new Violation('I5', `${namedBy} names ${key}, it is not there`);
    if (this.#digests.get(key) !== digest) {
      if (sha256(bytes) !== digest)
        throw new Violation('I5', `${namedBy} names ${key}, it does not hash to its digest`);
      this.#digests.set(key, digest);
    }
    return bytes;
  }

  /** JSON of an object that something names. @throws Violation I5 */
  json(key: string, digest: string, namedBy: string): unknown {
    return JSON.parse(Buffer.from(this.read(key, digest, namedBy)).toString('utf8'));
  }

  /** Hashes all of them again, but what an attacker has altered. @throws Violation I3 where committed bytes have changed */
  assertUnchanged(): void {
    for (const key of this.#digests.keys())
      if (!this.#originals.has(key) && this.isDamaged(key))
        throw new Violation('I3', `${key} is not as it was committed`);
  }
}

/** What a stored statement says, without a look at its signature. */
export function predicateOf(bundle: Uint8Array): unknown {
  const { dsseEnvelope } = JSON.parse(Buffer.from(bundle).toString('utf8')) as { dsseEnvelope: { payload: string } };
  return JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString('utf8')).predicate;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
