import type { ControlState } from '../ledger/control-state.ts';
import type { UndecidedReason } from '../ledger/partition-entry.ts';
import { counted, formatCount } from './output.ts';

/** Batches of one run that got no verdict of their own, by topic and reason. */
export class Unjudged {
  readonly #counts = new Map<string, Map<UndecidedReason, number>>();

  add(topic: string, reason: UndecidedReason): void {
    const reasons = this.#counts.get(topic) ?? new Map<UndecidedReason, number>();
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    this.#counts.set(topic, reasons);
  }

  /** Why, and the next command: a line a topic and reason. */
  hints(state: ControlState, process: Publishing): string[] {
    const isOneOfSeveral = this.#counts.size > 1;
    return [...this.#counts].flatMap(([topic, reasons]) =>
      [...reasons].flatMap(([reason, count]) => {
        const hint = hintFor(reason, counted(count, 'batch'), state, { ...process, topic, isOneOfSeveral });
        return hint === null ? [] : [`${isOneOfSeveral ? `topic "${topic}": ` : ''}${hint}`];
      }),
    );
  }
}

/** What becomes of the batches of a process. */
interface Publishing {
  /** The published ref. */
  readonly ref: string;
  readonly mode: 'enforce' | 'observe';
  /** Fewer records are not judged alone. */
  readonly recordsMin: number;
  /** True if the process publishes, too. */
  readonly publishes: boolean;
}

function hintFor(
  reason: UndecidedReason,
  batches: string,
  { baselines, candidates, refs }: ControlState,
  about: Publishing & { readonly topic: string; readonly isOneOfSeveral: boolean },
): string | null {
  const { ref, mode, recordsMin, publishes, topic, isOneOfSeveral } = about;
  // Whatever was read in observe mode is published, and not judged again.
  const isHeld = mode === 'enforce';
  if (reason === 'failed')
    return `judging ${batches} failed${isHeld ? ': headgate quarantine list shows them' : '; published all the same: headgate quarantine list --published shows them'}`;
  if (reason === 'small') {
    const small = `${batches} in which fewer than ${recordsMin} records decoded: too few to be judged alone`;
    return `${small}, ${isHeld ? 'judged together when published' : 'published all the same'}`;
  }
  const option = isOneOfSeveral ? ` --topic ${topic}` : '';
  if (baselines[topic] !== undefined)
    // The publish that ended this run has judged them.
    return publishes || !isHeld ? null : `${batches} wait to be judged by the new baseline: headgate publish --once`;
  if (candidates[topic] !== undefined)
    return `a learned baseline waits for approval: headgate baseline approve${option}`;
  if (refs[ref] === undefined)
    return `there is no baseline yet, and "${ref}" is not published: headgate publish --once`;
  return `there is no baseline yet: headgate baseline learn ${isHeld ? '--held' : '--published'}${option}`;
}

/** A batch that was read before there was a baseline. */
interface ReadBefore {
  readonly topic: string;
  readonly rows: number;
}

/** Why a batch that was read before there was a baseline is still held, and what is next. */
export function whyNoBaseline({ topic, rows }: ReadBefore, state: ControlState, recordsMin: number): string {
  if (state.baselines[topic] !== undefined)
    return rows < recordsMin ? whySmall(rows, recordsMin) : 'the next publish judges it by the new baseline';
  if (state.candidates[topic] !== undefined) return 'a learned baseline waits for approval (headgate baseline approve)';
  return 'there is no baseline yet (headgate baseline learn --held)';
}

/** Why a batch that is too small to be judged alone is held, and the ways out. */
export function whySmall(rows: number, recordsMin: number): string {
  return `${formatCount(rows)} of the ${formatCount(recordsMin)} records that judging takes: judged together with the next small batches, or by a person (headgate quarantine release)`;
}

/** Why a batch stays held that was read before the schema was replaced. */
export const WHY_OTHER_SCHEMA =
  'it was read by a schema that is pinned no more, and no baseline judges it: a person decides (headgate quarantine release or condemn)';

/** Why a batch stays held that was clean by a baseline which went out of force before it was published. */
export const WHY_STALE =
  'it was clean by a baseline that is out of force, and none in force can judge it: a person decides (headgate quarantine release or condemn)';
