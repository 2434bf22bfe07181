import { decodeEvidence, type Evidence } from '../detect/evidence.ts';
import { brokenHaltRules } from '../detect/rules/halt-rules.ts';
import { IntegrityError } from '../errors.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { getVerified } from './objects.ts';
import type { LoggedBatch } from './partition-log.ts';

/** Where evidence lies. */
interface Stored {
  readonly store: ObjectStore;
}

/** Evidence that a batch's entry names. @throws IntegrityError, UnavailableError */
export async function readEvidence({ store }: Stored, { entry }: Pick<LoggedBatch, 'entry'>): Promise<Evidence> {
  const { key, sha256, bytes } = entry.evidence;
  return decodeEvidence(await getVerified(store, key, sha256, Math.max(1, bytes)), key);
}

/**
 * Names of the rules with action halt that a batch broke. None where the evidence is not as it was signed: that is for
 * `verify` to tell, the halt stands all the same. @throws UnavailableError
 */
export async function haltRulesBrokenBy(stored: Stored, batch: Pick<LoggedBatch, 'entry'>): Promise<readonly string[]> {
  try {
    return brokenHaltRules((await readEvidence(stored, batch)).profile.rules);
  } catch (error) {
    if (error instanceof IntegrityError) return [];
    throw error;
  }
}
