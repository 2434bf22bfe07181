import { connect } from 'node:net';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { localServer } from './local-server.ts';
import { PREFERRED_PORTS } from './ports.ts';
import type { RedisAddress } from './service.ts';
import { REDIS_SERVER } from './toolchain.ts';

/** Redis from the system's packages, with append-only persistence and no eviction, as the job queue needs it. */
export const redis = localServer<RedisAddress, 'redis'>({
  name: 'redis',
  installation: null,
  toolsToInstall: [],
  toolsToRun: [REDIS_SERVER],
  preferredPorts: { redis: PREFERRED_PORTS.redis },
  readyWithinMs: 20_000,
  find: (environment) => {
    const url = environment['HEADGATE_REDIS_URL'];
    return url === undefined || url === '' ? null : { url };
  },
  install: () => Promise.resolve(),
  async prepare(_context, folder) {
    await rm(join(folder, 'data'), { recursive: true, force: true });
    await mkdir(join(folder, 'data'), { recursive: true });
  },
  command: (_context, folder, ports) => ({
    command: 'redis-server',
    // Everything on the command line: a configuration file would need quoting rules of its own.
    arguments: [
      ['--bind', '127.0.0.1'],
      ['--port', String(ports.redis)],
      ['--dir', join(folder, 'data')],
      ['--save', ''],
      ['--appendonly', 'yes'],
      ['--maxmemory-policy', 'noeviction'],
    ].flat(),
  }),
  address: (_folder, ports) => ({ url: `redis://127.0.0.1:${ports.redis}` }),
  ping: pingRedis,
});

/** Sends PING; a server that asks for a password has answered too.
 * @throws {Error} if nothing answers within 2 s, or something that is not Redis. */
export async function pingRedis({ url }: RedisAddress): Promise<void> {
  const { hostname, port, protocol } = new URL(url);
  // A TLS server is proved by the client that has its certificates; here a connection must do.
  const speaksTls = protocol === 'rediss:';
  const socket = connect({ host: hostname, port: port === '' ? 6379 : Number(port), timeout: 2_000 });
  try {
    const reply = await new Promise<string>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('timeout', () => reject(new Error(`No answer from ${hostname}:${port} within 2 s`)));
      socket.once('connect', () => (speaksTls ? resolve('+PONG') : socket.write('PING\r\n')));
      socket.once('data', (bytes: Buffer) => resolve(bytes.toString('latin1')));
      socket.once('close', () => reject(new Error(`${hostname}:${port} closed the connection without an answer`)));
    });
    if (!/^(\+PONG|-NOAUTH|-DENIED)/.test(reply)) {
      throw new Error(
        `Cannot use ${hostname}:${port} as Redis: it answers ${JSON.stringify(reply.slice(0, 60))} to PING`,
      );
    }
  } finally {
    socket.destroy();
  }
}
