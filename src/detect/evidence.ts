import { IntegrityError } from '../errors.ts';
import type { SkipReason } from '../record/chunk.ts';
import { canonicalJson } from '../record/canonical.ts';
import type { Judgement } from './judgement.ts';
import type { Profile } from './profile.ts';
import { checkProfile } from './profile/format.ts';

/** Offsets of a batch that carry no record. */
export interface SkippedRange {
  readonly from: number;
  readonly to: number;
  readonly reason: SkipReason;
}

/** Evidence of a batch's verdict, as it lies in the store. Holds record values: as confidential as the data. */
export interface Evidence {
  readonly version: 1;
  readonly judgement: Judgement;
  /** The first thousand. */
  readonly skipped: readonly SkippedRange[];
  readonly profile: Profile;
}

/** The exact bytes of evidence: canonical JSON, so that equal evidence has equal digests. */
export function encodeEvidence(evidence: Evidence): Buffer {
  return Buffer.from(canonicalJson(evidence), 'utf8');
}

/**
 * Reads evidence; the caller has checked its digest.
 * @param object name for messages.
 * @throws IntegrityError PAYLOAD_INVALID
 */
export function decodeEvidence(bytes: Uint8Array, object: string): Evidence {
  let value: Evidence;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8')) as Evidence;
  } catch (cause) {
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": it is not JSON`, { cause });
  }
  if (value?.version !== 1)
    throw new IntegrityError('PAYLOAD_INVALID', object, `Cannot read "${object}": it is not evidence of version 1`);
  return { ...value, profile: checkProfile(value.profile) };
}
