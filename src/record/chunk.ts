/** Why offsets of a partition carry no record. */
export type SkipReason = 'aborted' | 'control' | 'compacted';

/** A contiguous run of offsets that a source delivered together (for Kafka: one record batch). */
export interface ChunkSpan {
  /** First offset, inclusive. */
  readonly from: number;
  /** Past the last offset. */
  readonly to: number;
  /** Kafka's partition leader epoch of these offsets; null where the source has none. */
  readonly leaderEpoch: number | null;
  /** Set when the whole span carries no record for us. */
  readonly skip: SkipReason | null;
}

/** Timestamp type codes, as stored: Kafka's attribute bit, or none. */
export const TIMESTAMP_CREATE = 0;
export const TIMESTAMP_APPEND = 1;
export const TIMESTAMP_NONE = 2;

/**
 * Records of one partition as columns over one byte buffer: no object per record.
 *
 * Offsets rise strictly. Every offset in `[from, nextOffset)` is either a record here or skipped.
 * Trust: bytes come from producers and are hostile; positions were checked by the source that built the chunk.
 */
export interface RecordChunk {
  /** First offset this chunk accounts for, inclusive (≤ the first record's offset). */
  readonly from: number;
  /** Past the last offset this chunk accounts for. */
  readonly nextOffset: number;
  /** Number of records. */
  readonly count: number;
  /** Backing bytes of keys and values, maybe a part of a buffer that other chunks share; see {@link ownBytes}. */
  readonly bytes: Uint8Array;
  /** `count` offsets, exact integers below 2^53. */
  readonly offsets: Float64Array;
  /** `count` timestamps in milliseconds since 1970 UTC, any int64; 0 where the type is none. */
  readonly timestamps: BigInt64Array;
  /** `count` timestamp types. */
  readonly timestampTypes: Uint8Array;
  /** Start and length of each key in `bytes`; length −1 is a null key. */
  readonly keyStarts: Int32Array;
  readonly keyLengths: Int32Array;
  /** Start and length of each value in `bytes`; length −1 is a null value (tombstone). */
  readonly valueStarts: Int32Array;
  readonly valueLengths: Int32Array;
  /** Canonical headers (see leaf.ts) of each record in `headerBytes`; null when no record of the chunk has a header. */
  readonly headers: ChunkHeaders | null;
  readonly spans: readonly ChunkSpan[];
  /**
   * Where the source stands after the first `records` records of this chunk (1 to `count`): a batch may end inside of a
   * chunk. Opaque to everyone else; null if the source keeps no more than an offset (Kafka).
   */
  readonly position: ((records: number) => SourcePosition) | null;
  /** First line of the CSV file that the records come from: it names their fields. */
  readonly csvHeader?: Uint8Array;
}

/** Canonical headers back to back; a length of 0 means the record has none. */
export interface ChunkHeaders {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

/** A file's position: bytes read so far and the SHA-256 of exactly those bytes, in hex. */
export interface SourcePosition {
  readonly byte: number;
  readonly prefixSha256: string;
}

/** The chunk for those who keep it: without the rest of a much larger buffer, which would stay in memory with it. */
export function ownBytes(chunk: RecordChunk): RecordChunk {
  const { bytes } = chunk;
  return bytes.buffer.byteLength > 2 * bytes.length ? { ...chunk, bytes: Uint8Array.from(bytes) } : chunk;
}
