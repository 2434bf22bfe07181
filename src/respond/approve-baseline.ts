import { BATCHES_MIN } from '../detect/baseline/reference.ts';
import { IntegrityError, NotFoundError, RequestError } from '../errors.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import { newestFirst } from '../ledger/newest-first.ts';
import { readBaseline } from '../publish/rejudge.ts';
import type { LedgerContext } from './ledger-context.ts';
import { underSchema } from './pin-schema.ts';
import type { Actor } from './refs.ts';
import { storedDigests } from './stored-digests.ts';

/**
 * Puts a baseline in force.
 * @param id its digest or the first digits; undefined for the topic's newest candidate.
 * @param fewer whether it may know too few batches to judge by, in the place of one that knows enough.
 * @throws NotFoundError when there is no such candidate; RequestError when it may not take that place; IntegrityError
 */
export async function approve(
  ledger: LedgerContext,
  topic: string,
  id: string | undefined,
  { signer, by, reason }: Actor,
  signal: AbortSignal,
  fewer = false,
): Promise<string> {
  const head = await ledger.control.head();
  const candidate = head.state.candidates[topic];
  const baseline = id === undefined || id === candidate ? candidate : await findLearned(ledger, head, topic, id);
  if (baseline === undefined)
    throw new NotFoundError(
      'NOT_FOUND',
      `Cannot approve a baseline of "${topic}": ${id === undefined ? 'none waits for approval (headgate baseline learn makes one)' : `none ${head.state.repinned?.[topic] === undefined ? '' : 'that was learned under the pinned schema '}begins with "${id}"`}`,
    );
  const decide = underSchema({ kind: 'approve', by, topic, baseline, reason }, head.state.schemas[topic]);
  await ledger.control.append(
    signer,
    async (newest) => {
      if (!fewer) await assertNotDisarmed(ledger, newest.state.baselines[topic], baseline);
      return decide(newest);
    },
    signal,
  );
  return baseline;
}

/** A baseline that can judge must not give way by the way to one that cannot; one that cannot be read judges nothing. */
async function assertNotDisarmed(ledger: LedgerContext, inForce: string | undefined, next: string): Promise<void> {
  const known = inForce === undefined || inForce === next ? 0 : await batchesOf(ledger, inForce);
  if (known < BATCHES_MIN) return;
  const { batches } = (await readBaseline(ledger, next)).baseline;
  if (batches >= BATCHES_MIN) return;
  throw new RequestError(
    'REQUEST_INVALID',
    `Cannot approve ${next.slice(0, 12)}: it knows ${batches} of the ${BATCHES_MIN} batches below which hard rules alone decide; ${inForce!.slice(0, 12)} in force knows ${known} (way out: learn from more batches, --with-suspect takes those that are held or published as suspect; or --fewer approves it all the same)`,
  );
}

async function batchesOf(ledger: LedgerContext, sha256: string): Promise<number> {
  try {
    return (await readBaseline(ledger, sha256)).baseline.batches;
  } catch (error) {
    if (error instanceof IntegrityError) return 0;
    throw error;
  }
}

/**
 * The baseline of a topic that was learned under an id or a prefix of it. Cost: one GET an entry since then.
 * @throws NotFoundError when several begin like that
 */
async function findLearned(
  { store, layout, control }: LedgerContext,
  head: ControlHead,
  topic: string,
  id: string,
): Promise<string | undefined> {
  if (!/^[0-9a-f]{0,64}$/.test(id)) return undefined;
  const stored = await storedDigests(store, (sha256) => layout.baseline(sha256), id);
  const found = new Set<string>();
  for await (const { entry } of newestFirst(control, head)) {
    // What was learned before that was learned under another schema.
    if (entry.seq === head.state.repinned?.[topic]) break;
    if (entry.kind !== 'learn' || entry.topic !== topic || !entry.baseline.startsWith(id)) continue;
    found.add(entry.baseline);
    if (stored !== null && [...stored].every((sha256) => found.has(sha256))) break;
  }
  const [match, ...others] = found;
  if (others.length > 0)
    throw new NotFoundError('NOT_FOUND', `Cannot tell which baseline "${id}" is: ${found.size} begin with it`);
  return match;
}
