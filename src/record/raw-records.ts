/**
 * Bytes of a nullable column, back to back without holes, as Arrow's Binary wants them:
 * value i is `bytes[offsets[i], offsets[i + 1])`. Arrays may be longer than needed.
 */
export interface BinaryColumn {
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
  /** Arrow validity bitmap; null when nothing is null. */
  readonly validity: Uint8Array | null;
  readonly nullCount: number;
}

/** Records as they came, as columns: what a leaf is computed from, plus the leaf. Offsets rise strictly. */
export interface RawRecords {
  readonly count: number;
  /** Exact integers below 2^53. */
  readonly offsets: Float64Array;
  /** Milliseconds since 1970 UTC, any int64; 0 where the type is none. */
  readonly timestamps: BigInt64Array;
  readonly timestampTypes: Uint8Array;
  readonly keys: BinaryColumn;
  readonly values: BinaryColumn;
  /** Canonical headers (see leaf.ts), an empty value where a record has none. Null when no record has any. */
  readonly headers: BinaryColumn | null;
  /** 32 bytes a record. */
  readonly leaves: Uint8Array;
}

/** True when value `index` is not null. */
export function hasValue({ validity }: BinaryColumn, index: number): boolean {
  return validity === null || (validity[index >> 3]! & (1 << (index & 7))) !== 0;
}
