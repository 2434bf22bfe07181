import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** One process, told apart from a later one that was given the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in the system's own terms; only equality means anything. */
  readonly started: string;
}

/** Identity of the process that has `pid` now; null when there is none, or only its unreaped remains. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  const started = process.platform === 'linux' ? linuxStart(pid) : portableStart(pid);
  return started === null ? null : { pid, started };
}

/** True while exactly this process runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.started === identity.started;
}

/** What is started in the background. */
export interface DaemonCommand {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly cwd: string;
  /** Added to this process's environment. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Both outputs are appended here. */
  readonly logFile: string;
}

/** Starts a process that outlives this one, in a session of its own, so that neither Ctrl-C nor our end reaches it.
 * @throws {Error} if the program cannot be started. */
export async function startDaemon(daemon: DaemonCommand): Promise<ProcessIdentity> {
  await mkdir(dirname(daemon.logFile), { recursive: true });
  const log = openSync(daemon.logFile, 'a');
  try {
    const child = spawn(daemon.command, daemon.arguments, {
      cwd: daemon.cwd,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...daemon.environment },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    const identity = child.pid === undefined ? null : identifyProcess(child.pid);
    if (identity === null)
      throw new Error(`Cannot start "${daemon.command}": it ended at once; its output is in ${daemon.logFile}`);
    return identity;
  } finally {
    closeSync(log);
  }
}

/** Ends a process: `signal` first, SIGKILL after `graceMs`. Never signals a process that only inherited the pid.
 * @returns false if it was not running.
 * @throws {Error} if it still runs 10 s after SIGKILL. */
export async function stopProcess(
  identity: ProcessIdentity,
  signal: NodeJS.Signals = 'SIGTERM',
  graceMs = 20_000,
): Promise<boolean> {
  if (!sendSignal(identity, signal)) return false;
  if (await endsWithin(identity, graceMs)) return true;
  sendSignal(identity, 'SIGKILL');
  if (await endsWithin(identity, 10_000)) return true;
  throw new Error(`Cannot stop process ${identity.pid}: it still runs 10 s after SIGKILL`);
}

function sendSignal(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

async function endsWithin(identity: ProcessIdentity, limitMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + limitMs;
  while (isRunning(identity)) {
    if (performance.now() > deadlineMs) return false;
    await sleep(50);
  }
  return true;
}

/** Ticks since boot at which the process started, with the boot's id: ticks alone may repeat after a reboot. Source: proc(5). */
function linuxStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and parentheses; fields after its last parenthesis start with the state (field 3).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    const ticks = fields[19];
    if (state === 'Z' || state === 'X' || ticks === undefined) return null;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${ticks}`;
  } catch {
    return null;
  }
}

function portableStart(pid: number): string | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '');
  } catch {
    return null;
  }
}
