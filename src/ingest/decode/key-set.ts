import { slotOf } from './byte-hash.ts';
import { collisionKey } from './collision-key.ts';

const ENTRIES_FIRST = 32;
const PROBES_MAX = 256;
const HASH_TWINS_MAX = 8;

/**
 * The keys met so far in one record, each within its object (`scope`), to find duplicates in one pass. Keys are not
 * copied: an entry points into the record's bytes or, if it was unescaped, into a scratch buffer.
 *
 * Trust: keys are hostile and our hash is not secret. When somebody makes it collide, the rest of the record uses a set
 * whose keys cannot be made to collide, so a record takes time linear in its length.
 */
export class KeySet {
  /** Entries, in the order in which they came. */
  size = 0;
  #scopes = new Int32Array(ENTRIES_FIRST);
  #hashes = new Int32Array(ENTRIES_FIRST);
  /** Start in the record's bytes, or ~start in the scratch buffer. */
  #starts = new Int32Array(ENTRIES_FIRST);
  #lengths = new Int32Array(ENTRIES_FIRST);
  /** Slot of each entry, so that a reset touches only what was used. */
  #places = new Int32Array(ENTRIES_FIRST);
  #slots = new Int32Array(2 * ENTRIES_FIRST);
  #collisions: Set<string> | null = null;

  /** Forgets everything. */
  reset(): void {
    for (let i = 0; i < this.size; i++) this.#slots[this.#places[i]!] = 0;
    this.size = 0;
    this.#collisions = null;
  }

  /** Frees what an unusually large record needed. */
  shrink(): void {
    if (this.#scopes.length > ENTRIES_FIRST) this.#resize(ENTRIES_FIRST);
  }

  /**
   * Adds the key `[start, end)` of object `scope`.
   * @param bytes The record's bytes. @param scratch The buffer of unescaped keys.
   * @param inScratch Whether the key lies there.
   * @param hash `hashBytes` of the key.
   * @returns False if the object had that key already.
   */
  add(
    scope: number,
    bytes: Uint8Array,
    scratch: Uint8Array,
    inScratch: boolean,
    start: number,
    end: number,
    hash: number,
  ): boolean {
    const source = inScratch ? scratch : bytes;
    if (this.#collisions !== null) {
      if (!addNew(this.#collisions, collisionText(scope, source, start, end))) return false;
      this.#append(scope, inScratch ? ~start : start, end - start, hash, 0);
      return true;
    }
    const mask = this.#slots.length - 1;
    let slot = slotOf(scope, hash) & mask;
    let probes = 0;
    let twins = 0;
    for (;;) {
      const entry = this.#slots[slot]! - 1;
      if (entry < 0) break;
      if (this.#hashes[entry] === hash && this.#scopes[entry] === scope) {
        if (this.#equals(entry, bytes, scratch, source, start, end)) return false;
        twins++;
      }
      if (++probes === PROBES_MAX || twins === HASH_TWINS_MAX) {
        this.#startSet(bytes, scratch);
        return this.add(scope, bytes, scratch, inScratch, start, end, hash);
      }
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = this.size + 1;
    this.#append(scope, inScratch ? ~start : start, end - start, hash, slot);
    return true;
  }

  /** Object of entry `index`. */
  scope(index: number): number {
    return this.#scopes[index]!;
  }

  /** Start of entry `index` in the record's bytes, or ~start in the scratch buffer. */
  start(index: number): number {
    return this.#starts[index]!;
  }

  /** Bytes of entry `index`. */
  length(index: number): number {
    return this.#lengths[index]!;
  }

  /** `hashBytes` of entry `index`. */
  hash(index: number): number {
    return this.#hashes[index]!;
  }

  #equals(
    entry: number,
    bytes: Uint8Array,
    scratch: Uint8Array,
    source: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const length = end - start;
    if (this.#lengths[entry] !== length) return false;
    const at = this.#starts[entry]!;
    const other = at < 0 ? scratch : bytes;
    const from = at < 0 ? ~at : at;
    for (let i = 0; i < length; i++) if (other[from + i] !== source[start + i]) return false;
    return true;
  }

  #append(scope: number, start: number, length: number, hash: number, place: number): void {
    const entry = this.size;
    this.#scopes[entry] = scope;
    this.#starts[entry] = start;
    this.#lengths[entry] = length;
    this.#hashes[entry] = hash;
    this.#places[entry] = place;
    this.size = entry + 1;
    if (this.size === this.#scopes.length) this.#resize(2 * this.#scopes.length);
  }

  #resize(room: number): void {
    this.#scopes = resized(this.#scopes, room);
    this.#starts = resized(this.#starts, room);
    this.#lengths = resized(this.#lengths, room);
    this.#hashes = resized(this.#hashes, room);
    this.#places = resized(this.#places, room);
    this.#slots = new Int32Array(2 * room);
    if (this.#collisions !== null) return;
    const mask = 2 * room - 1;
    for (let entry = 0; entry < this.size; entry++) {
      let slot = slotOf(this.#scopes[entry]!, this.#hashes[entry]!) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = entry + 1;
      this.#places[entry] = slot;
    }
  }

  #startSet(bytes: Uint8Array, scratch: Uint8Array): void {
    const set = new Set<string>();
    for (let entry = 0; entry < this.size; entry++) {
      const at = this.#starts[entry]!;
      const from = at < 0 ? ~at : at;
      set.add(collisionText(this.#scopes[entry]!, at < 0 ? scratch : bytes, from, from + this.#lengths[entry]!));
    }
    this.#slots.fill(0);
    this.#collisions = set;
  }
}

function collisionText(scope: number, source: Uint8Array, start: number, end: number): string {
  return `${scope}${collisionKey(source, start, end)}`;
}

function addNew(set: Set<string>, text: string): boolean {
  if (set.has(text)) return false;
  set.add(text);
  return true;
}

function resized(array: Int32Array<ArrayBuffer>, room: number): Int32Array<ArrayBuffer> {
  const result = new Int32Array(room);
  result.set(array.length > room ? array.subarray(0, room) : array);
  return result;
}
