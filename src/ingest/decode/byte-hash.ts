/** State of the hash before the first byte. */
export const HASH_SEED = 0x811c9dc5 | 0;
/** Multiplier of the hash: `hash = imul(hash ^ byte, HASH_FACTOR)`, inlined where bytes are scanned anyway. */
export const HASH_FACTOR = 0x01000193;

/**
 * FNV-1a of `bytes[start, end)` as an int32. Not secret and easy to collide: every table built on it counts what a
 * lookup costs and leaves for a collision-proof map when that grows (see TextDictionaryBuilder, KeySet).
 */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = HASH_SEED;
  for (let p = start; p < end; p++) hash = Math.imul(hash ^ bytes[p]!, HASH_FACTOR);
  return hash;
}

/** Where to look first for a key of object `scope` in a table of 2^n slots: the lowest n bits. @param hash {@link hashBytes} of the key */
export function slotOf(scope: number, hash: number): number {
  const mixed = hash ^ Math.imul(scope, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
