import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, PutBucketVersioningCommand, type S3Client } from '@aws-sdk/client-s3';
import { createContext } from '../../scripts/services/context.ts';
import { resumeContainer, stopContainer } from '../../scripts/services/docker.ts';
import { SERVERS, SERVICES } from '../../scripts/services/lifecycle.ts';
import { isRunning, type ProcessIdentity } from '../../scripts/services/process.ts';
import { createS3Client } from '../../scripts/services/s3.ts';
import type { Addresses, KafkaUser, S3Address, ServerName, ServiceName } from '../../scripts/services/service.ts';
import { isServicesState, stateFile, type ServicesState } from '../../scripts/services/state.ts';

/*
 * How tests get at the real services: from the environment, else from what `npm run services -- start` (or `npm test`)
 * has written. Nothing here skips: a service that is not there is an error that names the command to run.
 */

// While a test has a server stopped, its progress lines would only be noise.
const context = createContext({ report: () => undefined });

const ENVIRONMENT_NAMES: Readonly<Record<ServiceName, string>> = {
  kafka: 'HEADGATE_KAFKA_BROKERS',
  s3: 'HEADGATE_S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  redis: 'HEADGATE_REDIS_URL',
  cosign: 'HEADGATE_COSIGN',
  python: 'HEADGATE_PYTHON',
};

/** `host:port` of Kafka's listener without security. @throws {Error} if Kafka was not started */
export function kafkaBrokers(): string[] {
  return [...addressOf('kafka').brokers];
}

/** Kafka's listener with SASL over TLS: SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN, one user each.
 * @throws {Error} if Kafka was not started, or is one that the environment names */
export function kafkaSaslSsl(): { brokers: string[]; caPem: string; users: readonly KafkaUser[] } {
  const { brokers, caFile, users } = addressOf('kafka').saslSsl ?? unknownListener('SASL over TLS');
  return { brokers: [...brokers], caPem: readFileSync(caFile, 'utf8'), users };
}

/** Kafka's listener that asks for a client certificate, with one that it accepts.
 * @throws {Error} if Kafka was not started, or is one that the environment names */
export function kafkaMtls(): { brokers: string[]; caPem: string; certPem: string; keyPem: string } {
  const { brokers, caFile, certificateFile, keyFile } = addressOf('kafka').mtls ?? unknownListener('mutual TLS');
  return {
    brokers: [...brokers],
    caPem: readFileSync(caFile, 'utf8'),
    certPem: readFileSync(certificateFile, 'utf8'),
    keyPem: readFileSync(keyFile, 'utf8'),
  };
}

/** Endpoint and account of the S3 server; buckets are addressed by path. @throws {Error} if it was not started */
export function s3Address(): S3Address {
  return addressOf('s3');
}

/** A client of the S3 server; the caller destroys it. @throws {Error} if the server was not started */
export function s3Client(): S3Client {
  return createS3Client(addressOf('s3'));
}

/** Makes an empty bucket with a name of its own and returns the name; it is left behind, since the server's data are not kept.
 * @throws {Error} if the S3 server was not started */
export async function createTestBucket(
  options: { readonly versioned?: boolean; readonly prefix?: string } = {},
): Promise<string> {
  const bucket = `${options.prefix ?? 'test'}-${randomBytes(6).toString('hex')}`;
  const client = s3Client();
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    if (options.versioned === true) {
      const configuration = { Status: 'Enabled' } as const;
      await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: configuration }));
    }
  } finally {
    client.destroy();
  }
  return bucket;
}

/** URL of Redis. @throws {Error} if it was not started */
export function redisUrl(): string {
  return addressOf('redis').url;
}

/** Path of cosign. @throws {Error} if it was not installed */
export function cosignPath(): string {
  return addressOf('cosign').path;
}

/** Path of a Python interpreter with pyarrow, duckdb, numpy, scipy and confluent_kafka. @throws {Error} if it was not installed */
export function pythonPath(): string {
  return addressOf('python').path;
}

/** Stops Kafka (SIGKILL: as a crash) until {@link startKafka}. Test files that do this run alone; see scripts/suites/vitest.ts.
 * @throws {Error} if the environment names it: then it is not ours to stop */
export const stopKafka = (signal?: NodeJS.Signals): Promise<void> => stopServer('kafka', signal);
/** Starts a stopped Kafka on the same ports with the data it had, and waits until it answers. */
export const startKafka = (): Promise<void> => startServer('kafka');
/** {@link stopKafka}, then {@link startKafka}. */
export const restartKafka = (signal?: NodeJS.Signals): Promise<void> => restartServer('kafka', signal);

/** As {@link stopKafka}, for the S3 server. */
export const stopS3 = (signal?: NodeJS.Signals): Promise<void> => stopServer('s3', signal);
/** As {@link startKafka}, for the S3 server. */
export const startS3 = (): Promise<void> => startServer('s3');
/** As {@link restartKafka}, for the S3 server. */
export const restartS3 = (signal?: NodeJS.Signals): Promise<void> => restartServer('s3', signal);

/** As {@link stopKafka}, for Redis. */
export const stopRedis = (signal?: NodeJS.Signals): Promise<void> => stopServer('redis', signal);
/** As {@link startKafka}, for Redis. */
export const startRedis = (): Promise<void> => startServer('redis');
/** As {@link restartKafka}, for Redis. */
export const restartRedis = (signal?: NodeJS.Signals): Promise<void> => restartServer('redis', signal);

async function stopServer(name: ServerName, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (engineOf(name) === 'docker') await stopContainer(context, name, signal);
  else await SERVERS[name].stop(context, signal);
}

async function startServer(name: ServerName): Promise<void> {
  if (engineOf(name) === 'docker') await resumeContainer(context, name);
  else await SERVERS[name].resume(context);
}

async function restartServer(name: ServerName, signal?: NodeJS.Signals): Promise<void> {
  await stopServer(name, signal);
  await startServer(name);
}

function engineOf(name: ServerName): ServicesState['engine'] {
  if (SERVERS[name].find(process.env) !== null) {
    throw new Error(
      `Cannot stop or start ${name}: it is named by ${ENVIRONMENT_NAMES[name]}; unset that to run this test`,
    );
  }
  return storedState()?.engine ?? 'local';
}

function addressOf<Name extends ServiceName>(name: Name): Addresses[Name] {
  const named = SERVICES[name].find(process.env) as Addresses[Name] | null;
  if (named !== null) return named;
  const state = storedState();
  const stored = state?.addresses[name];
  if (stored === undefined) throw notThere(name, `${stateFile(context)} does not name it`);
  if (state?.engine === 'local' && hasDied(name)) throw notThere(name, 'its process has ended');
  return stored;
}

function notThere(name: ServiceName, why: string): Error {
  return new Error(
    `Cannot reach ${name}: ${why}, and ${ENVIRONMENT_NAMES[name]} is not set; run \`npm run services -- start\``,
  );
}

function unknownListener(what: string): never {
  throw new Error(
    `Cannot reach Kafka by ${what}: HEADGATE_KAFKA_BROKERS names a broker of which only the open listener is known; ` +
      'unset it, so that the tests start a Kafka of their own',
  );
}

function storedState(): ServicesState | null {
  const value = readStored(stateFile(context));
  return isServicesState(value) ? value : null;
}

/** True when the server's process is gone although nobody stopped it (a stop removes the file): a crash or a reboot. */
function hasDied(name: ServiceName): boolean {
  const identity = readStored(join(context.folder, name, 'process.json')) as ProcessIdentity | null;
  return identity !== null && !isRunning(identity);
}

function readStored(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}
