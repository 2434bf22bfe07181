import { PIPELINE } from './genesis.ts';
import type { NamedObjects } from './named.ts';
import type { SharedStore } from './store.ts';

/** Newest entries of a log that are not deleted: that a store shows an older past as a whole, only marks outside of it tell. */
const NEWEST_KEPT = 3;
const GARBAGE = ['', '{}', '999999999', 'null', '\u0000\u0001'] as const;

/**
 * Alters or deletes one object that something signed names.
 * @param place which, in [0, 1). @param how in [0, 1). @returns what was done, for the trace; null when there was none
 */
export function tamper(store: SharedStore, named: NamedObjects, place: number, how: number): string | null {
  const isDeletion = how < 0.4;
  const kept = isDeletion ? newestEntries(named) : new Set();
  const keys = named.keys.filter((key) => !kept.has(key) && store.get(key) !== undefined);
  const key = keys[Math.floor(place * keys.length)];
  if (key === undefined) return null;
  if (isDeletion) named.tamper(key, null);
  else
    named.tamper(key, altered(store.get(key)!, how < 0.7 ? 'bit' : how < 0.85 ? 'end' : 'other', store, keys, place));
  return `${isDeletion ? 'deletes' : 'alters'} ${key}`;
}

/** Alters or deletes a hint or a receipt, of which nothing is promised. @returns what was done; null when there was none */
export function alterHint(store: SharedStore, place: number, how: number): string | null {
  const keys = store.keys.filter((key) => /^[^/]+\/(hint|receipts)\//.test(key));
  const key = keys[Math.floor(place * keys.length)];
  if (key === undefined) return null;
  const isReceipt = key.startsWith(`${PIPELINE}/receipts/`);
  if (isReceipt || how < 0.4) store.delete(key);
  else store.put(key, Buffer.from(GARBAGE[Math.floor(how * 1_000) % GARBAGE.length]!));
  return `alters hint ${key}`;
}

function newestEntries(named: NamedObjects): ReadonlySet<string> {
  const newest = new Map<string, string[]>();
  for (const key of named.keys) {
    const folder = /^[^/]+\/(?:log|control)\/.*(?=\d{20}$)/.exec(key)?.[0] ?? null;
    if (folder !== null) newest.set(folder, [...(newest.get(folder) ?? []), key].slice(-NEWEST_KEPT));
  }
  return new Set([...newest.values()].flat());
}

function altered(
  bytes: Uint8Array,
  what: 'bit' | 'end' | 'other',
  store: SharedStore,
  keys: readonly string[],
  place: number,
): Uint8Array {
  const at = Math.floor(((place * 7_919) % 1) * bytes.length);
  if (what === 'end') return bytes.subarray(0, at);
  // What another object of its kind holds is signed as well, and lies where it does not belong.
  const other = store.get(keys[(keys.length + at) % keys.length]!)!;
  if (what === 'other' && !Buffer.from(other).equals(bytes)) return other;
  const copy = Uint8Array.from(bytes);
  copy[at]! ^= 1 << (at & 7);
  return copy;
}
