import { readBatchFile, type StoredRecords } from '../../ledger/data/batch-file.ts';
import { recomputeRoot } from '../../ledger/merkle/batch-root.ts';
import type { BatchEntry, StoredObject } from '../../ledger/partition-entry.ts';
import type { FileFormat } from '../../ports/file-format.ts';
import { formatLogId, type LogId } from '../../record/log-id.ts';
import type { Findings } from './findings.ts';

/** A file of a batch: what its entry says of it, and its bytes, which have the right digest. */
export interface BatchObject {
  readonly object: StoredObject;
  readonly bytes: Buffer;
}

/** Recomputes the leaf of every record of a batch and the root over them from its files; says what differs. */
export function recomputeRecords(
  findings: Findings,
  format: FileFormat,
  log: LogId,
  entry: BatchEntry,
  files: { readonly data: BatchObject | null; readonly deadLetters: BatchObject | null },
): void {
  const object = (files.data ?? files.deadLetters)?.object.key ?? formatLogId(log);
  const differs = (what: string): void => findings.found(object, 'ROOT_MISMATCH', what);
  try {
    const read = (file: BatchObject | null): StoredRecords | null =>
      file === null ? null : readBatchFile(format, file.bytes, file.object.key);
    const data = read(files.data);
    const dead = read(files.deadLetters);
    const stored = [data, dead].filter((part) => part !== null);
    const parts = stored.map(({ raw }) => raw);
    const { root, firstWrongOffset } = recomputeRoot(log, stored[0]?.header.batchKey ?? Buffer.alloc(32), parts);
    if (firstWrongOffset !== null)
      differs(`the stored leaf of offset ${firstWrongOffset} does not belong to its record`);
    if (root.toString('hex') !== entry.root)
      differs(`its root is ${root.toString('hex')}, the entry says ${entry.root}`);
    const decoded = entry.records - entry.deadLetterRecords;
    if ((data?.raw.count ?? 0) !== decoded)
      differs(`it holds ${data?.raw.count ?? 0} decoded records, the entry says ${decoded}`);
    if ((dead?.raw.count ?? 0) !== entry.deadLetterRecords)
      differs(`it has ${dead?.raw.count ?? 0} dead letters, the entry says ${entry.deadLetterRecords}`);
    for (const { header, raw } of stored) {
      const outside = raw.count > 0 && (raw.offsets[0]! < entry.start || raw.offsets[raw.count - 1]! >= entry.end);
      if (outside) differs(`it holds offsets outside [${entry.start}, ${entry.end})`);
      if (formatLogId(header.log) !== formatLogId(log) || header.start !== entry.start || header.end !== entry.end)
        differs(`it says that it is ${formatLogId(header.log)} [${header.start}, ${header.end})`);
    }
  } catch (error) {
    findings.foundError(object, error);
  }
}
