import { opendir } from 'node:fs/promises';
import { join } from 'node:path';

import { isKey } from '../../ports/object-key.ts';
import { isAbsent } from './file-errors.ts';

/** Names that one pass over a folder keeps at least: most of them may be folders with nothing in them. */
const PASS_NAMES_MIN = 1_000;
/** Names that are read at once; with far more Node gets slow. */
const READ_AHEAD = 1_024;

/** Which keys are wanted. */
export interface KeyRange {
  /** Empty, or a folder with `/` behind it. */
  readonly prefix: string;
  /** Only keys behind this one; empty = all. */
  readonly startAfter: string;
  /** Most keys that are wanted. */
  readonly limit: number;
  /** Name in the root that holds no keys. */
  readonly hidden: string;
}

/**
 * The first keys of a range among the files below `root`, in byte order.
 *
 * A folder may hold every entry of a log, and the question is mostly whether anything lies behind the newest: so each is
 * read in one pass that neither sorts nor keeps all of its names.
 */
export async function listKeys(root: string, range: KeyRange): Promise<string[]> {
  const keys: string[] = [];
  await appendKeys(root, range, range.prefix, keys);
  return keys;
}

/** A folder sorts as its name followed by `/`, as it does inside full keys. */
async function appendKeys(root: string, range: KeyRange, prefix: string, keys: string[]): Promise<void> {
  const { startAfter, limit } = range;
  const isInside = startAfter.startsWith(prefix);
  if (!isInside && startAfter > prefix) return;
  const start = isInside ? startAfter.slice(prefix.length) : '';
  // A folder comes before what lies in it.
  const isAtOrBehindStart = (name: string): boolean => name > start || (name.endsWith('/') && start.startsWith(name));
  for (let isWanted = isAtOrBehindStart; ;) {
    const wanted = Math.max(limit - keys.length, PASS_NAMES_MIN);
    const names = await firstNames(join(root, prefix), wanted, isWanted);
    for (const name of names) {
      if (keys.length >= limit) return;
      const key = prefix + name;
      if (prefix === '' && name === `${range.hidden}/`) continue;
      if (name.endsWith('/')) await appendKeys(root, range, key, keys);
      else if (isKey(key)) keys.push(key);
    }
    if (names.length < wanted) return;
    const last = names.at(-1)!;
    isWanted = (name) => name > last;
  }
}

/** The first `count` wanted names in a folder, in order, a folder's name with `/` behind it; none if it is not there. */
async function firstNames(path: string, count: number, isWanted: (name: string) => boolean): Promise<string[]> {
  const folder = await opendir(path, { bufferSize: READ_AHEAD }).catch((cause: unknown) => {
    if (isAbsent(cause)) return null;
    throw cause;
  });
  if (folder === null) return [];
  const kept: string[] = [];
  /** Names above this are not among the first. */
  let ceiling: string | null = null;
  try {
    for (let entry = await folder.read(); entry !== null; entry = await folder.read()) {
      const name = entry.isDirectory() ? `${entry.name}/` : entry.name;
      if ((ceiling !== null && name > ceiling) || !isWanted(name)) continue;
      kept.push(name);
      if (kept.length < 2 * count) continue;
      kept.sort().splice(count);
      ceiling = kept.at(-1)!;
    }
  } finally {
    await folder.close();
  }
  return kept.sort().slice(0, count);
}
