import { join } from 'node:path';
import type { ServiceContext } from './context.ts';
import { readJson, writeWhole } from './files.ts';
import type { Addresses } from './service.ts';

/** What was started and how it is reached: written by `services start`, read by the tests. */
export interface ServicesState {
  readonly version: 1;
  /** Who runs the servers that the environment does not name. */
  readonly engine: 'docker' | 'local';
  readonly addresses: Partial<Addresses>;
}

/** Path of the state file. */
export function stateFile(context: Pick<ServiceContext, 'folder'>): string {
  return join(context.folder, 'state.json');
}

/** True when `value`, parsed from a state file, has this version's form. */
export function isServicesState(value: unknown): value is ServicesState {
  if (typeof value !== 'object' || value === null) return false;
  const { version, addresses } = value as { version?: unknown; addresses?: unknown };
  return version === 1 && typeof addresses === 'object' && addresses !== null;
}

/** The stored state; null when nothing was started yet, or another version wrote it. */
export async function readState(context: ServiceContext): Promise<ServicesState | null> {
  const value = await readJson(stateFile(context));
  return isServicesState(value) ? value : null;
}

/** Stores the state. It holds the accounts of test servers on loopback, so only its owner may read it. */
export async function writeState(context: ServiceContext, state: ServicesState): Promise<void> {
  await writeWhole(stateFile(context), `${JSON.stringify(state, null, 2)}\n`, 0o600);
}
