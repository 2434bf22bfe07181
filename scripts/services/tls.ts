import { X509Certificate } from 'node:crypto';
import { readFile, rm, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runStep } from './command.ts';
import type { ServiceContext } from './context.ts';
import { readJson, writeWhole } from './files.ts';

/** Files of the test certificates, absolute paths. All keys are throwaway: they guard nothing but test brokers on loopback. */
export interface TestCertificates {
  readonly caFile: string;
  /** Private key and certificate of `localhost`, in one file, as Kafka's PEM key store wants it. */
  readonly serverStoreFile: string;
  readonly clientCertificateFile: string;
  readonly clientKeyFile: string;
}

const DAYS_VALID = 3_650;
const DAYS_LEFT_MIN = 30;
const LAYOUT_VERSION = '1';

/** Paths of the certificates below the Kafka folder. */
export function certificatePaths(kafkaFolder: string): TestCertificates {
  const folder = join(kafkaFolder, 'tls');
  return {
    caFile: join(folder, 'ca.pem'),
    serverStoreFile: join(folder, 'server-store.pem'),
    clientCertificateFile: join(folder, 'client.pem'),
    clientKeyFile: join(folder, 'client.key'),
  };
}

/** Makes a test CA, a server certificate for localhost and 127.0.0.1, and a client certificate, unless good ones are there.
 * Needs openssl. @throws {Error} with the openssl command that failed */
export async function ensureCertificates(context: ServiceContext, kafkaFolder: string): Promise<TestCertificates> {
  const paths = certificatePaths(kafkaFolder);
  const folder = join(kafkaFolder, 'tls');
  const stampFile = join(folder, 'made.json');
  if ((await readJson(stampFile)) === LAYOUT_VERSION && (await daysLeft(paths.caFile)) > DAYS_LEFT_MIN) return paths;

  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const openssl = async (what: string, commandArguments: readonly string[]): Promise<void> => {
    const logFile = join(context.folder, 'logs', 'install-certificates.log');
    await runStep(what, 'openssl', commandArguments, { cwd: folder, logFile, signal: context.signal });
  };
  // A configuration of our own: the system's may add extensions that clash with these.
  await writeFile(join(folder, 'openssl.cnf'), OPENSSL_CONFIGURATION);
  const config = ['-config', 'openssl.cnf'];
  const days = ['-days', String(DAYS_VALID)];
  const caSubject = ['-subj', '/CN=Headgate test CA'];
  await openssl('make a test CA', [
    'req',
    '-x509',
    ...config,
    ...newKey('ca'),
    '-out',
    'ca.pem',
    ...days,
    ...caSubject,
    '-extensions',
    'ca',
  ]);
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['client', '/O=Headgate/CN=test-client'],
  ] as const) {
    await openssl(`make a ${name} key`, ['req', ...config, ...newKey(name), '-out', `${name}.csr`, '-subj', subject]);
    const issuer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    const extensions = ['-extfile', 'openssl.cnf', '-extensions', name];
    await openssl(`sign the ${name} certificate`, [
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.pem`,
      ...issuer,
      ...days,
      ...extensions,
    ]);
  }
  const store = `${await readFile(join(folder, 'server.key'), 'utf8')}${await readFile(join(folder, 'server.pem'), 'utf8')}`;
  // Readable by others, because in a container Kafka runs as another user; see the note on throwaway keys above.
  await writeWhole(paths.serverStoreFile, store, 0o644);
  await writeWhole(stampFile, JSON.stringify(LAYOUT_VERSION));
  return paths;
}

function newKey(name: string): string[] {
  return ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`];
}

async function daysLeft(certificateFile: string): Promise<number> {
  try {
    const { validTo } = new X509Certificate(await readFile(certificateFile));
    return (Date.parse(validTo) - Date.now()) / 86_400_000;
  } catch {
    return 0;
  }
}

const OPENSSL_CONFIGURATION = `[req]
distinguished_name = subject
prompt = no
[subject]
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, DNS:kafka, IP:127.0.0.1
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
`;
