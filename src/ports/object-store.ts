/** What a store knows of one object without reading it. */
export interface ObjectStat {
  readonly bytes: number;
  /** Absolute address for other readers: `s3://bucket/key` or `file:///…`. */
  readonly uri: string;
  /** The object's version where the bucket keeps versions. */
  readonly versionId: string | null;
}

/** One listed object. */
export interface ListedObject {
  readonly key: string;
  /** Changes whenever the content does; means nothing else. */
  readonly tag: string;
}

/** One page of a listing, in ascending key order (bytes of UTF-8). */
export interface ListPage {
  readonly objects: readonly ListedObject[];
  /** Pass as `startAfter` for the next page; null at the end. */
  readonly next: string | null;
}

/** Per-call options. */
export interface StoreCallOptions {
  readonly signal?: AbortSignal;
}

/**
 * Bytes under keys, with create-only writes: all that a ledger needs.
 *
 * Contract (test/contract/object-store.ts runs it on every adapter):
 * - `create` writes only if the key is free, atomically: of any number of racing calls exactly one resolves `created`,
 *   the rest `exists`. A key that resolved `created` is seen by every later `get`, `stat` and `list`.
 *   A crash leaves the whole object or none.
 * - When `create` cannot know what happened it throws UncertainError; the caller creates the same again, and reads what is
 *   there when that answers `exists`. It never retries by itself: our own first write would answer `exists`.
 * - An object whose create has answered `created` or `exists` is durable; one that can merely be read may not be.
 * - `get` returns the whole object or null; larger than `bytesMax` throws IntegrityError SIZE_EXCEEDED before it is read.
 * - `put` overwrites; only hints and derived views may use it.
 * - `delete` is for probes, for the janitor, and for hints that no longer hold; never for what a ledger needs.
 * - Keys match `[A-Za-z0-9%~_.=/-]+`, at most 900 bytes (object-key.ts), no empty, `.` or `..` segment;
 *   no key is a folder of another (`a` and `a/b`).
 * - Out of reach or refused: UnavailableError, after which nothing was written.
 * Trust: the store is not trusted; whoever can write there can stop us, not deceive us, because every byte that matters
 * is checked against a signature or a digest by the caller.
 */
export interface ObjectStore extends AsyncDisposable {
  /** Where this is, for messages: `s3://bucket/prefix` or a folder. No secrets. */
  readonly location: string;
  /**
   * Who decides which of racing creates wins: a server, of which much must be seen before it is believed, or this machine
   * itself by a primitive that was made for it.
   */
  readonly arbiter: 'server' | 'machine';
  /** How far the server's clock is ahead of this machine's, ms, as its answers so far tell; null or absent where there is no other clock. */
  readonly clockOffsetMs?: number | null;
  create(key: string, bytes: Uint8Array, options?: StoreCallOptions): Promise<'created' | 'exists'>;
  get(key: string, bytesMax: number, options?: StoreCallOptions): Promise<Buffer | null>;
  stat(key: string, options?: StoreCallOptions): Promise<ObjectStat | null>;
  /** Keys below `prefix` (which ends in `/` or is empty), after `startAfter`, at most `limit` ≤ 1,000. */
  list(
    prefix: string,
    page: { readonly startAfter?: string; readonly limit: number },
    options?: StoreCallOptions,
  ): Promise<ListPage>;
  put(key: string, bytes: Uint8Array, options?: StoreCallOptions): Promise<void>;
  /** Removes the object; succeeds when it is not there. */
  delete(key: string, options?: StoreCallOptions): Promise<void>;
}
