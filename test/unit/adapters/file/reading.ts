import { createHash } from 'node:crypto';

import type { RecordRequest } from '../../../../src/adapters/file/file-reader.ts';
import { OwnPlaces, OWN_NOTHING } from '../../../../src/adapters/file/own-places.ts';
import type { FileLayout } from '../../../../src/adapters/file/record-buffer.ts';
import type { Clock } from '../../../../src/ports/clock.ts';
import type { RecordChunk, SourcePosition } from '../../../../src/record/chunk.ts';
import { chunkRecords } from '../../../support/chunk-records.ts';
import { splitCsv, splitNdjson } from '../../../support/record-models.ts';

export const NDJSON: FileLayout = { format: 'ndjson', delimiter: ',', recordBytesMax: 1_000 };
export const CSV: FileLayout = { format: 'csv', delimiter: ',', recordBytesMax: 1_000 };

/** Where all is data. */
export const NOTHING_OWN = new OwnPlaces(OWN_NOTHING);

/** A clock that is five seconds on at every look: who waits for a file to be quiet need not wait. */
export function hastyClock(): Clock {
  let nowMs = 0;
  return { now: () => nowMs, monotonic: () => (nowMs += 5_000), sleep: () => Promise.resolve() };
}

/** What a reader is asked for when nothing else matters. */
export const ALL = { recordsMax: 1_000_000, bytesMax: 1_000_000_000 };

/** Values of a chunk as latin1 text, so that no byte is lost. */
export function valuesOf(chunk: RecordChunk): string[] {
  return chunkRecords(chunk).map(({ value }) => value!);
}

/** Values from `offset` on, until there are no more. */
export async function readValues(
  reader: { read(request: RecordRequest): Promise<RecordChunk | null> | RecordChunk | null },
  offset = 0,
  limits: Partial<typeof ALL> = {},
): Promise<string[]> {
  const values: string[] = [];
  for (let next = offset; ;) {
    const chunk = await reader.read({ offset: next, ...ALL, ...limits });
    if (chunk === null) return values;
    values.push(...valuesOf(chunk));
    next = chunk.nextOffset;
  }
}

/** The records of a whole file, found without the code under test: latin1 text in and out. */
export function recordsOf(text: string, { format }: Pick<FileLayout, 'format'>): string[] {
  return format === 'ndjson' ? splitNdjson(text) : splitCsv(text).slice(1);
}

/**
 * The records that one pass over a file takes, when nothing has changed it for long: a last line without a line break only if
 * it is whole.
 */
export function takenOf(text: string, layout: Pick<FileLayout, 'format'>): string[] {
  const records = recordsOf(text, layout);
  const isBroken = recordsOf(`${text}x`, layout).length > records.length;
  if (records.length === 0 || isBroken) return records;
  const [last, header] = [records.at(-1)!, splitCsv(text)[0]!];
  const isWhole = layout.format === 'ndjson' ? isWholeJson(last) : fieldsOf(last) === fieldsOf(header);
  return isWhole && !last.endsWith('\r') ? records : records.slice(0, -1);
}

function isWholeJson(text: string): boolean {
  try {
    // A string with control characters is no JSON, and whole all the same.
    JSON.parse(text.replace(/"[^"]*"/g, '""'));
    return !/\d$/.test(text);
  } catch {
    return false;
  }
}

/** Fields of a CSV record; null if a quoted one is open. */
function fieldsOf(record: string): number | null {
  const plain = record.replace(/(^|,)"(?:[^"]|"")*"(?!")/g, '$1');
  return /(^|,)"/.test(plain) ? null : plain.split(',').length;
}

/** Where a reader stands behind the first `byte` bytes. */
export function positionOf(content: Uint8Array, byte: number): SourcePosition {
  return { byte, prefixSha256: createHash('sha256').update(content.subarray(0, byte)).digest('hex') };
}
