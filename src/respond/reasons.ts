import type { Evidence } from '../detect/evidence.ts';
import type { Finding, Judgement } from '../detect/judgement.ts';
import { causesOf } from '../detect/profile/dead-letters.ts';
import type { DeadLetterCause } from '../record/dead-letter.ts';

/** What the records of a batch did not decode for, the most frequent first. */
export function whyUndecoded({ profile }: Pick<Evidence, 'profile'>): readonly DeadLetterCause[] {
  return causesOf(profile);
}

/**
 * Findings that speak against a batch, what decided first: broken hard rules, then the most unusual. Rules that only
 * observe are left out: they hold nothing.
 */
export function reasonsOf({ findings }: Pick<Judgement, 'findings'>): readonly Finding[] {
  return findings
    .filter(({ action }) => action !== 'observe')
    .toSorted((a, b) => Number(b.hard) - Number(a.hard) || a.pValue - b.pValue || b.z - a.z);
}

/**
 * Why a batch is suspect, in one sentence.
 * @param together batches that were judged as one with it, itself included; 1 = judged alone.
 */
export function whySuspect(judgement: Pick<Judgement, 'findings'>, together: number): string {
  const [first, ...others] = reasonsOf(judgement);
  const more = others.length > 0 ? `, and ${others.length} more` : '';
  const why = first === undefined ? 'unusual as a whole, without one finding that stands out' : first.sentence + more;
  return together > 1 ? `${describeUnion(together)}: ${why}` : why;
}

/** With how many others a batch was judged. @param together as above, at least 2. */
export function describeUnion(together: number): string {
  return `judged together with ${together - 1} other small ${together === 2 ? 'batch' : 'batches'}`;
}
