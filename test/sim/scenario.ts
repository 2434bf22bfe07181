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
  readonly partitions: number;
  readonly mode: 'observe' | 'enforce';
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

/** What happens under a seed. */
export function scenarioOf(seed: number): Scenario {
  const rng = new SeededRng(seed, 'scenario');
  const workers = rng.between(2, 5);
  const partitions = rng.between(1, 8);
  const calmFromMs = rng.between(6, 16) * 1_000;
  const sometimes = (probability: number): number => (rng.chance(0.5) ? probability * rng.fraction() : 0);
  const faults = Object.fromEntries(
    Object.entries(CHANCES).map(([kind, chance]) => [kind, sometimes(chance)]),
  ) as unknown as Scenario['faults'];
  return {
    seed,
    workers,
    partitions,
    mode: rng.chance(0.2) ? 'observe' : 'enforce',
    ruleHalts: rng.chance(0.3),
    batch: { recordsMax: rng.between(5, 50), ageMaxMs: rng.between(300, 3_000) },
    publishIntervalMs: rng.between(500, 3_000),
    faults,
    writes: plannedWrites(rng, partitions, calmFromMs),
    events: plannedEvents(rng, workers, calmFromMs),
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

function plannedEvents(rng: SeededRng, workers: number, untilMs: number): PlannedEvent[] {
  return Array.from({ length: rng.between(0, 8) }, (_, i) => {
    const atMs = rng.between(500, untilMs);
    const what = plannedEvent(rng, workers);
    return { name: `${what.kind}@${atMs}#${i}`, atMs, what };
  });
}

function plannedEvent(rng: SeededRng, workers: number): PlannedEvent['what'] {
  const worker = rng.between(0, workers - 1);
  const kind = rng.pick([
    'crash',
    'crash',
    'freeze',
    'freeze',
    'rebalance',
    'rebalance',
    'rebalance',
    'rebalance',
    'queue-wiped',
    'clock-jump',
    ...ACTS,
  ] as const);
  if (kind === 'crash') return { kind, worker, ms: 0 };
  if (kind === 'freeze') return { kind, worker, ms: rng.between(100, 12_000) };
  if (kind === 'clock-jump') return { kind, worker, ms: rng.between(-3_600_000, 3_600_000) };
  return { kind };
}
