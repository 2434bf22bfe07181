import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { IntegrityError } from '../errors.ts';
import type { ControlHead, ControlLog } from '../ledger/control-log.ts';
import { sha256Hex } from '../record/sha256.ts';

/**
 * Remembers the newest control entry that this machine has seen of a store, outside the store. A store that later shows
 * an older or another one was rolled back or split: nobody who reads it alone could tell.
 */
export class Marks {
  readonly #file: string;
  readonly #folder: string;

  /** @param folder local folder of marks. @param location and @param pipeline say which ledger. */
  constructor(folder: string, location: string, pipeline: string) {
    this.#folder = folder;
    this.#file = join(folder, `${sha256Hex(Buffer.from(`${location}\n${pipeline}`, 'utf8')).slice(0, 32)}.json`);
  }

  /**
   * Checks the store's head against the mark and moves the mark forward.
   * @throws IntegrityError STORE_ROLLED_BACK with both heads
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

  async #read(): Promise<{ readonly seq: number; readonly digest: string } | null> {
    const text = await readFile(this.#file, 'utf8').catch(() => null);
    return text === null ? null : (JSON.parse(text) as { seq: number; digest: string });
  }

  async #write(mark: { readonly seq: number; readonly digest: string }): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const temporary = `${this.#file}.${process.pid}`;
    await writeFile(temporary, JSON.stringify(mark));
    await rename(temporary, this.#file);
  }
}
