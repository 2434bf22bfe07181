import type { CommandResult } from '../services/command.ts';

/** One row of the final table: a check of the whole repository, or one folder of tests. */
export interface Suite {
  readonly name: string;
  readonly kind: 'check' | 'tests';
  /** True when Kafka, the S3 server and the rest must be up before it starts. */
  readonly needsServices: boolean;
  /** Past this it is killed and has failed. */
  readonly limitMs: number;
}

/** What a suite came to. */
export interface SuiteResult {
  readonly name: string;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  /** Everything to print when it failed: the tool's own output, then what this runner found. */
  readonly explanation: string;
}

/** Result of a suite that is one command: it has passed when the command ended with 0. */
export function judgeCommand(suite: Suite, { code, output, seconds }: CommandResult): SuiteResult {
  if (code === 0) return { name: suite.name, seconds, passed: 1, failed: 0, explanation: '' };
  return { name: suite.name, seconds, passed: 0, failed: 1, explanation: explain(output, [describeEnd(suite, code)]) };
}

/** How a command ended that did not end with 0. */
export function describeEnd(suite: Suite, code: number | null): string {
  return code === null
    ? `Suite ${suite.name} was killed: by its time limit of ${suite.limitMs / 60_000} min, by an interrupt, or it never started`
    : `Suite ${suite.name} ended with exit code ${code}`;
}

/** Output of a tool and findings of this runner, as one text. */
export function explain(output: string, findings: readonly string[]): string {
  return [output.trimEnd(), ...findings].filter((part) => part !== '').join('\n');
}

/** This process's environment, with colours as on our own output: tools see a pipe, and some colour it in CI. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  const { NO_COLOR: _noColor, FORCE_COLOR: _forceColor, ...environment } = process.env;
  return { ...environment, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }) };
}
