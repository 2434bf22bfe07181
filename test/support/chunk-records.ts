import type { ChunkHeaders, RecordChunk } from '../../src/record/chunk.ts';

/** One record of a chunk as an object, for expectations. */
export interface ChunkRecord {
  readonly offset: number;
  readonly timestamp: bigint;
  readonly timestampType: number;
  readonly key: string | null;
  readonly value: string | null;
  /** Canonical headers in hex; '' for none. */
  readonly headers: string;
}

/** All records of a chunk; keys and values as latin1 text, so that no byte is lost. */
export function chunkRecords(chunk: RecordChunk): ChunkRecord[] {
  const bytes = Buffer.from(chunk.bytes.buffer, chunk.bytes.byteOffset, chunk.bytes.byteLength);
  const text = (start: number, length: number): string | null =>
    length < 0 ? null : bytes.toString('latin1', start, start + length);
  return Array.from({ length: chunk.count }, (_, i) => ({
    offset: chunk.offsets[i]!,
    timestamp: chunk.timestamps[i]!,
    timestampType: chunk.timestampTypes[i]!,
    key: text(chunk.keyStarts[i]!, chunk.keyLengths[i]!),
    value: text(chunk.valueStarts[i]!, chunk.valueLengths[i]!),
    headers: chunk.headers === null ? '' : headersOf(chunk.headers, i),
  }));
}

function headersOf({ bytes, starts, lengths }: ChunkHeaders, index: number): string {
  const start = starts[index] ?? 0;
  return Buffer.from(bytes.subarray(start, start + (lengths[index] ?? 0))).toString('hex');
}
