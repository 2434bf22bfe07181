import { scenarioOf } from './scenario.ts';
import { Simulation, type Outcome } from './simulation.ts';
import { shrink } from './shrink.ts';
import type { Violation } from './world.ts';

/** Runs that look for a smaller failing one. */
const SHRINK_TRIES_MAX = 120;

/** A broken promise with the least that breaks it. */
export interface Failure {
  readonly seed: number;
  readonly message: string;
  /** Faults and acts that are enough, by name. */
  readonly happened: readonly string[];
}

/** What a run of several seeds adds up to. */
export interface Part {
  readonly from: number;
  readonly to: number;
  readonly seeds: number;
  readonly failures: readonly Failure[];
  readonly events: number;
  readonly simulatedMs: number;
  readonly faults: number;
  readonly records: number;
  readonly batches: number;
  readonly snapshots: number;
  readonly halts: number;
}

/** Runs one seed. @param only names of the faults and acts that may happen; null = all */
async function runSeed(seed: number, only: readonly string[] | null = null): Promise<Outcome> {
  return new Simulation(scenarioOf(seed), only === null ? null : new Set(only)).run();
}

/**
 * Runs the seeds from `from` to `to`, both included.
 * @param failures `all` of them, each made as small as it gets; or the `first` one as it is, and nothing after it.
 */
export async function runPart(from: number, to: number, failures: 'all' | 'first'): Promise<Part> {
  let part: Part = {
    from,
    to,
    seeds: 0,
    failures: [],
    events: 0,
    simulatedMs: 0,
    faults: 0,
    records: 0,
    batches: 0,
    snapshots: 0,
    halts: 0,
  };
  for (let seed = from; seed <= to; seed++) {
    if (failures === 'first' && part.failures.length > 0) break;
    const outcome = await runSeed(seed);
    part = {
      ...part,
      seeds: part.seeds + 1,
      failures: [...part.failures, ...(await failureOf(outcome, failures === 'all'))],
      events: part.events + outcome.events,
      simulatedMs: part.simulatedMs + outcome.simulatedMs,
      faults: part.faults + outcome.happened.length,
      records: part.records + outcome.records,
      batches: part.batches + outcome.batches,
      snapshots: part.snapshots + outcome.snapshots,
      halts: part.halts + outcome.halts,
    };
  }
  return part;
}

/** The failing run, with as few faults as still break the same promise if it is to be `shrunk`; none if it did not fail. */
async function failureOf({ seed, violation, happened }: Outcome, isShrunk: boolean): Promise<readonly Failure[]> {
  if (violation === null) return [];
  const runWith = async (names: readonly string[]): Promise<Violation | null> => (await runSeed(seed, names)).violation;
  const fails = async (names: readonly string[]): Promise<boolean> =>
    (await runWith(names))?.invariant === violation.invariant;
  const left = isShrunk ? await shrink(happened, fails, SHRINK_TRIES_MAX) : happened;
  const { message } = (isShrunk ? await runWith(left) : null) ?? violation;
  return [{ seed, message, happened: left }];
}
