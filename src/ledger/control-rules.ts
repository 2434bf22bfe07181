import type { ControlAct, ControlEntry } from './control-entry.ts';
import type { ControlState } from './control-state.ts';

/**
 * Why an act may not follow on a state; null if it may. The same rules bind who writes an entry and who reads it, so that
 * no key can do by a hand-made entry what its owner could not do with the program.
 *
 * A publish builds on the snapshot that the ref names and waits for a hold; a rollback starts from there too and goes
 * somewhere else (matrix R1, R3, R4).
 */
export function actFault({ refs, holds }: ControlState, act: ControlAct | ControlEntry): string | null {
  if (act.kind !== 'publish' && act.kind !== 'rollback') return null;
  const named = refs[act.ref] ?? null;
  const from = act.kind === 'publish' ? act.parent : act.from;
  if (from !== named) return `it builds on snapshot ${from ?? 'none'}, "${act.ref}" names ${named ?? 'none'}`;
  if (act.kind === 'rollback') return act.to === act.from ? 'it goes back to where the ref is' : null;
  const heldAt = holds[act.ref];
  return heldAt === undefined ? null : `"${act.ref}" is on hold since control entry ${heldAt}`;
}
