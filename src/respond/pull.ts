import { createHash } from 'node:crypto';
import { constants, createReadStream, type Stats } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { RequestError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX, segment } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { BatchLine } from '../ledger/snapshot.ts';
import { parseLogId } from '../record/log-id.ts';
import { sha256Hex } from '../record/sha256.ts';
import type { LedgerContext } from './ledger-context.ts';

/** One data file of a snapshot. */
export interface PullFile {
  /**
   * Path below the target folder: `<topic>/<partition>/<start>-<sha8>.parquet`, the same in every snapshot. On a disk that
   * does not tell upper from lower case, topics whose names differ in nothing else share a folder; no file is lost.
   */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly rows: number;
  /** Object key in the store. */
  readonly key: string;
}

/** What a pull brought, and how much of it was there before. */
export interface PullReport {
  readonly snapshot: string;
  readonly files: number;
  readonly records: number;
  readonly bytes: number;
  readonly downloaded: number;
  /** Files that were there already with the right content. */
  readonly kept: number;
  /** Files of an earlier pull that this snapshot does not have. */
  readonly removed: number;
  /** False when it was interrupted: the folder holds a part of the snapshot, and the same call goes on from there. */
  readonly complete: boolean;
}

/** A file with what a reader in place needs. */
export interface ListedFile extends PullFile {
  readonly uri: string;
  readonly versionId: string | null;
}

const DOWNLOADS_AT_ONCE = 8;
const OWN_FOLDER = '.headgate';
const MANIFEST = join(OWN_FOLDER, 'manifest.json');
/** Two escaped segments and a file name; nothing that leads out of the folder. Windows separators are `\\`. */
const OWN_PATH =
  '^[A-Za-z0-9%_-][A-Za-z0-9%_.~-]*[/\\\\][A-Za-z0-9%_-][A-Za-z0-9%_.~-]*[/\\\\]\\d+-[0-9a-f]{8}\\.parquet$';

/** The data files of a snapshot, in order. */
export async function filesOf({ snapshots, layout }: LedgerContext, snapshot: string): Promise<PullFile[]> {
  const files: PullFile[] = [];
  const { batches } = await snapshots.read(snapshot);
  for await (const line of snapshots.batches(batches)) {
    const log = parseLogId(line.log);
    if (line.data === null || log === undefined) continue;
    const key = layout.data('data', { log, epoch: line.epoch, start: line.start, end: line.end }, line.data.sha256);
    files.push({ path: pathOf(line, log), sha256: line.data.sha256, bytes: line.data.bytes, rows: line.rows, key });
  }
  return files;
}

/** Addresses, versions and digests of the files, for reading them in place. @throws UnavailableError */
export async function listFiles(ledger: LedgerContext, snapshot: string): Promise<ListedFile[]> {
  const listed: ListedFile[] = [];
  const files = await filesOf(ledger, snapshot);
  await eachLimited(files.entries(), DOWNLOADS_AT_ONCE, async ([i, file]) => {
    const found = await ledger.store.stat(file.key);
    listed[i] = { ...file, uri: found?.uri ?? '', versionId: found?.versionId ?? null };
  });
  return listed;
}

/**
 * Downloads a snapshot into `folder`: each file is checked before its name appears, files that are there already are
 * checked and kept, files of an earlier pull that no longer belong are removed. Interrupted, it goes on where it stopped.
 * Trust: what is in the folder may come from elsewhere; no link in it leads a write or a removal out of it. Whoever changes
 * the folder while this runs is not defended against.
 * @throws IntegrityError when a file is not what was signed; RequestError PULL_CONFLICT for a foreign file in the way, and
 *   for a link or a file where a folder must be
 */
export async function pull(
  ledger: LedgerContext,
  snapshot: string,
  folder: string,
  signal: AbortSignal,
  onProgress: (files: number, of: number) => void,
): Promise<PullReport> {
  const files = await filesOf(ledger, snapshot);
  await assertFolders(folder, [MANIFEST]);
  const before = await readManifest(folder);
  await assertFolders(
    folder,
    [...before.files, ...files].map(({ path }) => path),
  );
  const own = new Set(before.files.map(({ path }) => path));
  const missing = await missingFiles(folder, files, own);
  await mkdir(join(folder, OWN_FOLDER), { recursive: true });
  // Announce what will be written, so that an interrupted pull knows its own files.
  await writeManifest(folder, { snapshot: null, files: [...before.files, ...files] });
  let downloaded = 0;
  await eachLimited(missing, DOWNLOADS_AT_ONCE, async (file) => {
    if (signal.aborted) return;
    await download(ledger, folder, file);
    downloaded++;
    onProgress(files.length - missing.length + downloaded, files.length);
  });
  const wanted = new Set(files.map(({ path }) => path));
  const complete = downloaded === missing.length;
  const stale = complete ? [...own].filter((path) => !wanted.has(path)) : [];
  await assertFolders(folder, stale);
  for (const path of stale) await rm(join(folder, path), { force: true });
  if (complete) await writeManifest(folder, { snapshot, files });
  const sum = (field: (file: PullFile) => number): number => files.reduce((total, file) => total + field(file), 0);
  return {
    snapshot,
    files: files.length,
    records: sum(({ rows }) => rows),
    bytes: sum(({ bytes }) => bytes),
    downloaded,
    kept: files.length - missing.length,
    removed: stale.length,
    complete,
  };
}

function pathOf(
  { start, data }: BatchLine,
  { topic, partition }: { readonly topic: string; readonly partition: string },
): string {
  return join(segment(topic), segment(partition), `${start}-${data!.sha256.slice(0, 8)}.parquet`);
}

/**
 * The files that are not there with the right content. Looked at before anything is announced or written: a file that
 * was announced counts as ours, so a foreign one must be met before.
 * @throws RequestError PULL_CONFLICT
 */
async function missingFiles(folder: string, files: readonly PullFile[], own: ReadonlySet<string>): Promise<PullFile[]> {
  const missing = new Set(files);
  await eachLimited(files, DOWNLOADS_AT_ONCE, async (file) => {
    const target = join(folder, file.path);
    const present = await statOf(target);
    if (present === null) return;
    const same = present.isFile() && present.size === file.bytes && (await sha256OfFile(target)) === file.sha256;
    if (same) missing.delete(file);
    else if (!own.has(file.path) || present.isDirectory())
      throw conflict('write', target, 'a file that no pull has written is in the way');
  });
  return [...missing];
}

/** The file gets its name once its content is checked and on disk. */
async function download({ store }: LedgerContext, folder: string, file: PullFile): Promise<void> {
  const bytes = await getVerified(store, file.key, file.sha256, Math.min(BYTES_MAX.data, Math.max(1, file.bytes)));
  const target = join(folder, file.path);
  await mkdir(dirname(target), { recursive: true });
  await assertFolders(folder, [file.path]);
  // Named after the path: two files may have one content.
  const temporary = join(folder, OWN_FOLDER, `${sha256Hex(Buffer.from(file.path, 'utf8'))}.part`);
  await writeNew(temporary, bytes);
  await rename(temporary, target);
}

/** Writes a file of our own anew and to disk, never through a link that was put there. @throws RequestError PULL_CONFLICT */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const present = await statOf(path);
  if (present?.isDirectory() === true) throw conflict('write', path, 'a folder is in the way');
  // What an interrupted pull has left, or a link: removing it leaves alone what a link leads to.
  if (present !== null) await rm(path, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  // Windows has no O_NOFOLLOW; O_EXCL alone refuses whatever has the name.
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0)).catch((cause: unknown) => {
    if (codeOf(cause) !== 'EEXIST') throw cause;
    throw conflict('write', path, 'another pull is writing into this folder', cause);
  });
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Refuses paths that do not lie in real folders all the way down from `folder`. @throws RequestError PULL_CONFLICT */
async function assertFolders(folder: string, paths: readonly string[]): Promise<void> {
  const parents = new Set<string>();
  for (const path of paths) for (let at = dirname(path); at !== '.'; at = dirname(at)) parents.add(at);
  await eachLimited(parents, DOWNLOADS_AT_ONCE, async (parent) => {
    const path = join(folder, parent);
    const present = await statOf(path);
    if (present === null || present.isDirectory()) return;
    const what = present.isSymbolicLink() ? 'it is a link that leads elsewhere' : 'it is no folder';
    throw conflict('write below', path, what);
  });
}

/** What is there itself, be it a link; null for nothing. */
async function statOf(path: string): Promise<Stats | null> {
  return lstat(path).catch((error: unknown) => {
    // A file where a folder should be: assertFolders names it.
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return null;
    throw error;
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function conflict(act: string, path: string, why: string, cause?: unknown): RequestError {
  const message = `Cannot ${act} "${path}": ${why} (mend: pull into an empty folder)`;
  return new RequestError('PULL_CONFLICT', message, { cause });
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path)) hash.update(part as Buffer);
  return hash.digest('hex');
}

/** What this command knows of a folder it has written to. Trust: a folder may come from elsewhere, so paths are checked. */
const Manifest = Type.Object({
  /** Null while a pull is under way. */
  snapshot: Type.Union([Type.String(), Type.Null()]),
  files: Type.Array(
    Type.Object({
      path: Type.String({ pattern: OWN_PATH }),
      sha256: Type.String(),
      bytes: Type.Number(),
      rows: Type.Number(),
      key: Type.String(),
    }),
  ),
});
type Manifest = Static<typeof Manifest>;

async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST);
  try {
    const manifest: unknown = JSON.parse(await readFile(path, 'utf8'));
    Value.Assert(Manifest, manifest);
    return manifest;
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return { snapshot: null, files: [] };
    throw conflict('use manifest', path, 'it does not tell which files a pull has written', cause);
  }
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const temporary = join(folder, `${MANIFEST}.part`);
  await writeNew(temporary, Buffer.from(JSON.stringify(manifest, null, 1), 'utf8'));
  await rename(temporary, join(folder, MANIFEST));
}
