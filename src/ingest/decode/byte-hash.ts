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
