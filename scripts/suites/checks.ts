import { join } from 'node:path';
import { runCommand } from '../services/command.ts';
import { judgeCommand, toolEnvironment, type Suite, type SuiteResult } from './suite.ts';

const MINUTES_5 = 300_000;

interface Check {
  readonly name: string;
  /** npm, or a program of node_modules/.bin, and its arguments. */
  readonly command: readonly [program: string, ...programArguments: string[]];
}

const CHECKS: readonly Check[] = [
  { name: 'typecheck', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'format', command: ['oxfmt', '--check'] },
  { name: 'unused', command: ['knip', '--no-progress'] },
  { name: 'build', command: ['npm', 'run', '--silent', 'build'] },
];

/** The checks of the whole repository, in the order in which they run; the last one builds `dist` for the tests. */
export const CHECK_SUITES: readonly Suite[] = CHECKS.map(({ name }) => ({
  name,
  kind: 'check',
  needsServices: false,
  limitMs: MINUTES_5,
}));

/** Runs one check.
 * @throws {RangeError} if `suite` is not one of {@link CHECK_SUITES}. */
export async function runCheck(root: string, suite: Suite, signal: AbortSignal): Promise<SuiteResult> {
  const check = CHECKS.find(({ name }) => name === suite.name);
  if (check === undefined) throw new RangeError(`Cannot run check "${suite.name}": there is none`);
  const [program, ...programArguments] = check.command;
  const options = { cwd: root, environment: toolEnvironment(), timeoutMs: suite.limitMs, signal };
  const path = program === 'npm' ? program : join(root, 'node_modules', '.bin', program);
  return judgeCommand(suite, await runCommand(path, programArguments, options));
}
