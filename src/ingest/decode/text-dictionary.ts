import type { TextDictionary } from '../../record/columns.ts';
import { collisionKey } from './collision-key.ts';

const VALUES_FIRST = 32;
const BYTES_FIRST = 256;
const BYTES_MAX = 0x7fff_ffff;
/** Longest run of occupied slots that a lookup walks; at half load a longer one does not happen by chance (p < 1e-20). */
const PROBES_MAX = 256;
/** Most values with the same 32-bit hash that a lookup compares byte by byte. */
const HASH_TWINS_MAX = 8;
/** Values up to this length are copied by a loop: cheaper than a native call. */
const LOOP_COPY_MAX = 48;

/**
 * Collects distinct byte strings in order of first appearance.
 *
 * Trust: values are hostile and our hash is not secret. When somebody makes it collide, lookups move to a map whose
 * keys cannot be made to collide; codes stay the same, so no result depends on it.
 */
export class TextDictionaryBuilder {
  #size = 0;
  #bytes = new Uint8Array(BYTES_FIRST);
  #offsets = new Int32Array(VALUES_FIRST + 1);
  #hashes = new Int32Array(VALUES_FIRST);
  /** Open addressing over codes: 0 is empty, else code + 1; twice as many slots as there is room for values. */
  #slots = new Int32Array(2 * VALUES_FIRST);
  #newestRow = -1;
  #collisions: Map<string, number> | null = null;
  #valuesExpected = 0;
  #bytesExpected = 0;

  /** States how much is likely to come: what does not fit the little room of the start gets that much at once. */
  expect(values: number, bytes: number): void {
    this.#valuesExpected = values;
    this.#bytesExpected = bytes;
  }

  /**
   * Code of the value `source[start, end)`, which is added if it is new.
   * @param hash `hashBytes` of the value.
   * @param row The row that asks: {@link undo} of this row removes the value again.
   * @throws {RangeError} if the distinct values together pass 2^31 − 1 bytes: the owner must `take` earlier.
   */
  intern(source: Uint8Array, start: number, end: number, hash: number, row: number): number {
    if (this.#collisions !== null) return this.#internByMap(this.#collisions, source, start, end, hash, row);
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    let probes = 0;
    let twins = 0;
    for (;;) {
      const code = slots[slot]! - 1;
      if (code < 0) break;
      if (this.#hashes[code] === hash) {
        if (this.#equals(code, source, start, end)) return code;
        twins++;
      }
      if (++probes === PROBES_MAX || twins === HASH_TWINS_MAX) {
        return this.#internByMap(this.#startMap(), source, start, end, hash, row);
      }
      slot = (slot + 1) & mask;
    }
    slots[slot] = this.#size + 1;
    return this.#append(source, start, end, hash, row);
  }

  /** Removes the value that row `row` brought in, if it did; at most one value a row. */
  undo(row: number): void {
    if (this.#newestRow !== row) return;
    this.#newestRow = -1;
    const code = this.#size - 1;
    if (this.#collisions !== null) {
      this.#collisions.delete(collisionKey(this.#bytes, this.#offsets[code]!, this.#offsets[code + 1]!));
    } else {
      const hash = this.#hashes[code]!;
      const mask = this.#slots.length - 1;
      let slot = (hash ^ (hash >>> 15)) & mask;
      while (this.#slots[slot] !== code + 1) slot = (slot + 1) & mask;
      // The newest value ends its probe sequence, so an empty slot here breaks no other.
      this.#slots[slot] = 0;
    }
    this.#size = code;
  }

  /** All values so far; starts an empty dictionary with little room. */
  take(): TextDictionary {
    const dictionary = { size: this.#size, bytes: this.#bytes, offsets: this.#offsets };
    this.#bytes = new Uint8Array(BYTES_FIRST);
    this.#offsets = new Int32Array(VALUES_FIRST + 1);
    this.#hashes = new Int32Array(VALUES_FIRST);
    this.#slots = new Int32Array(2 * VALUES_FIRST);
    this.#size = 0;
    this.#newestRow = -1;
    this.#collisions = null;
    return dictionary;
  }

  #equals(code: number, source: Uint8Array, start: number, end: number): boolean {
    const from = this.#offsets[code]!;
    const length = end - start;
    if (this.#offsets[code + 1]! - from !== length) return false;
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) if (bytes[from + i] !== source[start + i]) return false;
    return true;
  }

  #append(source: Uint8Array, start: number, end: number, hash: number, row: number): number {
    const code = this.#size;
    const from = this.#offsets[code]!;
    const to = from + (end - start);
    if (to > this.#bytes.length) this.#growBytes(to);
    const bytes = this.#bytes;
    if (end - start <= LOOP_COPY_MAX) for (let p = start, q = from; p < end; p++, q++) bytes[q] = source[p]!;
    else bytes.set(source.subarray(start, end), from);
    this.#offsets[code + 1] = to;
    this.#hashes[code] = hash;
    this.#newestRow = row;
    this.#size = code + 1;
    if (this.#size === this.#hashes.length) this.#growValues();
    return code;
  }

  #growBytes(needed: number): void {
    if (needed > BYTES_MAX) {
      throw new RangeError(`Cannot add to a text dictionary: it would hold ${needed} bytes, at most ${BYTES_MAX}`);
    }
    const bytes = new Uint8Array(Math.min(BYTES_MAX, Math.max(needed, 2 * this.#bytes.length, this.#bytesExpected)));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }

  #growValues(): void {
    const room = Math.max(2 * this.#hashes.length, 2 ** Math.ceil(Math.log2(this.#valuesExpected + 1)));
    const offsets = new Int32Array(room + 1);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const hashes = new Int32Array(room);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    if (this.#collisions !== null) return;
    this.#slots = new Int32Array(2 * room);
    const mask = 2 * room - 1;
    for (let code = 0; code < this.#size; code++) {
      const hash = hashes[code]!;
      let slot = (hash ^ (hash >>> 15)) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = code + 1;
    }
  }

  #startMap(): Map<string, number> {
    const map = new Map<string, number>();
    for (let code = 0; code < this.#size; code++) {
      map.set(collisionKey(this.#bytes, this.#offsets[code]!, this.#offsets[code + 1]!), code);
    }
    this.#collisions = map;
    return map;
  }

  #internByMap(
    map: Map<string, number>,
    source: Uint8Array,
    start: number,
    end: number,
    hash: number,
    row: number,
  ): number {
    const key = collisionKey(source, start, end);
    const known = map.get(key);
    if (known !== undefined) return known;
    map.set(key, this.#size);
    return this.#append(source, start, end, hash, row);
  }
}
