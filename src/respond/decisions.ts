import { NotFoundError, RequestError } from '../errors.ts';
import type { ControlHead } from '../ledger/control-log.ts';
import type { BatchLine, Standing } from '../ledger/snapshot.ts';
import type { NewBatch } from '../publish/news.ts';
import { standingOf } from '../publish/plan.ts';
import { formatLogId, parseLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';
import { currentSnapshot, type Actor } from './refs.ts';

/** What was decided on. */
export interface DecisionReport {
  readonly digest: string;
  readonly log: string;
  readonly slot: number;
  readonly outcome: 'released' | 'condemned';
  /** True when it was so already, and nothing was signed: a call that is repeated does no harm. */
  readonly unchanged: boolean;
}

/**
 * Releases or condemns a batch. The publisher carries it out with its next snapshot: a released batch enters the dataset,
 * a condemned one never does or leaves it.
 * @param id digest of the batch's entry or a unique prefix (≥ 6 digits), or `LOG@OFFSET`.
 * @throws NotFoundError; RequestError when a batch that is clean is released
 */
export async function decide(
  ledger: LedgerContext,
  ref: string,
  id: string,
  outcome: 'released' | 'condemned',
  { signer, by, reason }: Actor,
  signal: AbortSignal,
): Promise<DecisionReport> {
  const batch = await findBatch(ledger, ref, id);
  const target = { log: formatLogId(batch.log), slot: batch.entry.slot, digest: batch.digest };
  let unchanged = false;
  await ledger.control.append(
    signer,
    async (head) => {
      const { state } = head;
      const isOpen = state.decisions[batch.digest] !== undefined || state.verdicts[batch.digest] !== undefined;
      const published = isOpen ? null : await standingIn(ledger, head, ref, batch);
      const standing = published ?? standingOf(batch, state);
      unchanged = standing === outcome;
      if (unchanged) return null;
      // On hold, a clean batch may need a person's word: after a rollback it may be impossible to judge it again.
      if (outcome === 'released' && standing === 'clean' && state.holds[ref] === undefined)
        throw new RequestError(
          'REQUEST_INVALID',
          `Cannot release batch ${batch.digest.slice(0, 12)}: it is clean and needs no release`,
        );
      return { kind: 'decision', by, batch: target, outcome, reason };
    },
    signal,
  );
  return { ...target, outcome, unchanged };
}

/** What the snapshot of a ref says of a batch; null if it does not list it. */
async function standingIn(
  { snapshots }: LedgerContext,
  { state }: ControlHead,
  ref: string,
  { log, entry, digest }: NewBatch,
): Promise<Standing | null> {
  const sha256 = state.refs[ref];
  if (sha256 === undefined) return null;
  const snapshot = await snapshots.read(sha256);
  for (const sequence of [snapshot.held, snapshot.batches]) {
    const line = await snapshots.find(sequence, [formatLogId(log), entry.start]);
    if (line?.digest === digest) return line.standing;
  }
  return null;
}

/** Finds a batch by digest prefix among the held and published ones of a ref, or by `LOG@OFFSET` in its log. @throws NotFoundError */
export async function findBatch(ledger: LedgerContext, ref: string, id: string): Promise<NewBatch> {
  const at = id.lastIndexOf('@');
  const found = at === -1 ? await byDigest(ledger, ref, id) : await byOffset(ledger, id.slice(0, at), id.slice(at + 1));
  if (found === null)
    throw new NotFoundError('NOT_FOUND', `Cannot find batch "${id}" (headgate quarantine list shows what is held)`);
  return found;
}

async function byDigest(
  { control, snapshots, logs }: LedgerContext,
  ref: string,
  id: string,
): Promise<NewBatch | null> {
  if (!/^[0-9a-f]{6,64}$/.test(id)) return null;
  const snapshot = await snapshots.read(currentSnapshot(await control.head(), ref));
  const matches: BatchLine[] = [];
  for (const sequence of [snapshot.held, snapshot.batches]) {
    for await (const line of snapshots.batches(sequence)) if (line.digest.startsWith(id)) matches.push(line);
  }
  if (matches.length > 1)
    throw new NotFoundError('NOT_FOUND', `Cannot tell which batch "${id}" is: ${matches.length} begin with it`);
  return matches.length === 0 ? null : logs.readBatch(matches[0]!);
}

async function byOffset({ logs }: LedgerContext, path: string, digits: string): Promise<NewBatch | null> {
  const log = parseLogId(path);
  // No text at all would be offset 0 to Number().
  const offset = /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
  if (log === undefined || !Number.isSafeInteger(offset)) return null;
  for await (const { verified } of logs.walk(log, null)) {
    const { entry, digest } = verified;
    if (entry.kind === 'batch' && entry.start <= offset && offset < entry.end) return { log, entry, digest };
  }
  return null;
}
