import type { Data, RecordBatch } from 'apache-arrow';

import { IntegrityError } from '../../errors.ts';
import type { BatchEncoder, EncodedBatch } from '../../ports/batch-encoder.ts';
import type { FileFormat } from '../../ports/file-format.ts';
import type { BatchContent } from '../../record/batch-content.ts';
import { formatLogId } from '../../record/log-id.ts';
import { sha256Hex } from '../../record/sha256.ts';
import { recomputeRoot } from '../merkle/batch-root.ts';
import { userColumn } from './arrow-columns.ts';
import { encodeDeadLetters, encodeDecodedRows, readBatchFile, type StoredRecords } from './batch-file.ts';

/** Encodes on the calling thread: for the simulator, for tests, and inside the worker. */
export class InlineEncoder implements BatchEncoder {
  readonly #format: FileFormat;

  constructor(format: FileFormat) {
    this.#format = format;
  }

  async encode(content: BatchContent, root: Uint8Array): Promise<EncodedBatch> {
    return encodeAndCheck(this.#format, content, root);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Encodes a batch, decodes it back and compares; see the contract of BatchEncoder. @throws IntegrityError ENCODING_UNFAITHFUL */
export function encodeAndCheck(format: FileFormat, content: BatchContent, root: Uint8Array): EncodedBatch {
  const name = `${formatLogId(content.log)} [${content.start}, ${content.end})`;
  const unfaithful = (what: string): IntegrityError =>
    new IntegrityError(
      'ENCODING_UNFAITHFUL',
      name,
      `Cannot commit batch "${name}": ${what} after encoding and decoding back`,
    );
  const data = content.decoded.raw.count === 0 ? null : encodeDecodedRows(format, content);
  const deadLetters = content.dead.raw.count === 0 ? null : encodeDeadLetters(format, content);
  const stored = [data, deadLetters]
    .filter((bytes) => bytes !== null)
    .map((bytes) => readBatchFile(format, bytes, name));
  for (const { header } of stored) {
    const recomputed = recomputeRoot(
      header.log,
      header.batchKey,
      stored.map(({ raw }) => raw),
    );
    if (recomputed.firstWrongOffset !== null)
      throw unfaithful(`the leaf of offset ${recomputed.firstWrongOffset} differs`);
    if (!recomputed.root.equals(root)) throw unfaithful('the root differs');
    break;
  }
  if (data !== null) assertSameColumns(content, stored[0]!, unfaithful);
  return { data: file(data), deadLetters: file(deadLetters) };
}

function file(bytes: Buffer | null): EncodedBatch['data'] {
  return bytes === null ? null : { bytes, sha256: sha256Hex(bytes) };
}

function assertSameColumns(
  { decoded }: BatchContent,
  stored: StoredRecords,
  unfaithful: (what: string) => Error,
): void {
  const rows = decoded.columns.rows;
  if (stored.batch.numRows !== rows)
    throw unfaithful(`the number of rows is ${stored.batch.numRows} instead of ${rows}`);
  for (const column of decoded.columns.columns) {
    const { name } = column.column;
    const wanted = userColumn(column, rows);
    const found = childData(stored.batch, name);
    if (found === undefined || String(found.type) !== String(wanted.data.type) || !sameData(wanted.data, found, rows))
      throw unfaithful(`column "${name}" differs`);
  }
}

function childData(batch: RecordBatch, name: string): Data | undefined {
  return batch.getChild(name)?.data[0];
}

/** Compares all buffers; null rows hold zeros on both sides, so that whole buffers can be compared. */
function sameData(a: Data, b: Data, rows: number): boolean {
  if (a.nullCount !== b.nullCount) return false;
  if (a.nullCount > 0 && !sameBits(a.nullBitmap, b.nullBitmap, rows)) return false;
  const offsetsA = a.valueOffsets as Int32Array | undefined;
  if (offsetsA !== undefined && !sameBytes(bytesOf(offsetsA), bytesOf(b.valueOffsets as Int32Array), (rows + 1) * 4))
    return false;
  const length = offsetsA === undefined ? fixedBytes(a, rows) : offsetsA[rows]!;
  if (length === undefined) return sameBits(a.values as Uint8Array, b.values as Uint8Array, rows);
  return sameBytes(bytesOf(a.values as Uint8Array), bytesOf(b.values as Uint8Array), length);
}

/** Bytes of `rows` fixed-width values; undefined for bit-packed booleans. */
function fixedBytes(data: Data, rows: number): number | undefined {
  const { values } = data as { values: { BYTES_PER_ELEMENT: number } };
  const elements = (data.type as { bitWidth?: number }).bitWidth === 128 ? 4 : 1;
  return String(data.type) === 'Bool' ? undefined : rows * values.BYTES_PER_ELEMENT * elements;
}

function bytesOf(values: ArrayBufferView): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

function sameBytes(a: Buffer, b: Buffer, length: number): boolean {
  return a.length >= length && b.length >= length && a.compare(b, 0, length, 0, length) === 0;
}

function sameBits(a: Uint8Array, b: Uint8Array, rows: number): boolean {
  const whole = rows >> 3;
  if (!sameBytes(bytesOf(a), bytesOf(b), whole)) return false;
  const rest = (1 << (rows & 7)) - 1;
  return rest === 0 || (a[whole]! & rest) === (b[whole]! & rest);
}
