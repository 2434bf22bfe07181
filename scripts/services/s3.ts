import { access, constants, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { runStep } from './command.ts';
import { installFolder, installOnce } from './install.ts';
import { localServer } from './local-server.ts';
import { PREFERRED_PORTS } from './ports.ts';
import type { S3Address } from './service.ts';
import { GO } from './toolchain.ts';

/** Version of versitygw. Earlier ones let two racing create-only writes both win. */
export const VERSITYGW_VERSION = '1.8.0';

/** The one account of the local server: it listens on loopback and holds test data only. */
export const LOCAL_S3_ACCOUNT = { accessKeyId: 'headgate-test', secretAccessKey: 'headgate-test-secret' } as const;

const INSTALLATION = { name: 'versitygw', version: VERSITYGW_VERSION, cost: 'about 2 min' };

/** versitygw: an S3 server over a folder, built by Go, with versioned buckets and atomic create-only writes. */
export const s3 = localServer<S3Address, 's3'>({
  name: 's3',
  installation: INSTALLATION,
  toolsToInstall: [GO],
  toolsToRun: [],
  preferredPorts: { s3: PREFERRED_PORTS.s3 },
  readyWithinMs: 20_000,
  find: findS3,
  install: (context) =>
    installOnce(context, INSTALLATION, async (folder, logFile) => {
      const source = `github.com/versity/versitygw/cmd/versitygw@v${VERSITYGW_VERSION}`;
      await runStep('build the S3 server', 'go', ['install', '-p=2', source], {
        environment: { ...context.environment, GOBIN: folder },
        logFile,
        background: true,
        signal: context.signal,
      });
      await access(join(folder, 'versitygw'), constants.X_OK);
    }),
  async prepare(_context, folder) {
    for (const name of ['data', 'versions']) {
      await rm(join(folder, name), { recursive: true, force: true });
      await mkdir(join(folder, name), { recursive: true });
    }
  },
  command: (context, folder, ports) => ({
    command: join(installFolder(context, INSTALLATION), 'versitygw'),
    arguments: [
      ['--port', `127.0.0.1:${ports.s3}`],
      ['--quiet', '--keep-alive'],
      ['posix', '--versioning-dir', join(folder, 'versions'), join(folder, 'data')],
    ].flat(),
    environment: {
      ROOT_ACCESS_KEY_ID: LOCAL_S3_ACCOUNT.accessKeyId,
      ROOT_SECRET_ACCESS_KEY: LOCAL_S3_ACCOUNT.secretAccessKey,
    },
  }),
  address: (_folder, ports) => ({ endpoint: `http://127.0.0.1:${ports.s3}`, region: 'us-east-1', ...LOCAL_S3_ACCOUNT }),
  ping: pingS3,
});

/** The S3 server that the environment names; null when it names none.
 * @throws {Error} if the endpoint is named and the account is not. */
export function findS3(environment: NodeJS.ProcessEnv): S3Address | null {
  const endpoint = environment['HEADGATE_S3_ENDPOINT'];
  if (endpoint === undefined || endpoint === '') return null;
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'];
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new Error(
      `Cannot use HEADGATE_S3_ENDPOINT "${endpoint}": AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set with it`,
    );
  }
  return { endpoint, region: environment['AWS_REGION'] ?? 'us-east-1', accessKeyId, secretAccessKey };
}

/** A client of the test server. */
export function createS3Client(address: S3Address): S3Client {
  return new S3Client({
    endpoint: address.endpoint,
    region: address.region,
    forcePathStyle: true,
    credentials: { accessKeyId: address.accessKeyId, secretAccessKey: address.secretAccessKey },
    maxAttempts: 1,
  });
}

/** Lists the buckets. @throws {Error} if that is not answered within 5 s, or refused */
export async function pingS3(address: S3Address): Promise<void> {
  const client = createS3Client(address);
  try {
    await client.send(new ListBucketsCommand({}), { abortSignal: AbortSignal.timeout(5_000) });
  } finally {
    client.destroy();
  }
}
