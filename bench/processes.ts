/** Runs of whole processes: their wall-clock time and peak memory. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const FLOOR = fileURLToPath(new URL('floor.js', import.meta.url));
const GNU_TIME = '/usr/bin/time';

/** What one process took. */
export interface Run {
  readonly seconds: number;
  /** Peak resident memory in MiB; NaN where GNU time is not installed. */
  readonly peakMebibytes: number;
}

/** The floor over a file of records. */
export function runFloor(path: string, scratch: string): Run {
  return time([FLOOR, path], scratch);
}

/**
 * One `headgate run --once` over a fresh store, which is removed afterwards; only that command is timed.
 * @param source options of `headgate init` that name it.
 * @param history records that a baseline is learnt from and approved; null = no baseline.
 */
export function runPipeline(scratch: string, source: readonly string[], history: string | null): Run {
  const folder = mkdtempSync(join(scratch, 'pipeline-'));
  const headgate = (...args: string[]): void =>
    void execFileSync(process.execPath, [MAIN, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  headgate('init', '.', '--pipeline', 'bench', ...source);
  // The group remembers the last commit as a witness against rolled-back stores; each pass has a store of its own.
  const config = join(folder, 'headgate.yaml');
  writeFileSync(config, readFileSync(config, 'utf8').replace('"headgate-bench"', JSON.stringify(folder)));
  if (history !== null) {
    headgate('baseline', 'learn', '--files', history, '--topic', 'orders');
    headgate('baseline', 'approve', '--topic', 'orders');
  }
  const run = time([MAIN, 'run', '--once'], folder);
  rmSync(folder, { recursive: true });
  return run;
}

/** One command of the built program. @param nodeOptions as NODE_OPTIONS takes them */
export function runHeadgate(folder: string, args: readonly string[], nodeOptions = ''): Run {
  return time([...nodeOptions.split(' ').filter(Boolean), MAIN, ...args], folder);
}

/** What a script of this folder prints. */
export function outputOf(script: string): string {
  const path = fileURLToPath(new URL(`${script}.js`, import.meta.url));
  return execFileSync(process.execPath, [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trimEnd();
}

/** The value in the middle; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

function time(args: readonly string[], cwd: string): Run {
  const timed = existsSync(GNU_TIME);
  const [command, ...rest]: [string, ...string[]] = timed
    ? [GNU_TIME, '-f', '%M', process.execPath, ...args]
    : [process.execPath, ...args];
  const started = process.hrtime.bigint();
  const run = spawnSync(command, rest, { cwd, encoding: 'utf8' });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (run.status !== 0) throw new Error(`${args.join(' ')} ended with ${run.status}\n${run.stdout}\n${run.stderr}`);
  return { seconds, peakMebibytes: timed ? Number(run.stderr.trim().split('\n').at(-1)) / 1_024 : Number.NaN };
}
