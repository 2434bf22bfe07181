import { Worker } from 'node:worker_threads';

import { IntegrityError, UnavailableError, type ErrorCode } from '../../errors.ts';
import type { BatchEncoder, EncodedBatch } from '../../ports/batch-encoder.ts';
import type { BatchContent } from '../../record/batch-content.ts';
import { formatLogId } from '../../record/log-id.ts';

/** Message to the thread; buffers of `content` move with it. */
export interface EncodeRequest {
  readonly id: number;
  readonly content: BatchContent;
  readonly leaves: Uint8Array;
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

/** A batch that nobody has encoded yet. */
interface Waiting {
  readonly name: string;
  readonly content: BatchContent;
  readonly leaves: Uint8Array;
  readonly resolve: (batch: EncodedBatch) => void;
  readonly reject: (error: Error) => void;
}

/** A thread and the batches that it has. */
interface Thread {
  readonly worker: Worker;
  readonly batches: Map<number, Waiting>;
  /** Runs while it has batches: the first of them must be answered in time. */
  timer: NodeJS.Timeout | undefined;
}

/** One that is being encoded and one that is ready: the thread never waits, and takes no more with it when it dies. */
const HANDED_OVER_MAX = 2;
/** Far beyond what the largest batch takes. Arrow's reader can hang on what its writer wrote (apache/arrow-js#315). */
const BATCH_TIMEOUT_MS = 120_000;

/**
 * Encodes in one worker thread, batches in the order they came; their buffers are moved there and back, not copied.
 * Batches wait here, not in the thread, until it is their turn. How many wait is up to the callers: one each.
 */
export class ThreadEncoder implements BatchEncoder {
  readonly #script: URL;
  readonly #timeoutMs: number;
  readonly #queue: Waiting[] = [];
  #thread: Thread | null = null;
  #nextId = 0;
  #disposed = false;

  /**
   * @param script address of the built workers/encode.js.
   * @param timeoutMs longest that one batch may take; a thread that takes longer is ended.
   */
  constructor(script: URL, timeoutMs: number = BATCH_TIMEOUT_MS) {
    this.#script = script;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws IntegrityError ENCODING_UNFAITHFUL; UnavailableError when the thread dies or hangs: the next batch gets another one */
  encode(content: BatchContent, leaves: Uint8Array): Promise<EncodedBatch> {
    const name = formatLogId(content.log);
    if (this.#disposed) return Promise.reject(failed(name, CLOSED));
    return new Promise((resolve, reject) => {
      this.#queue.push({ name, content, leaves, resolve, reject });
      this.#handOver();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const { name, reject } of this.#queue.splice(0)) reject(failed(name, CLOSED));
    await this.#thread?.worker.terminate();
  }

  #handOver(): void {
    while (!this.#disposed && this.#queue.length > 0) {
      const thread = (this.#thread ??= this.#start());
      const { worker, batches } = thread;
      if (batches.size >= HANDED_OVER_MAX) return;
      const batch = this.#queue.shift()!;
      const id = this.#nextId++;
      const request: EncodeRequest = { id, content: batch.content, leaves: batch.leaves };
      try {
        worker.postMessage(request, buffersOf(batch.content));
        batches.set(id, batch);
        if (batches.size === 1) this.#watch(thread);
      } catch (cause) {
        batch.reject(failed(batch.name, cause));
      }
    }
  }

  #start(): Thread {
    const thread: Thread = { worker: new Worker(this.#script), batches: new Map(), timer: undefined };
    thread.worker.on('message', (reply: EncodeReply) => {
      settle(thread, reply);
      this.#watch(thread);
      this.#handOver();
    });
    thread.worker.on('messageerror', (cause) => this.#end(thread, cause));
    thread.worker.on('error', (cause) => this.#end(thread, cause));
    thread.worker.on('exit', () => this.#end(thread, new Error('the thread ended')));
    return thread;
  }

  /** Gives the batch that is next the full time. */
  #watch(thread: Thread): void {
    clearTimeout(thread.timer);
    if (thread.batches.size === 0) return;
    const late = (): void => this.#end(thread, new Error(`the thread gave no answer within ${this.#timeoutMs} ms`));
    thread.timer = setTimeout(late, this.#timeoutMs).unref();
  }

  /** A dead thread takes its batches with it, and only its own; the callers drop theirs and read those records again. */
  #end(thread: Thread, cause: unknown): void {
    if (this.#thread === thread) this.#thread = null;
    const lost = [...thread.batches.values()];
    thread.batches.clear();
    clearTimeout(thread.timer);
    for (const { name, reject } of lost) reject(failed(name, cause));
    // It may still run: after a message that cannot be read, or in a loop without end.
    void thread.worker.terminate();
    this.#handOver();
  }
}

const CLOSED = new Error('the encoder is closed');

function settle({ batches }: Thread, reply: EncodeReply): void {
  const batch = batches.get(reply.id);
  batches.delete(reply.id);
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
      // One that was moved before has no bytes: to move it again would lose the message, to copy it is an error.
      const { buffer, byteLength } = value;
      if (buffer instanceof ArrayBuffer && byteLength > 0 && byteLength === buffer.byteLength) buffers.add(buffer);
    } else if (typeof value === 'object' && value !== null && !(value instanceof Map)) {
      for (const inner of Object.values(value)) visit(inner);
    }
  };
  visit({ decoded: content.decoded, dead: content.dead });
  return [...buffers];
}
