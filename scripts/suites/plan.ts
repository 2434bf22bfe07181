import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CHECK_SUITES } from './checks.ts';
import type { Suite } from './suite.ts';

/** Order of the folders of test/: what fails fastest comes first. Folders that are not named here come before `long`. */
const FOLDER_ORDER = ['unit', 'attacks', 'sim', 'contract', 'crash', 'integration', 'e2e', 'regressions'];

/** The suites that only `--full` runs. */
const LONG_FOLDER = 'long';

/** Folders whose tests reach nothing outside their process. */
const FOLDERS_WITHOUT_SERVICES: ReadonlySet<string> = new Set(['unit', 'attacks', 'sim']);

/** What the command line asks for. */
export interface RunRequest {
  /** Names of suites; empty for all. */
  readonly names: readonly string[];
  /** True to run test/long as well. */
  readonly full: boolean;
}

/** The suites to run, in order: the checks, then each folder of test/ that holds a `*.test.ts`.
 * @throws {RangeError} if a named suite does not exist, listing those that do. */
export function planSuites(root: string, request: RunRequest): Suite[] {
  const all = [...CHECK_SUITES, ...discoverFolders(root).map(folderSuite)];
  const unknown = request.names.filter((name) => !all.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    const known = all.map((suite) => suite.name).join(', ');
    throw new RangeError(`Cannot run ${unknown.map((name) => `"${name}"`).join(', ')}: the suites are ${known}`);
  }
  if (request.names.length > 0) return all.filter((suite) => request.names.includes(suite.name));
  return all.filter((suite) => suite.name !== LONG_FOLDER || request.full);
}

/** Names of the folders of test/ with at least one `*.test.ts` at any depth, in the order in which they run. */
export function discoverFolders(root: string): string[] {
  const names = readdirSync(join(root, 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((name) =>
      readdirSync(join(root, 'test', name), { recursive: true }).some((file) => String(file).endsWith('.test.ts')),
    );
  return names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

function rank(name: string): number {
  if (name === LONG_FOLDER) return FOLDER_ORDER.length + 1;
  const index = FOLDER_ORDER.indexOf(name);
  return index < 0 ? FOLDER_ORDER.length : index;
}

function folderSuite(name: string): Suite {
  const minutes = name === LONG_FOLDER ? 60 : 15;
  return { name, kind: 'tests', needsServices: !FOLDERS_WITHOUT_SERVICES.has(name), limitMs: minutes * 60_000 };
}
