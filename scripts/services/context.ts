import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What every step of installing and starting is given: where, with which environment, and who hears of it. */
export interface ServiceContext {
  /** Repository root, absolute. */
  readonly root: string;
  /** Everything that is installed, run or logged lives below this folder, absolute; by default `.services` of the root. */
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** True when missing system packages may be installed without asking (root in CI, or `--yes`). */
  readonly mayInstallPackages: boolean;
  /** Prints one line of progress. */
  readonly report: (line: string) => void;
  /** Ends installs and waits; servers that are already up stay up. */
  readonly signal: AbortSignal;
}

/** Folder of the nearest package.json at or above `from`: the same root from the sources and from `dist`.
 * @throws {Error} if there is none. */
export function findRoot(from: string = dirname(fileURLToPath(import.meta.url))): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (dirname(folder) === folder)
      throw new Error(`Cannot find the repository: no package.json at or above "${from}"`);
  }
}

/** Options of {@link createContext} that differ between commands and tests. */
export interface ContextOptions {
  readonly root?: string;
  readonly folder?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** True when the user said `--yes`. */
  readonly yes?: boolean;
  readonly report?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** A context for this repository; system packages may be installed only by root, and only in CI or with `yes`. */
export function createContext(options: ContextOptions = {}): ServiceContext {
  const root = options.root ?? findRoot();
  const environment = options.environment ?? process.env;
  const inCi = environment['CI'] !== undefined && environment['CI'] !== '' && environment['CI'] !== 'false';
  return {
    root,
    folder: options.folder ?? join(root, '.services'),
    environment,
    mayInstallPackages: process.getuid?.() === 0 && (inCi || options.yes === true),
    report: options.report ?? ((line) => process.stderr.write(`${line}\n`)),
    signal: options.signal ?? new AbortController().signal,
  };
}
