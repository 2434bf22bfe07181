import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { IntegrityError, RequestError } from '../errors.ts';
import type { ControlHead, ControlLog } from '../ledger/control-log.ts';
import { Count, Sha256 } from '../ledger/stored-types.ts';
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
  #writes = 0;

  /** @param folder local folder of marks. @param location and @param pipeline say which ledger. */
  constructor(folder: string, location: string, pipeline: string) {
    this.#folder = folder;
    this.#file = join(folder, `${sha256Hex(Buffer.from(`${location}\n${pipeline}`, 'utf8')).slice(0, 32)}.json`);
  }

  /**
   * Checks the store's head against the mark and moves the mark forward.
   * @throws IntegrityError STORE_ROLLED_BACK with both heads; RequestError when the mark cannot be read: to go on without
   *   it would be to trust the store blindly
   */
  async check(control: ControlLog, head: ControlHead): Promise<void> {
    const mark = await this.#read();
    if (mark !== null) {
      const found = (await control.read(mark.seq))?.digest ?? 'nothing';
      if (found !== mark.digest) {
        throw new IntegrityError(
          'STORE_ROLLED_BACK',
          `control entry ${mark.seq}`,
          `Cannot trust the store: control entry ${mark.seq} was ${mark.digest} when this machine last looked, now it is ${found} (mark: ${this.#file})`,
        );
      }
    }
    const { newest } = head;
    if (newest !== null && (mark === null || newest.entry.seq > mark.seq))
      await this.#write({ seq: newest.entry.seq, digest: newest.digest });
  }

  async #read(): Promise<Mark | null> {
    try {
      const mark: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      Value.Assert(Mark, mark);
      return mark;
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
      throw new RequestError(
        'REQUEST_INVALID',
        `Cannot read mark file "${this.#file}" (mend: restore it; without it, this machine trusts whatever the store shows)`,
        { cause },
      );
    }
  }

  async #write(mark: Mark): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    // Processes may do this at once: each renames a file of its own.
    const temporary = `${this.#file}.${process.pid}-${++this.#writes}`;
    await writeFile(temporary, JSON.stringify(mark));
    await rename(temporary, this.#file);
  }
}
