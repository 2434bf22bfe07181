/** What a file must be to be the one that is meant. */
export interface FileContent {
  /** ≥ 0. */
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/**
 * The folder that a pull fills. Paths are relative, with `/` on every system, and do not leave it (no `..`).
 *
 * Contract:
 * - Links are looked at, never followed: one is no file of ours, a write takes its place, a removal leaves alone what it
 *   leads to. Only {@link assertFolders} looks at the folders above; callers ask it before they use a path.
 * - What `write` and `replace` wrote is on disk when they return; what moved or went away is after `sync`.
 * - Folders are made as they are needed.
 * Trust: the folder may come from elsewhere. Whoever changes it while a pull runs is not defended against.
 * @throws UnavailableError TARGET_UNUSABLE from every call: the folder cannot be read or written, a full disk included
 */
export interface PullTarget {
  /** Absolute, for messages. */
  readonly location: string;
  /** Address of a path, for messages. */
  locate(path: string): string;
  /** The closest folder above this one, where links lead, in which one of `paths` is there; null without one. */
  folderAbove(paths: readonly string[]): Promise<string | null>;
  /** Refuses paths that do not lie in real folders all the way down. @throws RequestError PULL_CONFLICT */
  assertFolders(paths: Iterable<string>): Promise<void>;
  /** What is there: the file that is meant, byte by byte; a folder; something else; nothing. */
  compare(path: string, content: FileContent): Promise<'same' | 'other' | 'folder' | 'absent'>;
  /**
   * A whole text; null when there is nothing.
   * @param bytesMax most bytes that are read.
   * @throws RequestError PULL_CONFLICT for anything but a plain file, and for one that is larger
   */
  read(path: string, bytesMax: number): Promise<string | null>;
  /** Names in a folder; none when it is not there. */
  list(folder: string): Promise<readonly string[]>;
  /** Writes a file anew, in the place of another or of a link. @throws RequestError PULL_CONFLICT for a folder in the way */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** As {@link write}; the old content is there until the new one is on disk. */
  replace(path: string, bytes: Uint8Array): Promise<void>;
  /** Renames a file, over another or a link. @throws RequestError PULL_CONFLICT for a folder in the way */
  move(from: string, to: string): Promise<void>;
  /** Removes a file or a link; false when there was nothing. @throws RequestError PULL_CONFLICT for a folder */
  remove(path: string): Promise<boolean>;
  /** Removes what is there, a folder with all that is in it. */
  removeAll(path: string): Promise<void>;
  /** Makes all moves and removals last through a loss of power. */
  sync(): Promise<void>;
  /**
   * Data that whoever reads all of the folder would read too: what is Parquet by its name, be it a pipe, or by its first
   * bytes, and a link to such a file or to a folder; also where a name begins with a dot. What this user may not read is
   * passed over: no reader of this user can read it either.
   * @param ours paths that are not meant.
   * @param ownFolder name of a folder at the top in which only names and links count, not the first bytes.
   */
  foreignData(ours: ReadonlySet<string>, ownFolder: string): AsyncIterable<string>;
}
