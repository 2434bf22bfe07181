import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { ConfigError } from '../../errors.ts';
import type { LocalState } from '../../ports/local-state.ts';
import { isCode } from './file-errors.ts';
import { makeFolders } from './folders.ts';
import { describeTrouble } from './trouble.ts';

/** Texts as files in one folder, which is made with the first of them. */
export class DiskState implements LocalState {
  readonly #folder: string;

  /** @param folder absolute path. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  locate(name: string): string {
    return join(this.#folder, name);
  }

  async read(name: string): Promise<string | null> {
    try {
      return await readFile(this.locate(name), 'utf8');
    } catch (cause) {
      if (isCode(cause, 'ENOENT')) return null;
      throw await this.#unusable('read', cause);
    }
  }

  async write(name: string, text: string): Promise<void> {
    await this.#replace(text, (written) => rename(written, this.locate(name)));
  }

  async assertWritable(): Promise<void> {
    await this.#replace('', (written) => rm(written));
  }

  /** Synced before it takes its name: after a loss of power, a text that is cut off would be worse than an old one. */
  async #replace(text: string, finish: (written: string) => Promise<void>): Promise<void> {
    // Processes may do this at once, in containers even with one pid: each writes a file of its own.
    const temporary = this.locate(`${randomUUID()}.tmp`);
    try {
      await makeFolders(this.#folder);
      await writeDurably(temporary, text);
      await finish(temporary);
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw await this.#unusable('written', cause);
    }
  }

  async #unusable(verb: 'read' | 'written', cause: unknown): Promise<ConfigError> {
    const folder = {
      path: this.#folder,
      setting: 'stateFolder',
      wanted: 'this process may write to and that survives restarts',
    };
    return new ConfigError(
      'STATE_UNUSABLE',
      `Cannot remember what this machine has seen of the store: folder "${this.#folder}" cannot be ${verb}: ${await describeTrouble(folder, cause)}`,
      [],
      { cause },
    );
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
