import { ROLES_OF_KIND, type ControlAct, type ControlEntry } from './control-entry.ts';
import type { ControlState } from './control-state.ts';
import { recordOf } from './named-records.ts';
import type { Snapshot } from './snapshot.ts';
import type { Role } from './trust.ts';

/**
 * Who may sign an act on a state. Machines pin the first schema of a topic; what replaces it changes how all that follows is
 * read, and takes a baseline out of force that a person has approved: that is a person's act.
 */
export function rolesOf({ schemas }: ControlState, act: ControlAct | ControlEntry): readonly Role[] {
  return act.kind === 'schema' && schemas[act.topic] !== undefined ? ['approver'] : ROLES_OF_KIND[act.kind];
}

/**
 * Why an act may not follow on a state; null if it may. The same rules bind who writes an entry and who reads it, so that
 * no key can do by a hand-made entry what its owner could not do with the program.
 *
 * A publish builds on the snapshot that the ref names and waits for a hold; a rollback starts from there too and goes
 * somewhere else (matrix R1, R3, R4). A schema is pinned once: the same one again would only take the baseline out of force.
 */
export function actFault({ refs, holds, schemas }: ControlState, act: ControlAct | ControlEntry): string | null {
  if (act.kind === 'schema')
    return schemas[act.topic] === act.schema ? `schema ${act.schema} is pinned for "${act.topic}" already` : null;
  if (act.kind !== 'publish' && act.kind !== 'rollback') return null;
  const named = refs[act.ref] ?? null;
  const from = act.kind === 'publish' ? act.parent : act.from;
  if (from !== named) return `it builds on snapshot ${from ?? 'none'}, "${act.ref}" names ${named ?? 'none'}`;
  if (act.kind === 'rollback') return act.to === act.from ? 'it goes back to where the ref is' : null;
  const heldAt = holds[act.ref];
  return heldAt === undefined ? null : `"${act.ref}" is on hold since control entry ${heldAt}`;
}

/**
 * The baselines of a snapshot that a rollback to it puts in force: those of topics whose schema was replaced since then stay
 * out, for they were learned under another one.
 */
export function baselinesInForce(
  { repinned }: ControlState,
  { baselines, controlSeq }: Pick<Snapshot, 'baselines' | 'controlSeq'>,
): Record<string, string> {
  return recordOf(Object.entries(baselines).filter(([topic]) => (repinned?.[topic] ?? -1) <= controlSeq));
}
