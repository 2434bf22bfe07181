import type { Stats } from 'node:fs';
import { access, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';

import { UnavailableError } from '../../errors.ts';
import { describeName, pathOf, spellPath } from './file-names.ts';

/** What belongs to the pipeline itself: its keys, its store and the like. All paths are absolute; none need exist. */
export interface NotData {
  readonly files: readonly string[];
  /** Each with the files that lie directly in it: beside a key lie others. */
  readonly keyFolders: readonly string[];
  /** Each with all that is below it. */
  readonly folders: readonly string[];
  /** How the files of a pull are known; null: they are not. */
  readonly pulled: PulledFiles | null;
}

/** What a pull writes, into whatever folder. */
export interface PulledFiles {
  /** The first group of a match is the folder that was pulled into, if it is one. */
  readonly path: RegExp;
  /** Files below the folder of which a pull leaves at least one. */
  readonly marks: readonly string[];
}

/** Where all is data. */
export const OWN_NOTHING: NotData = { files: [], keyFolders: [], folders: [], pulled: null };

/** One of them, as it is now. */
export interface OwnPlace {
  /** As it was given. */
  readonly path: string;
  /** Itself; or itself and the files directly in it, or all below it, or what a pull has written there. */
  readonly kind: 'file' | 'keys' | 'folder' | 'pulled';
  /** Where links lead, in the spelling of file-names.ts. */
  readonly real: string;
}

/**
 * Keeps what belongs to the pipeline itself from being read as data, by whatever name or link: private keys would stand in
 * the store for everyone who reads it, and each run would read what the one before has stored.
 * Trust: whoever may write among the data may make links, at any time.
 */
export class OwnPlaces {
  readonly #paths: NotData;
  #places: readonly OwnPlace[] = [];
  /** Whether a pull has left its marks in a folder; until the next look. */
  readonly #marked = new Map<string, Promise<boolean>>();

  constructor(paths: NotData) {
    this.#paths = paths;
  }

  /** Finds out where they are now; before that, nothing is known to be own. */
  async look(): Promise<void> {
    const { files, keyFolders, folders } = this.#paths;
    const placesOf = (kind: OwnPlace['kind'], paths: readonly string[]): Promise<OwnPlace>[] =>
      paths.map(async (path) => ({ path, kind, real: await realOf(path) }));
    this.#marked.clear();
    // Folders first: their names say more than those of the files in them.
    this.#places = await Promise.all([
      ...placesOf('folder', folders),
      ...placesOf('keys', keyFolders),
      ...placesOf('file', files),
    ]);
  }

  /** The place that a file is, or lies in; null for data. @param real where its links lead, spelled. */
  async placeOf(real: string): Promise<OwnPlace | null> {
    return this.#places.find((place) => isAt(place, real)) ?? (await this.#pulledPlace(real));
  }

  /** The folder that a pull has written a file into, by the file's path; null for other paths. */
  pulledInto(path: string): string | null {
    return this.#paths.pulled?.path.exec(path)?.[1] ?? null;
  }

  /**
   * The same for a file that has been opened, which links may have led elsewhere since it was found. Keys are told by the
   * file itself, so that no name and no moment hides one.
   * @param path by which it was opened.
   * @throws UnavailableError SOURCE_UNAVAILABLE if that leads to another file by now
   */
  async placeOfOpen(path: string, opened: Stats): Promise<OwnPlace | null> {
    const real = await realOf(path);
    const place = (await this.#keyOf(opened)) ?? (await this.placeOf(real));
    if (place !== null || isSameFile(await statOf(pathOf(real)), opened)) return place;
    throw new UnavailableError(
      'SOURCE_UNAVAILABLE',
      `Cannot read "${path}": another file has taken its name while it was opened`,
    );
  }

  /** The place of a file that is own by itself, also where its name is another one. */
  async #keyOf(opened: Stats): Promise<OwnPlace | null> {
    for (const place of this.#places)
      if (place.kind === 'file' && isSameFile(await statOf(place.path), opened)) return place;
    if (opened.nlink < 2) return null;
    for (const place of this.#places) {
      if (place.kind !== 'keys') continue;
      const names = await readdir(place.path).catch(() => []);
      for (const name of names) if (isSameFile(await statOf(join(place.path, name)), opened)) return place;
    }
    return null;
  }

  async #pulledPlace(real: string): Promise<OwnPlace | null> {
    const folder = this.pulledInto(real);
    if (folder === null) return null;
    let isMarked = this.#marked.get(folder);
    if (isMarked === undefined) this.#marked.set(folder, (isMarked = this.#hasMark(folder)));
    return (await isMarked) ? { path: describeName(folder), kind: 'pulled', real: folder } : null;
  }

  async #hasMark(folder: string): Promise<boolean> {
    const marks = this.#paths.pulled!.marks.map((mark) => access(pathOf(join(folder, mark))).then(() => true));
    return (await Promise.allSettled(marks)).some(({ status }) => status === 'fulfilled');
  }
}

/** Why such a file is not read. */
export function whyOwn({ path, kind }: OwnPlace): string {
  if (kind === 'pulled') return `it leads to what was pulled into "${path}", and what was published is not read again`;
  return `it leads ${kind === 'file' ? 'to' : 'into'} "${path}", which belongs to this pipeline itself`;
}

/** Where a path leads, spelled; what does not exist yet is below what does. */
export async function realOf(path: string): Promise<string> {
  const real = await realpath(path, 'buffer').catch(() => null);
  if (real !== null) return spellPath(real);
  const above = dirname(path);
  return above === path ? path : join(await realOf(above), spellPath(Buffer.from(basename(path), 'utf8')));
}

function isAt({ kind, real: own }: OwnPlace, real: string): boolean {
  if (real === own) return true;
  if (kind === 'keys') return dirname(real) === own;
  return kind === 'folder' && real.startsWith(own.endsWith(sep) ? own : own + sep);
}

function statOf(path: string | Buffer): Promise<Stats | null> {
  return stat(path).catch(() => null);
}

function isSameFile(a: Stats | null, b: Stats): boolean {
  return a !== null && a.dev === b.dev && a.ino === b.ino;
}
