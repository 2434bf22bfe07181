import { gzipSync } from 'node:zlib';

import { crc32c } from '../../src/adapters/kafkajs/crc32c.ts';

/** A record as a test writes it. */
export interface WrittenRecord {
  /** Default: position in the batch. */
  readonly offsetDelta?: number;
  readonly timestampDelta?: bigint;
  readonly key?: Uint8Array | string | null;
  readonly value?: Uint8Array | string | null;
  readonly headers?: readonly (readonly [name: Uint8Array | string, value: Uint8Array | string | null])[];
}

/** A batch as a test writes it; what is left out is the simplest valid thing. */
export interface WrittenBatch {
  readonly baseOffset?: number | bigint;
  readonly records?: readonly WrittenRecord[];
  /** Replaces the encoded records (before compression). */
  readonly payload?: Buffer;
  /** Replaces the payload after compression. */
  readonly deflated?: Buffer;
  readonly lastOffsetDelta?: number;
  readonly recordCount?: number;
  readonly leaderEpoch?: number;
  readonly magic?: number;
  readonly codec?: number;
  readonly isLogAppendTime?: boolean;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
  readonly baseTimestamp?: bigint;
  readonly maxTimestamp?: bigint;
  readonly producerId?: bigint;
  /** Replaces the right CRC. */
  readonly crc?: number;
  /** Replaces the right length field. */
  readonly length?: number;
}

/** Bytes of a record batch v2. Source: https://kafka.apache.org/documentation/#recordbatch */
export function writeBatch(batch: WrittenBatch = {}): Buffer {
  const records = batch.records ?? [];
  const codec = batch.codec ?? 0;
  const plain = batch.payload ?? Buffer.concat(records.map((record, i) => writeRecord(record, i)));
  const payload = batch.deflated ?? (codec === 1 ? gzipSync(plain) : plain);
  const bytes = Buffer.alloc(61 + payload.length);
  bytes.writeBigInt64BE(BigInt(batch.baseOffset ?? 0), 0);
  bytes.writeInt32BE(batch.length ?? bytes.length - 12, 8);
  bytes.writeInt32BE(batch.leaderEpoch ?? 0, 12);
  bytes.writeInt8(batch.magic ?? 2, 16);
  const flags = (batch.isLogAppendTime ? 8 : 0) | (batch.isTransactional ? 16 : 0) | (batch.isControl ? 32 : 0);
  bytes.writeInt16BE(codec | flags, 21);
  const lastDelta = records.reduce((last, { offsetDelta }, i) => Math.max(last, offsetDelta ?? i), 0);
  bytes.writeInt32BE(batch.lastOffsetDelta ?? lastDelta, 23);
  bytes.writeBigInt64BE(batch.baseTimestamp ?? 0n, 27);
  bytes.writeBigInt64BE(batch.maxTimestamp ?? batch.baseTimestamp ?? 0n, 35);
  bytes.writeBigInt64BE(batch.producerId ?? -1n, 43);
  bytes.writeInt16BE(-1, 51);
  bytes.writeInt32BE(-1, 53);
  bytes.writeInt32BE(batch.recordCount ?? records.length, 57);
  payload.copy(bytes, 61);
  bytes.writeUInt32BE(batch.crc ?? crc32c(bytes, 21, bytes.length), 17);
  return bytes;
}

/** A transaction marker: a control batch of one record. */
export function writeMarker(kind: 'abort' | 'commit', producerId: bigint, baseOffset: number, leaderEpoch = 0): Buffer {
  const key = Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1]);
  const records = [{ key, value: Buffer.alloc(6) }];
  return writeBatch({ baseOffset, records, producerId, isTransactional: true, isControl: true, leaderEpoch });
}

/** Writes the right CRC into a batch that a test has changed. */
export function sealBatch(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17);
  return batch;
}

export function writeRecord(record: WrittenRecord, position: number): Buffer {
  const headers = record.headers ?? [];
  const body = Buffer.concat([
    Buffer.from([0]),
    writeVarint(record.timestampDelta ?? 0n),
    writeVarint(BigInt(record.offsetDelta ?? position)),
    writeContent(record.key ?? null),
    writeContent(record.value === undefined ? `value-${position}` : record.value),
    writeVarint(BigInt(headers.length)),
    ...headers.flatMap(([name, value]) => [writeContent(name), writeContent(value)]),
  ]);
  return Buffer.concat([writeVarint(BigInt(body.length)), body]);
}

function writeContent(content: Uint8Array | string | null): Buffer {
  if (content === null) return writeVarint(-1n);
  const bytes = Buffer.from(content as string);
  return Buffer.concat([writeVarint(BigInt(bytes.length)), bytes]);
}

/** Zigzag variable-length integer of up to 64 bits. */
export function writeVarint(value: bigint): Buffer {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
