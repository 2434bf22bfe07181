import { ACTS, type Act } from './person.ts';
import type { CallFaults } from './process.ts';
import { SeededRng } from './rng.ts';
import type { SourceFaults } from './source.ts';
import type { StoreFaults } from './store.ts';

/** Something that is to happen at a certain time; a fault, or what a person does. */
export interface PlannedEvent {
  /** Unique in the scenario. */
  readonly name: string;
  readonly atMs: number;
  readonly what:
    | { readonly kind: 'crash' | 'freeze'; readonly worker: number; readonly ms: number }
    | { readonly kind: 'rebalance' | 'queue-wiped' }
    /** So many records are written, and a share of all that the source holds is deleted before anyone can have read them. */
    | { readonly kind: 'retention'; readonly partition: number; readonly records: number; readonly share: number }
    /** Someone alters what is stored unsigned: hints and receipts. All must go on as if nothing had happened. */
    | { readonly kind: 'hint-altered'; readonly place: number; readonly how: number }
    /** Someone alters or deletes a signed object, or one that is named by one. */
    | { readonly kind: 'tampering'; readonly place: number; readonly how: number }
    | { readonly kind: 'clock-jump'; readonly worker: number; readonly ms: number }
    | { readonly kind: Act };
}

/** Records that a producer writes at once. */
export interface PlannedWrite {
  readonly atMs: number;
  readonly partition: number;
  readonly records: number;
  /** How long it takes to write them, one after the other. */
  readonly ms: number;
  /** What they are like. */
  readonly nature: 'ordinary' | 'broken' | 'garbage' | 'skipped';
}

/** Everything that a seed decides. */
export interface Scenario {
  readonly seed: number;
  readonly workers: number;
  /** Of all topics together. */
  readonly partitions: number;
  readonly topics: number;
  readonly mode: 'observe' | 'enforce';
  /** What is done where records were deleted before they were read. */
  readonly onGap: 'halt' | 'continue';
  /** Whether the rule that broken records break stops the partition. */
  readonly ruleHalts: boolean;
  readonly batch: { readonly recordsMax: number; readonly ageMaxMs: number };
  readonly publishIntervalMs: number;
  readonly faults: CallFaults & StoreFaults & SourceFaults & { readonly undelivered: number; readonly broken: number };
  readonly writes: readonly PlannedWrite[];
  readonly events: readonly PlannedEvent[];
  /** From here on nothing goes wrong any more. */
  readonly calmFromMs: number;
}

/** How likely a kind of fault is, where a scenario has it at all. */
const CHANCES: Readonly<Record<keyof Scenario['faults'], number>> = {
  crashBefore: 0.003,
  crashAfter: 0.003,
  slow: 0.05,
  refused: 0.15,
  answerLost: 0.1,
  late: 0.03,
  lost: 0.03,
  twice: 0.05,
  redelivered: 0.2,
  undelivered: 0.2,
  straggling: 0.3,
  broken: 0.1,
};

/** Share of the runs in which someone alters what is stored. */
const TAMPERED_SHARE = 0.12;

const INCIDENT_ACTS = [
  'release',
  'release',
  'condemn',
  'condemn',
  'rollback',
  'rollback',
  'rollback',
  'hold',
  'retrain',
] as const;
const INCIDENT_MS = 2_000;

/** What happens under a seed. */
export function scenarioOf(seed: number): Scenario {
  const rng = new SeededRng(seed, 'scenario');
  // Small ones are as likely to go wrong, and are over sooner.
  const workers = rng.pick([2, 2, 2, 3, 3, 4, 5]);
  const partitions = rng.pick([1, 2, 2, 3, 3, 4, 5, 8]);
  const topics = partitions > 1 && rng.chance(0.4) ? 2 : 1;
  const calmFromMs = rng.between(5, 14) * 1_000;
  const sometimes = (probability: number): number => (rng.chance(0.5) ? probability * rng.fraction() : 0);
  const faults = Object.fromEntries(
    Object.entries(CHANCES).map(([kind, chance]) => [kind, sometimes(chance)]),
  ) as unknown as Scenario['faults'];
  return {
    seed,
    workers,
    partitions,
    topics,
    onGap: rng.chance(0.5) ? 'halt' : 'continue',
    mode: rng.chance(0.2) ? 'observe' : 'enforce',
    ruleHalts: rng.chance(0.3),
    batch: { recordsMax: rng.between(5, 50), ageMaxMs: rng.between(300, 3_000) },
    publishIntervalMs: rng.between(500, 3_000),
    faults,
    writes: plannedWrites(rng, partitions, calmFromMs),
    events: plannedEvents(rng, workers, partitions, calmFromMs),
    calmFromMs,
  };
}

function plannedWrites(rng: SeededRng, partitions: number, untilMs: number): PlannedWrite[] {
  return Array.from({ length: rng.between(2, 9) }, () => ({
    atMs: rng.between(0, untilMs),
    partition: rng.between(0, partitions - 1),
    records: rng.between(1, 40),
    ms: rng.chance(0.5) ? 0 : rng.between(100, 4_000),
    nature: rng.pick(['ordinary', 'ordinary', 'ordinary', 'ordinary', 'ordinary', 'broken', 'garbage', 'skipped']),
  }));
}

function plannedEvents(rng: SeededRng, workers: number, partitions: number, untilMs: number): PlannedEvent[] {
  const hasRetention = rng.chance(0.3);
  const planned = Array.from({ length: rng.between(0, 10) }, () =>
    plannedEvent(rng, workers, partitions, hasRetention),
  );
  if (rng.chance(TAMPERED_SHARE)) planned.push({ kind: 'tampering', place: rng.fraction(), how: rng.fraction() });
  const timed = planned.map((what) => ({ what, atMs: rng.between(500, untilMs) }));
  if (rng.chance(0.4)) timed.push(...plannedIncident(rng, untilMs));
  return timed.map(({ what, atMs }, i) => ({ name: `${what.kind}@${atMs}#${i}`, atMs, what }));
}

/** People who act within moments of each other, on the same batches. */
function plannedIncident(rng: SeededRng, untilMs: number): Pick<PlannedEvent, 'what' | 'atMs'>[] {
  const fromMs = rng.between(2_000, untilMs);
  return Array.from({ length: rng.between(2, 5) }, () => ({
    what: { kind: rng.pick(INCIDENT_ACTS) },
    atMs: fromMs + rng.between(0, INCIDENT_MS),
  }));
}

function plannedEvent(
  rng: SeededRng,
  workers: number,
  partitions: number,
  hasRetention: boolean,
): PlannedEvent['what'] {
  const worker = rng.between(0, workers - 1);
  const kind = rng.pick([
    'crash',
    'crash',
    'freeze',
    'freeze',
    'rebalance',
    'rebalance',
    'rebalance',
    'queue-wiped',
    'clock-jump',
    'hint-altered',
    hasRetention ? 'retention' : 'rebalance',
    hasRetention ? 'retention' : 'crash',
    ...ACTS,
  ] as const);
  if (kind === 'crash') return { kind, worker, ms: 0 };
  if (kind === 'freeze') return { kind, worker, ms: rng.between(100, 12_000) };
  if (kind === 'clock-jump') return { kind, worker, ms: rng.between(-3_600_000, 3_600_000) };
  if (kind === 'retention')
    return { kind, partition: rng.between(0, partitions - 1), records: rng.between(0, 20), share: rng.fraction() };
  if (kind === 'hint-altered') return { kind, place: rng.fraction(), how: rng.fraction() };
  return { kind };
}
