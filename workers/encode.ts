/** Thread that encodes batches, so that hashing and judging go on meanwhile. Started by adapters/thread/encoder.ts. */
import { parentPort } from 'node:worker_threads';

import type { EncodeReply, EncodeRequest } from '../src/adapters/thread/encoder.ts';
import { parquetFormat } from '../src/adapters/parquet/format.ts';
import { HeadgateError } from '../src/errors.ts';
import { encodeAndCheck } from '../src/ledger/data/encode.ts';

const port = parentPort!;

port.on('message', ({ id, content, root }: EncodeRequest) => {
  try {
    const { data, deadLetters } = encodeAndCheck(parquetFormat, content, root);
    const reply: EncodeReply = { id, ok: true, data, deadLetters };
    port.postMessage(
      reply,
      [data, deadLetters].filter((file) => file !== null).map((file) => file.bytes.buffer as ArrayBuffer),
    );
  } catch (error) {
    const { message } = error as Error;
    const reply: EncodeReply = {
      id,
      ok: false,
      code: error instanceof HeadgateError ? error.code : 'ENCODING_UNFAITHFUL',
      message,
    };
    port.postMessage(reply);
  }
});
