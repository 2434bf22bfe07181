import type { IntegrityError } from '../errors.ts';
import type { BatchRef, ControlAct } from '../ledger/control-entry.ts';
import type { ControlState } from '../ledger/control-state.ts';
import type { PartitionLogs } from '../ledger/partition-log.ts';
import type { Snapshot, Snapshots } from '../ledger/snapshot.ts';
import { formatLogId, parseLogId } from '../record/log-id.ts';
import { faultsIn } from './batch-objects.ts';
import type { NewBatch } from './news.ts';

/** Outcome of judging stored profiles again; a batch in neither list stays undecided. */
export interface Rejudged {
  readonly clean: readonly NewBatch[];
  readonly suspect: readonly NewBatch[];
  /** Digest of the stored evidence. */
  readonly evidence: string;
}

/**
 * Judges batches of one topic from their stored profiles against a baseline: each by itself, or together those that are too
 * small for that.
 * @returns null when nothing could be decided.
 * @throws IntegrityError when evidence is missing or changed; UnavailableError
 */
export type Rejudge = (
  topic: string,
  batches: readonly NewBatch[],
  as: 'union' | 'each',
  baseline: string,
  signal: AbortSignal,
) => Promise<Rejudged | null>;

/** What has to be settled before batches are placed. */
export interface Reconsideration {
  /** The verdict entry that the publisher owes before it may publish; null when there is none. */
  readonly act: ControlAct | null;
  /** Digests of batches that were once called clean and cannot be judged by what is in force now: they are held. */
  readonly undecidable: ReadonlySet<string>;
}

/** Batches that are judged at once, each by itself. */
const EACH_MAX = 250;
/** Batches that are judged together: enough that batches of one record reach the size that can be judged. */
const UNION_MAX = 1_000;
/** Bytes of batch names in one verdict entry, as JSON, so that the entry stays below its size cap. */
const REFS_BYTES_MAX = 131_072;

/**
 * Looks at batches again whose own verdict is not the last word:
 * - batches held for want of a baseline are judged once there is one;
 * - small batches of a topic are judged together, so that a slow topic is not held for ever;
 * - a clean batch that was judged by a baseline no longer in force at the last publish is judged again, or waits for a person
 *   where none is in force.
 * @param waiting batches that no snapshot covers yet, and those that it holds for one of these reasons.
 */
export async function reconsider(
  { rejudge, by }: { readonly rejudge: Rejudge; readonly by: string },
  state: ControlState,
  base: Snapshot,
  waiting: readonly NewBatch[],
  signal: AbortSignal,
): Promise<Reconsideration> {
  const open = waiting.filter((batch) => isOpen(batch, state));
  const undecidable = new Set<string>();
  for (const topic of new Set(open.map(({ log }) => log.topic))) {
    const baseline = state.baselines[topic];
    const mine = open.filter(({ log }) => log.topic === topic);
    const stale = mine.filter((batch) => isStale(batch, [baseline, base.baselines[topic]]));
    for (const { digest } of stale) undecidable.add(digest);
    if (baseline === undefined) continue;
    const judge = async (batches: readonly NewBatch[], as: 'each' | 'union'): Promise<Rejudged | null> =>
      batches.length === 0 ? null : rejudge(topic, batches, as, baseline, signal);
    const unjudged = mine.filter(({ entry }) => entry.undecided === 'no-baseline');
    for (const group of groupsOf([...stale, ...unjudged])) {
      const act = verdictAct(by, baseline, await judge(group, 'each'));
      if (act !== null) return { act, undecidable };
    }
    // Of those without a baseline, what was not decided by itself may be too small.
    const small = largestOf([...mine.filter(({ entry }) => entry.undecided === 'small'), ...unjudged]);
    const act = verdictAct(by, baseline, await judge(small, 'union'));
    if (act !== null) return { act, undecidable };
  }
  return { act: null, undecidable };
}

/** True for a batch whose evidence {@link reconsider} may read. */
export function isToBeJudged(batch: NewBatch, state: ControlState, base: Snapshot): boolean {
  const { topic } = batch.log;
  const baseline = state.baselines[topic];
  if (baseline === undefined || !isOpen(batch, state)) return false;
  const { undecided } = batch.entry;
  return undecided === 'small' || undecided === 'no-baseline' || isStale(batch, [baseline, base.baselines[topic]]);
}

function isOpen({ digest, entry }: NewBatch, { verdicts, decisions }: ControlState): boolean {
  return entry.mode === 'enforce' && verdicts[digest] === undefined && decisions[digest] === undefined;
}

/** Reads the batches that a snapshot holds until they can be judged; each only once while it is held. */
export class HeldBatches {
  readonly #logs: PartitionLogs;
  readonly #snapshots: Snapshots;
  #known = new Map<string, NewBatch>();

  constructor(logs: PartitionLogs, snapshots: Snapshots) {
    this.#logs = logs;
    this.#snapshots = snapshots;
  }

  /**
   * Those of topics that have a baseline: all others wait on.
   * @param isLeftOut says which logs are not looked at.
   * @param faults takes what is damaged: what belongs to a batch keeps no other one back. @throws IntegrityError, UnavailableError
   */
  async waitingIn(
    base: Snapshot,
    { baselines }: ControlState,
    isLeftOut: (log: string) => boolean,
    faults: IntegrityError[],
  ): Promise<readonly NewBatch[]> {
    const held = new Map<string, NewBatch>();
    for await (const line of this.#snapshots.batches(base.held)) {
      if (line.standing !== 'small' && line.standing !== 'no-baseline') continue;
      if (baselines[parseLogId(line.log)?.topic ?? ''] === undefined || isLeftOut(line.log)) continue;
      const read = async (): Promise<unknown> =>
        held.set(line.digest, this.#known.get(line.digest) ?? (await this.#logs.readBatch(line)));
      faults.push(...(await faultsIn(read)));
    }
    this.#known = held;
    return [...held.values()];
  }
}

/** Batches in groups that can be judged at once and named in one verdict entry. */
export function* groupsOf(batches: readonly NewBatch[], countMax = EACH_MAX): Generator<NewBatch[]> {
  let group: NewBatch[] = [];
  let bytes = 0;
  for (const batch of batches) {
    const size = JSON.stringify(refOf(batch)).length + 1;
    if (group.length > 0 && (group.length >= countMax || bytes + size > REFS_BYTES_MAX)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(batch);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

/** How control entries name a batch. */
export function refOf({ log, entry, digest }: NewBatch): BatchRef {
  return { log: formatLogId(log), slot: entry.slot, digest };
}

/** As many as one verdict entry can name, those with the most rows first, in the order they came. */
function largestOf(batches: readonly NewBatch[]): readonly NewBatch[] {
  const rows = ({ entry }: NewBatch): number => entry.records - entry.deadLetterRecords;
  const largest = batches.toSorted((a, b) => rows(b) - rows(a));
  const [chosen] = groupsOf(largest, UNION_MAX);
  const kept = new Set(chosen);
  return batches.filter((batch) => kept.has(batch));
}

/** A batch that was called clean by a baseline that is neither in force now nor was at the last publish. */
function isStale({ entry }: NewBatch, inForce: readonly (string | undefined)[]): boolean {
  return entry.verdict === 'clean' && entry.baseline !== null && !inForce.includes(entry.baseline);
}

/** One entry has one outcome; what has the other one is judged in the next round. */
function verdictAct(by: string, baseline: string, judged: Rejudged | null): ControlAct | null {
  if (judged === null) return null;
  const outcome = judged.clean.length > 0 ? 'clean' : 'suspect';
  const batches = judged[outcome].map(refOf);
  return batches.length === 0 ? null : { kind: 'verdict', by, batches, outcome, baseline, evidence: judged.evidence };
}
