import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';

import { spellPath } from './file-names.ts';

/** What belongs to the pipeline itself: its keys, its store and the like. All paths are absolute; none need exist. */
export interface OwnPaths {
  readonly files: readonly string[];
  /** Each with all that is below it. */
  readonly folders: readonly string[];
}

/** One of them, as it is now. */
export interface OwnPlace {
  /** As it was given. */
  readonly path: string;
  readonly isFolder: boolean;
  /** Where links lead, in the spelling of file-names.ts. */
  readonly real: string;
  /** Null for a folder, and for a file that is not there. */
  readonly stats: Stats | null;
}

/**
 * Keeps what belongs to the pipeline itself from being read as data, by whatever name or link: private keys would stand in
 * the store for everyone who reads it, and each run would read what the one before has stored.
 * Trust: whoever may write among the data may make links, at any time.
 */
export class OwnPlaces {
  readonly #paths: OwnPaths;
  #places: readonly OwnPlace[] = [];

  constructor(paths: OwnPaths) {
    this.#paths = paths;
  }

  /** Finds out where they are now; before that, nothing is known to be own. */
  async look(): Promise<void> {
    const { files, folders } = this.#paths;
    // Folders first: their names say more than those of the files in them.
    this.#places = await Promise.all([
      ...folders.map(async (path) => ({ path, isFolder: true, real: await realOf(path), stats: null })),
      ...files.map(async (path) => {
        const stats = await stat(path).catch(() => null);
        return { path, isFolder: false, real: await realOf(path), stats };
      }),
    ]);
  }

  /** The place that a file is, or lies in; null for data. @param real where its links lead, spelled. */
  placeOf(real: string): OwnPlace | null {
    const lies = ({ isFolder, real: own }: OwnPlace): boolean =>
      real === own || (isFolder && real.startsWith(own.endsWith(sep) ? own : own + sep));
    return this.#places.find(lies) ?? null;
  }

  /** The same for a file that has been opened, which links may have led elsewhere since it was found. */
  async placeOfOpen(path: string, { dev, ino }: Stats): Promise<OwnPlace | null> {
    const same = this.#places.find(({ stats }) => stats !== null && stats.dev === dev && stats.ino === ino);
    return same ?? this.placeOf(await realOf(path));
  }
}

/** Why such a file is not read. */
export function whyOwn({ path, isFolder }: OwnPlace): string {
  return `it leads ${isFolder ? 'into' : 'to'} "${path}", which belongs to this pipeline itself`;
}

/** Where a path leads, spelled; what does not exist yet is below what does. */
export async function realOf(path: string): Promise<string> {
  const real = await realpath(path, 'buffer').catch(() => null);
  if (real !== null) return spellPath(real);
  const above = dirname(path);
  return above === path ? path : join(await realOf(above), spellPath(Buffer.from(basename(path), 'utf8')));
}
