import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { ConfigError, IntegrityError, RequestError } from '../errors.ts';
import type { ControlHead, ControlLog } from '../ledger/control-log.ts';
import { Count, Sha256 } from '../ledger/stored-types.ts';
import type { Rng } from '../ports/rng.ts';
import { sha256Hex } from '../record/sha256.ts';

/** What is remembered of one ledger. */
const Mark = Type.Object({ seq: Count, digest: Sha256 }, { additionalProperties: false });
type Mark = Static<typeof Mark>;

/**
 * Remembers the newest control entry that this machine has seen of a store, outside the store. A store that later shows
 * an older or another one was rolled back or split: nobody who reads it alone could tell.
 */
export class Marks {
  readonly #file: string;
  readonly #folder: string;
  readonly #rng: Rng;

  /** @param folder local folder of marks. @param location and @param pipeline say which ledger. */
  constructor(folder: string, location: string, pipeline: string, rng: Rng) {
    this.#rng = rng;
    this.#folder = folder;
    this.#file = join(folder, `${sha256Hex(Buffer.from(`${location}\n${pipeline}`, 'utf8')).slice(0, 32)}.json`);
  }

  /**
   * Checks the store's head against the mark and moves the mark forward.
   * @throws IntegrityError STORE_ROLLED_BACK with both heads; RequestError when the mark is no mark: to go on without it
   *   would be to trust the store blindly; ConfigError STATE_UNUSABLE when it cannot be read or written at all
   */
  async check(control: ControlLog, head: ControlHead): Promise<void> {
    const mark = await this.#read();
    // Also where there is nothing to remember yet: a process must not first find out when it matters.
    if (mark === null) await this.#makeFolder();
    else {
      const found = (await control.read(mark.seq))?.digest ?? 'nothing';
      if (found !== mark.digest) {
        throw new IntegrityError(
          'STORE_ROLLED_BACK',
          `control entry ${mark.seq}`,
          `Cannot trust the store: control entry ${mark.seq} was ${mark.digest} when this machine last looked, now it is ${found} (mark: ${this.#file})`,
        );
      }
    }
    await this.#advance(mark, head);
  }

  /**
   * Moves the mark forward to what this process has read or written since, without a look at the store.
   * @throws RequestError, ConfigError as {@link check}
   */
  async remember(known: ControlHead): Promise<void> {
    await this.#advance(await this.#read(), known);
  }

  async #advance(mark: Mark | null, { newest }: ControlHead): Promise<void> {
    if (newest !== null && (mark === null || newest.entry.seq > mark.seq))
      await this.#write({ seq: newest.entry.seq, digest: newest.digest });
  }

  async #read(): Promise<Mark | null> {
    const text = await readFile(this.#file, 'utf8').catch((cause: unknown) => {
      if (codeOf(cause) === 'ENOENT') return null;
      throw this.#unusable('read', cause);
    });
    if (text === null) return null;
    try {
      const mark: unknown = JSON.parse(text);
      Value.Assert(Mark, mark);
      return mark;
    } catch (cause) {
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot read mark file "${this.#file}" (mend: restore it; without it, this machine trusts whatever the store shows)`,
        { cause },
      );
    }
  }

  async #write(mark: Mark): Promise<void> {
    // Processes may do this at once, in containers even with one pid: each renames a file of its own.
    const temporary = `${this.#file}.${Buffer.from(this.#rng.bytes(12)).toString('hex')}`;
    try {
      await writeFile(temporary, JSON.stringify(mark), { flag: 'wx' });
      await rename(temporary, this.#file);
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw this.#unusable('written', cause);
    }
  }

  async #makeFolder(): Promise<void> {
    try {
      for (const folder of [dirname(this.#folder), this.#folder]) await makeFolder(folder);
    } catch (cause) {
      throw this.#unusable('written', cause);
    }
  }

  #unusable(verb: 'read' | 'written', cause: unknown): ConfigError {
    return new ConfigError(
      'STATE_UNUSABLE',
      `Cannot remember what this machine has seen of the store: folder "${this.#folder}" cannot be ${verb} (${codeOf(cause)}) (mend: set stateFolder to a folder that this process may write to and that survives restarts)`,
      [],
      { cause },
    );
  }
}

/** Not mkdir's own `recursive`: it never ends below a folder that takes no other in, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path).catch(async (cause: unknown) => {
    if (codeOf(cause) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw cause;
  });
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
