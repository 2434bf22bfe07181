import { HaltError, HeadgateError, IntegrityError, RequestError } from '../../src/errors.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import { makeRejudge } from '../../src/publish/rejudge.ts';
import { formatLogId } from '../../src/record/log-id.ts';
import { decide } from '../../src/respond/decisions.ts';
import { openLedger } from '../../src/respond/ledger-context.ts';
import { hold, resume, rollback } from '../../src/respond/refs.ts';
import { KEYS, REF, TRUST } from './genesis.ts';
import type { LedgerWatch, WatchedBatch } from './ledger-watch.ts';
import type { SimProcess } from './process.ts';
import type { SeededRng } from './rng.ts';
import { JUDGE_SETTINGS } from './worker.ts';

/** What a person may do at the command line. */
export const ACTS = ['hold', 'resume', 'rollback', 'release', 'condemn'] as const;
export type Act = (typeof ACTS)[number];

const ACTOR = { signer: KEYS.approver, by: 'a person', reason: 'because' };
const NEVER = new AbortController().signal;

/**
 * Does one act, as one command does it: by a process of its own, which may fail like any other.
 * @param on the batch that is decided on; null = one of those that are there.
 * @returns batches that a person must decide on first, where that is why it was refused; a person reads why, and does that
 * @throws what no command should end with
 */
export async function perform(
  act: Act,
  on: WatchedBatch | null,
  process: SimProcess,
  store: ObjectStore,
  watch: LedgerWatch,
  rng: SeededRng,
): Promise<readonly WatchedBatch[]> {
  try {
    await (act === 'release' || act === 'condemn'
      ? decideOn(act, on ?? choose(act, watch, rng), process, store)
      : moveRef(act, process, store));
    return [];
  } catch (error) {
    // What people are told and can do something about; that the ledger contradicts itself is none of it.
    if (!(error instanceof HeadgateError) || error instanceof IntegrityError || error instanceof HaltError) throw error;
    return act === 'resume' && error instanceof RequestError ? batchesIn(error.message, watch) : [];
  }
}

async function moveRef(
  act: Exclude<Act, 'release' | 'condemn'>,
  process: SimProcess,
  store: ObjectStore,
): Promise<void> {
  const { clock } = process;
  const ledger = openLedger(store, TRUST, clock);
  if (act === 'hold') {
    await hold(ledger, REF, ACTOR, NEVER);
  } else if (act === 'resume') {
    const rejudge = makeRejudge({ store, layout: ledger.layout, clock, settings: JUDGE_SETTINGS });
    await resume(ledger, REF, ACTOR, rejudge, KEYS.publisher, NEVER);
  } else {
    const current = (await ledger.control.head()).state.refs[REF];
    const parent = current === undefined ? null : (await ledger.snapshots.read(current)).parent;
    await rollback(ledger, REF, parent ?? 'last-clean', ACTOR, NEVER);
  }
}

async function decideOn(
  act: 'release' | 'condemn',
  batch: WatchedBatch | null,
  process: SimProcess,
  store: ObjectStore,
): Promise<void> {
  if (batch === null) return;
  const { log, entry } = batch;
  const ledger = openLedger(store, TRUST, process.clock);
  const outcome = act === 'release' ? 'released' : 'condemned';
  await decide(ledger, REF, `${formatLogId(log)}@${entry.start}`, outcome, ACTOR, NEVER);
}

/** Held batches are released, any are condemned. */
function choose(act: 'release' | 'condemn', { batches }: LedgerWatch, rng: SeededRng): WatchedBatch | null {
  const eligible = [...batches.values()].filter(({ entry }) => act === 'condemn' || entry.verdict !== 'clean');
  return eligible.length === 0 ? null : rng.pick(eligible);
}

/** The batches that a message names as `LOG@OFFSET`. */
function batchesIn(message: string, { batches }: LedgerWatch): readonly WatchedBatch[] {
  const named = new Set([...message.matchAll(/[^\s"]+@\d+/g)].map(([name]) => name));
  return [...batches.values()].filter(({ log, entry }) => named.has(`${formatLogId(log)}@${entry.start}`));
}
