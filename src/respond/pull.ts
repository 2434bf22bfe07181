import { RequestError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { PullTarget } from '../ports/pull-target.ts';
import { sha256Hex } from '../record/sha256.ts';
import { eachWithin } from './each-within.ts';
import type { LedgerContext } from './ledger-context.ts';
import {
  conflict,
  MANIFEST,
  OWN_FOLDER,
  PULLED,
  readClaim,
  readOwnPaths,
  withdrawClaim,
  writeClaim,
  writeOwnPaths,
} from './pull/own-files.ts';
import { readFiles, type PullFile } from './pull/snapshot-files.ts';

/** What a pull brought, and how much of it was there before. */
export interface PullReport {
  readonly snapshot: string;
  readonly files: number;
  readonly records: number;
  /** Records of its batches that are in no file, because they did not decode. */
  readonly deadLetters: number;
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
const STAGING = `${OWN_FOLDER}/staging`;
/** Foreign files that a message names. */
const NAMED_MAX = 3;

/**
 * Brings a folder from what it holds to a snapshot, all or nothing as a reader sees it:
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
 *   foreign data, for a link or a file where a folder must be, and within the folder of another pull; UnavailableError TARGET_UNUSABLE, for a full disk too
 * Cost: about a kilobyte of memory a file of the snapshot, and downloads of at most HELD_BYTES_MAX together.
 */
export async function pull(
  ledger: LedgerContext,
  snapshot: string,
  target: PullTarget,
  signal: AbortSignal,
  onProgress: (files: number, of: number) => void,
): Promise<PullReport> {
  const { files, deadLetters } = await readFiles(ledger, snapshot);
  await target.assertFolders([MANIFEST, stagedName('file')]);
  await assertNotWithinOther(target);
  const { own, missing } = await inspect(target, files);
  const { downloaded, complete } = await stage(ledger, target, missing, signal, (staged) =>
    onProgress(files.length - missing.length + staged, files.length),
  );
  const removed = complete ? await settle(target, snapshot, files, missing, own) : 0;
  const sum = (field: (file: PullFile) => number): number => files.reduce((total, file) => total + field(file), 0);
  return {
    snapshot,
    files: files.length,
    records: sum(({ rows }) => rows),
    deadLetters,
    bytes: sum(({ bytes }) => bytes),
    downloaded,
    kept: complete ? files.length - downloaded : files.length - missing.length,
    removed,
    complete,
  };
}

/** Refuses a folder in that of another pull: who reads all of that would read this one too. @throws RequestError PULL_CONFLICT */
async function assertNotWithinOther(target: PullTarget): Promise<void> {
  const other = await target.folderAbove(PULLED.marks);
  if (other === null) return;
  throw new RequestError(
    'PULL_CONFLICT',
    `Cannot pull into "${target.location}": it lies in "${other}", which another pull fills, and who reads all of that would read both (mend: pull into a folder outside of it)`,
  );
}

/**
 * Which files are ours, and which of the snapshot are missing. A completion record that turns out not to be true is
 * withdrawn, however this ends: a file that it and the snapshot list is gone or changed, something lies where it may not,
 * nothing tells which files are ours, or whether there is foreign data.
 * @throws RequestError PULL_CONFLICT
 */
async function inspect(
  target: PullTarget,
  files: readonly PullFile[],
): Promise<{ readonly own: ReadonlySet<string>; readonly missing: readonly PullFile[] }> {
  const claim = await readClaim(target);
  let isDoubtful = claim === 'unreadable';
  const markMissing = (path: string): void => {
    if (claim !== null && claim !== 'unreadable' && claim.paths.has(path)) isDoubtful = true;
  };
  try {
    const own = await readOwnPaths(target);
    const wanted = new Set(files.map(({ path }) => path));
    await target.assertFolders(own);
    await target.assertFolders(wanted);
    const missing = await missingFiles(target, files, own, markMissing);
    // Not after the last look, which takes its time: who is killed there leaves no false record.
    if (isDoubtful) await withdrawClaim(target);
    // A look that fails halfway may have passed by what it was to find.
    isDoubtful = claim !== null;
    await assertNoForeignData(target, new Set([...own, ...wanted]));
    return { own, missing };
  } catch (error) {
    if (isDoubtful || (claim !== null && isConflict(error))) await withdrawClaim(target);
    throw error;
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof RequestError && error.code === 'PULL_CONFLICT';
}

/**
 * The files that are not there with the right content.
 * @throws RequestError PULL_CONFLICT for a foreign file where one of them must be
 */
async function missingFiles(
  target: PullTarget,
  files: readonly PullFile[],
  own: ReadonlySet<string>,
  onMissing: (path: string) => void,
): Promise<PullFile[]> {
  const missing = new Set(files);
  await eachLimited(files, DOWNLOADS_AT_ONCE, async (file) => {
    const found = await target.compare(file.path, file);
    if (found === 'same') missing.delete(file);
    else onMissing(file.path);
    if (found === 'folder' || (found === 'other' && !own.has(file.path)))
      throw conflict(target, 'write', file.path, 'a file that no pull has written is in the way');
  });
  return [...missing];
}

/**
 * Refuses a folder with data in it that is none of a pull's: whoever reads all of the folder would read that too.
 * @param ours paths of the files that may be there. @throws RequestError PULL_CONFLICT
 */
async function assertNoForeignData(target: PullTarget, ours: ReadonlySet<string>): Promise<void> {
  const foreign: string[] = [];
  let count = 0;
  for await (const path of target.foreignData(ours, OWN_FOLDER)) if (++count <= NAMED_MAX) foreign.push(`"${path}"`);
  if (count === 0) return;
  const names = foreign.join(', ') + (count > NAMED_MAX ? ` and ${count - NAMED_MAX} more` : '');
  throw new RequestError(
    'PULL_CONFLICT',
    `Cannot pull into "${target.location}": it holds data that no pull into this folder has put there, ${names} (mend: take it out of the folder, or pull into another one)`,
  );
}

/** Brings files into the staging folder, each checked; those that an interrupted pull has brought there are checked and kept. */
async function stage(
  { store }: LedgerContext,
  target: PullTarget,
  files: readonly PullFile[],
  signal: AbortSignal,
  onProgress: (staged: number) => void,
): Promise<{ readonly downloaded: number; readonly complete: boolean }> {
  const staging = new Set(files.map(({ path }) => stagedName(path)));
  // Of a pull of another snapshot: they would only take room.
  for (const name of await target.list(STAGING))
    if (!staging.has(`${STAGING}/${name}`)) await target.removeAll(`${STAGING}/${name}`);
  let downloaded = 0;
  let staged = 0;
  const bytesOf = ({ bytes }: PullFile): number => bytes;
  await eachWithin(files, DOWNLOADS_AT_ONCE, bytesOf, async (file) => {
    if (signal.aborted) return;
    const path = stagedName(file.path);
    if ((await target.compare(path, file)) !== 'same') {
      const bytesMax = Math.min(BYTES_MAX.data, Math.max(1, file.bytes));
      await target.write(path, await getVerified(store, file.key, file.sha256, bytesMax));
      downloaded++;
    }
    onProgress(++staged);
  });
  return { downloaded, complete: staged === files.length };
}

/** Where a file is set aside. Not named after the content: two files may have the same. No reader takes it for data by its name. */
function stagedName(path: string): string {
  return `${STAGING}/${sha256Hex(Buffer.from(path, 'utf8'))}.part`;
}

/**
 * From the staging folder to where readers look, and the record of it, last. Not to be interrupted: it only renames and
 * removes. @returns how many files of an earlier pull were removed
 */
async function settle(
  target: PullTarget,
  snapshot: string,
  files: readonly PullFile[],
  missing: readonly PullFile[],
  own: ReadonlySet<string>,
): Promise<number> {
  const wanted = new Set(files.map(({ path }) => path));
  const stale = [...own].filter((path) => !wanted.has(path));
  let removed = 0;
  if (missing.length + stale.length > 0) {
    // Announced first, so that the next pull knows its own files, however far this one gets.
    await writeOwnPaths(target, new Set([...own, ...missing.map(({ path }) => path)]));
    await withdrawClaim(target);
    for (const { path } of missing) await target.move(stagedName(path), path);
    await target.assertFolders(stale);
    for (const path of stale) if (await target.remove(path)) removed++;
    await target.sync();
  }
  await assertNoForeignData(target, wanted).catch(async (error: unknown) => {
    await withdrawClaim(target);
    throw error;
  });
  await writeOwnPaths(target, wanted);
  await writeClaim(target, snapshot, files);
  await target.removeAll(STAGING);
  return removed;
}
