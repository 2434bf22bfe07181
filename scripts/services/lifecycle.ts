import type { ServiceContext } from './context.ts';
import { cosign } from './cosign.ts';
import { areContainersUp, isDockerRunning, removeContainers, startContainers } from './docker.ts';
import { kafka } from './kafka.ts';
import { withServicesLock } from './lock.ts';
import { python } from './python.ts';
import { redis } from './redis.ts';
import { s3 } from './s3.ts';
import type { Addresses, Server, ServerName, Service, ServiceName, ServiceStatus } from './service.ts';
import { readState, writeState } from './state.ts';
import { OPENSSL, requireTools } from './toolchain.ts';

/** The servers, by name. */
export const SERVERS = { kafka, s3, redis } as const satisfies { [Name in ServerName]: Server<Addresses[Name]> };

/** Everything that the tests use, by name. */
export const SERVICES = { ...SERVERS, cosign, python } as const satisfies {
  [Name in ServiceName]: Service<Addresses[Name]>;
};

const SERVER_NAMES = Object.keys(SERVERS) as ServerName[];
const SERVICE_NAMES = Object.keys(SERVICES) as ServiceName[];

/** What {@link startServices} did. */
export interface StartedServices {
  readonly addresses: Addresses;
  /** Servers that this call brought up; the others were named by the environment or ran already. */
  readonly started: readonly ServerName[];
}

/**
 * Finds or starts everything: named by the environment, else one `docker compose up --wait`, else the local toolchain.
 * Installs run side by side. If a part fails, what this call started is stopped again.
 * @throws {Error} naming every part that failed and how to mend it.
 */
export function startServices(context: ServiceContext): Promise<StartedServices> {
  return withServicesLock(context, async () => {
    const found = await findServices(context);
    const wanted = SERVER_NAMES.filter((name) => found[name] === undefined);
    // Local servers that are up go on: a container engine that was started since then does not replace them.
    const localServers = (await runningServers(context, false)).filter((name) => wanted.includes(name));
    const inDocker = wanted.length > 0 && localServers.length === 0 && (await isDockerRunning(context.environment));
    const local = SERVICE_NAMES.filter((name) => found[name] === undefined && !(inDocker && isServer(name)));
    const tools = await Promise.all(local.map((name) => SERVICES[name].tools(context)));
    await requireTools(context, [...tools.flat(), ...(inDocker ? [OPENSSL] : [])]);

    const before = inDocker ? await runningServers(context, true) : localServers;
    const started = wanted.filter((name) => !before.includes(name));
    let addresses: Partial<Addresses>;
    try {
      addresses = await bringUp(context, local, inDocker ? wanted : []);
    } catch (error) {
      await stopNamed(context, started, inDocker);
      throw error;
    }
    // The environment's own services are not stored: the tests read them from the environment, first.
    await writeState(context, { version: 1, engine: inDocker ? 'docker' : 'local', addresses });
    return { addresses: { ...addresses, ...found } as Addresses, started };
  });
}

/** Installs and starts the local services and the containers side by side; the first fault ends the others.
 * @throws {Error} with the faults that came before that. */
async function bringUp(
  context: ServiceContext,
  local: readonly ServiceName[],
  containers: readonly ServerName[],
): Promise<Partial<Addresses>> {
  const failure = new AbortController();
  const guarded = { ...context, signal: AbortSignal.any([context.signal, failure.signal]) };
  const addresses: Record<string, Addresses[ServiceName]> = {};
  const faults: string[] = [];
  const lane = async (...names: readonly ServiceName[]): Promise<void> => {
    for (const name of names.filter((each) => local.includes(each))) {
      await SERVICES[name].install(guarded);
      addresses[name] = await SERVICES[name].start(guarded);
    }
  };
  // One lane for what Go builds: two builds at once would take twice the memory and not be done sooner.
  const lanes = [lane('kafka'), lane('s3', 'cosign'), lane('redis'), lane('python')];
  if (containers.length > 0) {
    lanes.push(startContainers(guarded, containers).then((started) => void Object.assign(addresses, started)));
  }
  await Promise.all(
    lanes.map((each) =>
      each.catch((error: unknown) => {
        // Once one has failed, the others only fail because they were ended.
        if (!guarded.signal.aborted || faults.length === 0)
          faults.push(error instanceof Error ? error.message : String(error));
        failure.abort(new Error('Ended because another service failed'));
      }),
    ),
  );
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return addresses;
}

/** Stops servers: the named ones, or all that run from this folder. Installations stay.
 * @returns names of those that were running. */
export function stopServices(
  context: ServiceContext,
  names: readonly ServerName[] = SERVER_NAMES,
): Promise<ServerName[]> {
  return withServicesLock(context, async () => {
    const state = await readState(context);
    const stopped = await stopNamed(context, names, state?.engine === 'docker');
    if (state !== null) {
      const kept = Object.entries(state.addresses).filter(([name]) => !(names as readonly string[]).includes(name));
      await writeState(context, { ...state, addresses: Object.fromEntries(kept) });
    }
    return stopped;
  });
}

/** What is where, one entry a service. */
export async function servicesStatus(context: ServiceContext): Promise<Record<ServiceName, ServiceStatus>> {
  const state = await readState(context);
  const inDocker = state?.engine === 'docker' && (await areContainersUp(context));
  const entries = SERVICE_NAMES.map(async (name) => {
    const named = SERVICES[name].find(context.environment);
    if (named !== null)
      return [name, { state: 'running', detail: `${describeAddress(named)} (named by the environment)` }] as const;
    const stored = state?.addresses[name];
    if (inDocker && isServer(name) && stored !== undefined) {
      return [name, { state: 'running', detail: `${describeAddress(stored)} (container)` }] as const;
    }
    const status = await SERVICES[name].status(context);
    const address = stored !== undefined && status.state === 'running' ? `${describeAddress(stored)}, ` : '';
    return [name, { ...status, detail: `${address}${status.detail}` }] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Record<ServiceName, ServiceStatus>;
}

/** An address in one line, without its secrets. */
export function describeAddress(address: Addresses[ServiceName]): string {
  if ('brokers' in address) {
    const secured = [address.saslSsl?.brokers, address.mtls?.brokers].flatMap((brokers) => brokers ?? []);
    return [...address.brokers, ...secured].join(' ');
  }
  if ('endpoint' in address) return address.endpoint;
  return 'url' in address ? address.url.replace(/\/\/[^@/]*@/, '//…@') : address.path;
}

/** The services that the environment names; the servers among them must answer. */
async function findServices(context: ServiceContext): Promise<Partial<Addresses>> {
  const addresses: Partial<Addresses> = Object.fromEntries(
    SERVICE_NAMES.flatMap((name) => {
      const address = SERVICES[name].find(context.environment);
      return address === null ? [] : [[name, address]];
    }),
  );
  const faults: string[] = [];
  const check = async <Address>(server: Server<Address>, address: Address | undefined): Promise<void> => {
    if (address === undefined) return;
    await server.ping(address).catch((error: unknown) => {
      faults.push(
        `Cannot use ${server.name} as the environment names it: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
  };
  await Promise.all([check(kafka, addresses.kafka), check(s3, addresses.s3), check(redis, addresses.redis)]);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return addresses;
}

async function runningServers(context: ServiceContext, inDocker: boolean): Promise<ServerName[]> {
  if (inDocker) return (await areContainersUp(context)) ? SERVER_NAMES : [];
  const statuses = await Promise.all(SERVER_NAMES.map((name) => SERVERS[name].status(context)));
  return SERVER_NAMES.filter((_, index) => statuses[index]?.state === 'running');
}

async function stopNamed(
  context: ServiceContext,
  names: readonly ServerName[],
  inDocker: boolean,
): Promise<ServerName[]> {
  if (inDocker) {
    if (names.length === 0 || !(await areContainersUp(context))) return [];
    await removeContainers(context);
    return [...names];
  }
  const stopped = await Promise.all(names.map((name) => SERVERS[name].stop(context)));
  return names.filter((_, index) => stopped[index]);
}

function isServer(name: ServiceName): name is ServerName {
  return name in SERVERS;
}
