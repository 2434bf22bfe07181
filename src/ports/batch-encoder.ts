import type { BatchContent } from '../record/batch-content.ts';

/** One encoded file. */
export interface EncodedFile {
  readonly bytes: Buffer;
  /** SHA-256 of `bytes`, hex. */
  readonly sha256: string;
}

/** The files of a batch, each decoded back and compared before anyone sees it. */
export interface EncodedBatch {
  /** Decoded rows; null when no record decoded. */
  readonly data: EncodedFile | null;
  /** Records that did not decode; null when there were none. */
  readonly deadLetters: EncodedFile | null;
}

/**
 * Turns batches into files that other tools read, and proves that nothing was lost on the way.
 *
 * Contract: the returned bytes were decoded again, every leaf recomputed from what came out and compared with `leaves`;
 * every column compared with what went in. One flipped bit between memory and disk is enough to end a
 * transparency log (Yeti 2022), so this happens before the signature, always.
 * `content` belongs to the encoder from the call on; its buffers may be gone afterwards. `leaves` stay the caller's.
 */
export interface BatchEncoder extends AsyncDisposable {
  /**
   * @param leaves 32 bytes a record, in offset order: what the signed root is computed from.
   * @throws IntegrityError ENCODING_UNFAITHFUL; UnavailableError when the encoder broke down: the records must be
   *   read again; HaltError when it broke down over the same records several times in a row
   */
  encode(content: BatchContent, leaves: Uint8Array): Promise<EncodedBatch>;

  /**
   * Memory that held the values of an encoded batch, for those of another: what lies in it means nothing. Without it every
   * batch costs fresh pages, and the freed ones lie scattered between what lives longer.
   * @returns null when there is none of at least `bytes`
   */
  takeSpare(bytes: number): ArrayBuffer | null;
}
