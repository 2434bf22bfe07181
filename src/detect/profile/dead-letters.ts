import { Type } from 'typebox';
import {
  DEAD_LETTER_REASONS,
  describeCause,
  type DeadLetterCause,
  type DeadLetterReason,
} from '../../record/dead-letter.ts';
import type { Profile, UndecodedRecords } from '../profile.ts';
import { compareText } from '../sketch/top-values.ts';
import { Count, Exactly, Name, OrNull } from '../stored.ts';

/** Causes of dead letters that a profile lists, the most frequent ones. */
export const CAUSES_MAX = 32;

/** Causes as profiles and baselines store them. */
export const CausesSchema = Type.Array(
  Exactly({ reason: Type.Enum([...DEAD_LETTER_REASONS]), column: OrNull(Name), records: Count, offset: OrNull(Count) }),
  { maxItems: CAUSES_MAX },
);

/** Records that did not decode. */
export function countDeadLetters({ counts: { deadLetters } }: Pick<Profile, 'counts'>): number {
  return Object.values(deadLetters).reduce((sum, count) => sum + count, 0);
}

/** What the records died of, the most frequent first; of profiles from before columns were told, the reasons alone. */
export function causesOf({ counts, deadLetterCauses }: Profile): readonly DeadLetterCause[] {
  if (deadLetterCauses !== undefined) return deadLetterCauses;
  const reasons = Object.entries(counts.deadLetters) as [DeadLetterReason, number][];
  return mostFrequent(reasons.map(([reason, records]) => ({ reason, column: null, records, offset: null })));
}

/** Records of several profiles that did not decode; null where all did. */
export function undecodedOf(profiles: readonly Profile[]): UndecodedRecords | null {
  const deadLetters = profiles.reduce((sum, profile) => sum + countDeadLetters(profile), 0);
  if (deadLetters === 0) return null;
  const records = profiles.reduce((sum, { counts }) => sum + counts.records, 0);
  return { records, deadLetters, causes: mergeCauses(profiles.map(causesOf)) };
}

/** Causes of all the records together; at most {@link CAUSES_MAX}, and no offsets: they would not say of which log. */
export function mergeCauses(all: readonly (readonly DeadLetterCause[])[]): DeadLetterCause[] {
  const merged = new Map<string, DeadLetterCause>();
  for (const { reason, column, records } of all.flat()) {
    const key = JSON.stringify([reason, column]);
    merged.set(key, { reason, column, records: records + (merged.get(key)?.records ?? 0), offset: null });
  }
  return mostFrequent([...merged.values()]);
}

/** The most frequent ones, as a profile stores them. */
export function mostFrequent(causes: readonly DeadLetterCause[]): DeadLetterCause[] {
  const name = ({ reason, column }: DeadLetterCause): string => `${reason} ${column ?? ''}`;
  return causes.toSorted((a, b) => b.records - a.records || compareText(name(a), name(b))).slice(0, CAUSES_MAX);
}

/**
 * The commonest cause, as the end of a sentence on records that do not decode.
 * @param causes the most frequent first. @param dead records that they are of, all causes together
 */
export function describeMainCause([first]: readonly DeadLetterCause[], dead: number): string | null {
  if (first === undefined) return null;
  return `${first.records >= dead ? 'all' : `${first.records}`} for ${describeCause(first)}`;
}
