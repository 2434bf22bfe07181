import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { runCommand, runStep, type CommandOptions, type CommandResult } from './command.ts';
import type { ServiceContext } from './context.ts';
import { readJson, writeWhole } from './files.ts';
import { kafkaAddress, KAFKA_USERS, securedListenerSettings, settingVariable } from './kafka-settings.ts';
import { choosePorts, PREFERRED_PORTS } from './ports.ts';
import { LOCAL_S3_ACCOUNT } from './s3.ts';
import type { Addresses, ServerName } from './service.ts';
import { ensureCertificates, type TestCertificates } from './tls.ts';

/** Ports that the containers publish on loopback; the controller's stays inside. */
export type ContainerPorts = Readonly<Record<Exclude<keyof typeof PREFERRED_PORTS, 'kafkaController'>, number>>;

/** Where the certificates appear inside Kafka's container. */
const TLS_MOUNT = '/etc/kafka/headgate-tls';

/** True when a container engine with Compose answers. */
export async function isDockerRunning(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const options = { environment, timeoutMs: 15_000 };
  if ((await runCommand('docker', ['info'], options)).code !== 0) return false;
  return (await runCommand('docker', ['compose', 'version'], options)).code === 0;
}

/**
 * What the tests need of docker-compose.yml beyond what it says itself: Kafka's two secured listeners.
 * Compose reads it after docker-compose.yml and merges the two; it is JSON, which is YAML too.
 */
export function composeOverride(ports: ContainerPorts, tlsFolder: string): unknown {
  const settings = {
    ...securedListenerSettings(`${TLS_MOUNT}/server-store.pem`, `${TLS_MOUNT}/ca.pem`),
    listeners: `INTERNAL://:9092,OUTSIDE://:${ports.kafka},CONTROLLER://:9093,SECURE://:${ports.kafkaSasl},MUTUAL://:${ports.kafkaMtls}`,
    'advertised.listeners': [
      'INTERNAL://kafka:9092',
      `OUTSIDE://127.0.0.1:${ports.kafka}`,
      `SECURE://localhost:${ports.kafkaSasl}`,
      `MUTUAL://localhost:${ports.kafkaMtls}`,
    ].join(','),
    'listener.security.protocol.map':
      'CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,OUTSIDE:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL',
  };
  return {
    services: {
      kafka: {
        environment: Object.fromEntries(
          Object.entries(settings).map(([name, value]) => [settingVariable(name), value]),
        ),
        ports: [ports.kafkaSasl, ports.kafkaMtls].map((port) => `127.0.0.1:${port}:${port}`),
        volumes: [`${tlsFolder}:${TLS_MOUNT}:ro`],
      },
    },
  };
}

/** Brings the named servers up with one `docker compose up --wait`. @throws {Error} with Compose's output */
export async function startContainers(
  context: ServiceContext,
  names: readonly ServerName[],
): Promise<Partial<Addresses>> {
  const kafkaFolder = join(context.folder, 'kafka');
  const certificates = await ensureCertificates(context, kafkaFolder);
  const alreadyUp = await areContainersUp(context);
  const known = (await readJson(portsFile(context))) as ContainerPorts | null;
  const ports = alreadyUp && known !== null ? known : await choosePorts<keyof ContainerPorts>(PREFERRED_PORTS);
  await writeWhole(portsFile(context), JSON.stringify(ports));
  await writeWhole(overrideFile(context), JSON.stringify(composeOverride(ports, join(kafkaFolder, 'tls')), null, 2));
  const startedMs = performance.now();
  context.report(`  containers: starting ${names.join(', ')}`);
  await compose(context, 'start the containers', ['up', '--detach', '--wait', '--wait-timeout', '300', ...names]);
  if (names.includes('kafka')) await addScramUsers(context);
  context.report(`  containers: ready in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
  const addresses = containerAddresses(ports, certificates);
  return Object.fromEntries(names.map((name) => [name, addresses[name]]));
}

function containerAddresses(ports: ContainerPorts, certificates: TestCertificates): Pick<Addresses, ServerName> {
  const kafkaPorts = { plain: ports.kafka, sasl: ports.kafkaSasl, mtls: ports.kafkaMtls };
  return {
    kafka: kafkaAddress(kafkaPorts, certificates),
    s3: { endpoint: `http://127.0.0.1:${ports.s3}`, region: 'us-east-1', ...LOCAL_S3_ACCOUNT },
    redis: { url: `redis://127.0.0.1:${ports.redis}` },
  };
}

/** True when this repository's containers are up. */
export async function areContainersUp(context: ServiceContext): Promise<boolean> {
  if ((await readJson(portsFile(context))) === null) return false;
  const { code, output } = await runCompose(context, ['ps', '--status', 'running', '--quiet']);
  return code === 0 && output.trim() !== '';
}

/** Removes the containers and their data. */
export async function removeContainers(context: ServiceContext): Promise<void> {
  await compose(context, 'remove the containers', ['down', '--volumes', '--timeout', '20']);
}

/** Ends one server's container and keeps its data. */
export async function stopContainer(context: ServiceContext, name: ServerName, signal: NodeJS.Signals): Promise<void> {
  await compose(context, `stop ${name}`, signal === 'SIGTERM' ? ['stop', name] : ['kill', '--signal', signal, name]);
}

/** Starts a stopped container again with the data it had. */
export async function resumeContainer(context: ServiceContext, name: ServerName): Promise<void> {
  await compose(context, `start ${name} again`, [
    'up',
    '--detach',
    '--wait',
    '--wait-timeout',
    '120',
    '--no-recreate',
    name,
  ]);
}

/** The image formats its storage without users, so they are added once the broker is up. */
async function addScramUsers(context: ServiceContext): Promise<void> {
  for (const { mechanism, username, password } of KAFKA_USERS) {
    if (mechanism === 'plain') continue;
    const change = ['--alter', '--add-config', `${mechanism.toUpperCase()}=[password=${password}]`];
    const script = ['/opt/kafka/bin/kafka-configs.sh', '--bootstrap-server', 'localhost:9092'];
    const user = ['--entity-type', 'users', '--entity-name', username];
    await compose(context, `add Kafka user ${username}`, ['exec', '-T', 'kafka', ...script, ...change, ...user]);
  }
}

function portsFile(context: ServiceContext): string {
  return join(context.folder, 'docker', 'ports.json');
}

function overrideFile(context: ServiceContext): string {
  return join(context.folder, 'docker', 'compose-override.json');
}

async function composeCall(
  context: ServiceContext,
  commandArguments: readonly string[],
): Promise<{ arguments: string[]; options: CommandOptions }> {
  const ports = (await readJson(portsFile(context))) as ContainerPorts | null;
  // A project name of its own for each checkout: two of them, or a user's own `docker compose up`, must not meet.
  const project = `headgate-test-${createHash('sha256').update(context.folder).digest('hex').slice(0, 8)}`;
  const files = ['--file', join(context.root, 'docker-compose.yml'), '--file', overrideFile(context)];
  return {
    arguments: [
      'compose',
      '--project-name',
      project,
      '--project-directory',
      context.root,
      ...files,
      ...commandArguments,
    ],
    options: {
      cwd: context.root,
      environment: {
        ...context.environment,
        HEADGATE_KAFKA_PORT: String(ports?.kafka ?? PREFERRED_PORTS.kafka),
        HEADGATE_S3_PORT: String(ports?.s3 ?? PREFERRED_PORTS.s3),
        HEADGATE_REDIS_PORT: String(ports?.redis ?? PREFERRED_PORTS.redis),
        HEADGATE_S3_ACCOUNT: LOCAL_S3_ACCOUNT.accessKeyId,
        HEADGATE_S3_SECRET: LOCAL_S3_ACCOUNT.secretAccessKey,
      },
      logFile: join(context.folder, 'logs', 'docker.log'),
      timeoutMs: 900_000,
      signal: context.signal,
    },
  };
}

async function compose(context: ServiceContext, what: string, commandArguments: readonly string[]): Promise<void> {
  const call = await composeCall(context, commandArguments);
  await runStep(what, 'docker', call.arguments, call.options);
}

async function runCompose(context: ServiceContext, commandArguments: readonly string[]): Promise<CommandResult> {
  const call = await composeCall(context, commandArguments);
  return runCommand('docker', call.arguments, call.options);
}
