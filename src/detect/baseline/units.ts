import type { Profile } from '../profile.ts';
import { mergeProfiles } from '../profile/merge.ts';
import { BATCHES_MIN } from './reference.ts';

/** What a baseline is learned from, of batches of all sizes. */
export interface LearningUnits {
  /** Batches, and unions of small ones, in time order. */
  readonly units: readonly Profile[];
  /** The batches that they are of. */
  readonly parts: readonly Profile[];
  /** Batches that are in a union. */
  readonly joined: number;
  /** Batches left out because they are too small. */
  readonly small: number;
  /** True if all batches together are too small, and are learned from as they are. */
  readonly onlySmall: boolean;
}

/**
 * Leaves batches out that are too small to be judged: what a batch of three rows is like says nothing of one of a thousand,
 * and makes everything usual. Where too few others are left, small ones that follow each other are learned from together, as
 * they are judged.
 * @param profiles of one schema and the same label and time, in time order. @param recordsMin as in JudgeSettings
 */
export function learningUnits(profiles: readonly Profile[], recordsMin: number): LearningUnits {
  const large = profiles.filter(({ rows }) => rows >= recordsMin);
  if (large.length === profiles.length || large.length >= BATCHES_MIN)
    return { units: large, parts: large, joined: 0, small: profiles.length - large.length, onlySmall: false };
  const units: Profile[] = [];
  const parts: Profile[] = [];
  let union: Profile[] = [];
  for (const profile of profiles) {
    if (profile.rows >= recordsMin) {
      units.push(profile);
      parts.push(profile);
      continue;
    }
    if (union[0] !== undefined && union[0].roles.source !== profile.roles.source) union = [];
    union.push(profile);
    if (union.reduce((sum, { rows }) => sum + rows, 0) < recordsMin) continue;
    units.push(mergeProfiles(union));
    parts.push(...union);
    union = [];
  }
  if (units.length === 0) return { units: profiles, parts: profiles, joined: 0, small: 0, onlySmall: true };
  const joined = parts.length - large.length;
  return { units, parts, joined, small: profiles.length - parts.length, onlySmall: false };
}
