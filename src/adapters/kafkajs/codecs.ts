import { gunzipSync } from 'node:zlib';

import { BatchFault } from './record-batch.ts';

/** Inflates the records of one batch.
 * @param bytesMax the result may have at most this many bytes
 * @throws {BatchFault} BOMB beyond `bytesMax`, MALFORMED when the bytes are not of this codec */
export type Inflate = (deflated: Uint8Array, bytesMax: number) => Buffer;

/** What a batch's codec bits stand for. */
export interface Codec {
  readonly name: string;
  /** null: known, but this build cannot read it. */
  readonly inflate: Inflate | null;
}

/** Codecs by their number in a batch's attributes (1–4). */
export type CodecTable = ReadonlyMap<number, Codec>;

/** Codecs that this build knows. Source: https://kafka.apache.org/documentation/#recordbatch */
export const CODECS: CodecTable = new Map<number, Codec>([
  [1, { name: 'gzip', inflate: inflateGzip }],
  [2, { name: 'snappy', inflate: null }],
  [3, { name: 'lz4', inflate: null }],
  [4, { name: 'zstd', inflate: null }],
]);

/** Trust: the input is hostile; 100 MiB of zeros are 100 KB of gzip, so the output is capped while it is made. */
function inflateGzip(deflated: Uint8Array, bytesMax: number): Buffer {
  try {
    return gunzipSync(deflated, { maxOutputLength: bytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new BatchFault('BOMB', `${deflated.length} bytes of gzip inflate to more than ${bytesMax} bytes`);
    }
    throw new BatchFault('MALFORMED', `its gzip data cannot be read (${(error as Error).message})`);
  }
}
