import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { ConflictError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';

/** A socket's path may have 104 bytes on macOS, 108 on Linux, the last of them 0. */
const SOCKET_PATH_BYTES_MAX = 103;
/** Linux: leads to a folder that this process has open, however long its own path is. */
const OPEN_FOLDERS = '/proc/self/fd';
const NONCE_BYTES = 6;
/** Endings of a claim's name: while its socket is made, and when it can be asked. */
const BIND = '.bind';
const LOCK = '.lock';
const LONGEST_ENDING = 5;
const ANSWER_MS = 1_000;
const ANSWER_BYTES_MAX = 200;
/** Another claim that is to give way, or is about to end, is asked again so often. */
const ROUNDS_MAX = 200;
const ROUND_MS = 10;
/** A socket that does not listen yet is no older than that, by far. */
const BIND_MS_MAX = 3_600_000;
/** What a connection says of a socket that nobody listens on any more, or of a file that is none. */
const DEAD: ReadonlySet<string | undefined> = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK']);

/** What is locked. */
export interface LockedWork {
  /** Where all find it who do the same work; where it is missing or takes no socket, the lock is held elsewhere. */
  readonly folder: string;
  /** Store, pipeline and topic: whoever names the same does the same work. */
  readonly names: readonly string[];
  /** The work in words, for who is refused. */
  readonly about: string;
}

/** Where the claims to one lock are. */
interface LockPlace {
  readonly folder: string;
  /** The same folder, by a path that is short enough for sockets. */
  readonly short: string;
  /** What the names of all claims begin with. */
  readonly name: string;
}

/** A socket on which this process listens, and says whether it has the lock. */
interface Claim {
  readonly server: Server;
  path: string;
  isHeld: boolean;
}

/** What a claim says: it has the lock, it wants it, or it ends without a word. */
interface Answer {
  readonly state: 'held' | 'wanted' | 'ending';
  /** Whose claim it is. */
  readonly words: string;
}

/**
 * Keeps a second process of this machine from reading the same files into the same logs: they would take the partitions
 * from each other until the log halts them.
 *
 * Held by the system: a socket on which the process listens, so that it ends with the process however that ends. Where no
 * socket can be made, and between machines, there is no lock, and the log decides who writes: this saves trouble, the log
 * is what is safe.
 *
 * Each process claims the lock with a socket of its own name before it looks for others, so that of two at least one sees
 * the other. One that has the lock keeps it; of two that want it the later name gives way, and the earlier waits until it
 * has. No name is used twice: what is found dead stays dead, and removing it can take the lock from nobody.
 * Trust: what another process answers is hostile.
 */
export class RunLock implements AsyncDisposable {
  readonly #claim: Claim | null;
  /** Open for as long as the lock is, where the folder's path is too long for sockets. */
  readonly #folder: FileHandle | null;

  private constructor(claim: Claim | null, folder: FileHandle | null) {
    this.#claim = claim;
    this.#folder = folder;
  }

  /** @throws ConflictError ALREADY_RUNNING, naming who holds the lock */
  static async acquire(work: LockedWork, clock: Clock): Promise<RunLock> {
    const since = new Date(clock.now()).toISOString();
    if (process.platform === 'win32') return new RunLock(await claimPipe(work, since), null);
    const name = lockName(work.names);
    // In the folder that is meant, or where sockets can be in any case.
    for (const folder of [work.folder, tmpdir()]) {
      const handle = await openWhereLong(folder, name);
      const place = { folder, name, short: handle === null ? folder : `${OPEN_FOLDERS}/${handle.fd}` };
      const lock = new RunLock(await makeClaim(place, since), handle);
      const holder = lock.#claim === null ? null : await findHolder(lock.#claim, place).catch(() => null);
      if (lock.#claim?.isHeld === true) return lock;
      await lock[Symbol.asyncDispose]();
      if (holder !== null) throw alreadyRunning(work, holder);
    }
    return new RunLock(null, null);
  }

  /** Lets go; the socket's file goes with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#claim !== null) {
      const { server, path } = this.#claim;
      await rm(path, { force: true }).catch(() => undefined);
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
    await this.#folder?.close();
  }
}

function alreadyRunning({ about }: LockedWork, holder: string): ConflictError {
  return new ConflictError(
    'ALREADY_RUNNING',
    `Cannot ${about}: another run (${holder}) is at it (way out: let it end, or stop it)`,
  );
}

function lockName(names: readonly string[]): string {
  return `headgate-${createHash('sha256').update(JSON.stringify(names)).digest('hex').slice(0, 16)}`;
}

/** The folder, opened, if paths in it are too long for sockets and there is a shorter way to it. */
async function openWhereLong(folder: string, name: string): Promise<FileHandle | null> {
  if (process.platform !== 'linux' || fits(join(folder, socketName(name)))) return null;
  return open(folder, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => null);
}

function socketName(name: string): string {
  return `${name}.${randomBytes(NONCE_BYTES).toString('hex')}`;
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) + LONGEST_ENDING <= SOCKET_PATH_BYTES_MAX;
}

/** A pipe's name is taken by one process and free when that ends. @throws ConflictError ALREADY_RUNNING */
async function claimPipe(work: LockedWork, since: string): Promise<Claim | null> {
  const path = `\\\\.\\pipe\\${lockName(work.names)}`;
  const claim = await listen(path, since);
  if (typeof claim === 'string') {
    const holder = claim === 'EADDRINUSE' ? await ask(path) : null;
    if (holder !== null) throw alreadyRunning(work, holder.words);
    return null;
  }
  claim.isHeld = true;
  return claim;
}

/** Null if there can be no socket in this place. */
async function makeClaim({ folder, short, name }: LockPlace, since: string): Promise<Claim | null> {
  const unique = socketName(name);
  if (!fits(join(short, unique))) return null;
  const path = join(folder, `${unique}${LOCK}`);
  // A socket has a path before it listens, and would look dead: it gets the name that others look for when it does.
  const claim = await listen(join(short, `${unique}${BIND}`), since);
  if (typeof claim === 'string') return null;
  try {
    await rename(claim.path, path);
    claim.path = path;
    return claim;
  } catch {
    claim.server.close();
    return null;
  }
}

/**
 * Takes the lock for `claim` unless another has it, or goes before.
 * @returns who that is, in words; null when the lock was taken. Rejects when the folder cannot be read.
 */
async function findHolder(claim: Claim, { folder, short, name }: LockPlace): Promise<string | null> {
  let waitsFor: string | null = null;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    waitsFor = null;
    for (const file of await readdir(folder)) {
      const path = join(folder, file);
      if (!file.startsWith(`${name}.`) || path === claim.path) continue;
      if (file.endsWith(BIND)) await removeOld(path);
      if (!file.endsWith(LOCK)) continue;
      const answer = await ask(join(short, file));
      if (answer === null) await rm(path, { force: true }).catch(() => undefined);
      else if (answer.state === 'held' || (answer.state === 'wanted' && path < claim.path)) return answer.words;
      else waitsFor = answer.words;
    }
    if (waitsFor === null) {
      claim.isHeld = true;
      return null;
    }
    await setTimeout(ROUND_MS);
  }
  return waitsFor;
}

/** Of a process that died before it had a claim. */
async function removeOld(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found !== null && Date.now() - found.mtimeMs > BIND_MS_MAX)
    await rm(path, { force: true }).catch(() => undefined);
}

/** A server that answers each connection with one line; or the code of the error. */
function listen(path: string, since: string): Promise<Claim | string> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(`${JSON.stringify({ pid: process.pid, since, held: claim.isHeld })}\n`);
      // Not left open until the other side ends, which may never be.
      socket.destroySoon();
    });
    const claim: Claim = { server, path, isHeld: false };
    server.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'UNKNOWN'));
    // Other users must be able to ask, or could not tell a claim that is dead.
    server.listen({ path, readableAll: true, writableAll: true }, () => {
      server.unref();
      resolve(claim);
    });
  });
}

/** What the claim at this path says; null if nobody listens there. */
function ask(path: string): Promise<Answer | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(path);
    const end = (answer: Answer | null): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ANSWER_MS, () => end(heldBy('which gives no answer')));
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1');
      if (text.length > ANSWER_BYTES_MAX) end(heldBy('which cannot be understood'));
    });
    socket.on('end', () => end(text === '' ? ENDING : readAnswer(text)));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (DEAD.has(code)) end(null);
      else end(code === 'ECONNRESET' ? ENDING : heldBy(`which cannot be asked: ${code}`));
    });
  });
}

/** A claim given up after the connection was made. */
const ENDING: Answer = { state: 'ending', words: 'which gives no answer' };

function heldBy(words: string): Answer {
  return { state: 'held', words };
}

function readAnswer(text: string): Answer {
  const [, pid, since, held] =
    /^\{"pid":(\d{1,10}),"since":"([-0-9T:.Z]{20,30})","held":(true|false)\}\n$/.exec(text) ?? [];
  if (pid === undefined) return heldBy('which cannot be understood');
  return { state: held === 'true' ? 'held' : 'wanted', words: `pid ${pid}, since ${since}` };
}
