import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import { sha256Hex } from '../record/sha256.ts';
import { eachWithin } from './each-within.ts';
import type { LedgerContext } from './ledger-context.ts';
import {
  assertFolders,
  conflict,
  holds,
  move,
  OWN_FOLDER,
  statOf,
  syncFolder,
  targetError,
  writeNew,
} from './pull/files.ts';
import { assertNoForeignData } from './pull/foreign-data.ts';
import { MANIFEST, readClaim, readOwnPaths, withdrawClaim, writeClaim, writeOwnPaths } from './pull/own-files.ts';
import { filesOf, type PullFile } from './pull/snapshot-files.ts';

/** What a pull brought, and how much of it was there before. */
export interface PullReport {
  readonly snapshot: string;
  readonly files: number;
  readonly records: number;
  readonly bytes: number;
  readonly downloaded: number;
  /** Files that were there already with the right content, in the folder or set aside by an interrupted pull. */
  readonly kept: number;
  /** Files of an earlier pull that this snapshot does not have. */
  readonly removed: number;
  /** False when it was interrupted: the folder is as it was, and the same call goes on from what is set aside. */
  readonly complete: boolean;
}

const DOWNLOADS_AT_ONCE = 8;
const STAGING = join(OWN_FOLDER, 'staging');

/**
 * Brings `folder` from what it holds to a snapshot, all or nothing as a reader sees it:
 *
 * 1. every file that is missing is downloaded and checked aside; until the last one is, the folder stays as it is;
 * 2. the completion record of what it held is withdrawn;
 * 3. the files move in, those of an earlier pull that no longer belong are removed;
 * 4. the record of this snapshot is written, last.
 *
 * Whatever ends it between two steps, a record is there only while the folder holds all that it lists, and the same call
 * goes on from what is done. Needs room for the new files beside the old ones.
 * Trust: what is in the folder may come from elsewhere; no link in it leads a write or a removal out of it. Whoever changes
 * the folder while this runs is not defended against.
 * @throws IntegrityError when a file is not what was signed; RequestError PULL_CONFLICT for a foreign file in the way or
 *   foreign data, and for a link or a file where a folder must be; UnavailableError TARGET_UNUSABLE, for a full disk too
 * Cost: about a kilobyte of memory a file of the snapshot, and downloads of at most HELD_BYTES_MAX together.
 */
export async function pull(
  ledger: LedgerContext,
  snapshot: string,
  folder: string,
  signal: AbortSignal,
  onProgress: (files: number, of: number) => void,
): Promise<PullReport> {
  const files = await filesOf(ledger, snapshot);
  try {
    return await pullFiles(ledger, snapshot, files, folder, signal, onProgress);
  } catch (error) {
    throw targetError(folder, error);
  }
}

async function pullFiles(
  ledger: LedgerContext,
  snapshot: string,
  files: readonly PullFile[],
  folder: string,
  signal: AbortSignal,
  onProgress: (files: number, of: number) => void,
): Promise<PullReport> {
  await assertFolders(folder, [MANIFEST, join(STAGING, 'file')]);
  const own = await readOwnPaths(folder);
  const wanted = new Set(files.map(({ path }) => path));
  await assertFolders(folder, own);
  await assertFolders(folder, wanted);
  const missing = await missingFiles(folder, files, own);
  await assertClaim(folder, own, wanted, missing);
  const { downloaded, complete } = await stage(ledger, folder, missing, signal, (staged) =>
    onProgress(files.length - missing.length + staged, files.length),
  );
  const stale: string[] = [];
  for (const path of complete ? own : [])
    if (!wanted.has(path) && (await statOf(join(folder, path))) !== null) stale.push(path);
  if (complete) {
    if (missing.length + stale.length > 0) await moveIn(folder, own, missing, stale);
    await assertNoForeignData(folder, wanted);
    await writeOwnPaths(folder, wanted);
    await writeClaim(folder, snapshot, files);
    await rm(join(folder, STAGING), { recursive: true, force: true });
  }
  const sum = (field: (file: PullFile) => number): number => files.reduce((total, file) => total + field(file), 0);
  return {
    snapshot,
    files: files.length,
    records: sum(({ rows }) => rows),
    bytes: sum(({ bytes }) => bytes),
    downloaded,
    kept: complete ? files.length - downloaded : files.length - missing.length,
    removed: stale.length,
    complete,
  };
}

/**
 * The files that are not there with the right content.
 * @throws RequestError PULL_CONFLICT for a foreign file where one of them must be
 */
async function missingFiles(folder: string, files: readonly PullFile[], own: ReadonlySet<string>): Promise<PullFile[]> {
  const missing = new Set(files);
  await eachLimited(files, DOWNLOADS_AT_ONCE, async (file) => {
    const target = join(folder, file.path);
    const present = await statOf(target);
    if (present === null) return;
    if (await holds(target, file)) missing.delete(file);
    else if (!own.has(file.path) || present.isDirectory())
      throw conflict('write', target, 'a file that no pull has written is in the way');
  });
  return [...missing];
}

/** Withdraws a completion record that is not true: a file that it lists is gone or changed, or there is foreign data beside. */
async function assertClaim(
  folder: string,
  own: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
  missing: readonly PullFile[],
): Promise<void> {
  const claim = await readClaim(folder);
  if (claim === 'unreadable' || missing.some(({ path }) => claim?.paths.has(path) === true))
    await withdrawClaim(folder);
  try {
    await assertNoForeignData(folder, new Set([...own, ...wanted]));
  } catch (error) {
    if (claim !== null) await withdrawClaim(folder);
    throw error;
  }
}

/** Brings files into the staging folder, each checked; those that an interrupted pull has brought there are checked and kept. */
async function stage(
  { store }: LedgerContext,
  folder: string,
  files: readonly PullFile[],
  signal: AbortSignal,
  onProgress: (staged: number) => void,
): Promise<{ readonly downloaded: number; readonly complete: boolean }> {
  await mkdir(join(folder, STAGING), { recursive: true });
  const names = new Set(files.map(stagedName));
  // Of a pull of another snapshot: they would only take room.
  for (const name of await readdir(join(folder, STAGING)))
    if (!names.has(name)) await rm(join(folder, STAGING, name), { recursive: true, force: true });
  let downloaded = 0;
  let staged = 0;
  const bytesOf = ({ bytes }: PullFile): number => bytes;
  await eachWithin(files, DOWNLOADS_AT_ONCE, bytesOf, async (file) => {
    if (signal.aborted) return;
    const path = join(folder, STAGING, stagedName(file));
    if (!(await holds(path, file))) {
      const bytesMax = Math.min(BYTES_MAX.data, Math.max(1, file.bytes));
      await writeNew(path, await getVerified(store, file.key, file.sha256, bytesMax));
      downloaded++;
    }
    onProgress(++staged);
  });
  return { downloaded, complete: staged === files.length };
}

/** Not named after the content: two files may have the same. No reader takes it for data by its name. */
function stagedName({ path }: PullFile): string {
  return `${sha256Hex(Buffer.from(path, 'utf8'))}.part`;
}

/** From the staging folder to where readers look. Not to be interrupted: it only renames and removes. */
async function moveIn(
  folder: string,
  own: ReadonlySet<string>,
  files: readonly PullFile[],
  stale: readonly string[],
): Promise<void> {
  // Announced first, so that the next pull knows its own files, however far this one gets.
  await writeOwnPaths(folder, new Set([...own, ...files.map(({ path }) => path)]));
  await withdrawClaim(folder);
  const touched = new Set<string>();
  for (const file of files) {
    const target = join(folder, file.path);
    await mkdir(dirname(target), { recursive: true });
    await assertFolders(folder, [file.path]);
    await move(join(folder, STAGING, stagedName(file)), target);
    for (let at = dirname(file.path); at !== '.'; at = dirname(at)) touched.add(at);
  }
  await assertFolders(folder, stale);
  for (const path of stale) {
    await rm(join(folder, path), { force: true });
    touched.add(dirname(path));
  }
  for (const path of ['.', ...touched]) await syncFolder(join(folder, path));
}
