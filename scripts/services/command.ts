import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { dirname } from 'node:path';

/** How one command is run. */
export interface CommandOptions {
  readonly cwd?: string;
  /** Whole environment of the command; by default this process's. */
  readonly environment?: NodeJS.ProcessEnv;
  /** All output is appended here as well. */
  readonly logFile?: string;
  /** True for installs: tests that run beside them come first. */
  readonly background?: boolean;
  /** After this many milliseconds the command and its children are killed and the exit code is null. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Text for standard input; by default it is closed. */
  readonly input?: string;
}

/** What a finished command left behind. */
export interface CommandResult {
  /** Exit code; null when it was killed or never started. */
  readonly code: number | null;
  /** Standard output and standard error, interleaved as they came; the last {@link OUTPUT_CHARACTERS_MAX} characters. */
  readonly output: string;
  readonly seconds: number;
}

/** Most output that is kept in memory of one command; the log file has all of it. */
export const OUTPUT_CHARACTERS_MAX = 4_000_000;

/** Runs a command to its end and never throws for its exit code, nor for a program that does not exist (code null). */
export async function runCommand(
  command: string,
  commandArguments: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const startedMs = performance.now();
  if (options.signal?.aborted === true) return { code: null, output: 'Interrupted', seconds: 0 };
  if (options.logFile !== undefined) await mkdir(dirname(options.logFile), { recursive: true });
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile, { flags: 'a' });
  // A group of its own: a compiler's or a test runner's children must end with it.
  const child = spawn(command, commandArguments, {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.environment === undefined ? {} : { env: options.environment }),
  });
  let output = '';
  const collect = (text: string): void => {
    output = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
    log?.write(text);
  };
  child.stdout.setEncoding('utf8').on('data', collect);
  child.stderr.setEncoding('utf8').on('data', collect);
  // A command that ends without reading its input is no fault of ours.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  if (options.background === true && child.pid !== undefined) lowerPriority(child.pid);

  const kill = (): void => {
    if (child.pid !== undefined) killGroup(child.pid);
  };
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(kill, options.timeoutMs);
  options.signal?.addEventListener('abort', kill, { once: true });
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      collect(`${error.message}\n`);
      resolve(null);
    });
    child.once('close', resolve);
  });
  clearTimeout(timer);
  options.signal?.removeEventListener('abort', kill);
  if (log !== undefined) await new Promise((resolve) => log.end(resolve));
  return { code, output, seconds: (performance.now() - startedMs) / 1_000 };
}

/** Like {@link runCommand}, for a step that must succeed.
 * @returns its output.
 * @throws {Error} with the last 30 lines of output if the exit code is not 0. */
export async function runStep(
  what: string,
  command: string,
  commandArguments: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, output } = await runCommand(command, commandArguments, options);
  if (code === 0) return output;
  const log = options.logFile === undefined ? '' : ` (all of it: ${options.logFile})`;
  const ended = options.signal?.aborted === true ? 'was interrupted' : `ended with ${code ?? 'a signal'}`;
  throw new Error(
    `Cannot ${what}: \`${[command, ...commandArguments].join(' ')}\` ${ended}${log}\n${lastLines(output, 30)}`,
  );
}

/** The last `count` lines of `text`, without trailing blank ones. */
export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, 10);
  } catch {
    // It has ended already, or the system does not allow it: only a courtesy to the tests.
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has ended already.
  }
}
