import type { RecordBatch } from 'apache-arrow';

/** A columnar file decoded: its only record batch and its key-value metadata. */
export interface DecodedFile {
  readonly batch: RecordBatch;
  readonly metadata: ReadonlyMap<string, string>;
}

/** How record batches lie at rest, so that other tools can read them as they are. */
export interface FileFormat {
  /** The whole file of `batch`; all rows in one row group. */
  encode(batch: RecordBatch, metadata: ReadonlyMap<string, string>): Buffer;
  /**
   * Inverse of `encode`.
   * @param object name for messages.
   * @throws IntegrityError PAYLOAD_INVALID
   * Trust: call it only for bytes whose digest is signed; readers are not hardened against hostile files.
   */
  decode(bytes: Uint8Array, object: string): DecodedFile;
}
