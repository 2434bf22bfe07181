import { eachLimited } from '../../ledger/each-limited.ts';
import { segment } from '../../ledger/layout.ts';
import type { BatchLine } from '../../ledger/snapshot.ts';
import { parseLogId } from '../../record/log-id.ts';
import type { LedgerContext } from '../ledger-context.ts';

/** One data file of a snapshot. */
export interface PullFile {
  /**
   * Path below the target folder: `<topic>/<partition>/<start>-<sha8>.parquet`, the same in every snapshot and on every
   * system. On a disk that does not tell upper from lower case, topics whose names differ in nothing else share a folder; no
   * file is lost.
   */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly rows: number;
  /** Object key in the store. */
  readonly key: string;
}

/** A file with what a reader in place needs. */
export interface ListedFile extends PullFile {
  readonly uri: string;
  readonly versionId: string | null;
}

const LOOKS_AT_ONCE = 8;

/** The data files of a snapshot, in order, and how many records are in none of them. */
export interface SnapshotFiles {
  readonly files: PullFile[];
  /** Records that did not decode. */
  readonly deadLetters: number;
}

/** The data files of a snapshot, in order. @throws IntegrityError, UnavailableError */
export async function filesOf(ledger: LedgerContext, snapshot: string): Promise<PullFile[]> {
  return (await readFiles(ledger, snapshot)).files;
}

/** The data files of a snapshot. Cost: about 600 bytes of memory a file. @throws IntegrityError, UnavailableError */
export async function readFiles({ snapshots, layout }: LedgerContext, snapshot: string): Promise<SnapshotFiles> {
  const files: PullFile[] = [];
  let deadLetters = 0;
  const { batches } = await snapshots.read(snapshot);
  for await (const line of snapshots.batches(batches)) {
    deadLetters += line.records - line.rows;
    const log = parseLogId(line.log);
    if (line.data === null || log === undefined) continue;
    const key = layout.data('data', { log, epoch: line.epoch, start: line.start, end: line.end }, line.data.sha256);
    files.push({ path: pathOf(line, log), sha256: line.data.sha256, bytes: line.data.bytes, rows: line.rows, key });
  }
  return { files, deadLetters };
}

/** Addresses, versions and digests of the files, for reading them in place. @throws IntegrityError, UnavailableError */
export async function listFiles(ledger: LedgerContext, snapshot: string): Promise<ListedFile[]> {
  const listed: ListedFile[] = [];
  const files = await filesOf(ledger, snapshot);
  await eachLimited(files.entries(), LOOKS_AT_ONCE, async ([i, file]) => {
    const found = await ledger.store.stat(file.key);
    listed[i] = { ...file, uri: found?.uri ?? '', versionId: found?.versionId ?? null };
  });
  return listed;
}

function pathOf(
  { start, data }: BatchLine,
  { topic, partition }: { readonly topic: string; readonly partition: string },
): string {
  return `${segment(topic)}/${segment(partition)}/${start}-${data!.sha256.slice(0, 8)}.parquet`;
}
