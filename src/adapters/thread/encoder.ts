import { Worker } from 'node:worker_threads';

import { IntegrityError, UnavailableError, type ErrorCode } from '../../errors.ts';
import type { BatchEncoder, EncodedBatch } from '../../ports/batch-encoder.ts';
import type { BatchContent } from '../../record/batch-content.ts';
import { formatLogId } from '../../record/log-id.ts';

/** Message to the thread; buffers of `content` move with it. */
export interface EncodeRequest {
  readonly id: number;
  readonly content: BatchContent;
  readonly root: Uint8Array;
}

/** Message back. */
export type EncodeReply =
  | {
      readonly id: number;
      readonly ok: true;
      readonly data: TransferredFile | null;
      readonly deadLetters: TransferredFile | null;
    }
  | { readonly id: number; readonly ok: false; readonly code: ErrorCode; readonly message: string };

interface TransferredFile {
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

interface Waiting {
  readonly name: string;
  readonly resolve: (batch: EncodedBatch) => void;
  readonly reject: (error: Error) => void;
}

/** Encodes in one worker thread, batches in the order they came; their buffers are moved there and back, not copied. */
export class ThreadEncoder implements BatchEncoder {
  readonly #script: URL;
  #worker: Worker | null = null;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;

  /** @param script address of the built workers/encode.js. */
  constructor(script: URL) {
    this.#script = script;
  }

  encode(content: BatchContent, root: Uint8Array): Promise<EncodedBatch> {
    const worker = (this.#worker ??= this.#start());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { name: formatLogId(content.log), resolve, reject });
      const request: EncodeRequest = { id, content, root };
      worker.postMessage(request, buffersOf(content));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    const worker = new Worker(this.#script);
    worker.on('message', (reply: EncodeReply) => this.#settle(reply));
    worker.on('error', (cause) => this.#fail(worker, cause));
    worker.on('exit', () => this.#fail(worker, new Error('the thread ended')));
    return worker;
  }

  #settle(reply: EncodeReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (waiting === undefined) return;
    if (!reply.ok) return waiting.reject(new IntegrityError(reply.code, waiting.name, reply.message));
    const received = (file: TransferredFile | null): EncodedBatch['data'] =>
      file === null
        ? null
        : { bytes: Buffer.from(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength), sha256: file.sha256 };
    waiting.resolve({ data: received(reply.data), deadLetters: received(reply.deadLetters) });
  }

  /** A dead thread takes its batches with it; the callers drop theirs and read those records again. */
  #fail(worker: Worker, cause: Error): void {
    if (this.#worker === worker) this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { name, reject } of waiting) {
      reject(
        new UnavailableError('STORE_UNAVAILABLE', `Cannot encode batch of "${name}": ${cause.message}`, { cause }),
      );
    }
  }
}

/** Every distinct buffer in `content`, to be moved instead of copied. */
function buffersOf(content: BatchContent): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const visit = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) {
      // A view of a part must be copied: it may lie in Node's shared buffer pool, whose other views would break.
      if (value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength)
        buffers.add(value.buffer);
    } else if (typeof value === 'object' && value !== null && !(value instanceof Map)) {
      for (const inner of Object.values(value)) visit(inner);
    }
  };
  visit({ decoded: content.decoded, dead: content.dead });
  return [...buffers];
}
