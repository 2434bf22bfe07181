import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

import type { SourcePosition } from '../../record/chunk.ts';
import { RecordBuffer, sourceChanged, standingAtStart, type FileLayout, type Standing } from './record-buffer.ts';

const READ_BYTES = 1_048_576;

/**
 * Reads what an earlier process committed once more, and finds where to go on: the bytes must be the same and give the
 * same number of records. A last record without a line break is told apart by that: it ends with the bytes, but the
 * next reading finds it again with what has been written behind it.
 * @param offset number of records before `position`.
 * @throws HaltError SOURCE_CHANGED
 */
export async function restoreStanding(
  file: FileHandle,
  path: string,
  layout: FileLayout,
  offset: number,
  position: SourcePosition,
): Promise<Standing> {
  const buffer = new RecordBuffer(path, layout, standingAtStart());
  for (let left = position.byte; left > 0; left = position.byte - buffer.end) {
    const space = buffer.space(Math.min(READ_BYTES, left));
    const { bytesRead } = await file.read(space, 0, Math.min(space.length, left), buffer.end);
    if (bytesRead === 0) throw tooShort(path, buffer.end, position.byte);
    buffer.add(bytesRead, false);
    buffer.passAll();
  }
  assertSame(path, buffer.position, position);
  const { standing } = buffer;
  const unbroken = position.byte - standing.byte;
  const records = standing.offset + (unbroken > 0 ? 1 : 0);
  if (records !== offset) {
    throw sourceChanged(
      path,
      `its first ${position.byte} bytes hold another number of records than were ingested: ${records}, not ${offset} (was its format or delimiter changed in the configuration?)`,
    );
  }
  return { ...standing, offset, unbroken };
}

/** Compares the first bytes of a file. @throws HaltError SOURCE_CHANGED */
export async function assertPrefix(file: FileHandle, path: string, position: SourcePosition): Promise<void> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, position.byte));
  for (let at = 0; at < position.byte;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(READ_BYTES, position.byte - at), at);
    if (bytesRead === 0) throw tooShort(path, at, position.byte);
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  assertSame(path, { byte: position.byte, prefixSha256: hash.digest('hex') }, position);
}

/** The `length` bytes at `at`; fewer if the file ends before. */
export async function readBytes(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, at);
  return bytes.subarray(0, bytesRead);
}

function assertSame(path: string, { prefixSha256: found }: SourcePosition, { byte, prefixSha256 }: SourcePosition) {
  if (found !== prefixSha256)
    throw sourceChanged(path, `its first ${byte} bytes have SHA-256 ${found}, ${prefixSha256} was ingested`);
}

function tooShort(path: string, size: number, wanted: number): Error {
  return sourceChanged(path, `it now ends at byte ${size}, it was ingested up to byte ${wanted}`);
}
