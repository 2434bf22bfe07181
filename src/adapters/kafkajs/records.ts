import { BatchFault, RECORD_BYTES_MIN } from './record-batch.ts';
import type { BatchHeader } from './record-batch.ts';
import type { HeaderColumns, RecordColumns } from './record-columns.ts';

/**
 * Reads variable-length integers of one payload. `end` is the wall: nothing is read at or past it.
 * Source: https://protobuf.dev/programming-guides/encoding/#signed-ints (zigzag)
 */
class RecordCursor {
  readonly bytes: Uint8Array;
  at: number;
  end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Signed 32-bit. @throws {BatchFault} MALFORMED beyond 5 bytes, 32 bits or the end */
  varint(): number {
    const first = this.at < this.end ? this.bytes[this.at]! : cutOff();
    if (first < 0x80) {
      this.at++;
      return (first >>> 1) ^ -(first & 1);
    }
    return this.#longVarint();
  }

  #longVarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.at < this.end ? this.bytes[this.at++]! : cutOff();
      if (shift === 28 && byte > 0x0f) break;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new BatchFault('MALFORMED', 'a variable-length integer is longer than 32 bits');
  }

  /** Signed, exact; NaN and nothing read when it has more than 7 bytes: then {@link bigVarint} reads it. */
  wideVarint(): number {
    let value = 0;
    let scale = 1;
    for (let at = this.at; at < this.at + 7; at++) {
      const byte = at < this.end ? this.bytes[at]! : cutOff();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.at = at + 1;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
      scale *= 128;
    }
    return Number.NaN;
  }

  /** Signed 64-bit. @throws {BatchFault} MALFORMED beyond 10 bytes, 64 bits or the end */
  bigVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.at < this.end ? this.bytes[this.at++]! : cutOff();
      if (shift === 63n && byte > 1) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
    throw new BatchFault('MALFORMED', 'a variable-length integer is longer than 64 bits');
  }

  /** Steps over `length` bytes; −1 (null) takes none. */
  skip(length: number): void {
    if (length > this.end - this.at || length < -1) {
      throw new BatchFault('MALFORMED', `a length of ${length} bytes where ${this.end - this.at} are left`);
    }
    if (length > 0) this.at += length;
  }
}

function cutOff(): never {
  throw new BatchFault('MALFORMED', 'a record ends inside a number');
}

/** Where the records of a batch lie. */
export interface RecordPayload {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  /** Address of `bytes[0]` in the chunk. */
  readonly address: number;
}

/**
 * Appends the records of one batch whose offset is at least `wanted`.
 * @throws {BatchFault} MALFORMED for lengths that do not fit, ORDER when offsets do not rise. The columns then hold a part of the batch: truncate them.
 * Trust: the payload is hostile; it may be inflated from a small batch.
 * Cost: about 100 ns a record, independent of its size. Source: https://kafka.apache.org/documentation/#record
 */
export function appendRecords(
  payload: RecordPayload,
  header: BatchHeader,
  wanted: number,
  columns: RecordColumns,
): void {
  if (header.recordCount * RECORD_BYTES_MIN > payload.to - payload.from) {
    throw new BatchFault(
      'MALFORMED',
      `${header.recordCount} records do not fit into ${payload.to - payload.from} bytes`,
    );
  }
  const cursor = new RecordCursor(payload.bytes, payload.from, payload.to);
  const first = columns.count;
  columns.reserve(header.recordCount);
  let previousDelta = -1;
  for (let i = 0; i < header.recordCount; i++) {
    previousDelta = appendRecord(cursor, payload, header, previousDelta, wanted, columns);
    cursor.end = payload.to;
  }
  if (cursor.at !== payload.to) {
    throw new BatchFault('MALFORMED', `${payload.to - cursor.at} bytes follow the last record`);
  }
  columns.setTimestampTypes(first, header.isLogAppendTime);
}

/** @returns the record's offset delta */
function appendRecord(
  cursor: RecordCursor,
  payload: RecordPayload,
  header: BatchHeader,
  previousDelta: number,
  wanted: number,
  columns: RecordColumns,
): number {
  const length = cursor.varint();
  if (length < RECORD_BYTES_MIN - 1 || length > cursor.end - cursor.at) {
    throw new BatchFault('MALFORMED', `a record of ${length} bytes where ${cursor.end - cursor.at} are left`);
  }
  cursor.end = cursor.at + length;
  // Attributes of a record have no meaning yet.
  cursor.at++;
  const index = columns.count;
  readTimestamp(cursor, header, columns, index);
  const delta = cursor.varint();
  if (delta <= previousDelta || delta > header.lastOffsetDelta) {
    throw new BatchFault(
      'ORDER',
      `offset delta ${delta} follows ${previousDelta} in a batch that ends at ${header.lastOffsetDelta}`,
    );
  }
  const keyLength = cursor.varint();
  columns.keyStarts[index] = payload.address + cursor.at;
  columns.keyLengths[index] = keyLength;
  cursor.skip(keyLength);
  const valueLength = cursor.varint();
  columns.valueStarts[index] = payload.address + cursor.at;
  columns.valueLengths[index] = valueLength;
  cursor.skip(valueLength);
  const offset = header.baseOffset + delta;
  const keep = offset >= wanted;
  const headerCount = cursor.varint();
  if (headerCount !== 0) readHeaders(cursor, headerCount, columns.headers(), keep ? index : -1);
  if (cursor.at !== cursor.end) {
    throw new BatchFault('MALFORMED', `a record has ${cursor.end - cursor.at} bytes after its last header`);
  }
  if (keep) {
    columns.offsets[index] = offset;
    columns.count = index + 1;
  }
  return delta;
}

function readTimestamp(cursor: RecordCursor, header: BatchHeader, columns: RecordColumns, index: number): void {
  const delta = cursor.wideVarint();
  const bigDelta = Number.isNaN(delta) ? cursor.bigVarint() : null;
  if (header.isLogAppendTime) {
    if (header.maxTimestampBig === null) columns.setTimestamp(index, header.maxTimestamp);
    else columns.timestamps[index] = header.maxTimestampBig;
  } else if (bigDelta === null && header.baseTimestampBig === null) {
    columns.setTimestamp(index, header.baseTimestamp + delta);
  } else {
    // Storing wraps around at 64 bits, as the Java client's addition does.
    columns.timestamps[index] = (header.baseTimestampBig ?? BigInt(header.baseTimestamp)) + (bigDelta ?? BigInt(delta));
  }
}

/** @param index record that the headers belong to; −1 reads and forgets them */
function readHeaders(cursor: RecordCursor, count: number, headers: HeaderColumns, index: number): void {
  // A header has at least two bytes, one length each.
  if (count < 0 || count * 2 > cursor.end - cursor.at) {
    throw new BatchFault('MALFORMED', `${count} headers where ${cursor.end - cursor.at} bytes are left`);
  }
  headers.begin(count);
  for (let i = 0; i < count; i++) {
    const nameLength = cursor.varint();
    if (nameLength < 0) throw new BatchFault('MALFORMED', 'a header name is null');
    const nameStart = cursor.at;
    cursor.skip(nameLength);
    headers.append(cursor.bytes, nameStart, nameLength);
    const valueLength = cursor.varint();
    const valueStart = cursor.at;
    cursor.skip(valueLength);
    headers.append(cursor.bytes, valueStart, valueLength);
  }
  if (index < 0) headers.cancel();
  else headers.end(index);
}

/**
 * True if a control batch ends a transaction by aborting it.
 * @throws {BatchFault} MALFORMED when the marker cannot be read: skipping it would leave every later record of its producer hidden.
 * Source: https://kafka.apache.org/documentation/#controlbatch (key = version int16, type int16; type 0 is abort)
 */
export function isAbortMarker(payload: RecordPayload, header: BatchHeader): boolean {
  if (header.recordCount === 0) return false;
  const cursor = new RecordCursor(payload.bytes, payload.from, payload.to);
  cursor.varint();
  cursor.skip(1);
  if (Number.isNaN(cursor.wideVarint())) cursor.bigVarint();
  cursor.varint();
  const keyLength = cursor.varint();
  if (keyLength < 4) throw new BatchFault('MALFORMED', `the key of a control record has ${keyLength} bytes, wanted 4`);
  const keyStart = cursor.at;
  cursor.skip(keyLength);
  return payload.bytes.readInt16BE(keyStart + 2) === 0;
}
