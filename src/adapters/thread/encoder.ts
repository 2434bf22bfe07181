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

/** A thread and the batches that it has. */
interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
}

/** Encodes in one worker thread, batches in the order they came; their buffers are moved there and back, not copied. */
export class ThreadEncoder implements BatchEncoder {
  readonly #script: URL;
  #thread: Thread | null = null;
  #nextId = 0;
  #disposed = false;

  /** @param script address of the built workers/encode.js. */
  constructor(script: URL) {
    this.#script = script;
  }

  /** @throws IntegrityError ENCODING_UNFAITHFUL; UnavailableError when the thread dies: the next call starts another one */
  encode(content: BatchContent, root: Uint8Array): Promise<EncodedBatch> {
    const name = formatLogId(content.log);
    if (this.#disposed) return Promise.reject(failed(name, new Error('the encoder is closed')));
    const { worker, waiting } = (this.#thread ??= this.#start());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const request: EncodeRequest = { id, content, root };
      worker.postMessage(request, buffersOf(content));
      waiting.set(id, { name, resolve, reject });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#thread?.worker.terminate();
  }

  #start(): Thread {
    const thread: Thread = { worker: new Worker(this.#script), waiting: new Map() };
    thread.worker.on('message', (reply: EncodeReply) => settle(thread, reply));
    thread.worker.on('messageerror', (cause) => this.#end(thread, cause));
    thread.worker.on('error', (cause) => this.#end(thread, cause));
    thread.worker.on('exit', () => this.#end(thread, new Error('the thread ended')));
    return thread;
  }

  /** A dead thread takes its batches with it, and only its own; the callers drop theirs and read those records again. */
  #end(thread: Thread, cause: unknown): void {
    if (this.#thread === thread) this.#thread = null;
    const waiting = [...thread.waiting.values()];
    thread.waiting.clear();
    for (const { name, reject } of waiting) reject(failed(name, cause));
    // After a message that cannot be read it may still run.
    void thread.worker.terminate();
  }
}

function settle({ waiting }: Thread, reply: EncodeReply): void {
  const batch = waiting.get(reply.id);
  waiting.delete(reply.id);
  if (batch === undefined) return;
  if (!reply.ok) return batch.reject(new IntegrityError(reply.code, batch.name, reply.message));
  const received = (file: TransferredFile | null): EncodedBatch['data'] =>
    file === null
      ? null
      : { bytes: Buffer.from(file.bytes.buffer, file.bytes.byteOffset, file.bytes.byteLength), sha256: file.sha256 };
  batch.resolve({ data: received(reply.data), deadLetters: received(reply.deadLetters) });
}

function failed(name: string, cause: unknown): UnavailableError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new UnavailableError('STORE_UNAVAILABLE', `Cannot encode batch of "${name}": ${reason}`, { cause });
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
