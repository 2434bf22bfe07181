import { quoteName } from './quote-name.ts';

/** Shorter names are in others by chance. */
const PART_MIN = 4;

/**
 * ` (did you mean "x"?)` for the known name nearest to `name`: within two edits, and fewer for short names; else the shortest
 * that has it in it; empty if none is near.
 */
export function suggest(name: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.min(2, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)[0];
  const found = near?.candidate ?? partOf(name, known);
  return found === undefined ? '' : ` (did you mean ${quoteName(found)}?)`;
}

function partOf(name: string, known: readonly string[]): string | undefined {
  if (name.length < PART_MIN) return undefined;
  const part = name.toLowerCase();
  return known.filter((candidate) => candidate.toLowerCase().includes(part)).toSorted((a, b) => a.length - b.length)[0];
}

/** Longer texts are no names; comparing them would take time in the square of their length. */
const LENGTH_MAX = 200;

/** Insertions, deletions, replacements and swaps of neighbours that make `b` of `a` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  if (Math.max(a.length, b.length) > LENGTH_MAX) return Infinity;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, replaced));
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] && i > 1) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
