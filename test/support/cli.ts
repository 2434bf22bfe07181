import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The built command; tests that start processes run what users run. */
export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** What a finished command printed. */
export interface CommandOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed. */
  readonly input?: string;
  /** User and group to run as, which only root may choose. */
  readonly uid?: number;
}

/** Runs `headgate …args` to its end. */
export async function headgate(args: readonly string[], options: CommandOptions): Promise<CommandOutput> {
  const running = startHeadgate(args, options);
  return running.done;
}

/** Runs a command with --json that must succeed, and parses its last line. */
export async function headgateJson<Result = Record<string, unknown>>(
  args: readonly string[],
  options: CommandOptions,
): Promise<Result> {
  const { code, stdout, stderr } = await headgate([...args, '--json'], options);
  if (code !== 0) throw new Error(`headgate ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
}

/** A running command. */
export interface RunningCommand {
  readonly process: ChildProcess;
  readonly done: Promise<CommandOutput>;
  /** Resolves when `text` has appeared in what it printed. */
  waitFor(text: string, timeoutMs?: number): Promise<void>;
}

/** Starts `headgate …args`. */
export function startHeadgate(args: readonly string[], { cwd, env = {}, input, uid }: CommandOptions): RunningCommand {
  if (!existsSync(MAIN)) throw new Error(`Cannot start headgate: "${MAIN}" is missing (mend: npm run build)`);
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...process.env, ...env },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (part: Buffer) => (stdout += part.toString('utf8')));
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString('utf8')));
  if (input !== undefined) child.stdin.write(input);
  child.stdin.on('error', () => undefined).end();
  const done = new Promise<CommandOutput>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? (signal === 'SIGKILL' ? 137 : 143), stdout, stderr }));
  });
  const waitFor = async (text: string, timeoutMs = 30_000): Promise<void> => {
    const until = Date.now() + timeoutMs;
    while (!`${stdout}${stderr}`.includes(text)) {
      if (Date.now() > until || child.exitCode !== null)
        throw new Error(`"${text}" did not appear in time; printed:\n${stdout}\n${stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  return { process: child, done, waitFor };
}
