import type { Data, RecordBatch } from 'apache-arrow';

import { IntegrityError } from '../../errors.ts';
import type { BatchEncoder, EncodedBatch } from '../../ports/batch-encoder.ts';
import type { FileFormat } from '../../ports/file-format.ts';
import type { BatchContent } from '../../record/batch-content.ts';
import { formatLogId } from '../../record/log-id.ts';
import { sha256Hex } from '../../record/sha256.ts';
import { recomputeLeaves } from '../merkle/batch-root.ts';
import { userColumns, type ArrowColumn } from './arrow-columns.ts';
import { encodeDeadLetters, encodeDecodedRows, readBatchFile, type StoredRecords } from './batch-file.ts';

/** Encodes on the calling thread: for the simulator, for tests, and inside the worker. */
export class InlineEncoder implements BatchEncoder {
  readonly #format: FileFormat;

  constructor(format: FileFormat) {
    this.#format = format;
  }

  async encode(content: BatchContent, leaves: Uint8Array): Promise<EncodedBatch> {
    return encodeAndCheck(this.#format, content, leaves);
  }

  takeSpare(): null {
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Encodes a batch, decodes it back and compares; see the contract of BatchEncoder. @throws IntegrityError ENCODING_UNFAITHFUL */
export function encodeAndCheck(format: FileFormat, content: BatchContent, leaves: Uint8Array): EncodedBatch {
  const name = `${formatLogId(content.log)} [${content.start}, ${content.end})`;
  const unfaithful: Unfaithful = (what, cause) =>
    new IntegrityError(
      'ENCODING_UNFAITHFUL',
      name,
      `Cannot commit batch "${name}": ${what} after encoding and decoding back`,
      { cause },
    );
  const readBack = (bytes: Buffer | null): StoredRecords | null => {
    try {
      return bytes === null ? null : readBatchFile(format, bytes, name);
    } catch (cause) {
      throw unfaithful('it cannot be read', cause);
    }
  };
  const user = content.decoded.raw.count === 0 ? [] : userColumns(content.decoded.columns);
  const data = content.decoded.raw.count === 0 ? null : encodeDecodedRows(format, content, user);
  const deadLetters = content.dead.raw.count === 0 ? null : encodeDeadLetters(format, content);
  const rows = readBack(data);
  const dead = readBack(deadLetters);
  assertSameLeaves(
    content,
    [rows, dead].filter((part) => part !== null),
    leaves,
    unfaithful,
  );
  if (rows !== null) assertSameColumns(content.decoded.columns.rows, user, rows, unfaithful);
  if (dead !== null && !sameBytes(bytesOf(content.dead.reasons), bytesOf(dead.reasons!), content.dead.raw.count))
    throw unfaithful('why records did not decode differs');
  return { data: file(data), deadLetters: file(deadLetters) };
}

type Unfaithful = (what: string, cause?: unknown) => IntegrityError;

/** All that a leaf covers, and what a file says of itself, from what was decoded back. */
function assertSameLeaves(
  content: BatchContent,
  stored: readonly StoredRecords[],
  leaves: Uint8Array,
  unfaithful: Unfaithful,
): void {
  const { log, start, end, leafVersion, batchKey } = content;
  for (const { header } of stored) {
    const same =
      formatLogId(header.log) === formatLogId(log) &&
      header.start === start &&
      header.end === end &&
      header.leafVersion === leafVersion &&
      Buffer.from(header.batchKey).equals(batchKey);
    if (!same) throw unfaithful('what the file says of itself differs');
  }
  const parts = stored.map(({ raw }) => raw);
  const recomputed = recomputeLeaves(log, batchKey, parts);
  if (recomputed.firstWrongOffset !== null)
    throw unfaithful(`the leaf of offset ${recomputed.firstWrongOffset} differs`);
  if (!recomputed.leaves.equals(leaves)) throw unfaithful('the leaves differ');
}

function file(bytes: Buffer | null): EncodedBatch['data'] {
  return bytes === null ? null : { bytes, sha256: sha256Hex(bytes) };
}

function assertSameColumns(
  rows: number,
  user: readonly ArrowColumn[],
  stored: StoredRecords,
  unfaithful: Unfaithful,
): void {
  if (stored.batch.numRows !== rows)
    throw unfaithful(`the number of rows is ${stored.batch.numRows} instead of ${rows}`);
  for (const { field, data } of user) {
    const { name } = field;
    const found = childData(stored.batch, name);
    if (found === undefined || nameOf(found) !== nameOf(data) || !sameData(data, found, rows))
      throw unfaithful(`column "${name}" differs`);
  }
}

function childData(batch: RecordBatch, name: string): Data | undefined {
  return batch.getChild(name)?.data[0];
}

/** Compares validity and values; what lies behind a null means nothing and may differ. */
function sameData(a: Data, b: Data, rows: number): boolean {
  if (a.nullCount !== b.nullCount) return false;
  if (a.nullCount > 0 && !sameBits(a.nullBitmap, b.nullBitmap, rows)) return false;
  const offsetsA = a.valueOffsets as Int32Array | undefined;
  if (offsetsA !== undefined && !sameBytes(bytesOf(offsetsA), bytesOf(b.valueOffsets as Int32Array), (rows + 1) * 4))
    return false;
  const [left, right] = [bytesOf(a.values as Uint8Array), bytesOf(b.values as Uint8Array)];
  const length = offsetsA === undefined ? fixedBytes(a, rows) : offsetsA[rows]!;
  if (length === undefined) return sameBits(withoutNulls(a, left, rows), withoutNulls(b, right, rows), rows);
  if (offsetsA !== undefined || a.nullCount === 0) return sameBytes(left, right, length);
  return sameValidRows(a.nullBitmap, left, right, rows, length / rows);
}

/** Booleans with the bits of null rows cleared. */
function withoutNulls({ nullCount, nullBitmap }: Data, bits: Buffer, rows: number): Uint8Array {
  if (nullCount === 0) return bits;
  return Uint8Array.from({ length: (rows + 7) >> 3 }, (_, i) => bits[i]! & nullBitmap[i]!);
}

function sameValidRows(validity: Uint8Array, a: Buffer, b: Buffer, rows: number, width: number): boolean {
  if (a.length < rows * width || b.length < rows * width) return false;
  for (let row = 0; row < rows; row++) {
    if ((validity[row >> 3]! & (1 << (row & 7))) === 0) continue;
    for (let i = row * width; i < (row + 1) * width; i++) if (a[i] !== b[i]) return false;
  }
  return true;
}

/** Arrow's own name of a type, with its parameters. */
function nameOf({ type }: Data): string {
  return (type as { toString(): string }).toString();
}

/** Bytes of `rows` fixed-width values; undefined for bit-packed booleans. */
function fixedBytes(data: Data, rows: number): number | undefined {
  const { values } = data as { values: { BYTES_PER_ELEMENT: number } };
  const elements = (data.type as { bitWidth?: number }).bitWidth === 128 ? 4 : 1;
  return nameOf(data) === 'Bool' ? undefined : rows * values.BYTES_PER_ELEMENT * elements;
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
