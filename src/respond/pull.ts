import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { RequestError } from '../errors.ts';
import { eachLimited } from '../ledger/each-limited.ts';
import { BYTES_MAX } from '../ledger/layout.ts';
import { getVerified } from '../ledger/objects.ts';
import type { BatchLine } from '../ledger/snapshot.ts';
import { encodeSegment, parseLogId } from '../record/log-id.ts';
import type { LedgerContext } from './ledger-context.ts';

/** One data file of a snapshot. */
export interface PullFile {
  /** Path below the target folder: `<topic>/<partition>/<start>-<sha8>.parquet`, the same in every snapshot. */
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
  '^[A-Za-z0-9%_-][A-Za-z0-9%_.-]*[/\\\\][A-Za-z0-9%_-][A-Za-z0-9%_.-]*[/\\\\]\\d+-[0-9a-f]{8}\\.parquet$';

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
 * @throws IntegrityError when a file is not what was signed; RequestError PULL_CONFLICT for a foreign file in the way
 */
export async function pull(
  ledger: LedgerContext,
  snapshot: string,
  folder: string,
  signal: AbortSignal,
  onProgress: (files: number, of: number) => void,
): Promise<PullReport> {
  const files = await filesOf(ledger, snapshot);
  const before = await readManifest(folder);
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
  return join(encodeSegment(topic), encodeSegment(partition), `${start}-${data!.sha256.slice(0, 8)}.parquet`);
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
    const present = await stat(target).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    });
    if (present === null) return;
    const same = present.isFile() && present.size === file.bytes && (await sha256OfFile(target)) === file.sha256;
    if (same) missing.delete(file);
    else if (!own.has(file.path))
      throw new RequestError(
        'PULL_CONFLICT',
        `Cannot write "${target}": a file that no pull has written is in the way (mend: pull into an empty folder)`,
      );
  });
  return [...missing];
}

/** The file gets its name once its content is checked and on disk. */
async function download({ store }: LedgerContext, folder: string, file: PullFile): Promise<void> {
  const bytes = await getVerified(store, file.key, file.sha256, Math.min(BYTES_MAX.data, Math.max(1, file.bytes)));
  const target = join(folder, file.path);
  await mkdir(dirname(target), { recursive: true });
  const temporary = join(folder, OWN_FOLDER, `${file.sha256}.part`);
  const handle = await open(temporary, 'w');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, target);
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
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return { snapshot: null, files: [] };
    const why = 'it does not tell which files a pull has written (mend: pull into an empty folder)';
    throw new RequestError('PULL_CONFLICT', `Cannot use manifest "${path}": ${why}`, { cause });
  }
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const temporary = join(folder, `${MANIFEST}.part`);
  await writeFile(temporary, JSON.stringify(manifest, null, 1));
  await rename(temporary, join(folder, MANIFEST));
}
