import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines } from './command.ts';
import type { ServiceContext } from './context.ts';
import { readJson, writeWhole } from './files.ts';
import { isInstalled, type Installation } from './install.ts';
import { choosePorts } from './ports.ts';
import { isRunning, startDaemon, stopProcess, type DaemonCommand, type ProcessIdentity } from './process.ts';
import type { Server, ServiceStatus } from './service.ts';
import type { Tool } from './toolchain.ts';

/** What differs between the servers; the rest of their lives is the same. */
export interface ServerPlan<Address, PortName extends string> {
  readonly name: string;
  /** What is installed below the services folder; null for a server that the system brings. */
  readonly installation: Installation | null;
  readonly toolsToInstall: readonly Tool[];
  readonly toolsToRun: readonly Tool[];
  readonly preferredPorts: Readonly<Record<PortName, number>>;
  readonly readyWithinMs: number;
  readonly find: (environment: NodeJS.ProcessEnv) => Address | null;
  readonly install: (context: ServiceContext) => Promise<void>;
  /** Makes empty data and a configuration in `folder`. */
  readonly prepare: (
    context: ServiceContext,
    folder: string,
    ports: Readonly<Record<PortName, number>>,
  ) => Promise<void>;
  readonly command: (
    context: ServiceContext,
    folder: string,
    ports: Readonly<Record<PortName, number>>,
  ) => Omit<DaemonCommand, 'cwd' | 'logFile'>;
  readonly address: (folder: string, ports: Readonly<Record<PortName, number>>) => Address;
  /** One real request, such as any server of this kind answers. */
  readonly ping: (address: Address) => Promise<void>;
  /** Throws until a server of our own is ready for every client; where it is left out, {@link ping} says so. */
  readonly warmUp?: (address: Address) => Promise<void>;
}

/** A server of the local toolchain, made from its plan. Its files: `<folder>/<name>/{ports.json, process.json, …}` and `logs/<name>.log`. */
export function localServer<Address, PortName extends string>(plan: ServerPlan<Address, PortName>): Server<Address> {
  type Ports = Record<PortName, number>;
  const folderOf = (context: ServiceContext): string => join(context.folder, plan.name);
  const processFile = (context: ServiceContext): string => join(folderOf(context), 'process.json');
  const portsFile = (context: ServiceContext): string => join(folderOf(context), 'ports.json');
  const logFile = (context: ServiceContext): string => join(context.folder, 'logs', `${plan.name}.log`);

  const runningProcess = async (context: ServiceContext): Promise<ProcessIdentity | null> => {
    const identity = (await readJson(processFile(context))) as ProcessIdentity | null;
    return identity !== null && isRunning(identity) ? identity : null;
  };

  const launch = async (context: ServiceContext, ports: Ports): Promise<Address> => {
    const folder = folderOf(context);
    const startedMs = performance.now();
    const daemon = { ...plan.command(context, folder, ports), cwd: folder, logFile: logFile(context) };
    const identity = await startDaemon(daemon);
    await writeWhole(processFile(context), JSON.stringify(identity));
    const address = plan.address(folder, ports);
    await untilReady(plan, address, identity, logFile(context), context.signal);
    context.report(`  ${plan.name}: ready in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
    return address;
  };

  return {
    name: plan.name,
    find: plan.find,
    install: plan.install,
    ping: plan.ping,
    async tools(context) {
      const installed = plan.installation === null || (await isInstalled(context, plan.installation));
      return installed ? plan.toolsToRun : [...plan.toolsToInstall, ...plan.toolsToRun];
    },
    async start(context) {
      const identity = await runningProcess(context);
      if (identity !== null) {
        const address = plan.address(folderOf(context), (await readJson(portsFile(context))) as Ports);
        await untilReady(plan, address, identity, logFile(context), context.signal);
        return address;
      }
      const ports = await choosePorts(plan.preferredPorts);
      await rm(logFile(context), { force: true });
      await plan.prepare(context, folderOf(context), ports);
      await writeWhole(portsFile(context), JSON.stringify(ports));
      return launch(context, ports);
    },
    async resume(context) {
      const ports = (await readJson(portsFile(context))) as Ports | null;
      if (ports === null)
        throw new Error(`Cannot start ${plan.name} again: it was never started; run \`npm run services -- start\``);
      if ((await runningProcess(context)) !== null) return plan.address(folderOf(context), ports);
      return launch(context, ports);
    },
    async stop(context, signal = 'SIGTERM') {
      const identity = await runningProcess(context);
      const stopped = identity !== null && (await stopProcess(identity, signal));
      await rm(processFile(context), { force: true });
      return stopped;
    },
    async status(context): Promise<ServiceStatus> {
      const identity = await runningProcess(context);
      if (identity !== null) return { state: 'running', detail: `pid ${identity.pid}, log ${logFile(context)}` };
      const installed = plan.installation === null || (await isInstalled(context, plan.installation));
      return { state: installed ? 'stopped' : 'not installed', detail: '' };
    },
  };
}

/** Waits until the server answers a real request.
 * @throws {Error} with the end of its log if it ends before that, or stays silent too long. */
async function untilReady<Address>(
  plan: Pick<ServerPlan<Address, never>, 'name' | 'readyWithinMs' | 'ping' | 'warmUp'>,
  address: Address,
  identity: ProcessIdentity,
  logFile: string,
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = performance.now() + plan.readyWithinMs;
  for (;;) {
    signal.throwIfAborted();
    let fault: unknown;
    try {
      await plan.ping(address);
      await plan.warmUp?.(address);
      return;
    } catch (error) {
      fault = error;
    }
    const ended = !isRunning(identity);
    if (ended || performance.now() > deadlineMs) {
      const reason = fault instanceof Error ? fault.message : String(fault);
      const what = ended ? 'its process ended' : `not ready within ${plan.readyWithinMs / 1_000} s (${reason})`;
      const log = lastLines(await readTail(logFile), 20);
      throw new Error(`Cannot start ${plan.name}: ${what}; end of ${logFile}:\n${log}`, { cause: fault });
    }
    await sleep(100);
  }
}

/** The last 16 KiB of a log file as text; empty when it cannot be read. */
async function readTail(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const { size } = await handle.stat();
    const bytes = Math.min(size, 16_384);
    const { buffer } = await handle.read(Buffer.alloc(bytes), 0, bytes, size - bytes);
    return buffer.toString('utf8');
  } catch {
    return '';
  }
}
