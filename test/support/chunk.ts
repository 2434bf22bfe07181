import { encodeHeaders } from '../../src/record/leaf.ts';
import { TIMESTAMP_CREATE, type RecordChunk } from '../../src/record/chunk.ts';

/** A record as tests write it; text stands for its UTF-8 bytes. */
export interface TestRecord {
  readonly offset: number;
  readonly key?: Uint8Array | string | null;
  readonly value: Uint8Array | string | null;
  readonly timestamp?: bigint;
  readonly timestampType?: number;
  readonly headers?: readonly { readonly name: Uint8Array; readonly value: Uint8Array | null }[];
}

/** Lays records out as one chunk that accounts for `[from, nextOffset)`. */
export function makeChunk(
  records: readonly TestRecord[],
  bounds: { from?: number; nextOffset?: number; leaderEpoch?: number | null } = {},
): RecordChunk {
  const from = bounds.from ?? records[0]?.offset ?? 0;
  const nextOffset = bounds.nextOffset ?? (records.at(-1)?.offset ?? from - 1) + 1;
  const parts: Buffer[] = [];
  let at = 0;
  const place = (content: Uint8Array | string | null | undefined): [number, number] => {
    if (content === null || content === undefined) return [0, -1];
    const bytes = Buffer.from(content as string);
    parts.push(bytes);
    at += bytes.length;
    return [at - bytes.length, bytes.length];
  };
  const keys = records.map((record) => place(record.key));
  const values = records.map((record) => place(record.value));
  const headers = records.map(({ headers: own = [] }) => (own.length === 0 ? Buffer.alloc(0) : encodeHeaders(own)));
  let headerAt = 0;
  return {
    from,
    nextOffset,
    count: records.length,
    bytes: Buffer.concat(parts),
    offsets: Float64Array.from(records, ({ offset }) => offset),
    timestamps: BigInt64Array.from(records, ({ timestamp }) => timestamp ?? 0n),
    timestampTypes: Uint8Array.from(records, ({ timestampType }) => timestampType ?? TIMESTAMP_CREATE),
    keyStarts: Int32Array.from(keys, ([start]) => start),
    keyLengths: Int32Array.from(keys, ([, length]) => length),
    valueStarts: Int32Array.from(values, ([start]) => start),
    valueLengths: Int32Array.from(values, ([, length]) => length),
    headers: headers.every(({ length }) => length === 0)
      ? null
      : {
          bytes: Buffer.concat(headers),
          starts: Int32Array.from(headers, ({ length }) => (headerAt += length) - length),
          lengths: Int32Array.from(headers, ({ length }) => length),
        },
    spans: [{ from, to: nextOffset, leaderEpoch: bounds.leaderEpoch ?? null, skip: null }],
    position: null,
  };
}
