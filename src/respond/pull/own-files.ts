import Type, { type Static, type TSchema } from 'typebox';
import { Value } from 'typebox/value';

import { RequestError } from '../../errors.ts';
import type { PullTarget } from '../../ports/pull-target.ts';
import type { PullFile } from './snapshot-files.ts';

/** Where a pull keeps what is its own, below the target folder; no topic's folder begins with a dot. */
export const OWN_FOLDER = '.headgate';

/** Which files a pull has written or is about to move in: nothing else may be replaced or removed. */
export const MANIFEST = `${OWN_FOLDER}/manifest.json`;

/** Says which snapshot the folder holds, and is there only while it holds all of it: what a training job checks. */
const RECORD = `${OWN_FOLDER}/complete.json`;

/** Most bytes of either: half a million files with the longest names. More comes from elsewhere. */
const BYTES_MAX = 256 * 1_024 * 1_024;
/** Most commas and opening brackets of either: five for each of a million files, as short as their names can be. */
const PARTS_MAX = 5 * 1_024 * 1_024;
/** A file in a list in the whole. */
const DEPTH_MAX = 3;

/** Two escaped segments and a file name; nothing that leads out of the folder. */
const OWN_PATH = '^[A-Za-z0-9%_-][A-Za-z0-9%_.~-]*/[A-Za-z0-9%_-][A-Za-z0-9%_.~-]*/\\d+-[0-9a-f]{8}\\.parquet$';

/**
 * How a file that a pull has written is told from others: by its path, of which the first group is the folder that was
 * pulled into, and by one of these that lies below that.
 */
export const PULLED = { path: new RegExp(`^(.*)/${OWN_PATH.slice(1)}`, 's'), marks: [RECORD, MANIFEST] } as const;

/** Trust: a folder may come from elsewhere, so paths are checked. */
const Manifest = Type.Object({ files: Type.Array(Type.Object({ path: Type.String({ pattern: OWN_PATH }) })) });

/** The error for what a pull has not written and will not touch. */
export function conflict(target: PullTarget, act: string, path: string, why: string, cause?: unknown): RequestError {
  const message = `Cannot ${act} "${target.locate(path)}": ${why} (mend: pull into an empty folder)`;
  return new RequestError('PULL_CONFLICT', message, { cause });
}

/** Paths of files that earlier pulls have written. @throws RequestError PULL_CONFLICT when that cannot be told */
export async function readOwnPaths(target: PullTarget): Promise<ReadonlySet<string>> {
  const text = await target.read(MANIFEST, BYTES_MAX);
  if (text === null) return new Set();
  try {
    const manifest = parseAs(Manifest, text);
    return new Set(manifest.files.map((file) => file.path));
  } catch (cause) {
    throw conflict(target, 'use manifest', MANIFEST, 'it does not tell which files a pull has written', cause);
  }
}

/** Parses what is small when it is parsed, and not only as text: of the smallest values, 256 MiB would fill any memory. */
function parseAs<Schema extends TSchema>(schema: Schema, text: string): Static<Schema> {
  let [parts, depth] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    if (c === '"') at = endOfString(text, at);
    else if (c === ']' || c === '}') depth--;
    else if (c === '[' || c === '{' || c === ',') {
      if (c !== ',') depth++;
      if (++parts > PARTS_MAX || depth > DEPTH_MAX) throw new RangeError('it holds more than a pull writes down');
    }
  }
  const parsed: unknown = JSON.parse(text);
  // Not Assert, which would describe each of a million faults.
  if (!Value.Check(schema, parsed)) throw new TypeError('it has another shape');
  return parsed;
}

/** Position of the quote that ends the string. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const c = text[at];
    if (c === '"') return at;
    if (c === '\\') at++;
  }
  return text.length;
}

/** Writes down which files are ours. */
export async function writeOwnPaths(target: PullTarget, paths: Iterable<string>): Promise<void> {
  const manifest: Static<typeof Manifest> = { files: Array.from(paths, (path) => ({ path })) };
  await target.replace(MANIFEST, Buffer.from(JSON.stringify(manifest, null, 1), 'utf8'));
}

const CompletionRecord = Type.Object({
  version: Type.Literal(1),
  snapshot: Type.String(),
  records: Type.Number(),
  bytes: Type.Number(),
  /** Everything that belongs to the snapshot. */
  files: Type.Array(
    Type.Object({ path: Type.String(), sha256: Type.String(), bytes: Type.Number(), rows: Type.Number() }),
  ),
});

/** What the completion record claims. */
export interface Claim {
  readonly snapshot: string;
  readonly paths: ReadonlySet<string>;
}

/** What the folder claims to hold; null without a record, `unreadable` for something else in its place. */
export async function readClaim(target: PullTarget): Promise<Claim | 'unreadable' | null> {
  try {
    const text = await target.read(RECORD, BYTES_MAX);
    if (text === null) return null;
    const record = parseAs(CompletionRecord, text);
    return { snapshot: record.snapshot, paths: new Set(record.files.map(({ path }) => path)) };
  } catch {
    return 'unreadable';
  }
}

/** From here on, also after a power cut, the folder claims nothing. */
export async function withdrawClaim(target: PullTarget): Promise<void> {
  await target.removeAll(RECORD);
  await target.sync();
}

/** The last step of a pull: from here on the folder claims to hold the whole snapshot. */
export async function writeClaim(target: PullTarget, snapshot: string, files: readonly PullFile[]): Promise<void> {
  const record: Static<typeof CompletionRecord> = {
    version: 1,
    snapshot,
    records: files.reduce((sum, { rows }) => sum + rows, 0),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    files: files.map(({ path, sha256, bytes, rows }) => ({ path, sha256, bytes, rows })),
  };
  await target.replace(RECORD, Buffer.from(`${JSON.stringify(record, null, 1)}\n`, 'utf8'));
}
