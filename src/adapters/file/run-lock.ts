import { createHash } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ConflictError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/** A socket's path may have 104 bytes on macOS, 108 on Linux, the last of them 0. */
const SOCKET_PATH_BYTES_MAX = 103;
const ANSWER_MS = 1_000;
const ANSWER_BYTES_MAX = 200;
/** A lock whose holder died is taken over; who loses a race for that looks again. */
const ATTEMPTS_MAX = 5;
/** What a connection says of a socket that nobody listens on any more, or of a file that is none. */
const DEAD: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK']);

/** What is locked. */
export interface LockedWork {
  /** The machine's own folder; where it is missing, the lock is held elsewhere. */
  readonly folder: string;
  /** Store, pipeline and topic: whoever names the same does the same work. */
  readonly names: readonly string[];
  /** The work in words, for who is refused. */
  readonly about: string;
}

/**
 * Keeps a second process of this machine from reading the same files into the same logs: they would take the partitions
 * from each other until the log halts them.
 *
 * Held by the system: a socket on which the process listens, so that it ends with the process however that ends. Where no
 * socket can be made, and between machines, there is no lock, and the log decides who writes: this saves trouble, the log
 * is what is safe.
 * Trust: what another process answers is hostile.
 */
export class RunLock implements AsyncDisposable {
  readonly #server: Server | null;

  private constructor(server: Server | null) {
    this.#server = server;
  }

  /** @throws ConflictError ALREADY_RUNNING, naming who holds the lock */
  static async acquire(work: LockedWork, clock: Clock): Promise<RunLock> {
    const since = new Date(clock.now()).toISOString();
    for (const path of lockPaths(work)) {
      const server = await listenAlone(path, since, work.about);
      if (server !== null) return new RunLock(server);
    }
    return new RunLock(null);
  }

  /** Lets go; the socket's file goes with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const server = this.#server;
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

/** Where the lock may be, best first: beside what this machine remembers of the store, or where sockets can be in any case. */
function lockPaths({ folder, names }: LockedWork): string[] {
  const name = `headgate-${createHash('sha256').update(JSON.stringify(names)).digest('hex').slice(0, 16)}`;
  if (process.platform === 'win32') return [`\\\\.\\pipe\\${name}`];
  return [folder, tmpdir()]
    .map((each) => join(each, `${name}.lock`))
    .filter((path) => Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX);
}

/** Null if there can be no socket at this path. */
async function listenAlone(path: string, since: string, about: string): Promise<Server | null> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const server = await listen(path, JSON.stringify({ pid: process.pid, since }));
    if (typeof server !== 'string') return server;
    if (server !== 'EADDRINUSE') return null;
    const found = await stat(path).catch(() => null);
    const holder = await askHolder(path);
    if (holder !== null)
      throw new ConflictError(
        'ALREADY_RUNNING',
        `Cannot ${about}: another run (${holder}) is at it (way out: let it end, or stop it)`,
      );
    const now = await stat(path).catch(() => null);
    if (now !== null && now.ino === found?.ino) await rm(path, { force: true });
  }
  return null;
}

/** A server that answers each connection with one line; or the code of the error. */
function listen(path: string, answer: string): Promise<Server | string> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(`${answer}\n`);
    });
    server.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'UNKNOWN'));
    server.listen(path, () => resolve(server.unref()));
  });
}

/** Who listens, in words; null if nobody does. */
function askHolder(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path);
    const end = (holder: string | null): void => {
      socket.destroy();
      resolve(holder);
    };
    socket.setTimeout(ANSWER_MS, () => end('which gives no answer'));
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1');
      if (text.length > ANSWER_BYTES_MAX) end('which cannot be understood');
    });
    socket.on('end', () => end(describeHolder(text)));
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      end(DEAD.has(code) ? null : `which cannot be asked: ${code}`),
    );
  });
}

function describeHolder(text: string): string {
  const [, pid, since] = /^\{"pid":(\d{1,10}),"since":"([-0-9T:.Z]{20,30})"\}\n$/.exec(text) ?? [];
  return pid === undefined ? 'which cannot be understood' : `pid ${pid}, since ${since}`;
}
