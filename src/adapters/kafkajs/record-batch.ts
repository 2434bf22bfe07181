import type { ErrorCode } from '../../errors.ts';

/** Halt codes that the bytes of a batch can cause. */
export type BatchFaultCode = Extract<
  ErrorCode,
  'CRC' | 'CODEC' | 'BOMB' | 'MAGIC' | 'ORDER' | 'MALFORMED' | 'SIZE_EXCEEDED'
>;

/** A batch that must not be read on. Never leaves this folder; the fetcher turns it into a halt that names the partition. */
export class BatchFault extends Error {
  override readonly name = 'BatchFault';
  readonly code: BatchFaultCode;

  constructor(code: BatchFaultCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bytes of a batch before its records; also its least size. */
export const BATCH_HEADER_BYTES = 61;
/** Largest batch that is read; larger ones halt the partition (SIZE_EXCEEDED). Kafka's own default limit is 1 MiB. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;
/** Least size of a record: length, attributes, two deltas, two lengths and the header count, one byte each. */
export const RECORD_BYTES_MIN = 7;

const MAGIC_AT = 16;
/** `batchLength` counts what follows it. */
const LENGTH_ENDS_AT = 12;
/** First byte that the CRC covers, relative to the batch. */
export const CRC_COVERS_FROM = 21;
/** Up to here, base + delta of two such numbers is exact. */
const EXACT_TIMESTAMP_MAX = 2 ** 52;

/** What a look at the next batch says. */
export type BatchState = 'whole' | 'truncated';

/**
 * Header of a record batch v2. One object is moved from batch to batch, so that topics with one record a batch cost no
 * object a record.
 * Trust: everything is hostile. `load` checks every length against the buffer; the CRC covers the attributes and all
 * that follows them, not the offset, the length and the leader epoch before them.
 * Source: https://kafka.apache.org/documentation/#recordbatch
 */
export class BatchHeader {
  /** Size with header; for a truncated batch what it claims, 0 when even that is cut off. */
  bytes = 0;
  baseOffset = 0;
  lastOffsetDelta = 0;
  /** null where the batch has none (−1). */
  leaderEpoch: number | null = null;
  crc = 0;
  attributes = 0;
  /** Milliseconds; exact only when the matching big value is null. */
  baseTimestamp = 0;
  maxTimestamp = 0;
  baseTimestampBig: bigint | null = null;
  maxTimestampBig: bigint | null = null;
  producerId = 0n;
  recordCount = 0;

  get lastOffset(): number {
    return this.baseOffset + this.lastOffsetDelta;
  }

  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5–7 mean nothing. */
  get codec(): number {
    return this.attributes & 0x07;
  }

  get isLogAppendTime(): boolean {
    return (this.attributes & 0x08) !== 0;
  }

  get isTransactional(): boolean {
    return (this.attributes & 0x10) !== 0;
  }

  /** True for transaction markers; only this bit says so, never a key. */
  get isControl(): boolean {
    return (this.attributes & 0x20) !== 0;
  }

  /**
   * Reads the header at `at`.
   * @throws {BatchFault} MAGIC for message formats 0 and 1, SIZE_EXCEEDED beyond 64 MiB, MALFORMED for numbers that contradict each other.
   */
  load(buffer: Buffer, at: number): BatchState {
    const available = buffer.length - at;
    this.bytes = 0;
    if (available <= MAGIC_AT) return 'truncated';
    this.#loadOffset(buffer, at);
    this.lastOffsetDelta = 0;
    const magic = buffer.readInt8(at + MAGIC_AT);
    if (magic !== 2) throw new BatchFault('MAGIC', `format version is ${magic}, wanted 2`);
    const length = buffer.readInt32BE(at + 8);
    if (length < BATCH_HEADER_BYTES - LENGTH_ENDS_AT) {
      throw new BatchFault(
        'MALFORMED',
        `length field says ${length} bytes, a header alone has ${BATCH_HEADER_BYTES - LENGTH_ENDS_AT}`,
      );
    }
    this.bytes = LENGTH_ENDS_AT + length;
    if (this.bytes > BATCH_BYTES_MAX) {
      throw new BatchFault('SIZE_EXCEEDED', `batch has ${this.bytes} bytes, the cap is ${BATCH_BYTES_MAX}`);
    }
    if (available < BATCH_HEADER_BYTES) return 'truncated';
    this.#loadRest(buffer, at);
    return available < this.bytes ? 'truncated' : 'whole';
  }

  #loadOffset(buffer: Buffer, at: number): void {
    const offset = buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
    if (offset < 0 || offset + 0x7fff_ffff > Number.MAX_SAFE_INTEGER) {
      this.baseOffset = 0;
      throw new BatchFault('MALFORMED', `base offset ${offset} is out of range`);
    }
    this.baseOffset = offset;
  }

  #loadRest(buffer: Buffer, at: number): void {
    const leaderEpoch = buffer.readInt32BE(at + 12);
    this.leaderEpoch = leaderEpoch < 0 ? null : leaderEpoch;
    this.crc = buffer.readUInt32BE(at + 17);
    this.attributes = buffer.readInt16BE(at + 21);
    const lastOffsetDelta = buffer.readInt32BE(at + 23);
    this.baseTimestamp = readInexact(buffer, at + 27);
    this.baseTimestampBig = Math.abs(this.baseTimestamp) <= EXACT_TIMESTAMP_MAX ? null : buffer.readBigInt64BE(at + 27);
    this.maxTimestamp = readInexact(buffer, at + 35);
    this.maxTimestampBig = Math.abs(this.maxTimestamp) <= EXACT_TIMESTAMP_MAX ? null : buffer.readBigInt64BE(at + 35);
    this.producerId = (this.attributes & 0x30) === 0 ? -1n : buffer.readBigInt64BE(at + 43);
    this.recordCount = buffer.readInt32BE(at + 57);
    if (lastOffsetDelta < 0) throw new BatchFault('MALFORMED', `last offset delta ${lastOffsetDelta} is negative`);
    this.lastOffsetDelta = lastOffsetDelta;
    if (this.recordCount < 0 || this.recordCount > lastOffsetDelta + 1) {
      throw new BatchFault(
        'MALFORMED',
        `record count ${this.recordCount} does not fit into ${lastOffsetDelta + 1} offsets`,
      );
    }
  }
}

function readInexact(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}
