import { readFile, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';

import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';

import { codeOf, conflict, OWN_FOLDER, replace, syncFolder } from './files.ts';
import type { PullFile } from './snapshot-files.ts';

/** Which files a pull has written or is about to move in: nothing else may be replaced or removed. */
export const MANIFEST = join(OWN_FOLDER, 'manifest.json');

/** Says which snapshot the folder holds, and is there only while it holds all of it: what a training job checks. */
export const RECORD = join(OWN_FOLDER, 'complete.json');

/** Two escaped segments and a file name; nothing that leads out of the folder. Windows separators are `\\`. */
const OWN_PATH =
  '^[A-Za-z0-9%_-][A-Za-z0-9%_.~-]*[/\\\\][A-Za-z0-9%_-][A-Za-z0-9%_.~-]*[/\\\\]\\d+-[0-9a-f]{8}\\.parquet$';

/** Trust: a folder may come from elsewhere, so paths are checked. */
const Manifest = Type.Object({ files: Type.Array(Type.Object({ path: Type.String({ pattern: OWN_PATH }) })) });

/** Paths of files that earlier pulls have written. @throws RequestError PULL_CONFLICT when that cannot be told */
export async function readOwnPaths(folder: string): Promise<ReadonlySet<string>> {
  const path = join(folder, MANIFEST);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return new Set();
  try {
    const manifest: unknown = JSON.parse(text);
    Value.Assert(Manifest, manifest);
    return new Set(manifest.files.map((file) => file.path));
  } catch (cause) {
    throw conflict('use manifest', path, 'it does not tell which files a pull has written', cause);
  }
}

/** Writes down which files are ours. */
export async function writeOwnPaths(folder: string, paths: Iterable<string>): Promise<void> {
  const manifest: Static<typeof Manifest> = { files: Array.from(paths, (path) => ({ path })) };
  await replace(join(folder, MANIFEST), Buffer.from(JSON.stringify(manifest, null, 1), 'utf8'));
}

const CompletionRecord = Type.Object({
  version: Type.Literal(1),
  snapshot: Type.String(),
  records: Type.Number(),
  bytes: Type.Number(),
  /** Everything that belongs to the snapshot; paths with `/` on every system. */
  files: Type.Array(
    Type.Object({ path: Type.String(), sha256: Type.String(), bytes: Type.Number(), rows: Type.Number() }),
  ),
});

/** What the completion record claims. */
export interface Claim {
  readonly snapshot: string;
  /** Paths as this system writes them. */
  readonly paths: ReadonlySet<string>;
}

/** What the folder claims to hold; null without a record, `unreadable` for something else in its place. */
export async function readClaim(folder: string): Promise<Claim | 'unreadable' | null> {
  try {
    const record: unknown = JSON.parse(await readFile(join(folder, RECORD), 'utf8'));
    Value.Assert(CompletionRecord, record);
    return { snapshot: record.snapshot, paths: new Set(record.files.map(({ path }) => path.replaceAll('/', sep))) };
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? null : 'unreadable';
  }
}

/** From here on, also after a power cut, the folder claims nothing. */
export async function withdrawClaim(folder: string): Promise<void> {
  await rm(join(folder, RECORD), { recursive: true, force: true });
  await syncFolder(join(folder, OWN_FOLDER));
}

/** The last step of a pull: from here on the folder claims to hold the whole snapshot. */
export async function writeClaim(folder: string, snapshot: string, files: readonly PullFile[]): Promise<void> {
  const record: Static<typeof CompletionRecord> = {
    version: 1,
    snapshot,
    records: files.reduce((sum, { rows }) => sum + rows, 0),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    files: files.map(({ path, sha256, bytes, rows }) => ({ path: path.replaceAll(sep, '/'), sha256, bytes, rows })),
  };
  await replace(join(folder, RECORD), Buffer.from(`${JSON.stringify(record, null, 1)}\n`, 'utf8'));
}
