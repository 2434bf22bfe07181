/** Thread that encodes batches, so that hashing and judging go on meanwhile. Started by adapters/thread/encoder.ts. */
import { parentPort } from 'node:worker_threads';

import type { EncodeReply, EncodeRequest } from '../src/adapters/thread/encoder.ts';
import { parquetFormat } from '../src/adapters/parquet/format.ts';
import { HeadgateError } from '../src/errors.ts';
import { encodeAndCheck } from '../src/ledger/data/encode.ts';
import type { EncodedFile } from '../src/ports/batch-encoder.ts';

const port = parentPort!;

port.on('message', ({ id, content, leaves }: EncodeRequest) => {
  try {
    const { data, deadLetters } = encodeAndCheck(parquetFormat, content, leaves);
    const spare = content.decoded.raw.values.bytes.buffer as ArrayBuffer;
    const reply: EncodeReply = { id, ok: true, data, deadLetters, spare };
    port.postMessage(reply, [...movableBuffers([data, deadLetters]), spare]);
  } catch (error) {
    const { message } = error as Error;
    const reply: EncodeReply = {
      id,
      ok: false,
      code: error instanceof HeadgateError ? error.code : 'ENCODING_UNFAITHFUL',
      message,
    };
    port.postMessage(reply);
    // After anything unforeseen, such as a panic of the encoder, its memory is not to be trusted: the next batch gets another thread.
    if (!(error instanceof HeadgateError)) port.close();
  }
});

/** Buffers that a file has for itself; a short one lies in Node's shared pool, which must not move. */
function movableBuffers(files: readonly (EncodedFile | null)[]): ArrayBuffer[] {
  return files.flatMap((file) =>
    file !== null && file.bytes.byteLength === file.bytes.buffer.byteLength ? [file.bytes.buffer as ArrayBuffer] : [],
  );
}
