import { HaltError, HeadgateError, IntegrityError, RequestError } from '../../src/errors.ts';
import type { ObjectStore } from '../../src/ports/object-store.ts';
import { makeRejudge } from '../../src/publish/rejudge.ts';
import { formatLogId } from '../../src/record/log-id.ts';
import { schemaDigest } from '../../src/record/schema.ts';
import { approve } from '../../src/respond/approve-baseline.ts';
import { decide } from '../../src/respond/decisions.ts';
import { learn } from '../../src/respond/learn-baseline.ts';
import { openLedger, type LedgerContext } from '../../src/respond/ledger-context.ts';
import { pinSchema } from '../../src/respond/pin-schema.ts';
import { hold, resume, rollback, type Actor } from '../../src/respond/refs.ts';
import { historyOf, KEYS, LAST_CLEAN_REASON, REF, SCHEMAS, TOPICS, TRUST } from './genesis.ts';
import type { LedgerWatch } from './ledger-watch.ts';
import type { WatchedBatch } from './watched.ts';
import type { SimProcess } from './process.ts';
import type { SeededRng } from './rng.ts';
import { JUDGE_SETTINGS } from './worker.ts';

/** What a person may do at the command line. */
export const ACTS = ['hold', 'resume', 'rollback', 'release', 'condemn', 'learn', 'approve', 'retrain', 'pin'] as const;
export type Act = (typeof ACTS)[number];

/** Good times that a baseline may be learned from. */
const HISTORIES = 3;
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
  const { clock } = process;
  const actor = { signer: KEYS.approver, by: process.name, reason: 'because' };
  const ledger = openLedger(store, TRUST, clock);
  try {
    if (act === 'release' || act === 'condemn') await decideOn(ledger, actor, act, on ?? choose(act, watch, rng));
    else if (act === 'hold') await hold(ledger, REF, actor, NEVER);
    else if (act === 'resume') {
      const rejudge = makeRejudge({ store, layout: ledger.layout, clock, settings: JUDGE_SETTINGS });
      await resume(ledger, REF, actor, rejudge, KEYS.publisher, NEVER);
    } else if (act === 'rollback') await goBack(ledger, actor, watch, rng);
    else await train(ledger, actor, act, rng);
    return [];
  } catch (error) {
    // What people are told and can do something about; that the ledger contradicts itself is none of it, unless it was made to.
    const isDamage = error instanceof IntegrityError || error instanceof HaltError;
    if (!(error instanceof HeadgateError) || (isDamage && watch.named.tampered.length === 0)) throw error;
    return act === 'resume' && error instanceof RequestError ? batchesIn(error.message, watch) : [];
  }
}

/** To the one before, to the last clean one, or to any that was ever published, by its id or its time. */
async function goBack(ledger: LedgerContext, actor: Actor, { acts }: LedgerWatch, rng: SeededRng): Promise<void> {
  const to = rng.pick(['parent', 'last-clean', 'last-clean', 'any', 'time'] as const);
  const published = acts.flatMap(({ entry }) => (entry.kind === 'publish' ? [entry] : []));
  if (to === 'last-clean') {
    await rollback(ledger, REF, to, { ...actor, reason: LAST_CLEAN_REASON }, NEVER);
  } else if (to === 'parent' || published.length === 0) {
    const current = (await ledger.control.head()).state.refs[REF];
    const parent = current === undefined ? null : (await ledger.snapshots.read(current)).parent;
    await rollback(ledger, REF, parent ?? 'last-clean', actor, NEVER);
  } else {
    const { snapshot, time } = rng.pick(published);
    await rollback(ledger, REF, to === 'any' ? snapshot.slice(0, 16) : time, actor, NEVER);
  }
}

/** Learns a baseline, puts one in force, does both, or pins the other schema, which puts the one in force out of it. */
async function train(
  ledger: LedgerContext,
  actor: Actor,
  act: 'learn' | 'approve' | 'retrain' | 'pin',
  rng: SeededRng,
): Promise<void> {
  const topic = rng.pick(TOPICS);
  const which = rng.between(1, HISTORIES);
  const pinned = (await ledger.control.head()).state.schemas[topic]!;
  const other = SCHEMAS.find((schema) => schemaDigest(schema) !== pinned)!;
  if (act === 'pin') await pinSchema(ledger, topic, other, pinned, actor, NEVER);
  // Often, not always, someone sees to it that the new schema has a baseline.
  const isLearned = act === 'learn' || act === 'retrain' || (act === 'pin' && rng.chance(0.7));
  const schema = act === 'pin' ? schemaDigest(other) : pinned;
  if (isLearned) await learn(ledger, topic, historyOf(schema, which), { ...actor, signer: KEYS.publisher }, NEVER);
  if (act === 'approve' || (isLearned && act !== 'learn')) await approve(ledger, topic, undefined, actor, NEVER);
}

async function decideOn(
  ledger: LedgerContext,
  actor: Actor,
  act: 'release' | 'condemn',
  batch: WatchedBatch | null,
): Promise<void> {
  if (batch === null) return;
  const { log, entry } = batch;
  const outcome = act === 'release' ? 'released' : 'condemned';
  await decide(ledger, REF, `${formatLogId(log)}@${entry.start}`, outcome, actor, NEVER);
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
