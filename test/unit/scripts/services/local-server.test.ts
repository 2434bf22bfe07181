import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { createContext, type ServiceContext } from '../../../../scripts/services/context.ts';
import { localServer, type ServerPlan } from '../../../../scripts/services/local-server.ts';
import type { ProcessIdentity } from '../../../../scripts/services/process.ts';
import type { Server } from '../../../../scripts/services/service.ts';

const LISTENER = `const { createServer } = require("net");
createServer((socket) => socket.end("hello")).listen(Number(process.argv[1]), "127.0.0.1");`;

let context: ServiceContext;
const lines: string[] = [];

beforeEach(async () => {
  const folder = await temporaryFolder();
  context = createContext({ folder, report: (line) => lines.push(line) });
});

afterEach(async () => {
  await fakeServer().stop(context, 'SIGKILL');
});

it('starts empty, is found running, and stops', async () => {
  const server = fakeServer();
  expect(await server.status(context)).toMatchObject({ state: 'stopped' });
  const address = await server.start(context);
  expect(await server.status(context)).toMatchObject({ state: 'running' });
  const pid = await pidOf();
  expect(await server.start(context)).toEqual(address);
  expect(await pidOf()).toBe(pid);
  expect(lines.at(-1)).toMatch(/^ {2}fake: ready in \d+\.\d s$/);
  expect(await server.stop(context)).toBe(true);
  expect(await server.stop(context)).toBe(false);
});

it('resumes on the same port with its data, and starts without them', async () => {
  const server = fakeServer();
  const address = await server.start(context);
  await writeFile(dataFile(), 'kept');
  await server.stop(context, 'SIGKILL');
  expect(await server.resume(context)).toEqual(address);
  expect(await readFile(dataFile(), 'utf8')).toBe('kept');
  await server.stop(context);
  await server.start(context);
  await expect(readFile(dataFile(), 'utf8')).rejects.toThrow('ENOENT');
});

it('takes another port when the preferred one is taken', async () => {
  const other = createContext({ folder: await temporaryFolder(), report: () => undefined });
  const [first, second] = [await fakeServer().start(context), await fakeServer().start(other)];
  expect(first.port).not.toBe(second.port);
  await fakeServer().stop(other);
});

it('cannot resume what was never started', async () => {
  await expect(fakeServer().resume(context)).rejects.toThrow('Cannot start fake again: it was never started');
});

it('shows the end of the log of a server that ends before it is ready', async () => {
  const server = fakeServer('console.error("out of luck"); process.exit(1)');
  await expect(server.start(context)).rejects.toThrow(/^Cannot start fake: its process ended; end of [^]*out of luck$/);
});

it('gives up on a server that stays silent', async () => {
  const server = fakeServer('setInterval(() => {}, 1000)');
  await expect(server.start(context)).rejects.toThrow(
    /^Cannot start fake: not ready within 2 s \(connect ECONNREFUSED/,
  );
});

it('does not take a recycled pid for its own process', async () => {
  await mkdir(join(context.folder, 'fake'), { recursive: true });
  const stranger: ProcessIdentity = { pid: process.pid, started: 'another time' };
  await writeFile(join(context.folder, 'fake', 'process.json'), JSON.stringify(stranger));
  expect(await fakeServer().status(context)).toMatchObject({ state: 'stopped' });
  expect(await fakeServer().stop(context, 'SIGKILL')).toBe(false);
});

function fakeServer(script = LISTENER): Server<{ readonly port: number }> {
  const plan: ServerPlan<{ readonly port: number }, 'only'> = {
    name: 'fake',
    installation: null,
    toolsToInstall: [],
    toolsToRun: [],
    preferredPorts: { only: 29_299 },
    readyWithinMs: 2_000,
    find: () => null,
    install: () => Promise.resolve(),
    async prepare(_context, folder) {
      await rm(join(folder, 'data'), { recursive: true, force: true });
      await mkdir(join(folder, 'data'), { recursive: true });
    },
    command: (_context, _folder, ports) => ({
      command: process.execPath,
      arguments: ['-e', script, String(ports.only)],
    }),
    address: (_folder, ports) => ({ port: ports.only }),
    ping: ({ port }) =>
      new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1');
        socket.once('error', reject);
        socket.once('data', () => {
          socket.destroy();
          resolve();
        });
      }),
  };
  return localServer(plan);
}

function dataFile(): string {
  return join(context.folder, 'fake', 'data', 'x');
}

async function pidOf(): Promise<number> {
  return (JSON.parse(await readFile(join(context.folder, 'fake', 'process.json'), 'utf8')) as ProcessIdentity).pid;
}
