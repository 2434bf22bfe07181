import { IntegrityError } from '../errors.ts';
import type { ControlHead, ControlLog, VerifiedControlEntry } from './control-log.ts';
import { eachLimited } from './each-limited.ts';

const READS_AT_ONCE = 16;
/** Most entries read ahead of whoever asks: reading ahead saves waiting, and costs reads when the search ends. */
const AHEAD_MAX = 64;

/**
 * The control entries from `head` down to the first, each checked to be the one that the later one names. For searches
 * that end soon: what people ask for is mostly recent, and the log is not.
 * Cost: one GET an entry, at most twice as many as are taken; they are read in growing groups.
 * @throws IntegrityError SLOT_MISSING, CHAIN_BROKEN; UnavailableError
 */
export async function* newestFirst(control: ControlLog, { newest }: ControlHead): AsyncGenerator<VerifiedControlEntry> {
  if (newest === null) return;
  yield newest;
  let later = newest;
  for (let ahead = 1; later.entry.seq > 0; ahead = Math.min(ahead * 2, AHEAD_MAX)) {
    const group: (VerifiedControlEntry | null)[] = [];
    const first = later.entry.seq - 1;
    const seqs = Array.from({ length: Math.min(ahead, first + 1) }, (_, i) => first - i);
    await eachLimited(seqs.entries(), READS_AT_ONCE, async ([i, seq]) => {
      group[i] = await control.read(seq);
    });
    for (const verified of group) {
      later = assertNamed(verified, later);
      yield later;
    }
  }
}

/** The entry, if it is the one before `later`. @throws IntegrityError */
function assertNamed(verified: VerifiedControlEntry | null, later: VerifiedControlEntry): VerifiedControlEntry {
  const { seq, previous } = later.entry;
  if (verified === null)
    throw new IntegrityError(
      'SLOT_MISSING',
      later.key,
      `Cannot read the control log: entry ${seq - 1} is missing but "${later.key}" exists`,
    );
  if (verified.digest === previous) return verified;
  throw new IntegrityError(
    'CHAIN_BROKEN',
    verified.key,
    `Cannot accept "${verified.key}": its digest is ${verified.digest}, entry ${seq} names ${previous}`,
  );
}
