import { copiesAmong } from '../detect/baseline/learn.ts';
import { learningUnits, type LearningUnits } from '../detect/baseline/units.ts';
import type { Profile } from '../detect/profile.ts';
import { RequestError } from '../errors.ts';

/** What of a history can be learned from, and how much of it cannot, by reason. */
export interface Learnable extends LearningUnits {
  /** Batches of which no record decoded, before a schema was pinned. */
  readonly skipped: number;
  /** Batches that were read by another schema than the pinned one. */
  readonly otherSchema: number;
  /** Batches that were read with another label or time than the newest one. */
  readonly otherRoles: number;
  /** Batches that have all of their rows from an earlier one: their positions in what was given, rising. */
  readonly copies: readonly number[];
}

/**
 * Chooses what a baseline is learned from. Batches of which no record decoded, read before the schema was pinned, say nothing
 * and are left out, and so are those that were read by another schema, and those that were read with another label or time
 * than the newest one: what they say of it is nothing, or of something else. Copies of earlier batches are left out as well,
 * and batches too small to be judged.
 * @param profiles in time order. @param pinned digest of the topic's schema. @param recordsMin as in JudgeSettings
 * @throws RequestError when nothing is left
 */
export function chooseLearnable(
  topic: string,
  profiles: readonly Profile[],
  pinned: string | undefined,
  recordsMin: number,
): Learnable {
  const given = profiles.map((profile, at) => ({ profile, at }));
  const decoded = given.filter(({ profile: { schema, rows } }) => rows > 0 || schema === pinned);
  const skipped = given.length - decoded.length;
  if (decoded.length === 0 && skipped > 0)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot learn a baseline for "${topic}": no record decoded in ${skipped === 1 ? 'the only batch' : `any of ${skipped} batches`} (headgate show and the dead letters tell why)`,
    );
  const usable = decoded.filter(({ profile: { schema } }) => pinned === undefined || schema === pinned);
  if (usable.length === 0 && decoded.length > 0)
    throw new RequestError(
      'REQUEST_INVALID',
      `Cannot learn a baseline for "${topic}": ${decoded.length === 1 ? 'the only batch was' : `all ${decoded.length} batches were`} read by another schema than ${pinned!.slice(0, 12)}, which is pinned (mend: headgate baseline learn --files FILES reads history by it, or wait for batches that are read by it)`,
    );
  const newest = usable.at(-1)?.profile.roles;
  const alike = usable.filter(({ profile: { roles } }) => roles.label === newest?.label && roles.time === newest?.time);
  const copies = copiesAmong(alike.map(({ profile }) => profile));
  const distinct = alike.filter((_, i) => !copies.has(i)).map(({ profile }) => profile);
  return {
    ...learningUnits(distinct, recordsMin),
    skipped,
    otherSchema: decoded.length - usable.length,
    otherRoles: usable.length - alike.length,
    copies: alike.filter((_, i) => copies.has(i)).map(({ at }) => at),
  };
}
